# Two commands do all the set-up: `make workbook` and `make test`. `make` alone lists the rest.
SHELL := /bin/bash
BIN := .venv/bin
LOCK := settings.ini setup.py constraints.txt
PIP := -m pip --disable-pip-version-check install -q
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do $$p -c '$(NEW_ENOUGH)' 2>/dev/null && { command -v $$p; break; }; done)
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help workbook test lab docs bench clean

help: ## list the commands
	@echo "make COMMAND, with Python 3.11 or newer (PYTHON=/path/to/python3 chooses one):"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' Makefile | expand -t 14

workbook: .venv/workbook ## set up, run the whole workbook on the embedded shop, write report/report.html
	$(BIN)/retail-insight run --out report

test: .venv/dev ## set up if need be, and run everything that CI runs
	@bash tools/system_packages.sh
	@bash tools/check.sh

lab: .venv/workbook ## JupyterLab on the notebooks
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) nbs

docs: .venv/dev ## the documentation: docs/_build/html/index.html
	$(BIN)/python docs/stage.py
	$(BIN)/python -m sphinx -W --keep-going -q -b html -c docs docs/_src docs/_build/html

bench: .venv/dev ## benchmarks; RETAIL_INSIGHT_DATA names the folder of the benchmark data
	@bash tools/bench.sh

clean: ## remove the environments and everything that was made in them
	rm -rf .venv .venv-bench build dist *.egg-info docs/_src docs/_build report .mypy_cache .ruff_cache .pytest_cache .hypothesis

# An environment is made again when what it is made from has changed.
.venv/made:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found. Install one (on Debian: apt-get install python3 python3-venv), or say where: make PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' || { echo "$(PYTHON) is older than Python 3.11, or does not run. Choose another: make PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module. On Debian: apt-get install python3-venv"; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
	@touch $@

.venv/workbook: .venv/made $(LOCK)
	@echo "installing the workbook's environment into .venv"
	@$(BIN)/python $(PIP) -c constraints.txt -e '.[workbook]'
	@touch $@

.venv/dev: .venv/made $(LOCK)
	@echo "installing the environment of workbook, tests and documentation into .venv"
	@$(BIN)/python $(PIP) -c constraints.txt -e '.[workbook,dev,docs,dask,spark,postgres,boost,studies]'
	@touch $@ .venv/workbook
