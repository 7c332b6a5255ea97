"""Measure child processes, print a table, write its rows beside it."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ONE = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")} # an environment of one thread
COLUMNS = ("row", "ours", "peer", "peer_name", "unit", "ratio", "goal")


def measure(command: Sequence[str], env: dict[str, str] | None = None) -> dict[str, Any]:
    "Run a process to its end: `cpu` and `wall` in seconds, `peak` in MB, and what it `said` as JSON on its last line."
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | (env or {}))
    said, complaint = child.stdout.read(), child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed:\n{complaint[-2000:]}")
    lines = said.strip().splitlines()
    return {"cpu": used.ru_utime + used.ru_stime, "wall": time.perf_counter() - began, "peak": used.ru_maxrss / 1024, "said": json.loads(lines[-1]) if lines else None}


def medians(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    "The median of each measure over several runs."
    return {name: statistics.median(run[name] for run in runs) for name in ("cpu", "wall", "peak")}


def row(name: str, ours: float, unit: str, goal: str, peer: float | None = None, peer_name: str = "") -> dict[str, Any]:
    "One line of the table; `ratio` is ours over the peer's."
    ratio = None if peer is None else round(ours / peer, 3)
    return dict(zip(COLUMNS, (name, round(ours, 3), None if peer is None else round(peer, 3), peer_name, unit, ratio, goal), strict=True))


def published(name: str) -> list[dict[str, Any]]:
    "The rows that an earlier run wrote, or none."
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def publish(rows: list[dict[str, Any]], name: str) -> None:
    "Print the rows and write them to `results/NAME.json`."
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    texts = [[("" if r[c] is None else str(r[c])) for c in COLUMNS] for r in rows]
    widths = [max(len(t[i]) for t in [COLUMNS, *texts]) for i in range(len(COLUMNS))]
    for text in [COLUMNS, *texts]:
        print("  ".join(t.ljust(w) for t, w in zip(text, widths, strict=True)).rstrip())


def this(job: str, *arguments: str, python: str = sys.executable) -> list[str]:
    "The command that runs one job of the calling benchmark in a process of its own."
    return [python, str(Path(sys.argv[0]).resolve()), job, *arguments]
