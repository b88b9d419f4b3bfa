#!/usr/bin/env bash
# Prints the folder of an environment with the real clients of Qinling, and makes it when it is not there.
set -euo pipefail

python=$1
folder=.cache/qinling-client
wanted="python-qinlingclient==5.1.1 python-openstackclient==10.5.0"

if [[ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]]; then
    rm -rf "$folder"
    "$python" -m venv --without-pip "$folder" >&2
    # shellcheck disable=SC2086 - two words
    "$python" -m pip --python "$folder/bin/python" install --quiet --no-compile --disable-pip-version-check $wanted >&2
    echo "$wanted" > "$folder/.installed"
fi
echo "$PWD/$folder"
