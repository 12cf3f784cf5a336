# What people do often. `make` alone lists it.
#
# Everything builds in target/ and in a cache outside (FERRY_CACHE, else the user's cache directory): programs of the
# test clusters, and the linters that are no part of the Rust toolchain. The world of the tests needs root.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CACHE := $(or $(FERRY_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME)/ferry,$(HOME)/.cache/ferry))
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
BUF := tests/lint/node_modules/.bin/buf
# One build for tests and demo, always of the whole workspace, so that none invalidates another's. The hold points of
# the agent, by which tests stop it in the middle of a step, do nothing unless FERRY_HOLD_DIR is set.
FEATURES := --features ferry-agent/hold-points
# Programs that need nothing of the machine they run on.
HOST = $(shell rustc --version --verbose | sed -n 's/^host: //p')
STATIC = RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --target $(HOST)
KREW_ARCHIVE = $(notdir $(shell sed -n 's/^ *uri: //p' deploy/krew/ferry.yaml))
# Tests of whole programs that need no cluster: of `ferry` and of `ferry-controller`.
PROGRAM_TESTS := command controller
# Tests that need real clusters; each makes its own and leaves nothing behind.
WORLD_TESTS := csi_sanity array_driver world executors e2e
# Tests that `make test` leaves out: one builds a second Kubernetes, the other takes a minute for each case.
FURTHER_TESTS := skew runbook chart

.PHONY: help build test test-unit test-tidy test-clusters $(addprefix test-,$(WORLD_TESTS) $(FURTHER_TESTS)) demo steps bench chaos model mutants images krew shell lint clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## Build every program: controller, agent, command, test clusters, demo
	cargo build --workspace --bins $(FEATURES)

test: ## Run every test, from cheap to real; the last line counts the end-to-end cases
	$(MAKE) --no-print-directory test-unit
	$(MAKE) --no-print-directory test-tidy
	$(MAKE) --no-print-directory test-clusters

test-unit: ## Tests that need no cluster
	cargo test --workspace --lib --bins $(addprefix --test ,$(PROGRAM_TESTS)) $(FEATURES)

test-tidy: ## The house rules
	cargo test --workspace --test tidy $(FEATURES)

test-clusters: build ## Tests that bring up real clusters
	@mkdir -p target/test
	@for test in $(WORLD_TESTS); do $(MAKE) --no-print-directory test-$$test; done
	@echo "end-to-end cases: $$(sed -n 's/^end-to-end cases: //p' target/test/e2e.log | tail -n 1)"

test-runbook: build ## Ferry dies in a step, and a script with kubectl alone ends the migration; ARGS=back runs some
test-skew: build ## The demo's path from a Kubernetes 1.33 cluster to a 1.37 one and back

$(addprefix test-,$(WORLD_TESTS) $(FURTHER_TESTS)): test-%:
	@mkdir -p target/test
	cargo test --workspace --test $* $(FEATURES) -- $(ARGS) 2>&1 | tee target/test/$*.log

steps: build ## Every write of every step x every fault, each alone in its run; target/steps/report.json; ARGS=steps-reads runs some
	FERRY_STEPS_ALONE=1 cargo test --workspace --test executors $(FEATURES) -- $(or $(ARGS),steps-)

demo: build ## Move a running etcd to west and back under watch; KEEP=1 leaves it up, SABOTAGE=skip-detach must fail
	KEEP="$(KEEP)" SABOTAGE="$(SABOTAGE)" target/debug/ferry-demo

model: ## Explore the model of the protocol whole within its bounds; target/model/report.json; ARGS=asleep explores one
	cargo run --profile proof --package ferry-model -- $(ARGS)

images: build ## Images of controller and agent for a release: static, made without a container engine; target/images/*.tar
	$(STATIC) -p ferry-controller -p ferry-agent
	target/debug/ferry-world images --programs target/$(HOST)/release --to target/images

krew: ## The archive and the manifest of kubectl-ferry for a release: target/krew
	$(STATIC) -p ferry
	@mkdir -p target/krew
	tar --create --gzip --file target/krew/$(KREW_ARCHIVE) --owner 0 --group 0 --directory target/$(HOST)/release ferry --directory $(CURDIR) LICENSE
	digest=$$(sha256sum target/krew/$(KREW_ARCHIVE) | cut -d' ' -f1); \
	sed "s/^\( *sha256: \).*/\1\"$$digest\"/; /^# /d" deploy/krew/ferry.yaml > target/krew/ferry.yaml

bench: ## Measure Ferry against the floor on clusters of its own: P1, P1r, P1b, P2, P9; target/bench/report.json
	cargo build --release --workspace $(addprefix --bin ,ferry-bench test-csi ferry ferry-controller ferry-agent)
	target/release/ferry-bench $(ARGS)

chaos: build ## A hundred blows at controller, agents, control planes, kubelets and links during migrations; target/chaos/report.json
	cargo test --workspace --test chaos $(FEATURES) -- $(ARGS)

mutants: ## Plant each fault of tests/mutants/table, alone, and name the layer that catches it; target/mutants/report.json; ARGS=--list, ARGS="fence --continue"
	cargo test --workspace --test mutants $(FEATURES) -- $(ARGS)

shell: build ## A shell between two clusters with Ferry installed: kubectl, ferry and contexts ready
	target/debug/ferry-demo shell

lint: $(BUF) $(CARGO_DENY) ## rustfmt, clippy, buf, the house rules, cargo-deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(FEATURES) -- --deny warnings
	$(BUF) lint
	$(MAKE) --no-print-directory test-tidy
	$(CARGO_DENY) --workspace check licenses bans sources
	@if $(CARGO_DENY) fetch db 2>/dev/null; then $(CARGO_DENY) --workspace check advisories; \
	else echo "advisories: NOT CHECKED, their database cannot be reached from here"; fi

$(BUF): tests/lint/package-lock.json
	npm ci --prefix tests/lint --ignore-scripts
	@touch $@

$(CARGO_DENY):
	cargo install --locked cargo-deny --version $(CARGO_DENY_VERSION) --root $(dir $(patsubst %/,%,$(dir $@)))

clean: ## Remove what was built here; the cache outside stays
	-test ! -x target/debug/ferry-world || target/debug/ferry-world sweep
	cargo clean
	rm -rf tests/lint/node_modules
