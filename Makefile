# SPDX-License-Identifier: LGPL-2.1-or-later
# Thin: meson builds, tests/run.py tests. 'make help' says what there is.

RELEASE := build/release
ASAN    := build/asan
GUEST   := build/guest
FUZZ    := build/fuzz
FAULTS  := build/faults
# For each target.
FUZZ_SECONDS ?= 600
# Where lab, tests and benchmark find the programs.
export FERRY_BUILD := $(CURDIR)/$(RELEASE)

.PHONY: all help setup asan guest demo check check-unit fuzz faults bench install clean

all: $(RELEASE)/build.ninja
	ninja -C $(RELEASE)

help:
	@echo 'make             build in $(RELEASE)'
	@echo 'make setup       install what building, lab and tests need (root)'
	@echo 'make demo        all of it, and a running VM moves between two hosts on this machine (root)'
	@echo 'make check       run all tests, with and without sanitizers (root)'
	@echo 'make check-unit  run the unit tests only'
	@echo 'make fuzz        let a fuzzer loose on what a peer sends, FUZZ_SECONDS=600 for each parser'
	@echo 'make faults      break something at every point of a move, for hours; may be ended and gone on with (root)'
	@echo 'make bench       measure against virsh migrate (root)'
	@echo 'make install     install, below DESTDIR if that is set'
	@echo 'make clean       remove what was built'
	@echo 'ARGS="…"         passed on to demo, tests/run.py, faults and bench'

setup:
	./setup

$(RELEASE)/build.ninja:
	meson setup --prefix=/usr --sysconfdir=/etc --localstatedir=/var $(RELEASE)

$(ASAN)/build.ninja:
	meson setup -Db_sanitize=address,undefined -Dtest-hooks=true $(ASAN)

asan: $(ASAN)/build.ninja
	ninja -C $(ASAN)

# The lab guest: this distribution's kernel, busybox and lab/guest.
guest: all $(GUEST)/initrd.gz

$(GUEST)/modules/order:
	lab/guest/fetch-kernel $(GUEST)

$(GUEST)/initrd.gz: $(RELEASE)/lab/guest lab/guest/init lab/guest/build-initrd $(GUEST)/modules/order
	lab/guest/build-initrd $(RELEASE)/lab/guest $(GUEST)

# ninja knows whether it is new; the empty recipe makes make look.
$(RELEASE)/lab/guest: all ;

demo: setup
	$(MAKE) guest
	lab/demo $(ARGS)

# Modular daemons are built from source, as no package has them; where that fails their tests are skipped and say so.
check: guest asan
	-lab/modular
	tests/run.py $(ARGS)

check-unit: all asan
	tests/run.py --only 'unit/*' $(ARGS)

# What it finds is kept in $(FUZZ)/corpus, and goes on from there the next time: tests/fuzz/README.md.
$(FUZZ)/build.ninja:
	CC=clang meson setup -Dfuzz=true -Db_lundef=false -Db_sanitize=address,undefined $(FUZZ)

fuzz:
	-./setup --fuzz
	$(MAKE) $(FUZZ)/build.ninja
	ninja -C $(FUZZ) fuzzers
	tests/fuzz/run $(FUZZ) $(FUZZ_SECONDS) $(ARGS)

# Without sanitizers: quicker, and killing what they watch tells them nothing. tests/faults/README.md.
$(FAULTS)/build.ninja:
	meson setup -Dtest-hooks=true $(FAULTS)

faults: guest $(FAULTS)/build.ninja
	ninja -C $(FAULTS)
	tests/faults/run $(ARGS)

# Without what only the benchmark needs the cases that need it are skipped and say so.
bench: guest
	-./setup --bench
	bench/bench $(ARGS)

install: all
	meson install -C $(RELEASE) --no-rebuild

# Labs may be up in build/labs: they are not ours to remove.
clean:
	rm -rf $(RELEASE) $(ASAN) $(FUZZ) $(FAULTS) $(GUEST)
