#!/usr/bin/env bash
# What a reader should not have to point out: gofmt, vet, staticcheck, and the rules of the house (tests/rules).
# Every check runs; the exit code tells whether all were content.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
bad=0

echo "lint: gofmt"
files=$(git ls-files -co --exclude-standard '*.go' | while read -r f; do [ -f "$f" ] && echo "$f"; done)
unformatted=$(gofmt -l $files)
if [ -n "$unformatted" ]; then
    printf 'not formatted, run gofmt -w on:\n%s\n' "$unformatted"
    bad=1
fi

echo "lint: vet"
go vet ./... || bad=1

echo "lint: staticcheck $(go list -modfile=tools.mod -m -f '{{.Version}}' honnef.co/go/tools)"
go tool -modfile=tools.mod staticcheck ./... || bad=1

echo "lint: modules are what go.sum says"
go mod verify >/dev/null || bad=1

echo "lint: shell scripts parse"
for script in .ci/run $(git ls-files -co --exclude-standard '*.sh'); do
    bash -n "$script" || bad=1
done

echo "lint: house rules"
go test -count=1 ./tests/rules || bad=1
go test -count=1 -v -run TestLongFilesAreTold ./tests/rules | grep 'want a reason' | sed 's/^ *[a-z_]*\.go:[0-9]*: /warning: /'

if [ "$bad" -ne 0 ]; then
    echo "lint: something above wants an answer" >&2
    exit 1
fi
echo "lint: in order"
