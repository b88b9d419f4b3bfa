#!/usr/bin/env bash
# Prints the first interpreter that is new enough, really starts (a pyenv shim may exist and not start) and can
# make an environment (Debian leaves that out).
set -euo pipefail
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
echo 'Python 3.11 or newer, with venv, is needed; none of python3, python3.13, python3.12, python3.11 is it.' >&2
exit 1
