"""States of zeros: units are never touched, the truth of a simulation is found, the future after a day changes nothing."""

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import corner_tables, load_shop
from retail_insight.demand import Demand, build_demand, flag_outliers, mark_availability
from retail_insight.demand.availability import simulate_stockouts


def panel(units):
    n, m = units.shape
    frame = pd.DataFrame({"product_id": np.repeat([f"p{i:03d}" for i in range(n)], m), "period": np.tile(pd.date_range("2024-01-01", periods=m), n)})
    return Demand.from_frame(frame.assign(units=units.ravel()), "product_id", "D")


def test_stockouts_of_fast_products_are_found_and_their_mean_is_put_right():
    truth, out = simulate_stockouts(100, seed=5)
    sold = np.where(out, 0, truth)
    found = mark_availability(panel(sold))
    fast = truth.mean(axis=1) > 2
    called = (found.frame["state"].to_numpy() == "out of stock").reshape(truth.shape)
    assert called[fast][out[fast]].mean() > .9 and called[~out].mean() < .02
    assert abs(found.values("wanted")[fast].mean() / truth[fast].mean() - 1) < .015 < 1 - sold[fast].mean() / truth[fast].mean()
    assert np.array_equal(found.values(), sold)


@pytest.mark.parametrize("units", [np.zeros((6, 40)), np.ones((1, 1)), np.full((2, 30), 3.), -np.ones((1, 10)), np.zeros((1, 1))])
def test_odd_panels_have_states_too(units):
    found = flag_outliers(mark_availability(panel(units)))
    assert found.frame["state"].notna().all() and np.isfinite(found.values("wanted")).all() and not found.frame["outlier"].any()


def test_an_outlier_is_flagged_where_it_was_put_and_its_units_stay():
    units = np.random.default_rng(8).poisson(9, (20, 120)).astype(float)
    units[3, 50], units[7, 0], units[7, 119] = 90., 70., 80.
    found = flag_outliers(panel(units))
    marked = found.frame["outlier"].to_numpy().reshape(units.shape)
    assert marked[3, 50] and marked[7, 0] and marked[7, 119] and marked.sum() <= 3 + .002 * units.size
    assert np.array_equal(found.values(), units)


def test_the_future_changes_no_state_as_of_a_day():
    tables = corner_tables()
    other = {k: t.copy() for k, t in tables.items()}
    other["transactions"].loc[other["transactions"]["timestamp"] >= "2024-02-01", "quantity"] *= 5
    a, b = (mark_availability(build_demand(s, "product_id", freq="D", as_of="2024-01-31"), s) for s in (load_shop(t, timestamps="local") for t in (tables, other)))
    pd.testing.assert_frame_equal(a.frame, b.frame)


def test_a_store_that_was_not_open_yet_is_closed_by_its_table():
    tables = corner_tables()
    tables["stores"] = tables["stores"].assign(opened=pd.Timestamp("2024-01-15"), closed=pd.Timestamp("2024-02-18"))
    shop = load_shop(tables, timestamps="local")
    found = mark_availability(build_demand(shop, ["store_id", "product_id"]), shop).frame
    shut = found[(found["state"] == "closed") & (found["why"] == "store table")]
    assert set(shut["period"].dt.strftime("%m-%d")) == {"01-01", "01-08", "02-19"} and (shut["units"] == 0).all()


def test_bad_input_is_named():
    demand = panel(np.ones((1, 10)))
    for call, said in [(lambda: mark_availability(demand, alpha=0), "between 0 and 1"), (lambda: mark_availability(demand, longest_days=0), "a period at least"),
                       (lambda: flag_outliers(demand, window=1), "three periods or more")]:
        with pytest.raises(ValueError, match=said):
            call()
