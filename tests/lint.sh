#!/usr/bin/env bash
# gofmt and vet.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$bad" ]; then echo "not gofmt-ed: $bad"; exit 1; fi
go vet ./...
