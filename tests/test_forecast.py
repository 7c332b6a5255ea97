"""Forecasts: the published protocol's figures, no look ahead, honest intervals, and clear refusals."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from retail_insight.contract import load_shop
from retail_insight.demand import build_demand, demand_from_frame
from retail_insight.forecast import SES, LastValue, Level, MovingAverage, backtest, distribution, forecast_demand

DATA = os.environ.get("RETAIL_INSIGHT_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="RETAIL_INSIGHT_DATA is not set")
ORIGINS = [pd.Timestamp("2017-01-02") + pd.Timedelta(weeks=week - 2) for week in (29, 33, 37, 41, 45, 49)]


@pytest.fixture(scope="module")
def reference():
    "The protocol of the reference measurements on 268 categories."
    panel = pd.read_parquet(Path(DATA) / "panels" / "categories_weekly.parquet")
    return backtest([LastValue(), MovingAverage(8), SES()], demand_from_frame(panel, "category"), origins=ORIGINS, steps=4)


@needs_data
@pytest.mark.parametrize("model, wape, rmsse", [("last value", .211, .989), ("moving average 8", .185, .881), ("exponential smoothing", .178, .853)])
def test_the_reference_figures_come_out(reference, model, wape, rmsse):
    found = reference.scores().loc[model]
    assert found["WAPE"] == pytest.approx(wape, abs=.0006)
    assert found["RMSSE"] == pytest.approx(rmsse, abs=.0021)


@needs_data
def test_scores_are_what_numpy_says(reference):
    frame = reference.to_frame().query("model == 'exponential smoothing'")
    y, mean = frame["units"].to_numpy(), frame["mean"].to_numpy()
    found = reference.scores().loc["exponential smoothing"]
    assert found["WAPE"] == pytest.approx(np.abs(y - mean).sum() / y.sum())
    cells = frame.assign(e2=(y - mean) ** 2).groupby(["category", "origin"]).agg(e2=("e2", "mean"), scale=("scale", "first"))
    assert found["RMSSE"] == pytest.approx((np.sqrt(cells["e2"]) / cells["scale"]).mean())
    loss = sum(np.maximum(q * (y - frame[f"{q:.1f}"]), (q - 1) * (y - frame[f"{q:.1f}"])).sum() for q in np.arange(1, 10) / 10)
    assert found["CRPS"] == pytest.approx(2 * loss / 9 / y.sum())


@needs_data
def test_intervals_of_the_categories_hold_about_what_they_say(reference):
    assert reference.scores().loc["exponential smoothing", "coverage"] == pytest.approx(.8, abs=.05)


def test_ses_agrees_with_the_state_space_model():
    y = 50 + np.random.default_rng(3).normal(size=120).cumsum()
    ours = SES().fit(y)
    theirs = ETSModel(pd.Series(y), initialization_method="known", initial_level=y[0]).fit(disp=False)
    assert ours.keeps == pytest.approx(theirs.smoothing_level, abs=.01)
    assert ours.mean == pytest.approx(theirs.forecast(1).iloc[0], abs=.05)
    sd = np.sqrt(theirs.get_prediction(len(y), len(y) + 3).forecast_variance)
    assert ours.spread(4) == pytest.approx(np.asarray(sd), rel=.03)


def test_coverage_is_nominal_where_the_model_is_true():
    rng = np.random.default_rng(11)
    walk = 1000 + rng.normal(size=(300, 60)).cumsum(axis=1)
    held = [(lambda d, now: d["lower"].le(now) & d["upper"].ge(now))(distribution(LastValue().fit(s[:-4]), 4, .2), s[-4:]) for s in walk]
    assert np.mean(held) == pytest.approx(.8, abs=.035)


def test_quantiles_are_of_the_normal_and_never_negative():
    frame = distribution(Level(10, 4, .5), 3, alpha=.1)
    assert frame.loc[2, "0.9"] == pytest.approx(stats.norm.ppf(.9, 10, 4 * np.sqrt(1.25)))
    assert frame.loc[1, "upper"] == pytest.approx(stats.norm.ppf(.95, 10, 4))
    assert (distribution(Level(.1, 4, .5), 3) >= 0).all(axis=None)
    assert (np.diff(frame[[f"{q / 10:.1f}" for q in range(1, 10)]], axis=1) > 0).all()


def test_the_future_changes_no_forecast():
    demand = build_demand(load_shop("corner"), "product_id")
    rows = demand.complete().frame
    cut = rows["period"].unique()[4]
    other = demand_from_frame(rows.assign(units=rows["units"].where(rows["period"] <= cut, 1000.)), "product_id")
    models = [LastValue(), MovingAverage(2), SES()]
    a, b = (backtest(models, d, origins=[cut], steps=2).to_frame() for d in (demand, other))
    pd.testing.assert_frame_equal(a.drop(columns="units"), b.drop(columns="units"))
    assert (b["units"] == 1000).all()


def test_partial_periods_are_neither_fitted_nor_scored():
    demand = build_demand(load_shop("corner"), "category")
    partial = set(demand.frame.loc[demand.frame["partial"], "period"])
    assert partial and not partial & set(backtest([LastValue()], demand, origins=2, steps=2).frame["period"])
    assert set(forecast_demand(demand, 1).frame["period"]) == partial


def test_two_keys_stay_beside_each_other():
    demand = build_demand(load_shop("corner"), ["store_id", "category"])
    ahead = forecast_demand(demand, 2, model=MovingAverage(2))
    assert list(ahead.frame)[:5] == ["store_id", "category", "model", "period", "step"]
    mean = ahead.frame.set_index(["store_id", "category", "step"])["mean"]
    assert mean["corner", "DAIRY", 1] == demand.complete().matrix()["corner", "DAIRY"].iloc[-2:].mean()
    assert backtest([LastValue()], demand, origins=1, steps=1).scores("category").index.names == ["category", "model"]
    assert len(ahead.summary()) == 8 and ahead.plot() is not None


def test_a_series_of_zeros_is_zero_and_has_no_scale():
    weeks = pd.date_range("2024-01-01", periods=6, freq="7D")
    panel = pd.DataFrame({"product_id": ["a"] * 6 + ["b"] * 6, "period": [*weeks] * 2, "units": [0] * 6 + [3, 4, 3, 5, 4, 4]})
    results = backtest([LastValue(), SES()], demand_from_frame(panel, "product_id"), origins=1, steps=2)
    assert (results.frame.query("product_id == 'a'")[["mean", "lower", "upper"]] == 0).all(axis=None)
    assert (results.scores()["without scale"] == 1).all() and results.scores()["RMSSE"].notna().all()


def test_bad_arguments_say_what_to_choose():
    demand = build_demand(load_shop("corner"), "category")
    for call, said in [(lambda: forecast_demand(demand, 0), "one period or more"), (lambda: forecast_demand(demand, 1, alpha=1.5), "between 0 and 1"),
                       (lambda: backtest([], demand, origins=1, steps=1), "at least one"),
                       (lambda: backtest([SES(), SES()], demand, origins=1, steps=1), "a name of its own"),
                       (lambda: backtest([SES()], demand, origins=["2023-01-02"], steps=1), "first day of a whole period"),
                       (lambda: backtest([SES()], demand, origins=20, steps=2), "Use fewer origins or steps"),
                       (lambda: forecast_demand(build_demand(load_shop("corner"), "category", as_of="2024-01-10"), 1), "1 whole periods of 2")]:
        with pytest.raises(ValueError, match=said):
            call()


def test_a_name_with_dollars_can_be_drawn():
    weeks = pd.date_range("2024-01-01", periods=5, freq="7D")
    demand = demand_from_frame(pd.DataFrame({"category": "$x^{$ 5$ off", "period": weeks, "units": [3, 4, 3, 5, 4]}), "category")
    for ax in (demand.plot(), forecast_demand(demand, 2).plot()):
        ax.figure.canvas.draw()
