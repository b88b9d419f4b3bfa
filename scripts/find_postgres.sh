#!/usr/bin/env bash
# Prints the folder of the programs of Debian's PostgreSQL server; installs the package when it is missing.
set -euo pipefail

found() { find /usr/lib/postgresql -name initdb -printf '%h\n' 2>/dev/null | sort --version-sort | tail -1; }

if [[ -z "$(found)" ]]; then
    sudo=()
    [[ "$(id -u)" = 0 ]] || sudo=(sudo)
    # Some copy of the package list may be good enough.
    "${sudo[@]}" apt-get update --quiet=2 >&2 || true
    "${sudo[@]}" apt-get install -o DPkg::Lock::Timeout=300 --quiet=2 --yes --no-install-recommends postgresql >&2
fi
found
