#!/usr/bin/env bash
# Prints the folder of an environment with OpenStack's Keystone, and makes it when it is not there.
set -euo pipefail

python=$1
folder=.cache/keystone
wanted="keystone==30.0.0"

if [[ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]]; then
    rm -rf "$folder"
    "$python" -m venv --without-pip "$folder" >&2
    "$python" -m pip --python "$folder/bin/python" install --quiet --no-compile --disable-pip-version-check "$wanted" >&2
    echo "$wanted" > "$folder/.installed"
fi
echo "$PWD/$folder"
