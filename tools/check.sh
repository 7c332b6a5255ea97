#!/bin/bash
# Everything that CI runs; `make test` sets up the environment and calls it. A failed step does not stop the
# next ones. The last lines say what ran, pytest's count at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
unset IN_TEST
log=$(mktemp) ran=() failed=0
trap 'rm -f "$log"' EXIT

step() { # NAME COMMAND...
    local name=$1 began=$SECONDS said=ok
    shift
    echo "== $name"
    "$@" || { said=FAILED; failed=1; }
    ran+=("$(printf '%-60s %4d s  %s' "$name" $((SECONDS - began)) "$said")")
}

unchanged() { # COMMAND...: it must leave notebooks, modules and README as they were
    local before changed
    before=$(sums)
    "$@" || return 1
    changed=$(diff <(echo "$before") <(sums) | sed -n 's/^[<>] [0-9a-f]*  /  /p' | sort -u)
    [ -z "$changed" ] && return 0
    printf 'Out of step. These are put right now: look at them and commit them.\n%s\n' "$changed"
    return 1
}
sums() { git ls-files -z --cached --others --exclude-standard -- nbs retail_insight README.md docs/images | xargs -0 sha256sum 2>/dev/null || true; }

export_and_clean() { nbdev_export && nbdev_clean; }
documentation() {
    python docs/stage.py && python -m sphinx -W --keep-going -q -b html -c docs docs/_src docs/_build/html
}
tests() { python -m pytest -q -rs 2>&1 | tee "$log"; }

step "notebooks clean, exports in step" unchanged export_and_clean
step "README in step with nbs/index.ipynb" unchanged python docs/stage.py readme
step "ruff" ruff check -q .
step "mypy" mypy
step "documentation, warnings as errors" documentation
step "lessons of $(find nbs -name '*.ipynb' -not -path '*/.*' | wc -l) notebooks" nbdev_test --n_workers 2 --do_print
step "tests in $(find tests -name 'test_*.py' | wc -l) files" tests

echo "== what ran, in $((SECONDS / 60)) min $((SECONDS % 60)) s"
printf '%s\n' "${ran[@]}"
echo "benchmark data: ${RETAIL_INSIGHT_DATA:-none (RETAIL_INSIGHT_DATA is not set)}"
grep -E "^(=+ )?[0-9]+ (passed|failed|skipped|error|deselected)|^no tests ran" "$log" | tail -n 1 || { echo "pytest said no count"; failed=1; }
exit $failed
