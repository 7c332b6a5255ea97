"""Panels: equal to those that the references were measured on, every unit accounted for, blind to the future."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.demand import UNIT_GOODS, Demand, build_demand, demand_from_frame

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


def test_a_category_of_several_departments_is_one_series_and_a_part_of_each():
    "33 of Complete Journey's categories lie in more than one department."
    shop = load_shop("complete_journey")
    apart, whole = (build_demand(shop, by, where="category IS NOT NULL", cap=48) for by in (["department", "category"], "category"))
    assert (apart.series.groupby("category").size() > 1).sum() > 20
    summed = apart.matrix().T.groupby(level="category").sum().T
    pd.testing.assert_frame_equal(summed[whole.matrix().columns], whole.matrix(), check_names=False)


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


WEEKS = pd.date_range("2024-01-01", periods=8, freq="7D")


def rows(name, units, weeks=WEEKS, **more):
    return pd.DataFrame({"product_id": name, "period": weeks[:len(units)], "units": units} | more)


GOOD = rows("good", [3., 4, 3, 5, 4, 3, 4, 5])


@pytest.mark.parametrize("bad, said", [
    (rows("bad", [1.] * 7 + [np.inf]), "have infinite units"), (rows("bad", [1.] * 7 + [None]), "have an empty cell"),
    (rows("bad", [1.] * 5), "are missing"), (rows("bad", [1.]), "are missing"), (pd.concat([rows("bad", [1.] * 8), rows("bad", [2.])]), "repeat a series"),
    (rows("bad", [1.] * 8, WEEKS + pd.Timedelta(days=2)), "do not start a week"), (rows("bad", ["1"] * 7 + ["many"]), "no number"),
    (rows(None, [1.] * 8), "have an empty cell"), (rows("bad", [1.] * 7 + [2.], [*WEEKS[:7], pd.NaT]), "have an empty cell")])
def test_one_bad_series_is_set_aside_and_the_others_go_on(bad, said):
    demand = Demand.from_frame(pd.concat([GOOD, bad], ignore_index=True), "product_id")
    assert demand.series["product_id"].tolist() == ["good"] and demand.values().tolist() == [GOOD["units"].tolist()]
    assert len(demand.rejected) == 1 and said in demand.rejected["reason"][0]
    assert demand.findings["finding"].str.contains(f"set aside: {demand.rejected['reason'][0]}", regex=False).any()
    assert demand.ledger.loc["set aside", "lines"] == len(bad)


@pytest.mark.parametrize("units, finding", [
    ([0.] * 8, "never sold"), ([0.] * 7 + [2.], "sold in one period"), ([3.] * 8, "never changed"), ([1., -2, 3, 0, 0, 1, 1, 1], "units below zero")])
def test_an_odd_series_stays_and_is_named(units, finding):
    demand = Demand.from_frame(pd.concat([GOOD, rows("odd", units)]), "product_id")
    assert demand.matrix()["odd"].tolist() == units
    assert demand.findings.set_index("finding")["first"].to_dict() == {finding: "odd"}


def test_one_point_is_a_panel_and_says_that_it_is_short():
    demand = Demand.from_frame(rows("a", [1.]), "product_id")
    assert demand.values().tolist() == [[1.]] and "fewer than four periods" in demand.findings["finding"].tolist()


def test_gaps_are_zeros_only_where_the_caller_says_so():
    holes = pd.concat([GOOD, rows("new", [2., 2.], WEEKS[6:])])
    assert Demand.from_frame(holes, "product_id").series["product_id"].tolist() == ["good"]
    assert Demand.from_frame(holes, "product_id", fill=0).matrix()["new"].tolist() == [0.] * 6 + [2., 2.]


def test_a_frequency_that_does_not_fit_is_an_error():
    days = pd.DataFrame({"product_id": "a", "period": pd.date_range("2024-01-01", periods=30), "units": 1.})
    with pytest.raises(ContractError, match="do not start a week"):
        Demand.from_frame(days, "product_id", "W")
    with pytest.raises(ContractError, match="are missing"):
        Demand.from_frame(GOOD, "product_id", "D")
    with pytest.raises(ValueError, match="Use 'W' for weeks"):
        Demand.from_frame(GOOD, "product_id", "M")


def test_covariates_infinite_missing_or_not_known_ahead():
    other = rows("other", [1.] * 8, price=[2.] * 7 + [np.inf], promo=0.)
    gap = rows("gap", [1., 2] * 4, price=[2.] * 7 + [np.nan], promo=0.)
    demand = Demand.from_frame(pd.concat([GOOD.assign(price=2., promo=1.), other, gap]), "product_id", covariates=["price", "promo"], known=["promo"])
    assert demand.rejected["product_id"].tolist() == ["other"] and "infinite covariate" in demand.rejected["reason"][0]
    assert demand.findings.set_index("finding").loc["covariate is empty", "first"] == "gap"
    past = demand.until(WEEKS[4])
    assert past.ahead(["promo"], 3).shape == (2, 3, 1)
    with pytest.raises(ValueError, match="'price' is observed only"):
        past.ahead(["price"], 1)
    with pytest.raises(ValueError, match="'cost' is not a covariate"):
        past.ahead(["cost"], 1)
    with pytest.raises(ValueError, match="covariates end 3 periods after"):
        past.ahead(["promo"], 4)
    assert past.covariates.loc[past.covariates["period"] > WEEKS[4], "price"].isna().all()
    apart = Demand.from_frame(GOOD, "product_id", covariates=pd.DataFrame({"product_id": "good", "period": WEEKS[::2], "promo": 1.}), known=["promo"])
    with pytest.raises(ContractError, match="cells ahead are empty or infinite, first 'promo' of good"):
        apart.until(WEEKS[2]).ahead(["promo"], 3)


def test_segments_and_the_rest_add_up_to_the_shop():
    shop = load_shop("corner")
    habits = pd.Series({"ana": "daily", "ben": "weekly"})
    whole = build_demand(shop, "all").matrix()["all"]
    parts = build_demand(shop, "category", segments=habits, rest="others")
    assert parts.keys == ("category", "segment")
    assert np.allclose(parts.matrix().sum(axis=1), whole)
    some = build_demand(shop, (), segments=habits)
    assert some.ledger.loc["without a key", "units"] == whole.sum() - some.frame["units"].sum()
    with pytest.raises(ContractError, match="1 of 3 rows name a customer again"):
        build_demand(shop, "category", segments=pd.concat([habits, habits.head(1)]))
    with pytest.raises(ValueError, match="segments is not given"):
        build_demand(shop, "segment")


def test_returns_apart_are_units_of_their_own():
    shop = load_shop("corner")
    net, apart = build_demand(shop, "product_id"), build_demand(shop, "product_id", returns="apart")
    assert np.array_equal(apart.values() - apart.values("returned"), net.values()) and apart.values("returned").sum() == 1
    assert apart.ledger["units"].drop("in the log").sum() == pytest.approx(apart.ledger.loc["in the log", "units"])
    with pytest.raises(ValueError, match="returns='both' is not known"):
        build_demand(shop, "product_id", returns="both")


def test_values_are_a_view_and_matrices_agree_with_a_pivot():
    demand = build_demand(load_shop("corner"), ["store_id", "product_id"], freq="D")
    assert np.shares_memory(demand.values(), demand.frame["units"].to_numpy())
    obvious = demand.frame.pivot_table(index="period", columns=["store_id", "product_id"], values="units")
    pd.testing.assert_frame_equal(demand.matrix(), obvious, check_freq=False)
