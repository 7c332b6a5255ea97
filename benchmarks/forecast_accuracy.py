"""How well models of a whole panel forecast the five panels of Complete Journey, and what the regression costs.

    python benchmarks/forecast_accuracy.py               every row
    python benchmarks/forecast_accuracy.py products      the weekly products only

Panels are built by `build_demand`; where `RETAIL_INSIGHT_DATA` holds `panels/`, the series named there. Weekly: six origins, 4 steps;
daily: three origins, 28 steps. Displays and mailers are known ahead, realised prices are not. Weights of combinations and all quantiles
come from the three origins before each, `steps` apart. Goals are WAPE unless the row says otherwise."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from _table import measure, publish, row, this

from retail_insight.contract import load_shop
from retail_insight.demand import UNIT_GOODS, Demand, add_covariates, build_demand
from retail_insight.forecast.boost import Boost
from retail_insight.forecast.combine import Combined
from retail_insight.forecast.conformal import Past, said_at
from retail_insight.forecast.core import DECILES
from retail_insight.forecast.features import lessons_of
from retail_insight.forecast.glm import TERMS, GlobalGLM, LiftModel, design, fit_glm, terms_in

PANELS = {"products": ("products_weekly", ["product_id"], "W", .370), "categories": ("categories_weekly", ["category"], "W", .156),
          "stores": ("store_categories_weekly", ["store_id", "category"], "W", .484), "categories daily": ("categories_daily", ["category"], "D", .288),
          "products daily": ("products_daily", ["product_id"], "D", .75)}


def panel(shop, name: str) -> Demand:
    "The panel of that name, its series read from the file, with covariates."
    file, keys, freq, _ = PANELS[name]
    given = pd.read_parquet(Path(os.environ["RETAIL_INSIGHT_DATA"]) / "panels" / f"{file}.parquet")
    demand = build_demand(shop, keys, freq=freq, where=UNIT_GOODS, cap=48).complete()
    wanted = set(given[keys].astype(str).drop_duplicates().itertuples(index=False, name=None))
    demand = demand.keep(np.array([key in wanted for key in demand.series.astype(str).itertuples(index=False, name=None)]))
    inside = demand.frame["period"].between(given["period"].min(), given["period"].max())
    demand = type(demand)(demand.frame[inside].reset_index(drop=True), demand.keys, freq, demand.ledger, as_of=demand.as_of)
    return add_covariates(demand, shop, steps=28 if freq == "D" else 4, holidays="US")


def members(shop, demand: Demand, steps: int) -> list:
    "The models: without trees, then trees."
    kinds = shop.query("SELECT product_id, category FROM products") if "product_id" in demand.keys else None
    given = dict(steps=steps, groups=kinds)
    return [LiftModel(**given), GlobalGLM(**given), Boost(**given, rows=120_000 if steps > 4 else 200_000), Boost("median", **given, rows=120_000 if steps > 4 else 200_000)]


def losses(results, came: np.ndarray, seen: np.ndarray, steps: int) -> dict[str, float]:
    "Sums of absolute and quantile misses, RMSSE and coverage of one origin."
    mean, quantiles, ends = results.mean(steps), results.quantiles(steps, DECILES), results.interval(steps)
    scale = np.sqrt((np.diff(seen, axis=0) ** 2).mean(axis=0))
    root = np.sqrt(((came - mean) ** 2).mean(axis=0))
    level = DECILES[:, None, None]
    return {"miss": np.abs(came - mean).sum(), "units": came.sum(), "rmsse": (root[scale > 0] / scale[scale > 0]).mean(),
            "crps": 2 * np.maximum(level * (came - quantiles), (level - 1) * (came - quantiles)).mean() * came.size,
            "inside": ((came >= ends[0]) & (came <= ends[1])).mean()}


def judged(demand: Demand, models: list, steps: int, origins: list[int], chosen: dict[str, list[int]]) -> Iterator[tuple[str, pd.DataFrame]]:
    "Losses by origin of combinations of members."
    periods, units = demand.periods, demand.values().T
    rows = sorted({o - steps * i for o in origins for i in range(4)})
    said = {(o, i): said_at(model, demand.until(periods[o]), steps) for o in rows for i, model in enumerate(models)}
    for name, which in chosen.items():
        found = []
        for o in origins:
            before = [o - steps * i for i in (3, 2, 1)]
            came = np.stack([units[b + 1:b + 1 + steps] for b in before])
            pasts = [Past(np.stack([said[b, i] for b in before]), came) for i in which]
            results = Combined([models[i] for i in which], steps=steps).put_together(demand.until(periods[o]), pasts, [said[o, i] for i in which])
            found.append(losses(results, units[o + 1:o + 1 + steps], units[:o + 1], steps))
        yield name, pd.DataFrame(found)


def accuracy(shop, name: str) -> Iterator[dict]:
    "Rows of one panel."
    demand = panel(shop, name)
    steps, goal = (28 if demand.freq == "D" else 4), PANELS[name][3]
    origins = [279, 307, 335] if demand.freq == "D" else [27, 31, 35, 39, 43, 47]
    for label, table in judged(demand, members(shop, demand, steps), steps, origins, {"without trees": [0, 1], "with trees": [0, 1, 2, 3]}):
        total, first = table.sum(), f"{name}, {label}"
        wanted = .380 if name == "products" and label == "without trees" else goal
        yield row(f"{first}: WAPE", total["miss"] / total["units"], "share", f"<= {wanted}")
        yield row(f"{first}: RMSSE", table["rmsse"].mean(), "ratio", "<= .600" if name == "products" and label == "with trees" else "")
        yield row(f"{first}: scaled CRPS", total["crps"] / total["units"], "share", "<= .292" if name == "products" and label == "with trees" else "")
        yield row(f"{first}: 80% interval", table["inside"].mean(), "share inside", ".78 to .82")


def glm_rows(copies: int = 1) -> tuple[np.ndarray, np.ndarray]:
    "154,000 rows of the regression's table: 1,000 simulated products with displays over 45 weeks."
    rng = np.random.default_rng(0)
    dates = pd.date_range("2024-01-01", periods=49, freq="7D")
    names = np.repeat([f"p{i:04d}" for i in range(1000)], 49)
    display = (rng.random((1000, 49)) < .15).astype(float)
    units = rng.poisson(np.exp(rng.normal(2, .8, (1000, 1)) + display * rng.normal(1, .4, (1000, 1))))
    table = pd.DataFrame({"product_id": names, "period": np.tile(dates, 1000), "display": display.ravel(), "units": units.ravel()})
    held, seen = table.drop(columns="units"), table[table["period"] <= dates[44]]
    past = lessons_of(Demand.from_frame(seen[["product_id", "period", "units"]], "product_id", covariates=held, known=["display"]), 4).past
    return design(past, terms_in(past, TERMS)), past.target


def fit_in_chunks() -> None:
    "A job: ours."
    x, y = glm_rows()
    print(json.dumps({"rows": len(y), "params": fit_glm(x, y).params.tolist()}))


def fit_in_one_piece() -> None:
    "A job: statsmodels'."
    import statsmodels.api as sm
    x, y = glm_rows()
    print(json.dumps({"rows": len(y), "params": sm.GLM(y, x.astype(float), family=sm.families.Poisson()).fit(tol=1e-12).params.tolist()}))


def memory() -> Iterator[dict]:
    "Rows of the regression's cost, processes of their own."
    ours, theirs = measure(this("fit_in_chunks")), measure(this("fit_in_one_piece"))
    yield row(f"global GLM, {ours['said']['rows']} rows: peak", ours["peak"], "MB", "<= 600", theirs["peak"], "statsmodels")
    yield row("global GLM: CPU with its table", ours["cpu"], "s", "", theirs["cpu"], "statsmodels")
    apart = np.abs(np.array(ours["said"]["params"]) - theirs["said"]["params"]).max()
    yield row("global GLM: largest difference of a coefficient, 1e-6", 1e6 * apart, "1e-6", "<= 10")


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked in (["fit_in_chunks"], ["fit_in_one_piece"]):
        globals()[asked[0]]()
    else:
        rows = list(memory())
        journey = load_shop("complete_journey")
        for name in asked or PANELS:
            rows += accuracy(journey, name)
        publish(rows, "forecast_accuracy")
