#!/bin/bash
# Everything that CI runs. `make test` sets up the environment and calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
step() { echo "== $* ($(date +%T))"; }
step "exports in step"
nbdev_export && nbdev_clean
test -z "$(git status --porcelain -- nbs retail_insight | tee /dev/stderr)"
step "lint and types"
ruff check -q . && mypy
if [ -f nbs/index.ipynb ] && [ -f docs/stage.py ]; then
    step "README in step"
    python docs/stage.py readme && git diff --exit-code -- README.md
    step "documentation"
    python docs/stage.py && sphinx-build -W --keep-going -q -b html -c docs docs/_src docs/_build/html
fi
step "lessons of the notebooks"
nbdev_test --n_workers 2 --do_print
step "tests"
python -m pytest -q
