"""Models of return beside lifetimes: fits, a million customers, ten million lines, the bootstrap, and covariates found again.

    python benchmarks/timing.py            every row but the slow ones
    python benchmarks/timing.py slow       those too: 200 crowds with known covariates, static and changing over time
    python benchmarks/timing.py rows PART ...    some of its parts (fits, sizes, journey, logs, static, varying); the other rows stay
    python benchmarks/timing.py JOB ...    one job, in this process

Seconds are CPU seconds on one thread, without imports and without the compilation at first use; each job runs in a process of
its own. The peer's python is named by RETAIL_INSIGHT_PEERS. CDNOW comes from the package lifetimes, whose files are read as data."""

import json
import os
import resource
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

LINES, PEOPLE, CROWDS = 10_000_000, 1_000_000, 200


def cpu(call, runs: int = 1, warm: bool = True) -> tuple:
    "What a call returns, and the least CPU seconds of several runs."
    if warm:
        call()
    took = []
    for _ in range(runs):
        began = time.process_time()
        made = call()
        took.append(time.process_time() - began)
    return made, min(took)


def peak() -> float:
    "MB."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cdnow(name: str):
    "A file of the data that lifetimes carries."
    return next(f for f in files("lifetimes") if f.name == name).locate()


def summaries(folder: str) -> dict:
    "CDNOW's summaries as CSV, for both sides: 1/10 as published, and everybody from the log."
    import pandas as pd

    tenth = pd.read_csv(cdnow("cdnow_customers_summary.csv")).rename(columns={"T": "age"})
    log = pd.read_csv(cdnow("CDNOW_master.txt"), sep=r"\s+", names=["customer_id", "day", "cds", "spend"], header=0)
    log["day"] = pd.to_datetime(log["day"].astype(str), format="%Y%m%d")
    days = log[log["day"] <= "1997-09-30"].groupby(["customer_id", "day"]).size().reset_index()
    seen = days.groupby("customer_id")["day"].agg(["min", "max", "size"])
    full = pd.DataFrame({"frequency": seen["size"] - 1, "recency": (seen["max"] - seen["min"]).dt.days / 7, "age": (pd.Timestamp("1997-09-30") - seen["min"]).dt.days / 7})
    tenth[["frequency", "recency", "age"]].to_csv(f"{folder}/tenth.csv", index=False)
    full.to_csv(f"{folder}/full.csv", index=False)
    return {"tenth": len(tenth), "full": len(full)}


def fit(path: str, which: str) -> dict:
    import pandas as pd

    from retail_insight.timing import BGNBD, ParetoNBD

    frame, model = pd.read_csv(path), {"BG/NBD": BGNBD, "Pareto/NBD": ParetoNBD}[which]

    def whole():
        fitted = model(frame).fit()
        return fitted, fitted.bse

    (fitted, _), took = cpu(whole, 5)
    return {"cpu": took, "llf": fitted.llf}


def fit_lifetimes(path: str, which: str) -> dict:
    import lifetimes
    import numpy as np
    import pandas as pd

    frame = pd.read_csv(path)
    args = [frame[c].to_numpy(dtype=float) for c in ("frequency", "recency", "age")]

    def whole():
        np.random.seed(0) # noqa: NPY002, its Pareto/NBD draws starting values
        return (lifetimes.BetaGeoFitter if which == "BG/NBD" else lifetimes.ParetoNBDFitter)().fit(*args)

    fitted, took = cpu(whole, 3 if which == "BG/NBD" else 1, warm=which == "BG/NBD")
    return {"cpu": took, "params": list(map(float, fitted.params_))}


def loglike(path: str, which: str, params: str) -> dict:
    "What our likelihood says of the peer's estimates."
    import pandas as pd

    from retail_insight.timing import BGNBD, ParetoNBD

    return {"llf": {"BG/NBD": BGNBD, "Pareto/NBD": ParetoNBD}[which](pd.read_csv(path)).loglike(json.loads(params))}


def million(which: str) -> dict:
    "A crowd with visits on whole days, fitted with standard errors."
    import numpy as np
    import pandas as pd

    from retail_insight.timing import BGNBD, ParetoNBD, simulate_lifetimes

    crowd = simulate_lifetimes(PEOPLE, .553, 10.578, .606, 11.669, age=np.resize(np.arange(189, 274), PEOPLE) / 7, seed=1)[["frequency", "recency", "age"]]
    crowd["recency"] = np.minimum(np.ceil(crowd["recency"] * 7) / 7, crowd["age"])
    model = {"BG/NBD": BGNBD, "Pareto/NBD": ParetoNBD}[which]
    model(pd.DataFrame({"frequency": [0, 1, 3.0], "recency": [0, 3.0, 6], "age": 9.0})).evaluate(np.zeros(4)) # compiles
    (fitted, _), took = cpu(lambda: (f := model(crowd).fit(), f.bse), warm=False)
    return {"cpu": took, "peak": peak(), "converged": fitted.converged}


def bootstrap(path: str) -> dict:
    import pandas as pd

    from retail_insight.timing import BGNBD

    fitted = BGNBD(pd.read_csv(path)).fit()
    fitted.bootstrap(2)
    drawn, took = cpu(lambda: fitted.bootstrap(1000, seed=1), warm=False)
    return {"cpu": took, "failed": int(drawn.isna().any(axis=1).sum())}


def log(folder: str) -> dict:
    "Ten million lines of a million customers over two years: a shop's file, and a frame for the peer."
    import shutil

    import duckdb

    from retail_insight.contract import load_shop

    path = f"{folder}/log.duckdb"
    shutil.copyfile(load_shop("complete_journey").path, path)
    with duckdb.connect(path, config={"memory_limit": "2GB", "temp_directory": f"{path}.spill", "threads": 1}) as con:
        con.execute("SELECT setseed(.5)")
        con.execute(f"""CREATE TABLE more AS SELECT i AS transaction_id, 1::BIGINT AS line, d::TIMESTAMP AS timestamp, d AS local_date, isodow(d)::TINYINT AS iso_weekday, NULL::TINYINT AS hour,
            c AS customer_id, 1::BIGINT AS product_id, 1::BIGINT AS store_id, 'store' AS channel, 1.0::DOUBLE AS quantity, 'each' AS unit, (1 + a)::DECIMAL(18, 2) AS amount,
            0::DECIMAL(18, 2) AS discount, 0::DECIMAL(18, 2) AS coupon
            FROM (SELECT range AS i, floor({PEOPLE} * random() ** 1.5)::BIGINT AS c, DATE '2016-01-01' + (730 * random())::INTEGER AS d, 50 * random() AS a FROM range({LINES}))""")
        con.execute("DROP TABLE transactions; ALTER TABLE more RENAME TO transactions")
        con.execute(f"COPY (SELECT customer_id, local_date::TIMESTAMP AS day, amount::DOUBLE AS spend FROM transactions) TO '{folder}/log.parquet'")
    return {"path": path}


def summarise(path: str) -> dict:
    from retail_insight.contract import open_shop
    from retail_insight.timing import customer_summary

    shop = open_shop(path)
    made, took = cpu(lambda: customer_summary(shop, "D"), warm=False)
    return {"cpu": took, "peak": peak(), "told": [len(made), int(made["frequency"].sum()), int(made["recency"].sum())]}


def summarise_lifetimes(path: str) -> dict:
    import pandas as pd
    from lifetimes.utils import summary_data_from_transaction_data

    log = pd.read_parquet(path)
    made, took = cpu(lambda: summary_data_from_transaction_data(log, "customer_id", "day", monetary_value_col="spend", observation_period_end="2017-12-31"), warm=False)
    return {"cpu": took, "peak": peak(), "told": [len(made), int(made["frequency"].sum()), int(made["recency"].sum())]}


def journey() -> dict:
    "From the log to a forecast of every household."
    from retail_insight.contract import load_shop
    from retail_insight.timing import ParetoNBD, customer_summary

    shop = load_shop("complete_journey")
    began = time.perf_counter()
    ahead, took = cpu(lambda: ParetoNBD(customer_summary(shop)).fit().predict(13, alpha=.1), warm=False)
    return {"cpu": took, "wall": time.perf_counter() - began, "households": len(ahead)}


def static_crowd(seed: int):
    "A model of customers whose static covariates are known to work, and the truth."
    import numpy as np

    from retail_insight.timing import ParetoNBD, simulate_lifetimes

    truth = {"r": .8, "alpha": 6.0, "s": .6, "beta": 12.0, "transaction: near": .5, "transaction: income": .3, "lifetime: near": -.6}
    rng = np.random.default_rng(10_000 + seed)
    near, income = rng.integers(0, 2, 1500), rng.normal(0, 1, 1500)
    crowd = simulate_lifetimes(1500, .8, 6 * np.exp(-.5 * near - .3 * income), .6, 12 * np.exp(.6 * near), age=np.resize(np.arange(189, 274), 1500) / 7, seed=seed)
    return ParetoNBD(crowd.assign(near=near, income=income), transaction="~ near + income", lifetime="~ near"), truth


def varying_crowd(seed: int):
    "The same with a season that all share and letters to each."
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from test_timing_varying import FORMULAS, TRUTH, crowd

    from retail_insight.timing import VaryingParetoNBD

    summary, visits, periods = crowd(1000, seed, weeks=79)
    return VaryingParetoNBD(summary, periods, visits, **FORMULAS), TRUTH


def found_again(which: str) -> dict:
    "How often each parameter lies within two standard errors of the truth, and whether the static model was ever better."
    import numpy as np

    from retail_insight.timing import ParetoNBD

    hits, below, took = [], 0, 0.0
    for seed in range(CROWDS):
        model, truth = globals()[which](seed)
        fitted, seconds = cpu(model.fit, warm=False)
        took += seconds
        known = np.append(np.log(list(truth.values())[:4]), list(truth.values())[4:])
        hits.append(abs(fitted.theta - known) <= 2 * np.sqrt(np.diag(fitted._cov_logs)))
        below += fitted.llf < ParetoNBD(model.frame).fit().llf - 1e-9
    return {"cpu": took, "shares": dict(zip(truth, np.mean(hits, axis=0).round(3).tolist(), strict=True)), "below": int(below)}


def peers() -> str:
    "The python of the environment that has lifetimes, or nothing."
    python = os.environ.get("RETAIL_INSIGHT_PEERS", "")
    missing = Path(python).parent.parent / "missing.txt"
    return "" if not python or (missing.exists() and "lifetimes" in missing.read_text()) else python


def fits(home: str) -> list[dict]:
    from _table import ONE, measure, row, this

    python, rows = peers(), []
    for which, goal in (("BG/NBD", 25), ("Pareto/NBD", 120)):
        us = measure(this("fit", f"{home}/full.csv", which), ONE)["said"]
        what = f"{which}, CDNOW full, summary to results with standard errors"
        if not python:
            rows.append(row(what, us["cpu"] * 1000, "CPU ms", f"1/{goal} of the peer", None, "lifetimes: not installed here"))
            continue
        peer = measure(this("fit_lifetimes", f"{home}/full.csv", which, python=python), ONE)["said"]
        theirs = measure(this("loglike", f"{home}/full.csv", which, json.dumps(peer["params"])), ONE)["said"]["llf"]
        rows += [row(what, us["cpu"] * 1000, "CPU ms", f"1/{goal} of the peer", peer["cpu"] * 1000, "lifetimes"),
                 row(f"{which}, CDNOW full, times as fast", peer["cpu"] / us["cpu"], "times", f"at least {goal}"),
                 row(f"{which}, CDNOW full, log-likelihood above the peer's", us["llf"] - theirs, "", "0 or more")]
    return rows


def sizes(home: str) -> list[dict]:
    from _table import ONE, measure, row, this

    rows = []
    for which, goal in (("BG/NBD", 2), ("Pareto/NBD", 5)):
        us = measure(this("million", which), ONE)["said"]
        rows += [row(f"{which}, {PEOPLE:,} customers", us["cpu"], "CPU s", f"under {goal}"), row(f"{which}, {PEOPLE:,} customers", us["peak"], "MB", "under 1000")]
    boot = measure(this("bootstrap", f"{home}/tenth.csv"), ONE)["said"]
    rows += [row("1,000 bootstrap refits of BG/NBD, CDNOW 1/10", boot["cpu"], "CPU s", "under 5"), row("… refits that failed", boot["failed"], "", "0")]
    return rows


def logs(home: str) -> list[dict]:
    from _table import measure, row, this

    path = measure(this("log", home))["said"]["path"]
    us, what, python = measure(this("summarise", path))["said"], f"{LINES:,} lines to a summary with spend", peers()
    if not python:
        return [row(what, us["cpu"], "CPU s", "1/5 of the peer", None, "lifetimes: not installed here"), row(what, us["peak"], "MB", "under 2000")]
    peer = measure(this("summarise_lifetimes", f"{home}/log.parquet", python=python))["said"]
    if peer["told"] != us["told"]:
        raise SystemExit(f"the summaries differ: {us['told']} and {peer['told']} (customers, frequency, recency)")
    return [row(what, us["cpu"], "CPU s", "1/5 of the peer", peer["cpu"], "lifetimes"), row(what, us["peak"], "MB", "under 2000", peer["peak"], "lifetimes")]


def recovered(which: str, what: str) -> list[dict]:
    from _table import ONE, measure, row, this

    us = measure(this("found_again", which), ONE)["said"]
    rows = [row(f"{what}, {CROWDS} crowds: {name} within two standard errors", share, "share", "at least .9") for name, share in us["shares"].items()]
    return [*rows, row(f"{what}: fits below the model without covariates", us["below"], "", "0"), row(f"{what}: a fit", us["cpu"] / CROWDS, "CPU s", "")]


def journeys() -> list[dict]:
    from _table import measure, row, this

    us = measure(this("journey"))["said"]
    what = f"Complete Journey, log to forecasts with intervals of {us['households']:,} households"
    return [row(what, us["wall"], "s", "under 5"), row(what, us["cpu"], "CPU s", "")]


PARTS = {"fits": fits, "sizes": sizes, "journey": lambda home: journeys(), "logs": logs, "static": lambda home: recovered("static_crowd", "static covariates"),
         "varying": lambda home: recovered("varying_crowd", "covariates that change over time")}


def main(parts: list[str]) -> None:
    from _table import publish, published

    try:
        files("lifetimes")
    except PackageNotFoundError:
        raise SystemExit("CDNOW comes from the package lifetimes, which is not installed: pip install 'retail_insight[studies]'") from None
    rows = {(r["row"], r["unit"]): r for r in published("timing")}
    with tempfile.TemporaryDirectory() as home:
        summaries(home)
        for part in parts:
            rows |= {(r["row"], r["unit"]): r for r in PARTS[part](home)}
            publish(list(rows.values()), "timing")


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["slow"]):
        main([*PARTS] if sys.argv[1:] else [*PARTS][:4])
    elif sys.argv[1] == "rows":
        main(sys.argv[2:])
    else:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]), default=str))
