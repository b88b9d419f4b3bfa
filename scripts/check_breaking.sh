#!/usr/bin/env bash
# Compares the protos with the newest release, or with the last commit while nothing is released.
# usage: check_breaking.sh BUF
set -euo pipefail
buf=$1
baseline=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || echo HEAD)
if ! git cat-file -e "$baseline:protos/jobyard" 2>/dev/null; then
    echo "buf breaking: $baseline holds no protos to compare with" >&2
    exit 0
fi
git archive --format=tar "$baseline" protos buf.yaml | "$buf" breaking --against '-#format=tar'
