# Everything a developer, a packager and CI need. `make help` lists the targets.
ARCH    := $(shell uname -m)
TARGET  ?= $(ARCH)-unknown-linux-musl
CARGO   ?= cargo
GUEST   := wasm32-unknown-unknown
# What runs a program for the target on this machine, where it is not of its own architecture.
RUN     ?=
PROGRAM := target/kube-ipam
AUTHOR  := target/kube-ipam-policy
DESTDIR ?=
BINDIR  ?= /opt/cni/bin
AUTHOR_BINDIR ?= /usr/local/bin
IMAGE   ?= kube-ipam:0.1.0
ETCD_TOOLS_IMAGE ?= kube-ipam-etcd-tools:0.1.0
DOCKER  ?= docker
POLICIES := range-fixed by-namespace by-topology quota sticky
# Kubernetes' own programs, built once for every clone on this machine.
KUBERNETES := $(or $(KUBE_IPAM_APISERVER_CACHE),$(HOME)/.cache/kube-ipam-apiserver)

# The default policy, built and compiled by `precompile`; the build script of `engine` takes it from there.
export KUBE_IPAM_DEFAULT_POLICY := $(CURDIR)/target/default-policy

# Where the linker takes the order of functions from, and leaves a map: see host/kube-ipam/build.rs.
export KUBE_IPAM_LAYOUT := $(CURDIR)/target/layout

# The whole workspace decides which features a dependency is compiled with, so that each is compiled once, whatever is built.
BUILD := $(CARGO) build --release --locked --target $(TARGET) --workspace

# Our own crates as the tests compile them: unoptimised, in a third of the time. What is tested as a program is the shipped binary.
OURS := addresses limits files spelling ipam cni store compiler engine cluster kube-ipam builders kube-ipam-workbench kube-ipam-tests hostile prove untested
unoptimised = --config profile.release.package.$(1).opt-level=0 --config profile.release.package.$(1).codegen-units=64
FOR_TESTS := --release --locked --target $(TARGET) $(foreach crate,$(OURS),$(call unoptimised,$(crate)))
# One compilation serves tests and lints: clippy's driver is the compiler of our own crates.
LINTED := RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings
TEST := $(LINTED) $(CARGO) test $(FOR_TESTS)

.PHONY: help prepared functions build demo test torture power-cuts bounds policies policies-all test-policies-all install install-policy image image-etcd-tools install-yaml bench simulate-cluster performance lint tools apiserver test-apiserver kubernetes cluster test-cluster fuzz prove prove-mutants manual packages dist screenshots
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

tools: ## install what is missing: rustup targets and, as root on Debian, packages
	@tests/scripts/tools $(TARGET) $(GUEST)

# A static program for the shipped target runs on the machine that builds it, so that the engine is compiled once.
prepared: tools
	$(BUILD) --bin precompile
	mkdir -p $(KUBE_IPAM_DEFAULT_POLICY)
	$(RUN) target/$(TARGET)/release/precompile $(KUBE_IPAM_DEFAULT_POLICY)

# The names in the order of functions have hashes that only a link tells: where the map says that some have changed, the
# program is linked once more. Cargo links what is missing.
LINKED := target/$(TARGET)/release/kube-ipam
build: prepared ## both programs, static: target/kube-ipam for nodes, target/kube-ipam-policy for authors
	@mkdir -p $(KUBE_IPAM_LAYOUT) && touch $(KUBE_IPAM_LAYOUT)/kube-ipam.order
	$(BUILD) --bin kube-ipam --bin kube-ipam-policy
	@if [ "$$(tests/scripts/lay-out host/kube-ipam/functions.txt $(KUBE_IPAM_LAYOUT))" = changed ]; then \
	  find target/$(TARGET)/release/deps -samefile $(LINKED) -delete; rm $(LINKED); \
	fi
	$(BUILD) --bin kube-ipam
	install -m 0755 target/$(TARGET)/release/kube-ipam $(PROGRAM)
	install -m 0755 target/$(TARGET)/release/kube-ipam-policy $(AUTHOR)

policies: build ## every policy as a component, at target/policies/NAME.wasm
	@mkdir -p target/policies
	@for name in $(POLICIES); do $(AUTHOR) build policies/$$name --output target/policies/$$name.wasm || exit 1; done

policies-all: policies ## and the examples in JavaScript, Python and C, with tools from npm and PyPI below target/
	@tests/scripts/policies $(AUTHOR)

demo: build policies ## pods get addresses through Debian's bridge plugin, end to end
	@tests/scripts/demo

lint: prepared ## formatting and lints
	$(CARGO) fmt --all --check
	$(TEST) --workspace --no-run
	@! $(CARGO) tree --locked --target $(TARGET) -i aws-lc-rs 2>/dev/null | grep . || { echo "aws-lc-rs costs 38 ms at every start: use ring"; exit 1; }

test: build policies lint ## everything the project checks
	KUBE_IPAM=$(CURDIR)/$(PROGRAM) $(TEST) --workspace

# The long runs leave their figures beside docs/reliability.md; what each does in a run of all tests is a small part of it.
RELIABILITY = KUBE_IPAM=$(CURDIR)/$(PROGRAM) KUBE_IPAM_REPORTS=$(CURDIR)/docs/reliability $(TEST) --workspace --test storm

torture: build policies ## a cluster of etcd under fire, and what callers were told; SECONDS=600 WORKERS=200
	KUBE_IPAM_TORTURE=$(or $(SECONDS),600) KUBE_IPAM_WORKERS=$(or $(WORKERS),200) $(RELIABILITY) torture:: -- --nocapture

power-cuts: build policies ## the power fails at so many moments of each recording, as root; CUTS=1000
	KUBE_IPAM_CUTS=$(or $(CUTS),1000) $(RELIABILITY) power:: -- --nocapture

bounds: build ## so many pods come and go, and nothing grows; PAIRS=1000000
	KUBE_IPAM_PAIRS=$(or $(PAIRS),1000000) $(RELIABILITY) bounds:: -- --nocapture

test-policies-all: policies-all ## policies in every language, built by the program and run by it
	KUBE_IPAM=$(CURDIR)/$(PROGRAM) $(TEST) --workspace --test program languages:: -- --ignored

apiserver: ## build a real kube-apiserver, some ten minutes, once; on Debian
	@tests/scripts/kubernetes kube-apiserver

test-apiserver: policies apiserver ## what the tests ask their API server, asked of a real one
	KUBE_IPAM=$(CURDIR)/$(PROGRAM) KUBE_IPAM_APISERVER=$(KUBERNETES)/kube-apiserver $(TEST) --workspace --test program -- apiserver:: kubernetes::

kubernetes: ## build all that a real cluster runs, some ten minutes, once; on Debian
	@tests/scripts/kubernetes kube-apiserver kube-controller-manager kube-scheduler kubelet

cluster: policies kubernetes ## a real cluster of two nodes on this machine, as root, until Ctrl-C
	$(CARGO) build $(FOR_TESTS) --workspace --bin cluster-up
	@KUBE_IPAM=$(CURDIR)/$(PROGRAM) KUBE_IPAM_CLUSTER=$(KUBERNETES) target/$(TARGET)/release/cluster-up

test-cluster: policies kubernetes ## pods on such a cluster, driven with kubectl: no two that live share an address; SCENARIO=rollout
	KUBE_IPAM=$(CURDIR)/$(PROGRAM) KUBE_IPAM_CLUSTER=$(KUBERNETES) $(TEST) --workspace --test cluster -- $(SCENARIO)

# The instrumentation works on stable Rust without a sanitizer, which safe code has little need of.
FUZZ ?= module component record call file
FUZZ_SECONDS ?= 60
fuzz: policies ## module, component, record, call and file, each for FUZZ_SECONDS; with cargo-fuzz, installed if need be
	command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	cp Cargo.lock tests/fuzz/Cargo.lock
	mkdir -p tests/fuzz/corpus/module tests/fuzz/corpus/call
	cp host/kube-ipam/src/config/cases/*.json tests/fuzz/corpus/call
	cp $(POLICIES:%=target/policies/%.wasm) tests/fuzz/corpus/module
	set -e; for target in $(FUZZ); do \
	  $(CARGO) fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz -s none $$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=250000 -timeout=60; \
	done

# The section on languages needs `make policies-all`.
SECTIONS ?=
bench: build policies ## whole-process times beside host-local and the floor of etcd's protocol; SECTIONS="earlier embedded etcd kubernetes scale burst languages cluster" BEFORE=FILE
	$(BUILD) --bins --example decide
	KUBE_IPAM=$(CURDIR)/$(PROGRAM) target/$(TARGET)/release/bench $(SECTIONS)

# The verbs of production under every schedule and every fault: tests/prove. What is replayed was compiled from the same sources.
PROVE := target/$(TARGET)/release/prove
PROVE_WAYS := $(if $(REPLAY),--replay $(REPLAY),$(if $(SECONDS),--seconds $(SECONDS) $(if $(SEED),--seed $(SEED)),$(SCENARIO) $(if $(COST),--cost $(COST))))
prove: policies ## every schedule of every scenario up to a cost; SECONDS=60 at random; REPLAY=FILE
	$(BUILD) --bin prove
	$(PROVE) $(PROVE_WAYS) $(if $(REPLAY)$(SCENARIO)$(COST),,--page docs/reliability.md)

# All mutants are compiled at once, each behind a switch, in a copy that shares what is compiled of others' crates.
MUTANTS := target/mutants
prove-mutants: policies ## whether the search finds faults that are put into the code on purpose; MUTANT=NAME for one
	$(CARGO) build $(FOR_TESTS) --workspace --bin prove
	$(PROVE) --mutants $(MUTANTS)
	cd $(MUTANTS) && CARGO_TARGET_DIR=$(CURDIR)/target $(CARGO) build $(FOR_TESTS) --workspace --bin prove-mutants
	KUBE_IPAM_POLICIES=$(CURDIR)/target/policies $(PROVE) --hunt-all $(PROVE)-mutants $(MUTANT) $(if $(MUTANT),,--page docs/reliability.md)

# What NODES and the like say reaches the program as it was given to `make`.
simulate-cluster: build policies ## whether this machine carries a cluster; NODES=5000 PODS=150000 RATE=100 SECONDS=60
	$(BUILD) --bins
	KUBE_IPAM=$(CURDIR)/$(PROGRAM) target/$(TARGET)/release/bench simulate

performance: ## docs/performance.md and its pictures, of FIGURES=target/cluster.json or of those in docs/performance
	$(BUILD) --bin bench
	target/$(TARGET)/release/bench performance

# By write and rename: what runs meanwhile is never half a program.
put = install -d $(2) && install -m 0755 $(1) $(2)/.$(notdir $(1)).new && mv -f $(2)/.$(notdir $(1)).new $(2)/$(notdir $(1))

functions: build ## record which functions the verbs run, in their order, in host/kube-ipam/functions.txt
	$(BUILD) --bin functions
	target/$(TARGET)/release/functions $(LINKED) $(KUBE_IPAM_LAYOUT)/kube-ipam.map >target/functions.txt
	mv target/functions.txt host/kube-ipam/functions.txt

install: build ## copy the node's program into $(DESTDIR)$(BINDIR)
	$(call put,$(PROGRAM),$(DESTDIR)$(BINDIR))

install-policy: build ## copy the author's program, and the node's that it measures, into $(DESTDIR)$(AUTHOR_BINDIR)
	$(call put,$(AUTHOR),$(DESTDIR)$(AUTHOR_BINDIR))
	$(call put,$(PROGRAM),$(DESTDIR)$(AUTHOR_BINDIR))

manual: prepared ## manual pages of both programs at target/man, completions for bash, zsh and fish at target/completions
	$(BUILD) --example manual
	$(RUN) target/$(TARGET)/release/examples/manual target/man target/completions

packages: build manual ## an archive, a .deb and an .rpm for this machine, at target/dist
	@tests/scripts/tools $(TARGET) $(GUEST) packages
	tests/scripts/package $(ARCH) $(PROGRAM) $(AUTHOR) target/dist

dist: packages ## packages for x86_64 and aarch64 with checksums and bills of materials, at target/dist
	@tests/scripts/dist $(ARCH) target/dist

image: build ## a container image of the binary, $(IMAGE), for deploy/
	$(DOCKER) build --tag $(IMAGE) .

image-etcd-tools: ## a container image of what the scripts of deploy/components/etcd need
	$(DOCKER) build --tag $(ETCD_TOOLS_IMAGE) deploy/components/etcd

screenshots: build policies ## docs/page, pictures of `kube-ipam serve` with pods in it; look at them before you keep them
	@command -v optipng >/dev/null && fc-list | grep -q Inter || apt-get install -y -qq --no-install-recommends optipng fonts-inter >/dev/null
	KUBE_IPAM=$(CURDIR)/$(PROGRAM) $(TEST) --workspace --test program page::pictures -- --ignored

install-yaml: ## deploy/install.yaml from the files beside it
	@{ echo "# Generated from deploy/ by \`make install-yaml\`: change the files in base/."; kubectl kustomize deploy; } >deploy/install.yaml.new
	@mv deploy/install.yaml.new deploy/install.yaml
