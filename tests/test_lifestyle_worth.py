"""The worth of the second tier: outcomes counted in pandas, nothing from after the cut, planted worth found, and shops that cannot say."""

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import corner_tables, load_shop
from retail_insight.lifestyle import judge_profiles
from retail_insight.lifestyle.taste import count_choices, taste_index
from retail_insight.lifestyle.worth import (
    View,
    both_days,
    bought_after,
    first_tier,
    foresee_items,
    item_loss,
    judged_table,
    learn_tiers,
    spend_after,
    spend_deviance,
    verdict_of,
)

DATA = os.environ.get("RETAIL_INSIGHT_DATA")
CUT = date(2017, 12, 3)


@pytest.fixture(scope="module")
def journey():
    return load_shop("complete_journey")


@pytest.fixture(scope="module")
def judged(journey):
    return judge_profiles(journey, top=6)


def test_outcomes_equal_pandas_on_complete_journey(journey):
    log = journey.query("FROM transactions").merge(journey.query("SELECT product_id, category FROM products"), how="left", on="product_id")
    log = log[log["customer_id"].notna()].astype({"amount": float})
    customers = pd.Index(sorted(log.loc[log["local_date"] <= "2017-12-03", "customer_id"].unique()), name="customer_id")
    after = log[(log["local_date"] > "2017-12-03") & (log["local_date"] <= "2017-12-31")]
    spent = after.groupby("customer_id")["amount"].sum().reindex(customers).fillna(0).clip(lower=0)
    assert np.allclose(spend_after(journey, CUT, 28, customers), spent)
    items = pd.Index(["BEEF", "SOFT DRINKS", "CHEESES"], name="category")
    pairs = after[(after["quantity"] > 0) & after["category"].isin(items)].drop_duplicates(["customer_id", "category"])
    obvious = pd.crosstab(pairs["customer_id"], pairs["category"]).reindex(index=customers, columns=items).fillna(0)
    assert (bought_after(journey, CUT, 28, customers, items).to_numpy() == obvious.to_numpy()).all()


def test_every_profile_of_complete_journey_has_a_verdict(judged):
    table = judged.summary()
    names = {"consumption pattern", "taste index", "taste space", "lifestyle segment", "demographics known", "demographics inferred too", "second tier together"}
    assert judged.as_of == CUT and not judged.left_out
    assert set(table.index.get_level_values("profile")) == names and set(table.index.get_level_values("target")) == {"spend", "categories"}
    assert table["verdict"].str.contains("first tier|foretells nothing").all()
    assert table.loc[("categories", "taste index"), "added_lower"] > 0
    assert (table["added_lower"] <= table["added"]).all() and (table["added"] <= table["added_upper"]).all()
    frame = judged.to_frame()
    mean = frame.groupby(["target", "model"])["loss"].mean()
    for (target, profile), row in table.iterrows():
        before, beside = mean[target, "first tier"], mean[target, f"first tier + {profile}"]
        assert np.isclose(row["added"], 100 * (before - beside) / before)
    assert judged.plot().get_xlabel().startswith("% of the first tier")


def test_the_index_held_still_is_the_index_of_its_day(journey):
    day = date(2017, 6, 30)
    tiers = learn_tiers(journey, day)
    logs = tiers.views(journey, day)["taste index"].items
    theirs = np.log(taste_index(journey, as_of=day).matrix() / 100)
    pd.testing.assert_frame_equal(logs.loc[theirs.index, theirs.columns], theirs, check_names=False, atol=1e-9)


def test_main_categories_and_the_last_month_equal_pandas(journey):
    customers = pd.Index(sorted(journey.query("SELECT DISTINCT customer_id FROM transactions WHERE local_date <= '2017-12-03' AND customer_id IS NOT NULL")["customer_id"]))
    choices = count_choices(journey, "category", CUT).dropna()
    counts = choices.pivot_table("n", "customer_id", "category", fill_value=0).reindex(customers, fill_value=0)
    view = first_tier(journey, CUT, 28, counts)
    for customer in customers[::400]:
        three = counts.loc[customer].sort_values(ascending=False, kind="stable").head(3)
        assert set(view.items.columns[view.items.loc[customer] == 1]) == set(three[three > 0].index)
    log = journey.query("SELECT customer_id, local_date, amount::DOUBLE AS amount FROM transactions WHERE local_date <= '2017-12-03'")
    last = log[log["local_date"] > "2017-11-05"].groupby("customer_id").agg(spend=("amount", "sum"), visits=("local_date", "nunique"))
    last = last.reindex(view.people.index).fillna(0)
    assert np.allclose(view.people["spend_last"], np.log1p(last["spend"].clip(lower=0))) and np.allclose(view.people["visits_last"], np.log1p(last["visits"]))


def test_lines_after_the_cut_change_no_view():
    tables = corner_tables()
    log = tables["transactions"]
    later = log["timestamp"] >= "2024-02-11"
    other = log.assign(amount=log["amount"].where(~later, 99.0), product_id=log["product_id"].where(~later, "beer"))
    shops = [load_shop({**tables, "transactions": t}, timestamps="local") for t in (log, log[~later], other)]
    views = [learn_tiers(s, date(2024, 1, 27)).views(s, date(2024, 2, 10)) for s in shops]
    for world in views[1:]:
        assert set(world) == set(views[0])
        for name, view in world.items():
            pd.testing.assert_frame_equal(view.people, views[0][name].people)
            if view.items is not None:
                pd.testing.assert_frame_equal(view.items, views[0][name].items)


def test_a_view_that_knows_is_told_from_one_that_does_not():
    rng, who, kinds = np.random.default_rng(0), pd.RangeIndex(900, name="customer_id"), pd.Index(["a", "b"], name="category")
    wants = rng.normal(size=(900, 2))
    before, after = ((rng.random((900, 2)) < 1 / (1 + np.exp(-1.5 * wants))).astype(int) for _ in range(2))
    knows = View(pd.DataFrame(index=who), pd.DataFrame(wants, who, kinds))
    noise = View(pd.DataFrame({"x": rng.normal(size=900)}, who), pd.DataFrame(rng.normal(size=(900, 2)), who, kinds))
    losses = {"nothing": [], "first tier": [noise], "knows": [knows], "first tier + knows": [noise, knows],
              "noise": [noise], "first tier + noise": [noise, noise]}
    frame = pd.DataFrame({("categories", name): item_loss(foresee_items([both_days(v, v, kinds) for v in views], before, 900), after)
                          for name, views in losses.items()}, index=who)
    table = judged_table(frame, .05, 0).loc["categories"]
    assert table.loc["knows", "verdict"] == "adds to the first tier" and table.loc["noise", "verdict"].startswith(("foretells nothing", "misleads"))
    assert verdict_of(pd.Series({"alone_lower": 1, "added_lower": -2, "added_upper": -1})) == "misleads beside the first tier"


def test_the_deviance_is_smallest_at_the_mean():
    spent = np.array([0.0, 0.0, 3.0, 40.0])
    at = [spend_deviance(spent, np.full(4, m)).mean() for m in (5.0, spent.mean(), 20.0)]
    assert at[1] < min(at[0], at[2])


def test_shops_that_cannot_say(journey):
    corner = load_shop("corner")
    with pytest.raises(ValueError, match=r"5 customers up to 2024-.* too few to learn from: it takes 100"):
        judge_profiles(corner, days=14)
    with pytest.raises(ValueError, match=r"days=400: the log runs from .* Choose fewer days\."):
        judge_profiles(corner, days=400)
    with pytest.raises(ValueError, match=r"as_of=2017-12-20, days=28: .* Choose an as_of from 2017-01-29 to 2017-12-03"):
        judge_profiles(journey, "2017-12-20")
    with pytest.raises(ValueError, match="days=0"):
        judge_profiles(journey, days=0)


def test_online_retail_is_judged_by_its_products():
    if not DATA or not (Path(DATA) / "online_retail").is_dir():
        pytest.skip("Online Retail is not here")
    judged = judge_profiles(load_shop(Path(DATA) / "online_retail" / "transactions.parquet", columns="online_retail"))
    assert not judged.left_out
    table = judged.summary()
    assert set(table.index.get_level_values("target")) == {"spend", "products"}
    assert table.loc[("products", "taste index"), "added_lower"] > 0, "what somebody bought tells what they will buy"
    assert {t.get_text() for t in judged.plot().get_legend().get_texts()} == {"products, next 28 days", "spend, next 28 days"}
