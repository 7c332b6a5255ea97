"""How well models of a whole panel forecast the five panels of Complete Journey, and what the regression costs.

    python benchmarks/forecast_accuracy.py                    every row
    python benchmarks/forecast_accuracy.py products           one panel: products, categories, stores, "categories daily", "products daily"
    python benchmarks/forecast_accuracy.py memory sarimax     what the regression costs; statsmodels' SARIMAX of single products

What was measured before stays in the results; a panel that is run again takes the place of its old rows.

Panels are built by `build_demand`, with the series that `RETAIL_INSIGHT_DATA/panels` names. Weekly: six judged origins, 4 steps; daily:
three, 28 steps. Displays and mailers are known ahead, realised prices are not. Weights of combinations and all quantiles come from
all earlier origins, `steps` apart, that had seen twelve weeks or more: one rule for every panel. Tables of lessons are made once an origin
and serve every model. A shop knows on which days it opens, and on 25 December, a judged day of the last origin, none of its stores did:
rows say what is reached where that was stated (`add_closures`) and where it was not; no fit sees that day, so the fits are the
same, and what was said of open periods is taken at the share that is open. Settings of the trees were chosen on origins before the judged ones."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from _table import measure, publish, published, row, this

from retail_insight.contract import load_shop
from retail_insight.demand import UNIT_GOODS, Demand, add_closures, add_covariates, build_demand
from retail_insight.forecast.boost import Boost
from retail_insight.forecast.combine import Combined
from retail_insight.forecast.conformal import ConformalResults, Past, kinds_of_day
from retail_insight.forecast.core import DECILES
from retail_insight.forecast.features import Lessons, lessons_of
from retail_insight.forecast.glm import TERMS, GlobalGLM, LiftModel, design, fit_glm, terms_in
from retail_insight.forecast.single import SARIMAX
from retail_insight.scoring import paired_bootstrap

PANELS = {"products": ("products_weekly", ["product_id"], "W", .370), "categories": ("categories_weekly", ["category"], "W", .156),
          "stores": ("store_categories_weekly", ["store_id", "category"], "W", .484), "categories daily": ("categories_daily", ["category"], "D", .288),
          "products daily": ("products_daily", ["product_id"], "D", .75)}
CLOSED = ["2017-12-25"]
JUDGED = {"W": [27, 31, 35, 39, 43, 47], "D": [279, 307, 335]} # rows: the last period of training
LEAST = {"W": 12, "D": 84} # periods seen by the first origin that weights and quantiles learn from: twelve weeks


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


def members(steps: int) -> list:
    "The models: without trees, then trees."
    return [LiftModel(steps), GlobalGLM(steps=steps), Boost("median", steps), Boost("poisson", steps)]


def means(models: list, told: Lessons) -> list[np.ndarray]: # steps x series each
    "What each expects, from one table."
    return [model.expected(told) if isinstance(model, Boost) else model.fit_lessons(told).mean(told.grid.steps) for model in models]


def members_alone(name: str, demand: Demand, models: list, said: dict[int, list[np.ndarray]], steps: int) -> Iterator[dict]:
    "What each member misses by itself beside their combination, and whether that is worse than the best of them by more than chance."
    units, judged_at = demand.values().T, JUDGED[demand.freq]
    spans = [slice(o + 1, o + 1 + steps) for o in judged_at]
    together = [combined_at(demand, models, said, range(len(models)), steps, o).mean(steps) for o in judged_at]
    means = [together, *([said[o][i] for o in judged_at] for i in range(len(models)))]
    miss = [sum(np.abs(units[span] - mean).sum(axis=0) for span, mean in zip(spans, all_of_it, strict=True)) for all_of_it in means]
    root = [np.mean([rmsse(mean, units[span], units[:span.start]) for span, mean in zip(spans, all_of_it, strict=True)], axis=0) for all_of_it in means]
    sold = sum(units[span].sum() for span in spans)
    for model, lost, scaled in zip(models, miss[1:], root[1:], strict=True):
        for kind, mine, all_four in (("WAPE", lost.sum() / sold, miss[0].sum() / sold), ("RMSSE", np.nanmean(scaled), np.nanmean(root[0]))):
            yield exact(f"{name}, {model.name} by itself: {kind}", mine, "share" if kind == "WAPE" else "ratio", "") | {"peer": round(float(all_four), 4), "peer_name": "all four together"}
    best = 1 + int(np.argmin([lost.sum() for lost in miss[1:]]))
    for kind, by_series, unit in (("WAPE", [lost * len(lost) / sold for lost in miss], "share"), ("RMSSE", root, "ratio")):
        fine = np.isfinite(by_series[0])
        apart = paired_bootstrap(by_series[0][fine], by_series[best][fine], group=np.arange(fine.sum()), repeats=1000, alpha=.05, seed=0)
        for end in ("difference", "lower", "upper"):
            yield exact(f"{name}, all four less the best of them: {kind}, {end}", apart[end], f"{unit}, 95% interval over series", "at most 0" if (kind, end) == ("WAPE", "lower") else "")


def rmsse(mean: np.ndarray, came: np.ndarray, seen: np.ndarray) -> np.ndarray: # by series, nan where it never changed
    "Root mean square miss over that of the last value, one step ahead."
    scale = np.sqrt((np.diff(seen, axis=0) ** 2).mean(axis=0))
    return np.sqrt(((came - mean) ** 2).mean(axis=0)) / np.where(scale > 0, scale, np.nan)


def losses(results, came: np.ndarray, seen: np.ndarray, steps: int) -> dict[str, float]:
    "Sums of absolute and quantile misses, RMSSE and coverage of one origin."
    mean, quantiles, ends = results.mean(steps), results.quantiles(steps, DECILES), results.interval(steps)
    level = DECILES[:, None, None]
    return {"miss": np.abs(came - mean).sum(), "units": came.sum(), "rmsse": np.nanmean(rmsse(mean, came, seen)),
            "crps": 2 * np.maximum(level * (came - quantiles), (level - 1) * (came - quantiles)).mean() * came.size,
            "inside": ((came >= ends[0]) & (came <= ends[1])).mean()}


def combined_at(demand: Demand, models: list, said: dict[int, list[np.ndarray]], which: Sequence[int], steps: int, origin: int) -> ConformalResults:
    "The combination of some members at an origin, from what they said there and before."
    units, kinds, before = demand.values().T, kinds_of_day(demand, steps), [b for b in said if b < origin]
    ahead = np.array(before)[:, None] + np.arange(1, steps + 1)
    pasts = [Past(np.stack([said[b][i] for b in before]), units[ahead], None if kinds is None else kinds[ahead]) for i in which]
    return Combined([models[i] for i in which], steps=steps).put_together(demand.until(demand.periods[origin]), pasts, [said[origin][i] for i in which])


def judged(demand: Demand, models: list, said: dict[int, list[np.ndarray]], which: list[int], steps: int) -> pd.DataFrame: # a row an origin
    "Losses of the combination of some members."
    units, left = demand.values().T, 1 - demand.closed_share().T
    said = {o: [mean * left[o + 1:o + 1 + steps] for mean in means] for o, means in said.items()}
    return pd.DataFrame([losses(combined_at(demand, models, said, which, steps, o), units[o + 1:o + 1 + steps], units[:o + 1], steps) for o in JUDGED[demand.freq]])


def origins_of(freq: str, steps: int) -> list[int]: # rows: the last period of training
    "The judged origins, and before them all that had seen enough."
    first, last = JUDGED[freq][0], JUDGED[freq][-1]
    return [o for o in range(first % steps, last + 1, steps) if o + 1 >= LEAST[freq]]


def accuracy(shop, name: str) -> Iterator[dict]:
    "Rows of one panel."
    began = time.process_time()
    demand = panel(shop, name)
    built, steps, periods = time.process_time() - began, (28 if demand.freq == "D" else 4), demand.periods
    models, groups = members(steps), shop.query("SELECT product_id, category FROM products") if "product_id" in demand.keys else None
    said: dict[int, list[np.ndarray]] = {}
    for o in origins_of(demand.freq, steps):
        said[o] = means(models, lessons_of(demand.until(periods[o]), steps, groups=groups, rows=120_000 if steps > 4 else 200_000))
        print(f"{name}, origin {o + 1}: {time.process_time() - began:.0f} CPU s", file=sys.stderr)
    yield from scored(name, demand, models, said, steps)
    yield from members_alone(name, demand, models, said, steps)
    yield row(f"{name}: covariates built; with every fit and forecast", built, "CPU s", "", time.process_time() - began, "all of it")


def exact(name: str, value: float, unit: str, goal: str) -> dict:
    "A row to four places, so that a figure that meets its aim by rounding can be told from one that meets it."
    return row(name, value, unit, goal) | {"ours": round(float(value), 4)}


def scored(name: str, demand: Demand, models: list, said: dict[int, list[np.ndarray]], steps: int) -> Iterator[dict]:
    "Rows of one panel, from what the models said."
    goal = PANELS[name][3]
    for label, which in {"without trees": [0, 1], "trees alone": [2, 3], "with trees": [0, 1, 2, 3]}.items():
        table = judged(demand, models, said, which, steps)
        total, first, trees = table.sum(), f"{name}, {label}", name == "products" and label == "with trees"
        wanted = {"products, without trees": "<= 0.38"}.get(first, f"<= {goal}" if label == "with trees" else "")
        yield exact(f"{first}: WAPE", total["miss"] / total["units"], f"share, {len(table)} origins", wanted)
        yield exact(f"{first}: RMSSE", table["rmsse"].mean(), "ratio", "<= 0.6" if trees else "")
        yield exact(f"{first}: scaled CRPS", total["crps"] / total["units"], "share", "<= 0.292" if trees else "")
        inside = "0.78 to 0.82" if label == "with trees" else ""
        yield exact(f"{first}: 80% interval", table["inside"].mean(), "share inside", inside if demand.freq == "W" else "")
        if label != "trees alone":
            told = judged(add_closures(demand, CLOSED), models, said, which, steps)
            yield exact(f"{first}: 80% interval, 25 December stated to be closed", told["inside"].mean(), "share inside", inside)
            yield exact(f"{first}: WAPE, 25 December stated to be closed", told["miss"].sum() / told["units"].sum(), "share", "")


def eighths(demand: Demand) -> dict[str, np.ndarray]: # true or false by series
    "Every eighth product: in the order of the panel's file, which is that of the lines sold, and by number; and all of them."
    given = pd.read_parquet(Path(os.environ["RETAIL_INSIGHT_DATA"]) / "panels" / "products_weekly.parquet")
    chosen = demand.series["product_id"].astype(str).isin(given["product_id"].astype(str).drop_duplicates()[::8]).to_numpy()
    return {"125 products": chosen, "125 products by number": np.arange(len(demand.series)) % 8 == 0, "1000 products": np.ones(len(demand.series), dtype=bool)}


def sarimax(shop) -> Iterator[dict]:
    """statsmodels' SARIMAX with promotions as regressors on log(1 + units), beside the same without and the model of lifts.

    The reference measured 125 of the products and does not say which; of the two ways to take every eighth, its own figures for
    other models are near those in the order of the panel's file."""
    whole = panel(shop, "products")
    models = {"level and lifts": LiftModel(4), "SARIMAX with promotions": SARIMAX(covariates=("display", "mailer"), log=True), "SARIMAX": SARIMAX()}
    for name, chosen in eighths(whole).items():
        demand = whole.keep(chosen)
        units = demand.values().T
        for label, model in models.items():
            began, miss = time.process_time(), 0.
            for o in JUDGED["W"]:
                miss += np.abs(model.fit_panel(demand.until(demand.periods[o])).mean(4) - units[o + 1:o + 5]).sum()
            sold = sum(units[o + 1:o + 5].sum() for o in JUDGED["W"])
            yield row(f"{name}, {label}: WAPE", miss / sold, "share, 6 origins", "about 0.369" if (name, label) == ("125 products", "SARIMAX with promotions") else "")
            yield row(f"{name}, {label}: a fit", (time.process_time() - began) / 6 / len(demand.series) * 1000, "CPU ms", "")


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
    # the expected logarithm is level and lift together: of such terms any share fits alike, so the level is left out of what is compared
    return design(past, [term for term in terms_in(past, TERMS) if term != "log_level"]), past.target


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


def named(text: str) -> str:
    "The group of a row."
    first = text.split(":")[0].split(",")[0]
    return "sarimax" if first.split()[0].isdigit() else first.replace("global GLM", "memory")


def keep(rows: list[dict], group: str) -> None:
    "Print the rows, and put them into the results in place of those of the same group."
    order = [*PANELS, "memory", "sarimax"]
    publish(sorted([r for r in published("forecast_accuracy") if named(r["row"]) != group] + rows, key=lambda r: order.index(named(r["row"]))), "forecast_accuracy")


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked in (["fit_in_chunks"], ["fit_in_one_piece"]):
        globals()[asked[0]]()
    else:
        journey = load_shop("complete_journey")
        for group in asked or [*PANELS, "memory", "sarimax"]:
            keep(list(memory() if group == "memory" else sarimax(journey) if group == "sarimax" else accuracy(journey, group)), group)
