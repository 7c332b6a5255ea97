"""First-tier profiles: the obvious pandas version of every column, shards, bad input, and what must not leave the house."""

import os
from datetime import date
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from retail_insight.contract import corner_tables, load_shop, map_shards
from retail_insight.profile import (
    build_profiles,
    columns_of,
    cut_points,
    merge_small_groups,
    pseudonymise,
    publish,
    rfm_scores,
    suppress_cells,
    when_and_how_much,
)
from retail_insight.profile.privacy import ladder

DATA = os.environ.get("RETAIL_INSIGHT_DATA")
MONEY = ["spend", "spend_last", "spend_before", "returned"]


@pytest.fixture(scope="module")
def retail():
    path = Path(DATA or "") / "online_retail" / "transactions.parquet"
    if not DATA or not path.exists():
        pytest.skip("RETAIL_INSIGHT_DATA does not name the folder of the benchmark data")
    return load_shop(path, columns="online_retail")


# Every column, the obvious way --------------------------------------------------------------------------------------


def top_three(counts: pd.DataFrame, kind: str) -> pd.DataFrame:
    "The three largest kinds of each customer, the smaller name first where they are equal."
    counts = counts.sort_values(["customer_id", "n", kind], ascending=[True, False, True])
    place, share = counts.groupby("customer_id").cumcount(), counts["n"] / counts.groupby("customer_id")["n"].transform("sum")
    out = {}
    for i, nth in enumerate(("main", "second", "third")):
        at = counts[place == i].set_index("customer_id")
        out[f"{nth}_{kind}"], out[f"{nth}_{kind}_share"] = at[kind], share[place == i].set_axis(at.index)
    return pd.DataFrame(out)


def by_hand(shop, day: date, period: int) -> pd.DataFrame:
    "Every column of a profile but the scores, in pandas."
    log, today = shop.query("FROM transactions WHERE customer_id IS NOT NULL"), pd.Timestamp(day)
    log["local_date"] = pd.to_datetime(log["local_date"])
    log = log[log["local_date"] <= today].copy()
    log["sold"] = (log["quantity"] >= 0) & (log["amount"] >= 0)
    cents = (log["amount"] * 100).round().astype("int64")
    log = log.assign(cents=cents, sale=cents.where(log["sold"], 0), gave=(log["discount"] * 100).round().where(log["sold"], 0),
                     coupons=(log["coupon"] * 100).round().where(log["sold"], 0))
    weighed = log["unit"].notna() & (log["unit"] != "each")
    log["items"] = log["quantity"].clip(upper=48).where(log["sold"] & ~weighed)
    people = log.groupby("customer_id")
    out = pd.DataFrame(index=people.size().index)

    receipts = log.groupby(["customer_id", "transaction_id"]).agg(day=("local_date", "min"), hour=("hour", "min"), store=("store_id", "min"),
        channel=("channel", "min"), cents=("cents", "sum"), lines=("cents", "size")).reset_index()
    days = receipts.groupby(["customer_id", "day"]).agg(receipts=("cents", "size"), cents=("cents", "sum")).reset_index()
    days["gap"] = days.groupby("customer_id")["day"].diff().dt.days
    by_day = days.groupby("customer_id")
    out["first_visit"], out["last_visit"], out["visits"] = by_day["day"].min(), by_day["day"].max(), by_day.size()
    out["recency_days"], out["tenure_days"] = (today - out["last_visit"]).dt.days, (today - out["first_visit"]).dt.days
    gaps = by_day["gap"]
    out["mean_gap_days"], out["median_gap_days"], out["sd_gap_days"] = gaps.mean(), gaps.median(), gaps.std()
    ratio = (out["sd_gap_days"] / out["mean_gap_days"]).where(gaps.count() >= 3)
    out["regularity"] = (1 - ratio) / (1 + ratio)
    out["two_receipt_days_share"] = days["receipts"].gt(1).groupby(days["customer_id"]).mean()
    for d in range(7):
        out[f"weekday_{d + 1}_share"] = days["day"].dt.day_of_week.eq(d).groupby(days["customer_id"]).mean()
    ages = (today - days["day"]).dt.days
    for name, part in (("last", ages < period), ("before", (ages >= period) & (ages < 2 * period))):
        out[f"visits_{name}"] = part.groupby(days["customer_id"]).sum()
        out[f"spend_{name}"] = days["cents"].where(part, 0).groupby(days["customer_id"]).sum() / 100
    out["visits_trend"] = (out["visits_last"] - out["visits_before"]) / (out["visits_last"] + out["visits_before"]).replace(0, np.nan)
    out["spend_trend"] = (out["spend_last"] - out["spend_before"]) / (out["spend_last"].abs() + out["spend_before"].abs()).replace(0, np.nan)
    new, last, before = out["tenure_days"] < period, out["visits_last"] > 0, out["visits_before"] > 0
    out["status"] = np.select([new, last & before, last, before], ["new", "retained", "returned", "lapsed"], "gone")

    out["receipts"], out["lines"], out["spend"] = receipts.groupby("customer_id").size(), people.size(), people["cents"].sum() / 100
    out["items"] = people["items"].sum(min_count=1)
    sold_lines, sales = people["sold"].sum().replace(0, np.nan), people["sale"].sum().where(people["sold"].sum() > 0)
    out["mean_basket"], out["median_basket"] = out["spend"] / out["receipts"], receipts.groupby("customer_id")["cents"].median() / 100
    out["basket_lines"], out["basket_items"] = out["lines"] / out["receipts"], out["items"] / out["receipts"]
    out["return_lines"] = (~log["sold"]).groupby(log["customer_id"]).sum()
    out["returned"] = -log["cents"].where(~log["sold"], 0).groupby(log["customer_id"]).sum() / 100
    out["return_share"] = (sales - people["cents"].sum()) / sales.replace(0, np.nan)
    empty = pd.Series(np.nan, index=out.index)
    has = shop.columns("transactions")
    gave = people["gave"].sum()
    out["discount_share"] = gave / (sales + gave).replace(0, np.nan) if "discount" in has else empty
    out["discounted_lines_share"] = (log["sold"] & (log["discount"] > 0)).groupby(log["customer_id"]).sum() / sold_lines if "discount" in has else empty
    out["coupon_share"] = people["coupons"].sum() / sales.replace(0, np.nan) if "coupon" in has else empty
    for h in range(24):
        out[f"hour_{h:02}_share"] = receipts["hour"].eq(h).where(receipts["hour"].notna()).astype(float).groupby(receipts["customer_id"]).mean()

    sold = log[log["sold"]].merge(shop.query("SELECT product_id, department, category, own_brand FROM products"), on="product_id", how="left")
    out["products"] = sold.groupby("customer_id")["product_id"].nunique()
    for kind, plural in (("department", "departments"), ("category", "categories")):
        counts = sold[sold[kind].notna()].groupby(["customer_id", kind]).size().rename("n").reset_index()
        ns = counts.groupby("customer_id")["n"]
        out[plural], out[f"effective_{plural}"] = ns.size(), ns.sum() ** 2 / ns.agg(lambda n: (n ** 2).sum())
        out = out.join(top_three(counts, kind))
    own = sold[sold["own_brand"].notna()]
    out["own_brand_share"] = own["own_brand"].astype(float).groupby(own["customer_id"]).mean()
    out["category_reach"] = out["categories"] / (shop.query("SELECT count(DISTINCT category) AS n FROM products")["n"][0] or np.nan)
    if shop.has("promotions"):
        spans = shop.query("SELECT DISTINCT product_id, store_id, start_date, end_date FROM promotions SEMI JOIN transactions USING (product_id)")
        spans["end_date"], spans["start_date"] = pd.to_datetime(spans["end_date"]), pd.to_datetime(spans["start_date"])
        keyed = sold.reset_index()[["index", "product_id", "store_id", "local_date"]].merge(spans, on=["product_id", "store_id"])
        hit = keyed.loc[keyed["local_date"].between(keyed["start_date"], keyed["end_date"]), "index"].unique()
        out["promotion_share"] = pd.Series(sold.index.isin(hit), sold.index).groupby(sold["customer_id"]).mean()
    else:
        out["promotion_share"] = empty
    for kind, plural, source in (("store", "stores", "store"), ("channel", None, "channel")):
        counts = receipts[receipts[source].notna()].groupby(["customer_id", source]).size().rename("n").reset_index()
        top = top_three(counts.rename(columns={source: kind}), kind)
        out = out.join(top[[f"main_{kind}", f"main_{kind}_share"]])
        if plural:
            out[plural] = counts.groupby("customer_id").size()
    known = receipts[receipts["channel"].notna()]
    out["online_share"] = known["channel"].eq("online").groupby(known["customer_id"]).mean()
    return out


def assert_by_hand(shop, day: date, period: int = 91):
    ours, hand = build_profiles(shop, day, period_days=period).frame, by_hand(shop, day, period)
    told = columns_of(ours)
    assert set(hand) == {c for a in ("when", "what", "where") for c in told[a]} - {"main_store_open"} | {"category_reach"}
    assert ours.index.equals(hand.index)
    for column in hand:
        left, right = ours[column], hand[column]
        if column in MONEY:
            assert (left.to_numpy(float).round(2) == right.to_numpy(float).round(2)).all(), column
        elif pd.api.types.is_numeric_dtype(left) and pd.api.types.is_numeric_dtype(right):
            np.testing.assert_allclose(left.to_numpy(float), right.to_numpy(float), rtol=1e-9, atol=1e-12, err_msg=column)
        else:
            assert left.astype(object).where(left.notna(), None).tolist() == right.astype(object).where(right.notna(), None).tolist(), column


@pytest.mark.parametrize("day", ["2024-01-20", "2024-02-25"])
def test_every_column_of_the_corner_shop_by_hand(day):
    assert_by_hand(load_shop("corner"), date.fromisoformat(day), 28)


@pytest.mark.parametrize("day", ["2017-09-30", "2017-12-31"])
def test_every_column_of_a_real_shop_by_hand(journey, day):
    assert_by_hand(journey, date.fromisoformat(day))


def test_every_column_of_a_log_without_hours_stores_and_departments_by_hand(retail):
    assert_by_hand(retail, retail.as_of)


def test_scores_by_hand(journey):
    ours = build_profiles(journey)
    frame = ours.frame
    for score, values, parts in (("R", -frame["recency_days"], 5), ("F", frame["visits"], 5), ("M", frame["spend"], 5), ("spend_decile", frame["spend"], 10)):
        cuts = [values.quantile(i / parts) for i in range(1, parts)]
        assert (frame[score] == 1 + sum((values > cut).astype(int) for cut in cuts)).all(), score
    heavy = frame["spend"] > frame["spend"].quantile(.8)
    assert (frame["spend_class"].eq("heavy") == heavy).all() and frame["spend_class"].eq("light").sum() == frame["spend"].le(frame["spend"].quantile(.5)).sum()
    peers = frame.groupby("household_size", observed=True)["spend_last"].transform(lambda s: s.quantile(.8)).astype(float)
    expected = (frame["spend_last"] / peers).clip(0, 1)
    np.testing.assert_allclose(frame["wallet_share"], expected, rtol=1e-9)


def test_who_is_the_customer_table_and_says_why_it_is_empty(journey):
    frame, table = build_profiles(journey).frame, journey.query("FROM customers").set_index("customer_id")
    assert frame["known"].sum() == frame.index.isin(table.index).sum() == 801
    for column in table:
        pd.testing.assert_series_equal(frame.loc[frame["known"], column].astype(str), table[column].reindex(frame.index[frame["known"]]).astype(str))
        assert frame.loc[~frame["known"], column].isna().all()
    said = build_profiles(load_shop("corner")).who()
    assert said.loc["dan", "income_band"] == "none" and (said.loc["eve"] == "unknown").all()


# The whole and its parts --------------------------------------------------------------------------------------------


def rows_of(shop, cuts):
    return build_profiles(shop, cuts=cuts).to_frame()


def test_shards_make_every_column_of_the_whole(journey):
    cuts = cut_points(when_and_how_much(journey))
    made = map_shards(rows_of, journey, figures={"cuts": cuts}, shards=3, workers=1)
    pd.testing.assert_frame_equal(made, build_profiles(journey).to_frame(), check_exact=True)


def test_scores_of_a_shard_are_those_of_the_whole(journey):
    whole = build_profiles(journey).frame
    cuts = cut_points(whole)
    pd.testing.assert_frame_equal(cuts, cut_points(when_and_how_much(journey)))
    parts = pd.concat([rfm_scores(part, cuts) for _, part in whole.groupby(np.arange(len(whole)) % 7)])
    pd.testing.assert_frame_equal(parts.sort_index(), whole[["R", "F", "M"]])
    assert whole["R"].value_counts(normalize=True).between(0.1, 0.3).all()


def test_the_future_changes_nothing():
    tables = corner_tables()
    later = tables["transactions"].tail(1).assign(timestamp=pd.Timestamp("2025-01-01"), amount=999.0, transaction_id="late")
    longer = load_shop({**tables, "transactions": pd.concat([tables["transactions"], later])}, timestamps="local")
    now = build_profiles(load_shop(tables, timestamps="local"), "2024-02-20")
    pd.testing.assert_frame_equal(build_profiles(longer, "2024-02-20").frame, now.frame)


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_promotion_told_twice_counts_once(everywhere):
    tables = corner_tables()
    more = tables["promotions"].assign(mailer="front page", store_id=None if everywhere else "corner")
    once, twice = (build_profiles(load_shop(tables | {"promotions": p}, timestamps="local")).frame for p in (tables["promotions"], pd.concat([tables["promotions"], more, more])))
    pd.testing.assert_frame_equal(once, twice)
    assert once.loc["eve", "promotion_share"] == 0.6


# Bad input ----------------------------------------------------------------------------------------------------------


def corner_without(*names, **replaced):
    return load_shop({n: t for n, t in corner_tables().items() if n not in names} | replaced, timestamps="local")


def test_one_line_is_a_profile():
    frame = build_profiles(corner_without(transactions=corner_tables()["transactions"].query("customer_id == 'eve'").head(1))).frame
    assert frame.loc["eve", "visits"] == 1 and frame.loc["eve", ["median_gap_days", "sd_gap_days", "regularity"]].isna().all()
    assert frame.loc["eve", "effective_categories"] == 1 and frame.loc["eve", "status"] == "new"


def test_without_customers_or_products_their_columns_are_empty():
    whole = build_profiles(load_shop("corner")).frame
    for lost in ("customers", "products"):
        frame = build_profiles(corner_without(lost)).frame
        gone = [c for c in whole if frame[c].isna().all() and not whole[c].isna().all()]
        kinds = {"main_department", "main_category", "effective_categories", "own_brand_share", "category_reach"}
        assert set(gone) >= (kinds if lost == "products" else {"age_band", "sex", "region", "income_band"})
        kept = [c for c in whole if c not in gone and c != "known"]
        pd.testing.assert_frame_equal(frame[kept], whole[kept], check_dtype=False)
        assert frame["known"].any() == (lost == "products")


def test_a_null_category_does_not_compete():
    products = corner_tables()["products"].copy()
    products.loc[products["category"] == "BEER", "category"] = None
    frame = build_profiles(corner_without(products=products)).frame
    assert frame.loc["dan", "main_category"] == "SNACKS" and frame.loc["dan", "main_category_share"] == 1 and frame.loc["dan", "products"] == 2


def test_all_lines_anonymous_is_said():
    shop = corner_without(transactions=corner_tables()["transactions"].assign(customer_id=None))
    for call in (build_profiles, when_and_how_much):
        with pytest.raises(ValueError, match="no line up to 2024-02-24 has a customer_id, so there is nobody to profile"):
            call(shop)


def test_a_day_before_the_log_is_said(journey):
    with pytest.raises(ValueError, match="as_of=2015-01-01 is before the first line"):
        build_profiles(journey, "2015-01-01")


@pytest.mark.parametrize("closed, still_open", [("2024-02-01", False), ("2024-02-24", True), ("2030-01-01", True), (None, None)])
def test_a_store_that_closes_is_told(closed, still_open):
    stores = corner_tables()["stores"].assign(closed=pd.to_datetime(closed))
    frame = build_profiles(corner_without(stores=stores)).frame
    assert (frame["main_store"] == "corner").all()
    assert frame["main_store_open"].isna().all() if still_open is None else frame["main_store_open"].eq(still_open).all()


def test_only_returns_are_a_profile():
    lines = corner_tables()["transactions"].query("customer_id == 'ben' and quantity < 0")
    frame = build_profiles(corner_without(transactions=lines)).frame
    assert frame.loc["ben", ["return_lines", "returned", "spend"]].tolist() == [1, 8.9, -8.9]
    assert frame.loc["ben", ["products", "main_category", "promotion_share", "discount_share"]].isna().all()


def test_a_column_of_the_shops_own_may_have_any_name():
    who = corner_tables()["customers"].assign(spend=1.0, segment="A", **{'we"ird; DROP': 2})
    frame = build_profiles(corner_without(customers=who)).frame
    assert frame.columns.is_unique and frame.loc["ana", ["customers_spend", "customers_segment", 'we"ird; DROP']].tolist() == [1.0, "A", 2]


def test_a_log_of_returns_and_strangers(retail):
    frame = build_profiles(retail).frame
    assert frame["return_lines"].sum() > 0 and frame["region"].notna().all() and frame["main_department"].isna().all()
    assert len(frame) == retail.query("SELECT count(DISTINCT customer_id) AS n FROM transactions")["n"][0]


# Out of the house ---------------------------------------------------------------------------------------------------


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


# An attack ----------------------------------------------------------------------------------------------------------

NARROW = ["segment", "spend", "visits", "age_band", "household_size"]


@pytest.fixture(scope="module")
def profiles(journey):
    return build_profiles(journey)


def in_its_words(published, people) -> pd.DataFrame:
    "What the publication would say of each of these people."
    return pd.DataFrame({c: published.ladders[c][i].loc[people] for c, i in published.levels.items()})


def without(profiles, people):
    return type(profiles)(profiles.frame.drop(index=people), profiles.cuts, profiles.as_of)


@pytest.mark.parametrize("columns, sample", [(NARROW, 0.5), (NARROW, 1.0), (None, 0.5)])
def test_whoever_knows_any_of_the_columns_finds_ten_or_nobody(profiles, columns, sample):
    out = publish(profiles, key="secret", columns=columns, sample=sample)
    assert len(out.frame) >= 0.85 * out.counts["drawn"]
    people = in_its_words(out, out.ladders[next(iter(out.levels))][0].index)
    names = list(out.levels)
    for size in range(1, len(names) + 1):
        for known in combinations(names, size):
            rows = out.frame.groupby(list(known)).size().rename("rows").reset_index()
            found = people.merge(rows, on=list(known), how="left")["rows"].dropna()
            assert len(found) and found.min() >= 10, known


def test_nothing_published_is_exact(profiles):
    out = publish(profiles, key="secret")
    ids = set(profiles.frame.index.astype(str))
    exact = {str(v) for c in ("spend", "first_visit", "mean_basket") for v in profiles.frame[c]}
    assert list(out.frame) == ["customer", *out.levels] and not set(out.frame["customer"]) & ids
    for column in out.levels:
        assert not set(out.frame[column]) & exact and out.frame[column].value_counts().min() >= 10
    assert out.frame["customer"].is_monotonic_increasing and out.frame["customer"].is_unique


def largest_drop(first, second) -> tuple:
    "The class that an attacker takes for that of the one who left: the one that lost most rows."
    names = list(first.levels)
    counts = [p.frame.groupby(names).size() for p in (first, second)]
    return counts[0].sub(counts[1], fill_value=0).idxmax()


def guessed(profiles, targets, sample: float) -> float:
    "How often subtracting a publication without somebody from one with them gives their class away."
    with_all = publish(profiles, key="secret", columns=NARROW[:3], sample=sample)
    truth = pd.DataFrame({c: ladder(profiles.frame[c])[i].loc[targets] for c, i in with_all.levels.items()})
    hits = [largest_drop(with_all, publish(without(profiles, [who]), key="secret", columns=NARROW[:3], sample=sample, levels=with_all.levels)) == tuple(truth.loc[who])
            for who in targets]
    return float(np.mean(hits))


def test_subtracting_two_publications_gives_nobody_away(profiles):
    published = publish(profiles, key="secret", columns=NARROW[:3], sample=1.0)
    targets = published.ladders["spend"][0].index[::60]
    classes = published.frame.groupby(NARROW[:3]).size()
    assert guessed(profiles, targets, 1.0) > 0.8  # the attack works on what is not a sample
    luck = classes.max() / classes.sum()          # always naming the largest class
    assert guessed(profiles, targets, 0.5) <= luck + 3 * np.sqrt(luck / len(targets))


def test_pseudonyms_cannot_be_followed(journey, profiles):
    out = publish(profiles, key="secret", columns=NARROW)
    same = publish(profiles, key="secret", columns=NARROW)
    pd.testing.assert_frame_equal(out.frame, same.frame)
    others = {"without somebody": publish(without(profiles, profiles.frame.index[:1]), key="secret", columns=NARROW),
              "another day": publish(build_profiles(journey, "2017-12-30"), key="secret", columns=NARROW),
              "another grouping": publish(profiles, key="secret", columns=NARROW[:2]),
              "another key": publish(profiles, key="other", columns=NARROW)}
    for name, other in others.items():
        assert not set(out.frame["customer"]) & set(other.frame["customer"]), name


def test_two_days_leave_ten_candidates_on_each(journey, profiles):
    before = publish(build_profiles(journey, "2017-11-30"), key="secret", columns=NARROW)
    after = publish(profiles, key="secret", columns=NARROW, levels=before.levels)
    assert before.levels == after.levels
    for out in (before, after):
        rows = out.frame.groupby(list(out.levels)).size().rename("rows").reset_index()
        found = in_its_words(out, out.ladders["spend"][0].index).merge(rows, how="left")["rows"].dropna()
        assert found.min() >= 10


@pytest.mark.parametrize("seed", range(6))
def test_hidden_cells_stay_hidden_under_the_totals(seed):
    counts = np.random.default_rng(seed).poisson([[3, 12, 30, 8], [15, 2, 9, 40], [25, 18, 14, 5]])
    shown = suppress_cells(pd.DataFrame(counts, index=list("abc"), columns=list("wxyz")), k=10)
    inner, rows, columns = shown.iloc[:-1, :-1].to_numpy(), shown["total"].to_numpy()[:-1], shown.loc["total"].to_numpy()[:-1]
    assert not ((inner > 0) & (inner < 10)).any() and min(rows.min(), columns.min()) >= 10
    hidden = np.isnan(inner)
    assert hidden.any()
    unknown = np.argwhere(hidden)
    rules = np.array([unknown[:, 0] == i for i in range(len(rows))] + [unknown[:, 1] == j for j in range(len(columns))], dtype=float)
    left = np.concatenate([rows - np.nansum(inner, axis=1), columns - np.nansum(inner, axis=0)])
    for cell in range(len(unknown)):
        goal = np.eye(len(unknown))[cell]
        least, most = (sign * linprog(sign * goal, A_eq=rules, b_eq=left, bounds=(0, None)).fun for sign in (1, -1))
        assert most - least >= 10 - 1e-6


def test_a_published_table_has_no_small_cell(profiles):
    out = publish(profiles, key="secret", columns=["segment"], tables=[("segment", "age_band"), ("status", "household_size")])
    for table in out.tables.values():
        assert not ((table > 0) & (table < 10)).any().any()


@pytest.mark.parametrize("given, said", [(dict(key=""), "key is empty"), (dict(key="x", k=1), "k is at least 2"), (dict(key="x", sample=0.0), "sample is more than 0"),
                                         (dict(key="x", columns=["shoe_size"]), "have no 'shoe_size'"), (dict(key="x", columns=[]), "columns is empty")])
def test_publishing_badly_is_said(profiles, given, said):
    with pytest.raises(ValueError, match=said):
        publish(profiles, **given)


def test_a_shop_without_demographics_is_published_too(retail):
    out = publish(build_profiles(retail), key="secret")
    assert "age_band" not in out.levels and out.frame.groupby(list(out.levels)).size().min() >= 10


def test_five_customers_are_too_few():
    out = publish(build_profiles(load_shop("corner")), key="secret", tables=[("segment", "age_band")])
    assert out.frame.empty and out.counts["published"] == 0 and out.summary()["smallest class"] == 0
