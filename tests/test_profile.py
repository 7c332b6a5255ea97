"""First-tier profiles: the obvious pandas version on a real shop, shards, and what must not leave the house."""

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import corner_tables, load_shop
from retail_insight.profile import build_profiles, cut_points, merge_small_groups, pseudonymise, rfm_scores


@pytest.fixture(scope="module")
def journey():
    return load_shop("complete_journey")


def test_profiles_equal_the_obvious_pandas_version(journey):
    day = pd.Timestamp("2017-09-30")
    log = journey.query("SELECT customer_id, transaction_id, local_date, product_id, store_id, amount FROM transactions")
    log = log[log["local_date"] <= day]
    people = log.groupby("customer_id")
    days = log[["customer_id", "local_date"]].drop_duplicates().sort_values(["customer_id", "local_date"])
    ours = build_profiles(journey, day.date()).frame
    assert (ours["recency_days"] == (day - people["local_date"].max()).dt.days).all()
    assert (ours["visits"] == days.groupby("customer_id").size()).all()
    assert np.allclose(ours["spend"], people["amount"].sum())
    assert np.allclose(ours["mean_basket"], people["amount"].sum() / people["transaction_id"].nunique())
    gaps = days.set_index("customer_id")["local_date"].groupby(level=0).diff().dt.days.groupby(level=0).median()
    pd.testing.assert_series_equal(ours["median_gap_days"], gaps, check_names=False)
    store = log.groupby(["customer_id", "store_id"]).size().rename("n").reset_index()
    store = store.sort_values(["customer_id", "n", "store_id"], ascending=[True, False, True]).groupby("customer_id")["store_id"].first()
    assert (ours["main_store"] == store).all()
    assert ours["known"].sum() == ours.index.isin(journey.query("SELECT customer_id FROM customers")["customer_id"]).sum()


def test_scores_of_a_shard_are_those_of_the_whole(journey):
    whole = build_profiles(journey).frame
    cuts = cut_points(whole)
    parts = pd.concat([rfm_scores(part, cuts) for _, part in whole.groupby(np.arange(len(whole)) % 7)])
    pd.testing.assert_frame_equal(parts.sort_index(), whole[["R", "F", "M"]])
    assert whole["R"].value_counts(normalize=True).between(0.1, 0.3).all()


def test_the_future_changes_nothing():
    tables = corner_tables()
    later = tables["transactions"].tail(1).assign(timestamp=pd.Timestamp("2025-01-01"), amount=999.0, transaction_id="late")
    longer = load_shop({**tables, "transactions": pd.concat([tables["transactions"], later])}, timestamps="local")
    now = build_profiles(load_shop(tables, timestamps="local"), "2024-02-20")
    pd.testing.assert_frame_equal(build_profiles(longer, "2024-02-20").frame, now.frame)


def test_one_line_is_a_profile():
    line = corner_tables()["transactions"].query("customer_id == 'eve'").head(1)
    frame = build_profiles(load_shop(line, timestamps="local")).frame
    assert frame.loc["eve", "visits"] == 1 and np.isnan(frame.loc["eve", "median_gap_days"])


def test_pseudonyms_are_keyed_and_distinct():
    names = pseudonymise(range(2000), key="one")
    assert len(set(names)) == 2000 and not set(names) & set(pseudonymise(range(2000), key="two"))


@pytest.mark.parametrize("seed", range(20))
def test_no_small_group_can_be_taken_from_the_total(seed):
    sizes = np.random.default_rng(seed).integers(1, 30, 8)
    table = pd.DataFrame({"town": list("abcdefgh"), "customers": sizes, "spend": sizes * 2.0})
    safe = merge_small_groups(table, "town", k=10)
    assert (safe["customers"] >= 10).all()
    hidden = sizes.sum() - safe["customers"].sum()
    assert hidden == 0 or (len(safe) == 0 and hidden < 10)
    assert np.allclose(safe["spend"], safe["customers"] * 2.0)
