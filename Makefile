# Everything here works without root and leaves the system alone: the environment is .venv in this folder.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     ?= uv
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
LOCK   := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --custom-compile-command 'make lock' --upgrade
LOCK_OURS := $(LOCK) pyproject.toml requirements/build.in

.PHONY: help install run test check bench bench-scale format lock clean
.DEFAULT_GOAL := help

help:  ## what can be done here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

install: $(VENV)/.installed  ## .venv with the ekiden command in it

run: $(VENV)/.installed  ## two servers on this machine, two letters through every door; ends with Ctrl-C
	@$(BIN)/ekiden demo

test: $(VENV)/.tested  ## the whole test suite; tests whose Debian package is missing say so and are skipped
	@$(BIN)/pytest -n auto

check: $(VENV)/.tested  ## ruff, mypy --strict, import contracts, generated docs
	@$(BIN)/ruff check src tests tools
	@$(BIN)/ruff format --check src tests tools
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/rfc_table.py --check
	@$(BIN)/python tools/example_config.py --check
	@$(BIN)/python tools/event_table.py --check
	@$(BIN)/python tools/protection_page.py --check

bench: $(VENV)/.installed  ## letters a second beside Postfix (Debian package), Exim and aiosmtpd, in the same run: 15 minutes
	@tools/fetch_peers.sh || echo "Exim and aiosmtpd could not be fetched; the benchmark goes on without them."
	@$(BIN)/ekiden bench $(BENCH)

bench-scale: $(VENV)/.installed  ## what a million letters, 10,000 sites, idle sessions and large letters cost: half an hour
	@$(BIN)/ekiden bench --scale $(BENCH)

format: $(VENV)/.tested  ## put the code into the project's form
	@$(BIN)/ruff check --fix src tests tools
	@$(BIN)/ruff format src tests tools

lock:  ## new versions into requirements/*.lock, with hashes (needs uv)
	@$(LOCK_OURS) --output-file requirements/runtime.lock
	@$(LOCK_OURS) --extra test --extra check -c requirements/runtime.lock --output-file requirements/test.lock
	@$(LOCK) requirements/sslyze.in --output-file requirements/sslyze.lock

clean:  ## forget .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Ekiden needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

# Everything comes from the lock files, with hashes, the build backend too: the second line fetches nothing.
$(VENV)/.installed: pyproject.toml requirements/runtime.lock | $(VENV)/bin/pip
	@echo "Installing Ekiden into $(VENV) (about half a minute the first time) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/runtime.lock
	@$(PIP_INSTALL) --no-index --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.tested: pyproject.toml requirements/test.lock | $(VENV)/bin/pip
	@echo "Installing Ekiden and what its tests need into $(VENV) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/test.lock
	@$(PIP_INSTALL) --no-index --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.installed
