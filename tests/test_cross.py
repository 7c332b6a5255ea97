"""Across groups: the obvious pandas version, intervals, drawings that hold what they say, and bad input."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2
from statsmodels.stats.proportion import proportion_confint

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.profile import composite_rank, cross_shop, distance_km, nearest_store, purchase_path
from retail_insight.profile.cross import NOWHERE, kendalls_w

GROUPS = {"corner": ["BAKERY", "GROCERY", "DRINKS"], "complete_journey": ["GROCERY", "DRUG GM", "PRODUCE", "MEAT", "NUTRITION"]}


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def bought(shop) -> pd.DataFrame:
    "Lines with goods going out, of known customers, with their department."
    log = shop.query("SELECT t.customer_id, t.local_date, t.amount::DOUBLE AS amount, t.quantity, p.department FROM transactions t LEFT JOIN products p USING (product_id)")
    return log[log["customer_id"].notna() & (log["quantity"] > 0)].assign(day=lambda t: pd.to_datetime(t["local_date"]))


def test_combinations_equal_the_obvious_pandas_version(shop):
    groups, log = GROUPS[shop.name], bought(shop)
    ours = cross_shop(shop, groups)
    held = pd.DataFrame({g: log["department"].eq(g).groupby(log["customer_id"]).any() for g in groups})
    spend = log["amount"].where(log["department"].isin(groups), 0).groupby(log["customer_id"]).sum()
    label = held.apply(lambda r: " & ".join(g for g in groups if r[g]) or NOWHERE, axis=1)
    counts = label.value_counts()
    assert ours.table["customers"].to_dict() == counts.to_dict()
    sums = spend.groupby(label).sum()
    np.testing.assert_allclose(ours.table["spend"], sums[ours.table.index], atol=1e-6)
    np.testing.assert_allclose(ours.table["share_of_spend"].sum(), 1)
    low, high = proportion_confint(ours.table["customers"], counts.sum(), method="wilson")
    np.testing.assert_allclose(ours.table[["lower", "upper"]], np.column_stack([low, high]), atol=1e-12)


def test_pairs_and_groups_equal_the_obvious_sets(shop):
    groups, log = GROUPS[shop.name], bought(shop)
    ours, sets = cross_shop(shop, groups), {g: set(log.loc[log["department"] == g, "customer_id"]) for g in groups}
    for row, (a, b) in zip(ours.pairs().itertuples(), combinations(groups, 2), strict=True):
        both, either = sets[a] & sets[b], sets[a] | sets[b]
        assert (row.group_1, row.group_2, row.both, row.either) == (a, b, len(both), len(either))
        assert row.share_1 == len(both) / len(sets[a]) and row.jaccard == len(both) / len(either) and row.lower <= row.jaccard <= row.upper
    summary = ours.summary()
    assert summary["customers"].to_dict() == {g: len(s) for g, s in sets.items()}
    assert (summary.filter(like="in ").sum(axis=1) == summary["customers"]).all()


def test_an_upset_plot_has_a_bar_for_each_combination_and_its_dots(shop):
    ours = cross_shop(shop, GROUPS[shop.name])
    ax = ours.plot(top=6)
    bars, dots = ax.child_axes
    shown = ours.table[ours.table[ours.groups].any(axis=1)].head(6)
    assert [b.get_height() for b in bars.patches] == shown["customers"].tolist()
    dark = [c for c in dots.collections if c.get_zorder() == 3]
    assert [len(c.get_offsets()) for c in dark] == shown[ours.groups].sum(axis=1).tolist()
    ax.figure.canvas.draw()
    boxes = [t.get_window_extent() for t in dots.get_yticklabels()]
    assert all(box.x0 >= 0 for box in boxes) and not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert bars.get_window_extent().y0 > dots.get_window_extent().y0


def steps_by_hand(log: pd.DataFrame, warmup: int) -> pd.DataFrame:
    first = log[log["department"].notna()].groupby(["customer_id", "department"])["day"].min().reset_index()
    start = log["day"].min()
    first.loc[(first["day"] - start).dt.days < warmup, "day"] = start
    first["step"] = first.groupby("customer_id")["day"].rank(method="dense")
    moved = first.merge(first, on="customer_id", suffixes=("_from", "_to"))
    moved = moved[moved["step_to"] == moved["step_from"] + 1]
    movers = moved.groupby("department_from")["customer_id"].nunique()
    table = moved.groupby(["department_from", "department_to"]).size().rename("customers").reset_index()
    return table.assign(movers=table["department_from"].map(movers)).set_index(["department_from", "department_to"]).sort_index()


@pytest.mark.parametrize("warmup", [0, 14])
def test_paths_equal_the_obvious_pandas_version(shop, warmup):
    log = bought(shop)
    log["day"] = log["day"].where(log["day"] > pd.Timestamp(shop.query("SELECT min(local_date) AS d FROM transactions")["d"][0]), pd.Timestamp(shop.query("SELECT min(local_date) AS d FROM transactions")["d"][0]))
    ours, hand = purchase_path(shop, warmup_days=warmup), steps_by_hand(log, warmup)
    table = ours.table.set_index(["from_item", "to_item"]).sort_index()
    assert table.index.tolist() == hand.index.tolist()
    assert (table[["customers", "movers"]].to_numpy() == hand.to_numpy()).all()
    assert table["probability"].between(table["lower"], table["upper"]).all()
    few = purchase_path(shop, warmup_days=warmup, min_customers=2).table
    assert few["customers"].ge(2).all() and len(few) == (hand["customers"] >= 2).sum()


def test_ranks_equal_those_by_hand_and_agreement_is_kendalls():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"spend": rng.gamma(2, 1, 30), "growth": rng.normal(size=30), "returns": rng.integers(0, 5, 30)}, index=[f"i{i}" for i in range(30)])
    ours = composite_rank(frame, {"spend": "high", "growth": "high", "returns": "low"})
    ranks = pd.DataFrame({"spend": frame["spend"].rank(ascending=False, method="min"), "growth": frame["growth"].rank(ascending=False, method="min"), "returns": frame["returns"].rank(method="min")})
    np.testing.assert_allclose(ours.table["score"], ranks.mean(axis=1))
    assert (ours.table["rank"] == ranks.mean(axis=1).rank(method="min")).all() and (ours.table["best"] <= ours.table["worst"]).all()
    w, p = kendalls_w(np.column_stack([np.arange(1., 11)] * 3))
    assert w == pytest.approx(1) and p == pytest.approx(chi2.sf(3 * 9, 9))
    noise = [kendalls_w(np.column_stack([rng.permutation(np.arange(1., 13)) for _ in range(4)]))[1] for _ in range(400)]
    assert .01 <= np.mean(np.array(noise) < .05) <= .09


def test_distances_are_those_on_a_globe():
    assert distance_km(52.52, 13.405, 48.8566, 2.3522) == pytest.approx(878, abs=2) # Berlin to Paris
    assert distance_km(0, 0, 0, 180) == pytest.approx(np.pi * 6371.0088) and distance_km(10, 20, 10, 20) == 0
    tables = corner_tables()
    tables["customers"] = tables["customers"].assign(latitude=52.52, longitude=13.405)
    tables["customers"].loc[0, "latitude"] = None
    tables["stores"] = pd.concat([tables["stores"].assign(latitude=52.5, longitude=13.4), tables["stores"].assign(store_id="far", latitude=48.8566, longitude=2.3522)])
    near = nearest_store(load_shop(tables, timestamps="local"))
    assert near["km"].isna().sum() == 1 and set(near["store_id"].dropna()) == {"corner"}
    np.testing.assert_allclose(near["km"].dropna(), distance_km(52.52, 13.405, 52.5, 13.4), rtol=1e-9)


def test_across_says_what_it_cannot_do(shop):
    groups = GROUPS[shop.name]
    bare = load_shop(corner_tables()["transactions"], timestamps="local")
    nobody = load_shop(corner_tables() | {"transactions": corner_tables()["transactions"].assign(customer_id=None)}, timestamps="local")
    for call, said in [(lambda: cross_shop(shop, groups[:1]), "1 given, 1 different"), (lambda: cross_shop(shop, [groups[0]] * 2), "2 given, 1 different"),
                       (lambda: cross_shop(shop, [groups[0], "NAILS"]), "1 of 2 levels have no line, the first 'NAILS'"), (lambda: cross_shop(nobody, ["BAKERY", "DRINKS"]), "nobody shops across"),
                       (lambda: cross_shop(shop, groups, as_of="1999-01-01"), "before the first line"), (lambda: purchase_path(shop, as_of="1999-01-01"), "before the first line"),
                       (lambda: cross_shop(shop, groups, by="shoe_size"), "shoe_size"), (lambda: composite_rank(pd.DataFrame({"a": [1., None]}), {"a": "high"}), "1 of 2 items have a gap"),
                       (lambda: composite_rank(pd.DataFrame({"a": [1.]}), {"b": "high"}), "not in the frame, the first 'b'"), (lambda: composite_rank(pd.DataFrame({"a": [1.]}), {"a": "up"}), "not 'up'")]:
        with pytest.raises(ValueError, match=said):
            call()
    for call in (lambda: cross_shop(bare, ["BAKERY", "DRINKS"]), lambda: purchase_path(bare)):
        with pytest.raises(ContractError, match="0 rows of products"):
            call()
    with pytest.raises(ContractError, match="no column latitude"):
        nearest_store(shop)
    assert purchase_path(nobody).table.empty and purchase_path(nobody).plot() is not None


def test_the_future_changes_nothing_across():
    tables = corner_tables()
    later = tables["transactions"].tail(1).assign(timestamp=pd.Timestamp("2025-01-01"), transaction_id="late", product_id=tables["products"]["product_id"].iloc[0])
    longer = load_shop({**tables, "transactions": pd.concat([tables["transactions"], later])}, timestamps="local")
    for call in (lambda s: cross_shop(s, GROUPS["corner"], as_of="2024-02-10"), lambda s: purchase_path(s, as_of="2024-02-10")):
        pd.testing.assert_frame_equal(call(longer).table, call(load_shop(tables, timestamps="local")).table)
