# Two commands do all the set-up: `make workbook` and `make test`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
SETTINGS := settings.ini setup.py pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help workbook test lab docs bench clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

workbook: .venv/workbook ## set up, run the whole workbook on the embedded shop, write report/
	$(BIN)/retail-insight run --out report

test: .venv/dev ## set up if need be and run everything that CI runs
	@bash tools/system_packages.sh
	@bash tools/check.sh

lab: .venv/workbook ## JupyterLab on the notebooks
	$(BIN)/jupyter lab nbs

docs: .venv/dev ## the documentation site, docs/_build/html/index.html
	$(BIN)/python docs/stage.py && $(BIN)/sphinx-build -W --keep-going -q -b html -c docs docs/_src docs/_build/html

bench: .venv/dev ## benchmarks; they find the benchmark data by RETAIL_INSIGHT_DATA
	@test -n "$$RETAIL_INSIGHT_DATA" || echo "Set RETAIL_INSIGHT_DATA to the folder of benchmark data for the rows that need it."
	@bash tools/bench.sh

clean: ## remove environments and build products
	rm -rf .venv .venv-bench build dist *.egg-info docs/_src docs/_build report

.venv/made:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found. Install one, or say PYTHON=/path/to/python3."; exit 1; }
	$(PYTHON) -m venv .venv || { echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

.venv/workbook: .venv/made $(SETTINGS)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[workbook]'
	@touch $@

.venv/dev: .venv/made $(SETTINGS)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[workbook,dev,docs]'
	@touch $@ .venv/workbook
