# Castellan: one target per thing a person does. `make help` lists them.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export CGO_ENABLED ?= 0
BIN         ?= bin
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS     := -s -w -X main.version=$(VERSION)
GO          ?= go
# The house speaks HTTP/1.1; without the bundled HTTP/2 the programs are half a megabyte smaller.
TAGS        := nethttpomithttp2

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: check-go
check-go:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 is missing. Get it from https://go.dev/dl, then run make again."; exit 1; }
	@case "$$($(GO) env GOVERSION)" in go1.2[6-9]*|go1.[3-9][0-9]*) ;; \
	*) echo "Castellan needs Go 1.26 or newer, this is $$($(GO) env GOVERSION). Get it from https://go.dev/dl, then run make again."; exit 1;; esac

.PHONY: build
build: check-go ## bin/castellan and bin/cas
	@mkdir -p $(BIN)
	$(GO) build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/castellan ./cmd/cas

.PHONY: man
man: check-go ## the manual pages, into rootfs/usr/share/man/man1
	@$(GO) run -ldflags '$(LDFLAGS)' ./cmd/castellan man rootfs/usr/share/man/man1

.PHONY: test
test: ## unit, property, script and real-parts tests; installs what a bare Debian lacks
	@bash tests/run.sh

SCREENS ?= .screens
.PHONY: screenshots
screenshots: ## a picture of each screen into SCREENS, and those that the README shows into supervisor/web/pictures
	@mkdir -p $(SCREENS) supervisor/web/pictures
	@CASTELLAN_SCREENS=$(abspath $(SCREENS)) CASTELLAN_PICTURES=$(abspath supervisor/web/pictures) bash tests/run.sh -count=1 -run 'TestUI$$' ./tests/house

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (default 20s)
	@bash tests/fuzz.sh

.PHONY: bench
bench: ## every benchmark, with the figures README and the notes quote
	@bash tests/bench.sh

.PHONY: run
run: check-go ## the demo: a real engine, ledger, registry, daemon; CHECK=1 runs it unattended
	@[ -n "$(CHECK)" ] || echo "building (the first time takes a few minutes) …"
	@$(MAKE) --no-print-directory --silent build
	@$(GO) build -trimpath -o bin/demo ./cmd/demo
	@bin/demo -dir .run $(if $(CHECK),-check)

.PHONY: stop
stop: ## end the demo and all it started
	@[ ! -e .run ] || $(GO) run ./cmd/demo -dir .run -stop

.PHONY: clean-run
clean-run: ## end the demo and remove every trace of it
	@$(GO) build -trimpath -o bin/demo ./cmd/demo
	@bin/demo -dir .run -clean

.PHONY: lint
lint: ## gofmt, vet, staticcheck and the house's own rules
	@bash tests/lint.sh
