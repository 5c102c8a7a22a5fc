# `make run` sets everything up and runs the model scenario; `make test` is what CI runs.
# Both need only python3 (3.11 or later, with venv), make, and a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready

.PHONY: run test lint types unit bench manual lock clean

run: $(INSTALLED)
	$(BIN)/loadmux run scenarios/parts.yaml

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# More processes than cores: most of the time goes by in waiting for servers that are to say nothing.
unit: $(READY)
	$(BIN)/pytest -n 6 --dist worksteal --durations 10

# Two tables: what each form of the language costs, and loadmux beside its peers (25 minutes).
bench: $(READY)
	$(BIN)/python tests/bench/words.py
	$(BIN)/python tests/bench/compare.py

# What `make run` needs: the package and its dependencies.
$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "loadmux needs Python 3.11 or later; set PYTHON=python3.x")'
	@echo "make: creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "make: installing loadmux and what it depends on into $(VENV)"
	@$(INSTALL) --editable .
	@touch $@

# What `make test` adds: the tools and the packages that only tests and benchmarks use.
$(READY): $(INSTALLED)
	@echo "make: installing what the tests need into $(VENV)"
	@$(INSTALL) --editable '.[dev]'
	@touch $@

# The page of the manual that is made of the declarations of the language.
manual: $(READY)
	$(BIN)/python -m loadmux.cli.pages

# Writes down the versions that are installed now; run it after a deliberate upgrade.
lock:
	$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check > requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
