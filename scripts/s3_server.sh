#!/usr/bin/env bash
# Prints the Python of an environment with a server that speaks S3, and makes it when it is not there.
# What it is made of does not go with the pins of our own environment.
set -euo pipefail

python=$1
folder=.cache/s3-server
wanted="moto[s3]==5.2.5 flask==3.1.3 flask-cors==6.0.5"

if [[ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]]; then
    rm -rf "$folder"
    "$python" -m venv --without-pip "$folder" >&2
    # shellcheck disable=SC2086 - three words
    "$python" -m pip --python "$folder/bin/python" install --quiet --no-compile --disable-pip-version-check $wanted >&2
    echo "$wanted" > "$folder/.installed"
fi
echo "$PWD/$folder/bin/python"
