# make site   set everything up and build the site (simulated until a node is configured)
# make test   set everything up, tests included, and run lint, types and the suite
# make docs   write the tables of docs/api.md anew, out of the types of the public files
# make lock   bring the pinned Python packages up to date
.PHONY: site preview test test-slow test-hours lint docs lock benchmark benchmark-short accuracy stages clean
.DEFAULT_GOAL := site
BIN := .venv/bin

site:
	@.ci/setup site
	@$(BIN)/oracle build
	@echo "Look at it: make preview   (or point nginx at $(CURDIR)/site/public)"

preview:
	@.ci/setup site
	@$(BIN)/oracle preview

lint:
	@.ci/setup test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# COVERAGE=yes also tells how much of the code the tests reach, as .ci/run wants to know; being watched
# costs half as much time again.
COVERAGE ?= no
WATCHED := $(if $(filter yes,$(COVERAGE)),--cov --cov-report=term-missing:skip-covered --cov-fail-under=90)
test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal $(WATCHED)

docs:
	@.ci/setup test
	$(BIN)/python -m builder.api.reference docs/api.md

lock:
	@.ci/setup test
	.ci/lock

# What the suite leaves out: tests that take long for what they add and all the examples of the
# properties; and, each where its means are there, the cases of the shared folder, a real bitcoind
# (BITCOIND=/path/to/it), a booted machine, containers.
test-slow:
	@.ci/setup test
	ORACLE_EXAMPLES=all $(BIN)/python -m pytest -n 2 --dist worksteal \
		-m "slow or examples or cases or real_node or booted or containers or other_python"

# The suite at odd moments, under Debian's faketime; HOURS_TESTS="tests/deploy ..." names a part.
# Browsers and processes that are told a time of their own (tests/helpers/clock.py) keep theirs.
# One process at a time: the workers of xdist do not live under faketime.
HOURS_TESTS ?= tests
HOURS := "2026-11-26 00:05:00" "2026-11-26 12:00:00" "2026-11-26 23:58:00" \
	"2028-02-29 12:00:00" "2027-12-31 23:58:00"
test-hours:
	@.ci/setup test
	@for moment in $(HOURS); do \
		echo "== $$moment UTC"; \
		TZ=UTC FAKETIME_DONT_FAKE_MONOTONIC=1 faketime "$$moment" \
			$(BIN)/python -m pytest -q -p no:xdist -m "not (slow or browser or cases or real_node or booted or containers or other_python)" \
			$(HOURS_TESTS) || exit 1; \
	done

benchmark:
	@.ci/setup test
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.pricing
	$(BIN)/python -m benchmarks.blkfiles
	$(BIN)/python -m benchmarks.backfill
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.firstrun
	$(BIN)/python -m benchmarks.tick
	$(BIN)/python -m benchmarks.history
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.site
	$(BIN)/python -m benchmarks.nginx --site site

benchmark-short:
	@.ci/setup test
	$(BIN)/python -m benchmarks.reading --blocks 12

accuracy:
	@.ci/setup test
	$(BIN)/python -m pip install --quiet --editable ".[benchmark]"
	$(BIN)/python -m benchmarks.accuracy

stages:
	@.ci/setup test
	$(BIN)/python -m tests.helpers.stage_table

clean:
	rm -rf .venv build *.egg-info site/releases site/public state
