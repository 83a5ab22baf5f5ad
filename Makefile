# make site   set everything up and build the site (simulated until a node is configured)
# make test   set everything up, tests included, and run the whole gate
# make docs   write the tables of docs/api.md anew, out of the types of the public files
# make lock   bring the pinned Python packages up to date
.PHONY: site preview test lint docs lock benchmark benchmark-short accuracy clean
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

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

docs:
	@.ci/setup test
	$(BIN)/python -m builder.api.reference docs/api.md

lock:
	@.ci/setup test
	.ci/lock

benchmark:
	@.ci/setup test
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.history
	$(BIN)/python -m benchmarks.site
	$(BIN)/python -m benchmarks.nginx --site site

benchmark-short:
	@.ci/setup test
	$(BIN)/python -m benchmarks.reading --blocks 12

accuracy:
	@.ci/setup test
	$(BIN)/python -m pip install --quiet --editable ".[benchmark]"
	$(BIN)/python -m benchmarks.accuracy

clean:
	rm -rf .venv build *.egg-info site/releases site/public state
