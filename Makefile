# Two commands matter: `make demo` and `make test`. Everything else is for people who change the code.
PYTHON ?= python3
BIN := .venv/bin
PIN := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header
# uv first (fast), pip as the net beneath it (it reads the pip configuration of networks that need one).
install = $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes $(foreach f,$(1),-r $(f)) 2>.venv/uv.log || $(BIN)/python -m pip install -q --require-hashes $(foreach f,$(1),-r $(f))

.DEFAULT_GOAL := help
.PHONY: demo test check lock bench prove docs help clean

demo: .venv/.sandbox  ## Start the sandbox and the product, tell the three stories, serve the page (ONCE=1: end after the stories)
	@$(BIN)/optiinfra demo $(if $(ONCE),--once)

test: .venv/.dev  ## Run the tests
	@$(BIN)/python -m pytest

check: .venv/.dev  ## Everything that continuous integration checks, beside the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/house/check_docs.py

docs: .venv/.dev  ## Write the generated pages (settings, commands, house map) again
	@$(BIN)/python tests/house/check_docs.py --write

bench: .venv/.dev  ## Benchmarks, printed as tables
	@$(BIN)/python -m tests.bench

prove: .venv/.dev  ## The long proofs: crash points, contended approvals
	@$(BIN)/python -m pytest -m prove -p no:randomly -n 0

lock: | .venv/bin/uv  ## Pin the requirements again after editing pyproject.toml
	@$(PIN) --group build pyproject.toml -o requirements/run.txt
	@$(PIN) --extra sandbox -c requirements/run.txt pyproject.toml -o requirements/sandbox.txt
	@$(PIN) --extra sandbox --group dev -c requirements/run.txt -c requirements/sandbox.txt pyproject.toml -o requirements/dev.txt
	@$(PIN) --group chdb -c requirements/run.txt -c requirements/dev.txt -o requirements/chdb.txt
	@printf 'uv\n' | $(PIN) - -o requirements/uv.txt

help:  ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

clean:  ## Remove the environment and everything that was generated
	rm -rf .venv .venv-tool var dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage htmlcov

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "OptiInfra needs Python 3.11 or newer, this is %d.%d. Install one and say: make PYTHON=python3.11 demo" % v[:2])'
	@$(PYTHON) -m venv .venv 2>/dev/null || { rm -rf .venv && $(PYTHON) -m pip install -q --target .venv-tool virtualenv && PYTHONPATH=.venv-tool $(PYTHON) -m virtualenv -q .venv; }

.venv/bin/uv: requirements/uv.txt | .venv/bin/python
	@echo "Preparing .venv (first run only)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $< && touch $@

.venv/.runtime: requirements/run.txt pyproject.toml | .venv/bin/uv
	@$(call install,requirements/run.txt)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.sandbox: requirements/sandbox.txt .venv/.runtime
	@$(call install,requirements/sandbox.txt)
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.sandbox
	@$(call install,requirements/dev.txt)
	@touch $@

# The ClickHouse engine in-process, 500 MB: with it `make test` covers cost facts in ClickHouse as well.
.venv/.chdb: requirements/chdb.txt .venv/.dev
	@$(call install,requirements/chdb.txt)
	@touch $@
