# The commands that people and CI call alike.

CARGO ?= cargo
# The advisory database is another server; `make audit` asks it, the gate does not depend on it.
DENY_CHECKS := bans licenses sources
DENY_VERSION := 0.20.2

.PHONY: help replay test control-plane lint portable oracle catalogue yaml fmt docs bench following dist man fuzz audit image picture sbom

help: ## Lists the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

replay: ## Plays the incident against the real server.
	$(CARGO) run --release --bin fluxkeep -- replay

test: control-plane ## Runs every test.
	$(CARGO) test --workspace --no-fail-fast

control-plane: ## Builds kube-apiserver, etcd, Helm and Flux controllers for the tests, once; needs Go.
	@tests/control-plane/build.sh

lint: ## Formatting, clippy, documentation, licences and bans.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --workspace --no-deps
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny@$(DENY_VERSION)
	$(CARGO) deny --workspace check $(DENY_CHECKS)

# People run Helm there. Nothing is linked, so a target's standard library is enough: the C parts of cryptography and of the
# server's allocator are not compiled (`true` stands in for their compiler).
PORTABLE := aarch64-apple-darwin x86_64-pc-windows-gnu

portable: ## Checks that the command and the post-renderer compile for macOS and Windows.
	@for target in $(PORTABLE); do \
		if ! rustup target add $$target 2>/dev/null; then \
			echo "portable: no standard library for $$target to be had, so it is not checked"; continue; \
		fi; \
		name=$$(echo $$target | tr - _); \
		env CC_$$name=true CXX_$$name=true AR_$$name=true \
			$(CARGO) check --package fluxkeep-cli --package fluxkeep-postrenderer --target $$target || exit 1; \
	done

# The whole workspace, although one test is run: one package alone has other features, and ten crates would
# be compiled anew after `make test`.
oracle: control-plane ## Asks judge and apiserver every history of Flux's CRDs; CRDS=folder: those of its manifests.
	FLUXKEEP_ORACLE_CRDS='$(CRDS)' $(CARGO) test --workspace --test oracle -- --ignored --nocapture

catalogue: ## Adds what is new of Flux to the catalogue, from Go modules; needs Go.
	$(CARGO) run --package fluxkeep-catalogue -- src/flux/catalogue/releases.json

yaml: control-plane ## Compares a million documents with Go's reader of YAML, in ten runs that differ.
	for run in 1 2 3 4 5 6 7 8 9 10; do \
		FLUXKEEP_YAML_SEED=$$(date +%s)$$run FLUXKEEP_YAML_DOCUMENTS=100000 $(CARGO) test --package fluxkeep-tests --test go_yaml -- --nocapture || exit 1; \
	done

audit: ## Asks the advisory database about known vulnerabilities.
	$(CARGO) deny check advisories

fmt: ## Formats everything.
	$(CARGO) fmt --all

docs: control-plane man ## Writes the generated pages anew; a test fails where they differ.
	FLUXKEEP_WRITE_DOCS=1 $(CARGO) test --package fluxkeep-tests --test documentation --test crds
	FLUXKEEP_WRITE_DOCS=1 $(CARGO) test --package fluxkeep-tests --test chart -- generated

picture: control-plane ## Draws docs/dashboard.svg from what a real Prometheus returns; minutes.
	FLUXKEEP_DASHBOARD_PICTURE=$(CURDIR)/docs/dashboard.svg $(CARGO) test --package fluxkeep-tests --test chart -- monitored

bench: control-plane ## Measures beside baselines and prints the table of docs/performance.md. FILES= names real files.
	$(CARGO) build --profile dist --bin fluxkeep-postrenderer --bin fluxkeep
	$(CARGO) run --profile dist --package fluxkeep-benches -- $(FILES)

following: ## Measures the server over clusters with many CRDs.
	$(CARGO) build --profile dist --bin fluxkeep-webhook
	$(CARGO) run --package fluxkeep-benches --bin following

# Paths of this machine stay out of the programs. The folder is its own, since other flags build everything anew.
DIST_BUILD := target/dist-build
DIST_FLAGS := --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(HOME)=~

dist: ## Packs programs, completions, man pages and the Helm 4 plugin into target/archives, with lists of their parts.
	RUSTFLAGS='$(DIST_FLAGS)' $(CARGO) build --profile dist --locked --target-dir $(DIST_BUILD) --workspace --bin fluxkeep \
		--bin fluxkeep-webhook --bin fluxkeep-postrenderer --bin fluxkeep-man
	rm -rf target/archives
	$(MAKE) --no-print-directory sbom
	dist/pack.sh $(DIST_BUILD)/dist target/archives

SBOM_VERSION := 0.5.9

# cargo-cyclonedx writes a list beside the Cargo.toml of every member.
sbom: ## Writes CycloneDX lists of the crates in each program into target/archives.
	@command -v cargo-cyclonedx >/dev/null || $(CARGO) install --locked cargo-cyclonedx@$(SBOM_VERSION)
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct || echo 0) $(CARGO) cyclonedx --format json --spec-version 1.5
	@mkdir -p target/archives
	@for program in cli postrenderer webhook; do mv $$program/*.cdx.json target/archives/; done
	@find . -path ./target -prune -o -name '*.cdx.json' -exec rm {} +
	@sed -i 's|path+file://$(CURDIR)|path+file://.|' target/archives/*.cdx.json

man: ## Writes the man pages into target/man.
	$(CARGO) run --package fluxkeep-tests --bin fluxkeep-man -- target/man

IMAGE_ARCHITECTURE := $(shell uname -m | sed -e s/x86_64/amd64/ -e s/aarch64/arm64/)
IMAGE_TARGET := $(shell uname -m)-unknown-linux-gnu
# No path of this machine stays in the program, so the same commit gives the same image anywhere.
IMAGE_CARGO_HOME := $(or $(CARGO_HOME),$(HOME)/.cargo)
IMAGE_REMAP := $(CURDIR)=/src $(IMAGE_CARGO_HOME)=/cargo

image: ## Builds the server's image for this architecture into target/image; needs Go.
	RUSTFLAGS="-C target-feature=+crt-static $(foreach from,$(IMAGE_REMAP),--remap-path-prefix=$(from))" \
		CFLAGS="$(foreach from,$(IMAGE_REMAP),-ffile-prefix-map=$(from))" \
		$(CARGO) build --profile dist --locked --target $(IMAGE_TARGET) --package fluxkeep-webhook
	image/build.sh target/image $(IMAGE_ARCHITECTURE)=target/$(IMAGE_TARGET)/dist/fluxkeep-webhook

FUZZ_TARGET ?= edit
FUZZ_SECONDS ?= 60
FUZZ_VERSION := 0.13.1

# No sanitizer: there is no unsafe code to watch, and without one three times as many texts are tried.
fuzz: ## Feeds FUZZ_TARGET (edit, documents, record) for FUZZ_SECONDS; needs a nightly compiler.
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz@$(FUZZ_VERSION)
	$(CARGO) run --manifest-path fuzz/Cargo.toml --bin seeds
	$(CARGO) +nightly fuzz run --sanitizer none $(FUZZ_TARGET) -- -max_total_time=$(FUZZ_SECONDS) -max_len=256
