# Two commands matter: `make demo` shows Consentry, `make test` proves it. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --require-hashes --no-deps
SHELL  := /bin/bash -o pipefail
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ' *## *' '/^[a-z]+:.*##/ {split($$1, name, ":"); printf "%-12s %s\n", name[1], $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.run  ## a camera, an enrolled person and a stranger at http://127.0.0.1:8080
	$(BIN)/consentry models pull
	$(BIN)/consentry demo

test: $(VENV)/.dev check system models  ## every check and every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(VENV)/.dev  ## ruff, mypy, import rules, size limits, docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/sizes.py
	$(BIN)/python tools/docs.py

bench: $(VENV)/.peers models  ## measure against the peers, installed apart in .venv-peers
	$(BIN)/consentry bench vision --json
	$(BIN)/consentry bench redact --json
	$(BIN)/consentry bench search --json

soak: $(VENV)/.dev models  ## in full what `make test` runs short: tampering, erasure, kills, odd requests, memory
	$(BIN)/python -m tests.invariants.soak_ledger --mutations 10000
	$(BIN)/python -m tests.invariants.soak_erasure --histories 100
	$(BIN)/python -W error -m tests.faults.soak_kill --kills 200 --seed 1
	$(BIN)/python -m tests.security.soak_schemathesis --examples 200
	$(BIN)/consentry bench ledger --json
	$(BIN)/consentry bench watch --minutes 10 --json

screenshots: $(VENV)/.dev system models  ## renew docs/images from the running demo
	$(BIN)/python tools/screenshots.py

setup: $(VENV)/.run  ## make .venv with what the product needs

models: $(VENV)/.run
	$(BIN)/consentry models pull

# Chromium, GStreamer's RTSP server and iproute2, for tests with real ones; without root those skip and say so.
system:
	@tools/system.sh

lock:  ## renew the pinned versions and hashes (needs uv)
	tools/lock.sh

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Consentry needs Python 3.11 or later: make PYTHON=/path/to/python3.11 …"; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.tools: requirements/tools.txt | $(BIN)/python
	$(PIP) -q -r requirements/tools.txt
	@touch $@

$(VENV)/.run: requirements/run.txt requirements/run.in pyproject.toml tools/hatch_dependencies.py $(VENV)/.tools
	@echo "Installing the pinned requirements, about 1 GB on disk, once"
	$(PIP) --progress-bar on -r requirements/run.txt
	$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PIP) -q -r requirements/dev.txt
	@touch $@

$(VENV)/.peers: requirements/bench.txt $(VENV)/.run
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check install -q --require-hashes --no-deps -r requirements/bench.txt
	@touch $@

.PHONY: help demo test check bench soak screenshots setup models system lock
