#!/bin/bash
# Run the benchmarks, all or those that are named: bench.sh [NAME...]. Peers live in an environment of their own,
# one line of benchmarks/peers.txt at a time: what cannot be installed is written down, and its cells say so.
set -uo pipefail
cd "$(dirname "$0")/.."
[ -n "${RETAIL_INSIGHT_DATA:-}" ] ||
    echo "Set RETAIL_INSIGHT_DATA to the folder of the benchmark data; rows that need it are left out without it."
peers=.venv-bench
trap 'exit 130' INT
if [ ! -f $peers/made ] || [ benchmarks/peers.txt -nt $peers/made ]; then
    .venv/bin/python -m venv --clear $peers || exit 1
    : > $peers/missing.txt
    while read -r peer; do
        case $peer in "" | "#"*) continue ;; esac
        echo "installing $peer into $peers"
        $peers/bin/python -m pip --disable-pip-version-check install -q "$peer" || echo "$peer" >> $peers/missing.txt
    done < benchmarks/peers.txt
    touch $peers/made
fi
export RETAIL_INSIGHT_PEERS="$PWD/$peers/bin/python"
failed=0
if [ $# = 0 ]; then set -- $(find benchmarks -maxdepth 1 -name '[a-z]*.py' -printf '%f\n' | sort); fi
[ $# -gt 0 ] || echo "There are no benchmarks in benchmarks/ yet."
for name in "$@"; do
    echo "== benchmarks/${name%.py}.py"
    .venv/bin/python "benchmarks/${name%.py}.py" || failed=1
done
exit $failed
