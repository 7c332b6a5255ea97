"""What carrying shards costs: start of each engine, overhead a shard, and the work from which two workers pay.

    python benchmarks/shards.py          every row, medians
    python benchmarks/shards.py JOB ...  one job, in this process

The overhead is the slope of a line through the times of a function that does nothing, over 1 to 64 shards on a running
engine; `start` is the first call, which starts the engine. Two workers halve the work W and add the start (S) and, for n
shards, the overhead (o): they pay from W = 2 (S + n o) on. Shown for eight shards, once with the start and once without."""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

RUNS = 3
COUNTS = (1, 4, 16, 64)
SHARDS = 8


def nothing(shop):
    import pandas as pd

    return pd.DataFrame({"shards": [1]})


def rows(shop, cuts):
    from retail_insight.profile import build_profiles

    return build_profiles(shop, cuts=cuts).to_frame()


@contextmanager
def running(engine: str) -> Iterator[dict]:
    "The arguments for an engine with two workers that stays up."
    from retail_insight.contract import shards

    if engine == "dask":
        import distributed

        with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL") as cluster, distributed.Client(cluster) as client:
            yield {"engine": engine, "workers": 2, "cluster": client}
    elif engine == "spark":
        from pyspark import sql

        with shards.local_spark(sql, 2) as session:
            yield {"engine": engine, "workers": 2, "cluster": session}
    else:
        yield {"engine": "local", "workers": 1 if engine == "one process" else 2}


def seconds(function) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def overhead(engine: str) -> dict:
    "Seconds of start, seconds a shard, seconds of planning, and a stage on seven shards."
    import cloudpickle
    import numpy as np

    from retail_insight.contract import load_shop, map_shards, plan_shards
    from retail_insight.profile import build_profiles, cut_points, when_and_how_much

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    shop = load_shop("complete_journey")
    figures = {"cuts": cut_points(when_and_how_much(shop))}
    began = time.perf_counter()
    with running(engine) as arguments:
        run = partial(map_shards, shop=shop, progress=False, **arguments)
        run(nothing, shards=2)
        start = time.perf_counter() - began
        times = {n: statistics.median(seconds(lambda n=n: run(nothing, shards=n)) for _ in range(RUNS)) for n in COUNTS}
        slope, fixed = np.polyfit(list(times), list(times.values()), 1)
        stage = statistics.median(seconds(lambda: run(rows, shards=SHARDS, figures=figures)) for _ in range(RUNS))
        same = run(rows, shards=SHARDS, figures=figures).equals(build_profiles(shop, cuts=figures["cuts"]).to_frame())
    return {"start": start, "slope": float(slope), "fixed": float(fixed), "stage": stage, "same": bool(same),
            "plan": statistics.median(seconds(lambda: plan_shards(shop)) for _ in range(RUNS)),
            "whole": statistics.median(seconds(lambda: build_profiles(shop, cuts=figures["cuts"])) for _ in range(RUNS))}


def main() -> None:
    from _table import measure, publish, row, this

    table = []
    for engine in ("one process", "local", "dask", "spark"):
        m = measure(this("overhead", engine))["said"]
        if not m["same"]:
            raise SystemExit(f"{engine}: the stage on shards differs from the stage on the whole")
        table += [row(f"{engine}: start", m["start"], "s", ""), row(f"{engine}: a shard more", 1000 * m["slope"], "ms", "under 100")]
        table.append(row(f"{engine}: profiles of Complete Journey, {SHARDS} shards", m["stage"], "s", "", m["whole"], "the whole shop in one go"))
        if engine != "one process":
            carried = max(m["slope"], 0) * SHARDS + max(m["fixed"], 0)
            table += [row(f"{engine}: work from which two workers pay, running", 2 * carried, "s", ""),
                      row(f"{engine}: work from which two workers pay, with the start", 2 * (carried + m["start"]), "s", "")]
    table.append(row("cutting Complete Journey", 1000 * m["plan"], "ms", "under 200"))
    publish(table, "shards")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]), default=str))
    else:
        main()
