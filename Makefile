# Everything starts here: `make` alone explains itself. Each target sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BUN := node_modules/.bin/bun
ARGS ?=

.PHONY: help setup build generate lint demo test test-real test-cluster bench clean
.PHONY: cluster-up cluster-down cluster-shell images

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: node_modules/.installed ## Install the pinned packages (Bun among them) and check the machine's tools
	@scripts/setup.sh

node_modules/.installed: package.json package-lock.json
	@# Not `npm ci`: it refuses a lockfile in which a registry had not all platforms of an optional package.
	@if command -v npm >/dev/null; then npm install --no-save --no-fund --no-audit --loglevel=error; \
	  elif command -v bun >/dev/null; then bun install --frozen-lockfile; \
	  else echo "need Node with npm, or Bun: install one of them and run make again" >&2; exit 1; fi
	@touch $@

build: node_modules/.installed ## Compile the WASM core and the three programs into build/
	@$(BUN) scripts/build.ts

generate: build ## Write the generated files again: CRDs and the install manifest
	@$(BUN) scripts/generate-crds.ts
	@$(BUN) scripts/render-install.ts

lint: build ## Type check, lint and format check
	@node_modules/.bin/tsc
	@node_modules/.bin/biome ci --error-on-warnings .

demo: setup build ## Run the product on this machine: 3 hosts, 4 NICs each, pods on all of them (ARGS=--keep to explore)
	@$(BUN) scripts/demo/main.ts $(ARGS)

test: setup build ## Run the tests that need no root and no other programs
	@$(BUN) scripts/run-tests.ts unit $(ARGS)

test-real: setup build ## Run the tests on real kernels, a real kube-apiserver, cnitool and a real cluster
	@scripts/setup.sh real
	@$(BUN) scripts/run-tests.ts real $(ARGS)

test-cluster: setup build ## Run only the tests on the real two-node cluster
	@$(BUN) scripts/run-tests.ts cluster $(ARGS)

bench: setup build ## Measure against the reference plugins in the same run; writes bench/RESULTS.md
	@scripts/setup.sh bench
	@$(BUN) bench/main.ts $(ARGS)

images: build ## Write the controller and daemon images as OCI layout tars into build/images
	@$(BUN) scripts/image.ts

cluster-up: setup images ## Start a real two-node Kubernetes cluster on this machine
	@$(BUN) test/cluster/main.ts up $(ARGS)

cluster-down: node_modules/.installed ## Stop that cluster and leave nothing behind
	@$(BUN) test/cluster/main.ts down $(ARGS)

cluster-shell: node_modules/.installed ## Open a shell with kubectl pointed at that cluster
	@$(BUN) test/cluster/main.ts shell

clean: ## Remove what was built
	@rm -rf build core-wasm/build node_modules
