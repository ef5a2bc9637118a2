# Pouch: `make run` to see it work, `make test` to see that it does.
#
#   make            release programs in .build/release
#   make run        tries Pouch out in ./var: builds, starts, sends a first message
#   make test       everything quick: format, build, units, manuals, scenarios, light peers
#   make interop    scenarios with other mail servers
#   make soak       full counts of what `make test` does in small
#   make bench      figures; see Benchmarks/
#   make install    programs, manuals and service files below $(DESTDIR)$(PREFIX)

SHELL := /bin/bash
SWIFT ?= $(or $(shell command -v swift),$(shell bash -lc 'command -v swift' 2>/dev/null))
PREFIX ?= /usr/local
PROGRAMS := mail-enqueue mail-listen mail-relay mail-queue mail-expand mail-supervise
SOURCES := Package.swift Sources Tests
# SwiftPM wants a home for its caches.
export HOME ?= $(shell getent passwd $$(id -u) | cut -d: -f6)
export PATH := $(PATH):$(dir $(SWIFT))

BUILD_PACKAGES := libssl-dev zlib1g-dev libc6-dev pkg-config
TEST_PACKAGES := $(BUILD_PACKAGES) mandoc strace swaks python3 python3-aiosmtpd iproute2 util-linux mount e2fsprogs procps jq

.PHONY: all build debug run test format lint manuals units scenarios interop soak bench install clean \
	build-packages test-packages toolchain

all: build

build: toolchain build-packages
	$(SWIFT) build -c release --static-swift-stdlib

debug: toolchain build-packages
	$(SWIFT) build --build-tests

run: build
	etc/try-here .build/release

test: toolchain test-packages lint debug manuals units scenarios

format:
	$(SWIFT) format --in-place --recursive $(SOURCES)

lint:
	$(SWIFT) format lint --strict --recursive $(SOURCES)

manuals:
	Scenarios/check-manuals

units: debug
	$(SWIFT) test --skip-build
	POUCH_TEST_QUEUE=sealed-compressed $(SWIFT) test --skip-build --filter QueueKitTests

scenarios: debug
	POUCH_BIN=$(CURDIR)/.build/debug Scenarios/run-all light

interop: debug test-packages
	POUCH_BIN=$(CURDIR)/.build/debug Scenarios/run-all heavy

soak: build test-packages
	POUCH_BIN=$(CURDIR)/.build/release POUCH_SOAK=1 Scenarios/run-all light
	$(SWIFT) build --build-tests
	POUCH_FUZZ=100000 $(SWIFT) test --skip-build --filter SealFuzzTests

bench: build test-packages
	POUCH_BIN=$(CURDIR)/.build/release Benchmarks/accept/run
	POUCH_BIN=$(CURDIR)/.build/release Benchmarks/accept/run --sessions 100 --messages 20000 --reuse yes \
		--queue sealed-compressed --beside plain
	POUCH_BIN=$(CURDIR)/.build/release Benchmarks/seal/run

# The service files name the programs where they are put. Nothing is enabled, and no account is made.
install: build
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(addprefix .build/release/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin
	for page in man/*.[1-8]; do \
		install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; \
	done
	install -D -m 0644 etc/systemd/pouch.service $(DESTDIR)$(PREFIX)/lib/systemd/system/pouch.service
	install -D -m 0644 etc/sysusers.d/pouch.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/pouch.conf
	install -d $(DESTDIR)$(PREFIX)/share/pouch/examples
	install -m 0644 etc/examples/*.conf $(DESTDIR)$(PREFIX)/share/pouch/examples
	install -D -m 0755 etc/s6/pouch/run $(DESTDIR)$(PREFIX)/share/pouch/s6/pouch/run
	install -D -m 0644 etc/s6/pouch/notification-fd $(DESTDIR)$(PREFIX)/share/pouch/s6/pouch/notification-fd
	install -D -m 0755 etc/runit/pouch/run $(DESTDIR)$(PREFIX)/share/pouch/runit/pouch/run
	sed -i 's,/usr/local/bin/,$(PREFIX)/bin/,' $(DESTDIR)$(PREFIX)/lib/systemd/system/pouch.service \
		$(DESTDIR)$(PREFIX)/share/pouch/s6/pouch/run $(DESTDIR)$(PREFIX)/share/pouch/runit/pouch/run

clean:
	rm -rf .build

toolchain:
	@[ -n "$(SWIFT)" ] || { echo "make: there is no swift. Install Swift 6.2 or newer: https://swift.org/install" >&2; exit 1; }

# Installs what is missing; says what that is when it may not.
define ensure
@missing=; for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
[ -z "$$missing" ] || { \
	if [ $$(id -u) = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "make: these packages are missing:$$missing. Install them: sudo apt-get install$$missing" >&2; exit 1; \
	fi; }
endef

build-packages:
	$(call ensure,$(BUILD_PACKAGES))

test-packages:
	$(call ensure,$(TEST_PACKAGES))
