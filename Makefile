# One command each: `make run` shows it, `make test` proves it.
.DEFAULT_GOAL := help
.PHONY: help setup run serve test lint types unit integration infra bench package schema lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CALLS := build/calls.jsonl
BENCH := build/bench-venv
export PYTHONDONTWRITEBYTECODE := 1

help: ## show these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## make the virtual environment, from locked and hashed requirements

$(VENV)/.ready: requirements-dev.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: setup ## start the function against the embedded cloud, send it the sample events, show the results
	@$(BIN)/python -m tests.demo

serve: setup ## the same, but keep it running for curl
	@$(BIN)/python -m tests.demo --serve

test: setup lint types unit ## the whole fast suite, lint and types included

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check --diff

types: setup
	$(BIN)/mypy

# The calls that the function made are kept for `make infra`, which compares them with its policy.
unit: setup
	@mkdir -p build && rm -f $(CALLS)
	RECORDED_CALLS=$(CALLS) $(BIN)/python -m pytest tests/unit tests/contract -n 2 -p tests.infra.record_calls --cov --cov-report=term

integration: setup ## the contract suite against a real Keystone, Cinder and Nova, started here
	$(BIN)/python -m pytest tests/contract tests/integration --cloud=real -p no:xdist

infra: setup ## judge templates, image and package; TERRAFORM_WRAPPER names what answers for the provider
	RECORDED_CALLS=$(wildcard $(CALLS)) $(BIN)/python -m pytest tests/infra

bench: $(BENCH)/.ready ## compare with peers: ratios, printed
	$(BENCH)/bin/python -m tests.bench

$(BENCH)/.ready: requirements-bench.txt
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

package: setup ## write the zips for FunctionGraph's Python runtime to dist/
	$(BIN)/python infra/functiongraph/package.py

schema: setup ## write events/schema/ anew from the models
	$(BIN)/python -m handler.model.schema

lock: setup ## lock the newest versions that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile -q -U --universal --python-version 3.10 --generate-hashes --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q -U --universal --python-version 3.10 --generate-hashes --no-header -c requirements.txt --group dev pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile -q -U --universal --python-version 3.10 --generate-hashes --no-header -c requirements-dev.txt --group bench pyproject.toml -o requirements-bench.txt

clean: ## remove all that the targets above made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis .coverage*
