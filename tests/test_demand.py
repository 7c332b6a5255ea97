"""Panels: equal to those that the references were measured on, every unit accounted for, blind to the future."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.demand import UNIT_GOODS, build_demand, demand_from_frame

DATA = os.environ.get("RETAIL_INSIGHT_DATA")
PANELS = Path(DATA or ".") / "panels"
needs_data = pytest.mark.skipif(not DATA, reason="RETAIL_INSIGHT_DATA is not set")


@needs_data
@pytest.mark.parametrize("name, keys, freq", [
    ("categories_weekly", ["category"], "W"), ("store_categories_weekly", ["store_id", "category"], "W"),
    ("products_weekly", ["product_id"], "W"), ("categories_daily", ["category"], "D"), ("products_daily", ["product_id"], "D")])
def test_the_reference_panels_come_out(name, keys, freq):
    panel = pd.read_parquet(PANELS / f"{name}.parquet")
    ours = build_demand(load_shop("complete_journey"), keys, freq=freq, where=UNIT_GOODS, cap=48)
    both = panel.merge(ours.frame, on=[*keys, "period"], how="left", suffixes=("", "_ours"))
    assert (both["units"] == both["units_ours"]).all() and not both["partial"].any()
    whole = ours.complete().frame.merge(panel[keys].drop_duplicates(), on=keys)
    assert len(whole[whole["period"].between(panel["period"].min(), panel["period"].max())]) == len(panel), "a series starts with the log"
    if name == "categories_weekly":
        assert set(ours.sold_in(26).matrix()) == set(panel["category"])


def test_every_unit_of_the_log_has_a_place():
    shop = load_shop("complete_journey")
    demand = build_demand(shop, "category", where=UNIT_GOODS, cap=48)
    ledger = demand.ledger
    assert ledger["units"].drop("in the log").sum() == pytest.approx(ledger.loc["in the log", "units"])
    assert ledger["lines"].drop("in the log").sum() == ledger.loc["in the log", "lines"] == 1_469_307
    assert demand.frame["units"].sum() == ledger.loc["in the panel", "units"]
    whole = demand.complete().frame
    assert (whole["lines"].sum(), whole["units"].sum()) == (1_436_992, 1_890_827)


def test_a_line_without_a_category_is_counted_not_lost():
    tables = corner_tables()
    tables["products"] = tables["products"][tables["products"]["product_id"] != "tea"]
    ledger = build_demand(load_shop(tables, timestamps="local"), "category").ledger
    lines = tables["transactions"]
    assert ledger.loc["without a key", "lines"] == (lines["product_id"] == "tea").sum()
    assert ledger.loc["in the log", "lines"] == len(lines)


def test_returns_are_netted_unless_left_out():
    shop = load_shop("corner")
    net, gross = (build_demand(shop, "product_id", where=w).matrix()["beer"].sum() for w in (None, "quantity > 0"))
    assert gross - net == 1


def test_the_future_changes_nothing():
    tables = corner_tables()
    other = {k: t.copy() for k, t in tables.items()}
    other["transactions"].loc[other["transactions"]["timestamp"] >= "2024-02-01", "quantity"] *= 5
    a, b = (build_demand(load_shop(t, timestamps="local"), ["store_id", "product_id"], freq="D", as_of="2024-01-31") for t in (tables, other))
    pd.testing.assert_frame_equal(a.frame, b.frame)
    assert a.frame["period"].max() == pd.Timestamp("2024-01-31")


def test_a_predicate_that_looks_things_up_sees_no_future_either():
    shop = load_shop("corner")
    late = "product_id IN (SELECT product_id FROM transactions WHERE local_date > DATE '2024-01-31')"
    with pytest.raises(ValueError, match="no line is left of"):
        build_demand(shop, "category", where=late, as_of="2024-01-31")
    assert build_demand(shop, "category", where=late).ledger.loc["in the panel", "lines"] > 0


def test_zeros_are_there_and_periods_regular():
    demand = build_demand(load_shop("corner"), "product_id", freq="D")
    matrix = demand.matrix()
    assert (np.diff(matrix.index) == pd.Timedelta(days=1)).all() and matrix.notna().all(axis=None)
    assert len(demand.frame) == matrix.size


def test_weeks_start_on_the_day_that_the_shop_says():
    shop = load_shop(corner_tables(), timestamps="local", week_start=6)
    demand = build_demand(shop, "department")
    assert set(demand.frame["period"].dt.isocalendar().day) == {6}
    assert demand.frame["partial"].any() and demand.complete().frame["units"].sum() < demand.frame["units"].sum()


def test_bad_input_is_named():
    shop, plain = load_shop("corner"), load_shop(corner_tables()["transactions"], timestamps="local")
    with pytest.raises(ValueError, match="Did you mean 'department'"):
        build_demand(shop, "departement")
    with pytest.raises(ContractError, match="products: column brand is not in the source"):
        build_demand(plain, "brand")
    with pytest.raises(ValueError, match="where='amount >' cannot be read"):
        build_demand(shop, "category", where="amount >")
    for odd in ("1", "quantity", "sum(quantity) > 1", "CAST(product_id AS INT) > 1", "true)) FROM transactions; DROP TABLE products --", 5):
        with pytest.raises(ValueError, match=r"where=.* (cannot be read|is not true or false)"):
            build_demand(shop, "category", where=odd)
    for cap in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="above 0, or None"):
            build_demand(shop, "category", cap=cap)
    with pytest.raises(ContractError, match="1 of 2 rows have infinite units"):
        demand_from_frame(pd.DataFrame({"category": ["a", "a"], "period": ["2024-01-01", "2024-01-08"], "units": [1, np.inf]}), "category")
    with pytest.raises(ValueError, match="no line is left of"):
        build_demand(shop, "category", where="quantity > 10000")
    with pytest.raises(ContractError, match="column \\['units'\\] is missing"):
        demand_from_frame(pd.DataFrame({"category": ["a"], "period": ["2024-01-01"]}), "category")
    with pytest.raises(ContractError, match="1 of 2 rows have an empty cell"):
        demand_from_frame(pd.DataFrame({"category": ["a", "a"], "period": ["2024-01-01", "2024-01-08"], "units": [1, None]}), "category")
