# Two commands matter: `make demo` shows Consentry, `make test` proves it. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --require-hashes --no-deps
SHELL  := /bin/bash
.DEFAULT_GOAL := help

help:            ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Consentry needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.tools: requirements/tools.txt | $(BIN)/python
	$(PIP) --progress-bar on -q -r requirements/tools.txt
	@touch $@

$(VENV)/.run: requirements/run.txt requirements/run.in pyproject.toml tools/hatch_dependencies.py $(VENV)/.tools
	@echo "Installing the pinned requirements (about 1 GB on disk, once)"
	$(PIP) --progress-bar on -r requirements/run.txt | grep -v '^Collecting' || true
	$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PIP) -q -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.run  ## make .venv with everything the product needs

dev: $(VENV)/.dev    ## the same, with what the checks and tests need

lock:                ## renew the pinned versions and hashes (needs uv)
	tools/lock.sh

.PHONY: help setup dev lock
