# Everything a developer or a machine calls. Each target says what it does; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each core does tests of its own, and who is done first takes over from the others; at most eight, since each may have a
# database, a browser and an office open. `make test TOGETHER=` does one after the other.
TOGETHER ?= -n auto --maxprocesses 8 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install demo test test-cluster chaos proof bench corpora pictures check format clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(BIN)/activate:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "batcher needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(BIN)/activate
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed  ## Make .venv and install batcher into it

demo: $(VENV)/.installed  ## Run two sample jobs on the local simulator: no key, no network
	@BATCHER=$(BIN)/batcher sh jobs/demo.sh

test: $(VENV)/.installed-dev  ## Install what the tests need and run them
	$(BIN)/pytest $(TOGETHER) -m "not cluster"

test-cluster: $(VENV)/.installed-dev  ## The tests of the shared ledger, on a PostgreSQL of their own (as root it is installed)
	@sh tests/cluster/install.sh
	$(BIN)/pytest $(TOGETHER) -m cluster -rs

chaos: $(VENV)/.installed-dev  ## The long proofs: every crash point, power cuts, a day of faults, real cron, workers (about an hour, as root)
	@sh tests/cluster/install.sh
	BATCHER_CHAOS=1 $(BIN)/pytest tests/proofs tests/test_schedule_cron.py tests/cluster

bench: $(VENV)/.installed-dev  ## Measure speed against the simulator: make bench ROWS="overhead rate" for some of it
	$(BIN)/python -m benchmarks $(ROWS)

proof: $(VENV)/.installed-dev  ## Measure the README's numbers anew: make proof, or make proof OF=lost-answers
	@cd tests && ../$(BIN)/python -m proofs.headline $(OF)

corpora: $(VENV)/.installed-dev  ## Throw a folder of sheets, YAML and JSON at the readers: make corpora DIR=…
	@test -d "$(DIR)" || { echo "make corpora DIR=… needs a folder"; exit 1; }
	BATCHER_CORPORA_EXTRA="$$(cd "$(DIR)" && pwd)" $(BIN)/pytest tests/test_corpora.py

pictures: $(VENV)/.installed-dev  ## Take the pictures in docs/ anew (LibreOffice, poppler-utils, chromium, chromium-driver)
	$(BIN)/python docs/pictures/make.py
	BATCHER_PICTURES=1 $(BIN)/pytest tests/test_report_browser.py -k picture_of_the_readme

check: $(VENV)/.installed-dev  ## Lint, formatting and types; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev  ## Mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what was made here
	rm -rf $(VENV) build dist *.egg-info results .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
