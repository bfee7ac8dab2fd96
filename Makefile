# `make help` lists the targets. ARGS goes on to the command: make run ARGS="--avatar amber".
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt
ARGS ?=
# The first interpreter that runs and is new enough; pyenv leaves shims that exist but do not run.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON := for p in $(PYTHON) python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { command -v "$$p"; break; }; done

.DEFAULT_GOAL := help
.PHONY: help install run test check format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed-run ## make .venv with the command llia (Python 3.11 or newer)

run: $(VENV)/.installed-run ## install if needed and start the daemon: page, ZeroMQ, default avatar
	@exec $(BIN)/llia run $(ARGS)

test: $(VENV)/.installed-dev ## all tests (installs PyTorch and the checkers)
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed-dev ## ruff, ruff format, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict engine bridge
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and the caches; trained runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info

$(BIN)/python:
	@python="$$($(FIND_PYTHON))"; \
	if [ -z "$$python" ]; then \
		echo "llia needs Python 3.11 or newer and found none; install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	"$$python" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$$python cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# Order-only on the interpreter: a touched python binary is no reason to install again.
$(VENV)/.installed-run: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-run
	$(PIP) --editable '.[dev,train]'
	@touch $@
