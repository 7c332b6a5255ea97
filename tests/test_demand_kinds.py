"""Classes and strengths of series: what is known by construction comes out, odd series have a stated answer."""

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import load_shop
from retail_insight.demand import Demand, build_demand, describe_demand, plot_kinds, typical_series


def panel(units, freq="D"):
    days = pd.date_range("2024-01-01", periods=len(units[0]), freq="D" if freq == "D" else "7D")
    return Demand.from_frame(pd.concat([pd.DataFrame({"product_id": f"p{i}", "period": days, "units": u}) for i, u in enumerate(units)]), "product_id", freq)


def test_classes_trend_and_season_are_those_that_were_put_in():
    rng = np.random.default_rng(2)
    day = np.arange(140)
    found = describe_demand(panel([20 + 10. * (day % 7 == 5) + rng.random(140), day + rng.random(140), 40. * (day % 9 == 0), np.zeros(140)])).frame
    assert found["class"].tolist() == ["smooth", "smooth", "intermittent", "never sold"]
    assert found["season"][0] > .9 and found["trend"][1] > .9 and found[["trend", "season"]].iloc[3].isna().all()


def test_a_year_of_weeks_has_a_trend_and_no_season():
    rng = np.random.default_rng(4)
    found = describe_demand(panel([np.arange(52) + rng.random(52), 9 + rng.random(52)], "W")).frame
    assert found["trend"][0] > .9 and found["trend"][1] < .5 and found["season"].isna().all()


def test_the_typical_series_of_a_class_is_of_that_class():
    rng = np.random.default_rng(5)
    units = [rng.poisson(20, 60), rng.poisson(2, 60) * (rng.random(60) < .3), rng.geometric(.1, 60), rng.geometric(.05, 60) * (rng.random(60) < .3), np.zeros(60)] * 3
    found = describe_demand(panel([u.astype(float) for u in units]))
    typical = typical_series(found)
    assert found.frame.loc[typical, "class"].tolist() == typical.index.tolist() and "never sold" not in typical.index
    axes = plot_kinds(panel(units), found)
    assert len(axes) == len(typical) and axes[0].get_title(loc="left").startswith(f"{typical.index[0]}: p")
    empty = panel([np.zeros(30)])
    assert typical_series(describe_demand(empty)).empty
    with pytest.raises(ValueError, match="none of its 1 series ever sold"):
        plot_kinds(empty, describe_demand(empty))


@pytest.mark.parametrize("units", [[[1.]], [[3.] * 30], [[0.] * 30], [[-1., 2.] * 10]])
def test_odd_series_have_a_stated_answer(units):
    found = describe_demand(panel(units))
    assert len(found.frame) == 1 and found.frame["class"].notna().all() and len(found.summary()) == 1


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="two periods or more"):
        describe_demand(panel([[1., 2.] * 10]), cycle=1)
    with pytest.raises(ValueError, match="no whole period"):
        describe_demand(build_demand(load_shop("corner"), as_of="2024-01-03"))
