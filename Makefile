# Each target sets itself up in .venv: Python 3.11 or newer, make and a package index are enough. VENV=/elsewhere takes
# another folder, as it must where the path of this one has a space, a comma or a percent sign.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# How many files of tests run side by side; the tests of one file share what they start, and stay together.
WORKERS ?= 2
# Slow tests wait for processes and deadlines for part of their time: so one more than two cores.
SLOW_WORKERS ?= 3
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15

# make simulate [DATA=folder|manifest.csv|file.npz] [SITES=4] [ARGS="--set training.seed=2"]
DATA ?=
SITES ?= 0
ARGS ?=

.PHONY: simulate study robustness demo test test-slow test-all check bench pins format clean

# The shell gets these two as they are, whatever quotes, spaces or dollars are in them.
export RAREFED_MAKE_DATA := $(value DATA)
export RAREFED_MAKE_PWD := $(value PWD)

# A relative DATA is looked for where the user stands, which is not this folder after `make -C`.
FIND_DATA = data=$$RAREFED_MAKE_DATA; stood=$$RAREFED_MAKE_PWD; \
	case $$data in ''|/*) ;; *) [ ! -e "$$stood/$$data" ] || data=$$stood/$$data ;; esac
OPTIONS = $${data:+--data "$$data"} --sites $(SITES) $(ARGS)

simulate: $(INSTALLED)
	@$(FIND_DATA); $(BIN)/rarefed-sim run $(OPTIONS)

# make study [DATA=...] [SITES=4] [ARGS="--folds 5 --repeats 3"]
study: $(INSTALLED)
	@$(FIND_DATA); $(BIN)/rarefed-sim study $(OPTIONS)

# make robustness [DATA=...] [ARGS="--set study.partition=iid"]: what dropouts and a hostile hospital cost
robustness: $(INSTALLED)
	@$(FIND_DATA); $(BIN)/rarefed-sim robustness $${data:+--data "$$data"} $(ARGS)

# make demo [DATA=...] [SITES=4]: a real federation on this machine, with the processes, certificates and keys of one
demo: $(INSTALLED)
	@$(FIND_DATA); $(BIN)/rarefed-sim demo $(OPTIONS)

test: $(INSTALLED)
	@$(PYTEST) -m "not slow"

test-slow: WORKERS = $(SLOW_WORKERS)
test-slow: $(INSTALLED)
	@$(PYTEST) -m "slow and not exhaustive"

test-all: test
	@$(PYTEST) -m slow

check: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# make bench [DATA=folder with a manifest.csv that names four sites]
bench: $(INSTALLED)
	@$(FIND_DATA); $(BIN)/python -m tests.bench $${data:+"$$data"}

# What start kits tell hospitals to install: the versions that are installed here, with the digests that the index names.
PINS := server/members/kit/requirements.txt
pins: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
	@$(BIN)/python -m pip freeze --exclude-editable | sed 's/+.*//' > $(VENV)/installed.txt
	@$(BIN)/uv pip compile pyproject.toml --extra dicom --extra families --constraints $(VENV)/installed.txt \
		--universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --output-file $(PINS)
	@$(BIN)/python -m pip uninstall --quiet --yes uv

format: $(INSTALLED)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# A changed list of dependencies installs anew; a failed installation is not taken for one.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rarefed needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing rarefed into $(VENV) (once; torch is large)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
