# One command each: `make run` shows it, `make test` proves it.
.DEFAULT_GOAL := help
.PHONY: help setup run serve test lint types unit histories bytes soak mutants mutants-ci integration infra attempts fuzz abuse bench performance sbom audit checkov image package dist picture dashboard schema fresh lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CALLS := build/calls.jsonl
BENCH := build/bench-venv
SUPPLY := build/supply-venv
CHECKOV := build/checkov-venv
BYTES := build/bytes-venv
export PYTHONDONTWRITEBYTECODE := 1

# What is locked is what is installed, whatever pip this Python came with: it resolves and builds nothing.
# Then it says whether anything is missing.
PIP := bin/python -m pip --disable-pip-version-check
define install # folder of the environment, its lock
	$(PYTHON) -m venv --clear $(1)
	$(1)/$(PIP) install --quiet --no-deps --only-binary :all: --require-hashes -r $(2)
	$(1)/$(PIP) check
	@touch $(1)/.ready
endef

help: ## show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## make the virtual environment, from locked and hashed requirements

$(VENV)/.ready: tests/requirements.txt
	$(call install,$(VENV),$<)

run: setup ## start the function against the embedded cloud, send it the sample events, show the results
	@$(BIN)/python -m tests.demo

serve: setup ## the same, but keep it running for curl
	@$(BIN)/python -m tests.demo --serve

test: setup lint types unit ## the whole fast suite, lint and types included

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check --diff
	$(BIN)/deptry handler
	$(BIN)/deptry handler tests infra --ignore DEP004 # tests may import what is for development

types: setup
	$(BIN)/mypy

# Text is UTF-8 whatever the locale: whoever opens some without saying so fails, here and in what is started.
# What the loader of OpenStack's credentials brings opens its own files as it likes.
THEIRS := ignore::EncodingWarning:os_service_types.data,ignore::EncodingWarning:openstack.config.loader,$\
ignore::EncodingWarning:openstack.config.defaults,ignore::EncodingWarning:keystoneauth1._utils,$\
ignore::EncodingWarning:stevedore._cache
STRICT := PYTHONWARNDEFAULTENCODING=1 PYTHONWARNINGS=error::EncodingWarning,$(THEIRS)

# The calls that the function made are kept for `make infra`, which compares them with its policy. COVERAGE=yes tells
# the lines that no test reaches and fails below a bound; it takes half as long again, so .ci/run asks for it alone.
COVERAGE :=
# Twice as many as the smallest machine has cores: at any time some of them wait for what takes its time.
WORKERS := 4
unit: setup
	@mkdir -p build && rm -f $(CALLS)
	$(STRICT) RECORDED_CALLS=$(CALLS) $(BIN)/python -m pytest tests/unit tests/contract -n $(WORKERS) -p tests.infra.record_calls $(if $(COVERAGE),--cov --cov-report=term)

# One-line mutations of what decides whether a record is cleared: each must make a test fail.
SEED := 11
mutants: setup ## every mutant of the safety rules, in SEED's order; ended, it goes on where it was
	$(BIN)/python -m tests.mutation --seed $(SEED)

mutants-ci: setup ## the first hundred of them
	$(BIN)/python -m tests.mutation --seed $(SEED) --most 100

# 100,000 take about half an hour of one core; ended, it goes on where it was (build/histories.json).
HISTORIES := 3000
histories: setup ## play HISTORIES of the function under faults, kills and others' deeds, then have wrong rules caught
	$(BIN)/python -m tests.histories --most $(HISTORIES)
	$(BIN)/python -m tests.histories --most $(HISTORIES) --mutated

MINUTES := 9
bytes: $(BYTES)/.ready ## fuzz all readers for MINUTES, guided by coverage (atheris); what is new is added to their corpus
	$(BYTES)/bin/python -m tests.bytes --minutes $(MINUTES)

$(BYTES)/.ready: tests/bytes/requirements.txt
	$(call install,$(BYTES),$<)

soak: setup ## serve a mixed load for MINUTES, with faults, new secrets and a restart each minute (Linux)
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

integration: setup ## the contract suite against a real Keystone, Cinder and Nova, started here
	$(BIN)/python -m pytest tests/contract tests/integration --cloud=real -p no:xdist

infra: setup $(SUPPLY)/.ready ## judge templates, image and package; TERRAFORM_WRAPPER names what answers for the provider
	PYTHONWARNDEFAULTENCODING=1 RECORDED_CALLS=$(wildcard $(CALLS)) $(BIN)/python -m pytest tests/infra

image: setup ## build the image with buildah and run it with runc (Linux, root); IMAGE_BASE names a base to pull
	$(BIN)/python -m pytest tests/image -p no:xdist

fuzz: setup ## have schemathesis try the served function by its own OpenAPI description
	$(BIN)/python -m tests.fuzz

abuse: setup ## 200 callers at once who withhold something: is /healthz answered?
	$(BIN)/python -m tests.abuse

# CLOUD=real starts that; ended by ATTEMPTS_SECONDS (exit code 3), the next run goes on where it was.
ATTEMPTS := 300
ATTEMPTS_SECONDS := inf
CLOUD := embedded
attempts: setup ## try hundreds of times what is switched off or forbidden: not one record or disk may change
	$(BIN)/python -m tests.attempts --cloud $(CLOUD) --attempts $(ATTEMPTS) --seconds $(ATTEMPTS_SECONDS)

bench: $(BENCH)/.ready ## compare with peers: ratios, printed; ends with 1 where a bound is missed
	$(BENCH)/bin/python -m tests.bench

performance: setup ## write docs/performance.*, its plots and the README's line from what make bench kept
	$(BIN)/python -m tests.bench.page

$(BENCH)/.ready: tests/bench/requirements.txt
	$(call install,$(BENCH),$<)

# Due after `make lock` and with each new version, which the bills name; a test says so.
sbom: setup $(SUPPLY)/.ready ## write the bills of materials (CycloneDX) of image and zips anew
	$(BIN)/python -m infra.supply.sbom --tools $(SUPPLY)/bin

audit: setup $(SUPPLY)/.ready ## ask the index for known vulnerabilities of all that is locked for run time
	$(BIN)/python -m infra.supply.audit --tools $(SUPPLY)/bin requirements.txt infra/container/requirements.txt

checkov: setup $(CHECKOV)/.ready ## judge manifests and the image's recipe by checkov, with a reason for each exception
	$(BIN)/python -m pytest tests/infra/test_checkov.py -p no:xdist

$(CHECKOV)/.ready: infra/supply/checkov/requirements.txt
	$(call install,$(CHECKOV),$<)

$(SUPPLY)/.ready: infra/supply/requirements.txt
	$(call install,$(SUPPLY),$<)

package: setup ## write the zips for FunctionGraph's Python runtime to dist/
	$(BIN)/python infra/functiongraph/package.py

dashboard: setup ## write infra/grafana/evs-detach.json anew
	$(BIN)/python infra/grafana/dashboard.py

picture: setup ## draw docs/terminal.svg anew, from a real run of the command
	$(BIN)/python -m tests.picture

# Built by the locked setuptools: nothing is fetched. The wheel is made from the source distribution.
dist: setup ## build the source distribution and the wheel to dist/
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist

schema: setup ## write events/schema/ anew from the models
	$(BIN)/python -m handler.model.schema

FRESH :=
fresh: setup ## the README's commands on Debian 12, 13 and sid as they come, and the tests on this machine's Pythons
	$(BIN)/python -m tests.fresh $(FRESH)

# Each set is locked by one rule, extras and markers included; its first lines say what it was made from.
# `make lock UPGRADE=` keeps the versions that still fit.
UPGRADE ?= --upgrade
LOCK = $(BIN)/uv pip compile --quiet $(UPGRADE) --universal --generate-hashes --no-strip-extras --only-binary :all:
LOCKS := requirements.txt infra/container/requirements.txt tests/requirements.txt tests/bench/requirements.txt tests/bytes/requirements.txt infra/supply/requirements.txt infra/supply/checkov/requirements.txt tests/integration/openstack/requirements.txt
lock: setup ## lock the newest versions that pyproject.toml allows, with hashes
	$(LOCK) --python-version 3.10 pyproject.toml -o requirements.txt
	$(LOCK) --python-version 3.10 -c requirements.txt --extra openstack --extra otel pyproject.toml -o infra/container/requirements.txt
	$(LOCK) --python-version 3.10 -c infra/container/requirements.txt --extra openstack --extra otel --group dev pyproject.toml -o tests/requirements.txt
	$(LOCK) --python-version 3.10 -c tests/requirements.txt --group bench pyproject.toml -o tests/bench/requirements.txt
	$(LOCK) --python-version 3.10 -c tests/requirements.txt --group supply pyproject.toml -o infra/supply/requirements.txt
	cd infra/supply/checkov && ../../../$(LOCK) --python-version 3.11 requirements.in -o requirements.txt
	$(LOCK) --python-version 3.11 -c tests/requirements.txt --group bytes pyproject.toml -o tests/bytes/requirements.txt
	cd tests/integration/openstack && ../../../$(LOCK) --python-version 3.11 requirements.in -o requirements.txt
	sha256sum $(LOCKS) > tests/locks.sha256

clean: ## remove all that the targets above made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis .coverage*
