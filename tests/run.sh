#!/usr/bin/env bash
# All tests: unit, property, script, and those on real parts. `make test` calls this; further words go to go test, as in
# `tests/run.sh -run Fork ./trust/ledger`. Everything is fetched and compiled first, because the private engine's
# namespaces have no network. Nothing is left behind but Go's build cache.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v go >/dev/null || { echo "test: Go 1.26 is missing: see https://go.dev/doc/install" >&2; exit 1; }
[ $# -gt 0 ] || set -- ./tests/house ./... # the longest first: it goes on beside all others

# No test may pass by skipping: a part that is missing fails.
export CASTELLAN_TEST_STRICT=1
echo "test: fetching modules"
go mod download
echo "test: compiling"
go build ./...
go test -run '^$' ./... >/dev/null
report=$(mktemp "${TMPDIR:-/tmp}/castellan-report.XXXXXX")
trap 'rm -f "$report"' EXIT
go build -o "$report" ./tests/report
bash tests/with-engine.sh go test -json -timeout 25m "$@" | "$report"
