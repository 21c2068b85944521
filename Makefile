# Each target sets itself up in .venv: Python 3.11 or newer, make and a package index are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# make simulate [DATA=folder|manifest.csv|file.npz] [SITES=4] [ARGS="--set training.seed=2"]
DATA ?=
SITES ?= 0
ARGS ?=

.PHONY: simulate folds test test-all check bench format clean

# A relative DATA is looked for where the user stands, which is not this folder after `make -C`.
FIND_DATA = data='$(DATA)'; case "$$data" in ''|/*) ;; *) [ ! -e '$(PWD)'/"$$data" ] || data='$(PWD)'/"$$data" ;; esac
RUN = $(BIN)/rarefed-sim run $${data:+--data "$$data"} --sites $(SITES) $(ARGS)

simulate: $(INSTALLED)
	@$(FIND_DATA); $(RUN)

# The same over all five folds, so that every image is tested once; then their sum.
folds: $(INSTALLED)
	@set -e; $(FIND_DATA); output=runs/folds-$$(date +%Y%m%d-%H%M%S); \
	for fold in 0 1 2 3 4; do $(RUN) --set data.fold=$$fold --output $$output; done; \
	$(BIN)/python -m tests.folds $$output/2*

test: $(INSTALLED)
	@$(BIN)/python -m pytest -m "not slow"

test-all: $(INSTALLED)
	@$(BIN)/python -m pytest

check: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(INSTALLED)
	@$(BIN)/python -m tests.bench

format: $(INSTALLED)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# A changed list of dependencies installs anew; a failed installation is not taken for one.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rarefed needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing rarefed into .venv (once; torch is large)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
