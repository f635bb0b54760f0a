#!/usr/bin/env bash
# Runs every fuzz target of the repository for FUZZTIME each (default 20s).
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do
    for target in $(grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | cut -d' ' -f2); do
        echo "fuzz: $target ($(dirname "$file"))"
        go test -run '^$' -fuzz "^$target\$" -fuzzminimizetime 10x -fuzztime "${FUZZTIME:-20s}" "$(dirname "$file")" | grep -v '^fuzz: elapsed' || exit 1
    done
done
