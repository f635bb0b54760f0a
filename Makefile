# Castellan: one target per thing a person does. `make help` lists them.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export CGO_ENABLED ?= 0
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS     := -s -w -X main.version=$(VERSION)
GO          ?= go

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## bin/castellan and bin/cas
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/castellan ./cmd/cas

.PHONY: test
test: ## unit, property, script and real-parts tests; installs what a bare Debian lacks
	@bash tests/run.sh

.PHONY: lint
lint: ## gofmt, vet, staticcheck and the house's own rules
	@bash tests/lint.sh
