#!/usr/bin/env bash
# Prints the first interpreter that is new enough and really starts (a pyenv shim may exist and not start).
set -euo pipefail
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
echo 'Python 3.11 or newer is needed; none of python3, python3.13, python3.12, python3.11 is it.' >&2
exit 1
