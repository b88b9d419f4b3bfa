#!/usr/bin/env bash
# Prints the folder with the real clients of SAS Viya, each in an environment of its own, and makes it when it is not
# there. It needs Node.js with npm for one of them.
set -euo pipefail

python=$1
folder=.cache/viya-clients
wanted="sasctl==1.12.0 @sassoftware/restaf@4.5.5"

if [[ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]]; then
    command -v npm >/dev/null || { echo "npm is missing: apt-get install nodejs npm" >&2; exit 1; }
    rm -rf "$folder"
    "$python" -m venv --without-pip "$folder/sasctl" >&2
    "$python" -m pip --python "$folder/sasctl/bin/python" install --quiet --no-compile --disable-pip-version-check \
        "${wanted% *}" >&2
    mkdir -p "$folder/restaf"
    npm install --loglevel=error --fetch-retries=5 --no-audit --no-fund --prefix "$folder/restaf" "${wanted#* }" >&2
    echo "$wanted" > "$folder/.installed"
fi
echo "$PWD/$folder"
