"""`kill -9` at a random moment of a load or an append, again and again: what is found is the old or the new, never half."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

LOAD = "from retail_insight import load_shop; s = load_shop({log!r}, timestamps='local', snapshot={name!r}); print(len(s.query('FROM transactions')), flush=True)"
GROW = "from retail_insight import append, open_shop; s = append(open_shop(__import__('pathlib').Path({shop!r})), {new!r}, to={shop!r}); print(len(s.query('FROM transactions')), flush=True)"
COUNT = "from retail_insight import open_shop; s = open_shop(__import__('pathlib').Path({shop!r})); print(len(s.query('FROM transactions')), s.tables()['rows'].sum())"


def python(code: str, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def interrupt(what: str, folder: Path, times: int, seed: int) -> dict[str, int]:
    "Start, kill after a random moment of the second half of its time, look, and let it finish; `times` times."
    from retail_insight.contract import corner_tables

    log = corner_tables()["transactions"]
    log.iloc[:100].to_parquet(folder / "log.parquet")
    log.iloc[100:].to_parquet(folder / "rest.parquet")
    env = os.environ | {"RETAIL_INSIGHT_CACHE": str(folder / "kill")}
    rng, seen, whole = np.random.default_rng(seed), {"killed": 0, "half": 0, "failed afterwards": 0}, len(log)

    def finish(code: str) -> str:
        process = python(code, env)
        said, complaint = process.communicate(timeout=120)
        return said.strip() or complaint[-300:]
    began = time.perf_counter()
    finish(LOAD.format(log=str(folder / "log.parquet"), name="first"))
    needed = time.perf_counter() - began
    for number in range(times):
        shop = str(folder / f"shop{number}.duckdb")
        if what == "append":
            base = next((folder / "kill").glob("*.duckdb"))
            Path(shop).write_bytes(base.read_bytes())
            code = GROW.format(shop=shop, new=str(folder / "rest.parquet"))
        else:
            code = LOAD.format(log=str(folder / "log.parquet"), name=f"try{number}")
        process = python(code, env)
        time.sleep(float(rng.uniform(.5, 1.05)) * needed)
        process.kill()
        process.communicate()
        seen["killed"] += process.returncode == -9
        if what == "append":
            seen["half"] += finish(COUNT.format(shop=shop)) not in (f"100 {100}", f"{whole} {whole}")
        seen["failed afterwards"] += finish(code) != str(whole if what == "append" else 100)
    return seen
