#!/usr/bin/env bash
# Prints the path of libfaketime, which lets tests say what the clock shows; installs Debian's package when it is missing.
set -euo pipefail

found() { find /usr/lib /usr/local/lib -name libfaketimeMT.so.1 -print -quit 2>/dev/null; }

if [[ -z "$(found)" ]]; then
    sudo=()
    [[ "$(id -u)" = 0 ]] || sudo=(sudo)
    # Some copy of the package list may be good enough.
    "${sudo[@]}" apt-get update --quiet=2 >&2 || true
    "${sudo[@]}" apt-get install -o DPkg::Lock::Timeout=300 --quiet=2 --yes --no-install-recommends faketime >&2
fi
found
