# The commands of this repository. `make help` lists them.

CARGO ?= cargo
SHELL := bash
DEMO_ARGS ?=
BENCH_ARGS ?=
# Cargo's own directory, wherever the user has put it.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# Node for the dashboard: the system's where it is new enough, else the one that setup.sh has put here.
WEB := PATH="$(CURDIR)/target/node/bin:$$PATH"

.PHONY: help demo test bench bench-srt fmt lint docs unit setup footage clean-footage
.DEFAULT_GOAL := help

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: setup footage ## Show the promise in a minute (DEMO_ARGS="--seconds 120 --seed 7")
	$(CARGO) build --locked -p dashvault
	DASHVAULT_FOOTAGE="$${DASHVAULT_FOOTAGE:-target/footage}" $(TARGET_DIR)/debug/dashvault demo $(DEMO_ARGS)

test: setup-tests footage fmt lint docs deny web-check unit e2e ## Prove it: format, lints, docs, licences, every test

bench: setup-tests ## Measure it (release build; the figures of docs/benchmarks.md; BENCH_ARGS="wire relink")
	$(CARGO) build --locked --release -p dashvault -p dashvault-proof
	$(TARGET_DIR)/release/bench $(BENCH_ARGS)

bench-srt: ## Measure SRT beside libsrt and a bare socket (release build; BENCH_ARGS="receive hold --json")
	@scripts/setup.sh bench-srt
	$(CARGO) build --locked --release -p dashvault-srt-bench
	$(TARGET_DIR)/release/srt-bench $(BENCH_ARGS)

fmt: ## Check the format
	$(CARGO) fmt --all --check

lint: ## Clippy, warnings denied, with and without the binary's features
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p dashvault --no-default-features --features recorder -- -D warnings
	$(CARGO) clippy --locked -p dashvault --no-default-features --features vault -- -D warnings

docs: ## Build the API documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

.PHONY: deny
deny: ## Licences, sources, duplicates (where cargo-deny is installed)
	@if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --locked check bans licenses sources; \
	else echo "deny: cargo-deny is not installed, skipped"; fi

# Most of them wait for a link most of the time: two more at once than there are cores.
unit: THREADS := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 2)))
unit: ## Every test, by cargo-nextest where it is installed
	$(CARGO) build --locked --workspace --bins
	@if $(CARGO) nextest --version >/dev/null 2>&1; \
	then echo "$(CARGO) nextest run --workspace && $(CARGO) test --workspace --doc"; \
	     $(CARGO) nextest run --locked --workspace --test-threads $(THREADS) \
	     && $(CARGO) test --locked --workspace --doc --quiet; \
	else echo "$(CARGO) test --workspace"; $(CARGO) test --locked --workspace; fi

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && $(WEB) npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: web web-check
web: web/node_modules/.package-lock.json ## Build the dashboard into web/dist (needs node 20.19 or newer)
	cd web && $(WEB) npm run --silent build

web-check: setup-tests web/node_modules/.package-lock.json ## The dashboard: types, lints, unit tests, and that web/dist is what its sources build
	cd web && $(WEB) npm run --silent check && $(WEB) npm test --silent
	cd web && $(WEB) npm run --silent build -- --outDir ../target/web-dist --emptyOutDir --logLevel warn
	@diff -r target/web-dist web/dist || { echo "web-check: web/dist is not what web/src builds; run: make web, and commit it" >&2; exit 1; }

.PHONY: e2e
e2e: setup-tests footage web/node_modules/.package-lock.json ## The dashboard in a real browser against the real binary (E2E="live clip": some of it)
	$(CARGO) build --locked --workspace --bins
	cd web && $(WEB) node e2e/run.mjs $(E2E)

setup: ## Install what the demo needs
	@scripts/setup.sh

.PHONY: setup-tests
setup-tests: ## Install what the tests need
	@scripts/setup.sh tests

footage: ## Fetch real footage once into target/footage
	@scripts/footage.sh target/footage

clean-footage: ## Remove the footage
	rm -rf target/footage
