"""The summaries that retailers ask for: the obvious pandas version, intervals that cover, and bad input."""

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.profile import segment_index, segment_stats, threshold_segments


@pytest.fixture(scope="module", params=["corner", "complete_journey"])
def shop(request):
    return load_shop(request.param)


@pytest.fixture(scope="module")
def journey():
    return load_shop("complete_journey")


@pytest.fixture(scope="module")
def bare():
    return load_shop(corner_tables()["transactions"], timestamps="local")


@pytest.fixture(scope="module")
def nobody():
    return load_shop(corner_tables() | {"transactions": corner_tables()["transactions"].assign(customer_id=None)}, timestamps="local")


def lines(shop, *columns):
    "Every line with its product's columns, null as it is labelled."
    picked = ", ".join(["t.*", *(f"coalesce(p.{c}, '(unknown)') AS {c}" for c in columns)])
    return shop.query(f"SELECT {picked} FROM transactions t LEFT JOIN products p USING (product_id)")


def halves(shop):
    "A label for two customers of three, by their order."
    who = sorted(shop.query("SELECT DISTINCT customer_id FROM transactions WHERE customer_id IS NOT NULL")["customer_id"])
    return pd.Series([("a", "b", None)[i % 3] for i in range(len(who))], index=who)


# ---- segments


def simulated(rng, customers, effect=0.0):
    "Spend on one category and on the rest, for customers of whom 30% are in the segment."
    inside = rng.random(customers) < 0.3
    category = rng.gamma(0.7, 2, customers) * (rng.random(customers) < 0.4) * np.where(inside, np.exp(effect), 1)
    return inside, category, rng.gamma(2, 5, customers)


def frame_shop(customers, category, rest):
    ids = np.arange(customers)
    made = pd.concat([pd.DataFrame({"customer_id": ids, "product_id": p, "amount": np.round(x, 2)}) for p, x in (("c", category), ("r", rest))])
    made = made[made["amount"] > 0].reset_index(drop=True)
    stamp = pd.Timestamp("2024-01-01")
    made = made.assign(transaction_id=made["customer_id"], timestamp=stamp, quantity=1.0)
    return load_shop({"transactions": made, "products": pd.DataFrame({"product_id": ["c", "r"], "category": ["C", "R"]})}, timestamps="local")


@pytest.mark.parametrize("value", ["spend", "customers", "lines", "visits"])
def test_index_equals_the_obvious_pandas_version(shop, value):
    labels, log = halves(shop), lines(shop, "category").dropna(subset="customer_id")

    def amount(rows, keys):
        if value == "spend":
            return rows.groupby(keys)["amount"].sum().astype(float)
        if value == "lines":
            return rows.groupby(keys).size().astype(float)
        per = rows.groupby([*keys, "customer_id"])["local_date"].nunique()
        return per.groupby(level=keys).sum().astype(float) if value == "visits" else per.groupby(level=keys).size().astype(float)

    log = log.assign(segment=log["customer_id"].map(labels), every="all")
    ours = segment_index(shop, labels, by="category", value=value).table
    share = amount(log, ["segment", "category"]) / amount(log, ["segment"])
    common = amount(log, ["every", "category"]).droplevel(0) / amount(log, ["every"]).iloc[0]
    theirs = (100 * share / common.reindex(share.index.get_level_values(1)).to_numpy()).rename_axis(["segment", "level"])
    theirs = theirs.reindex(ours.index, fill_value=0.0)
    assert np.allclose(ours["index"], theirs, rtol=1e-9, equal_nan=True)


@pytest.mark.parametrize("customers", [150, 1000])
def test_intervals_of_an_index_cover_the_truth(customers):
    from retail_insight.profile.segments import log_index

    rng, hits, tried, effect = np.random.default_rng(3), 0, 600, 0.4
    big = simulated(rng, 2_000_000, effect)
    share = [big[1][w].sum() / (big[1] + big[2])[w].sum() for w in (big[0], slice(None))]
    truth = 100 * share[0] / share[1]
    for _ in range(tried):
        inside, x, rest = simulated(rng, customers, effect)
        y = x + rest
        moments = [pd.DataFrame({"x": [x[w].sum()], "xx": (x**2)[w].sum(), "xy": (x * y)[w].sum(), "y": y[w].sum(), "yy": (y**2)[w].sum()}) for w in (inside, slice(None))]
        index, se = log_index(*moments, np.array([inside.sum()]))
        hits += abs(np.log(index[0] / truth)) <= 1.96 * se[0]
    assert 0.92 <= hits / tried <= 0.975, hits / tried


def test_an_index_goes_from_shop_to_interval_and_finds_what_was_put_in():
    inside, category, rest = simulated(np.random.default_rng(5), 2000, 0.7)
    made = frame_shop(2000, category, rest)
    labels = pd.Series(np.where(inside, "in", "out"))
    found = segment_index(made, labels).table
    assert found.loc[("in", "C"), "lower"] > 100 and found.loc[("out", "C"), "upper"] < 100
    whole = segment_index(made, labels.where(labels.isna(), "all")).table
    assert np.allclose(whole[["index", "lower", "upper"]], 100)


def test_few_false_differences_are_called_when_segments_are_drawn_by_lot(journey):
    who = journey.query("SELECT DISTINCT customer_id FROM transactions ORDER BY 1")["customer_id"]
    rng, false = np.random.default_rng(11), []
    for _ in range(6):
        found = segment_index(journey, pd.Series(rng.choice(["a", "b"], len(who)), index=who), by="department").table
        false.append((found["q"] < 0.05).any())
        assert found["p"].notna().any()
    assert np.mean(false) <= 0.34


@pytest.mark.parametrize("totals", ["none", "total", "rollup", "cube"])
def test_segment_stats_equal_the_obvious_pandas_version(shop, totals):
    labels, log = halves(shop), lines(shop, "department")
    log = log.assign(segment=log["customer_id"].map(labels).fillna("(unknown)"))
    ours = segment_stats(shop, "department", segments=labels, totals=totals).table
    blocks = {"none": [(0, 0)], "total": [(0, 0), (1, 1)], "rollup": [(0, 0), (0, 1), (1, 1)], "cube": [(0, 0), (0, 1), (1, 0), (1, 1)]}[totals]
    for over_segment, over_department in blocks:
        keys = log.assign(segment="(all)" if over_segment else log["segment"], department="(all)" if over_department else log["department"])
        group = keys.groupby(["segment", "department"])
        part = ours.loc[group["amount"].sum().index]
        assert np.allclose(part["spend"], group["amount"].sum().astype(float))
        assert (part["receipts"] == group["transaction_id"].nunique()).all() and (part["customers"] == group["customer_id"].nunique()).all()
        known = keys.dropna(subset="customer_id").groupby(["segment", "department", "customer_id"])["amount"].sum().astype(float)
        each = known.groupby(level=[0, 1]).agg(["mean", "std", "size"]).reindex(part.index)
        assert np.allclose(part["spend_per_customer"], each["mean"], equal_nan=True)
        wide = (part["upper"] - part["lower"]) / 2
        many = each["size"] > 200
        assert np.allclose(wide[many], (1.96 * each["std"] / np.sqrt(each["size"]))[many], rtol=0.02)
    assert len(ours) == sum(len(log.assign(segment="x" if a else log["segment"], department="x" if b else log["department"])[["segment", "department"]].drop_duplicates()) for a, b in blocks)


def test_thresholds_cut_where_the_quantiles_lie_and_their_intervals_cover():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(400):
        cut = threshold_segments(pd.Series(rng.exponential(1, 60)), levels=[0.8], names=["low", "high"]).cuts.iloc[0]
        hits += cut["lower"] <= -np.log(0.2) <= (np.inf if np.isnan(cut["upper"]) else cut["upper"])
    assert 0.94 <= hits / 400 <= 1
    values = pd.Series(rng.permutation(1000).astype(float))
    sizes = threshold_segments(values, levels=[0.25, 0.5, 0.75], names=list("abcd")).frame.value_counts()
    assert (sizes == 250).all()


def test_segments_say_what_they_cannot_do(shop, bare, nobody):
    labels = halves(shop)
    with pytest.raises(ValueError, match="not among"):
        segment_index(shop, labels).plot("nobody's")
    with pytest.raises(ValueError, match="is not known"):
        segment_index(shop, labels, value="profit")
    with pytest.raises(ValueError, match="totals="):
        segment_stats(shop, "store_id", totals="some")
    with pytest.raises(ValueError, match="neither by nor segments"):
        segment_stats(shop)
    with pytest.raises(ContractError, match="0 rows of products"):
        segment_index(bare, pd.Series({"ana": "x"}))
    with pytest.raises(ContractError, match="0 rows of customers"):
        segment_index(bare, "sex", by="store_id")
    with pytest.raises(ValueError, match="labelled customers have a line"):
        segment_index(nobody, pd.Series({"ana": "x"}))
    with pytest.raises(ValueError, match="before the first line"):
        segment_stats(shop, "store_id", as_of="1999-01-01")
    none = segment_stats(nobody, "category").table
    assert (none["customers"] == 0).all() and none["spend_per_customer"].isna().all() and (none["anonymous_share"] == 1).all()


def test_one_customer_has_figures_and_no_interval():
    one = corner_tables()
    one["transactions"] = one["transactions"].query("customer_id == 'cleo'")
    made = load_shop(one, timestamps="local")
    table = segment_index(made, pd.Series({"cleo": "me"})).table
    assert np.allclose(table["index"], 100) and table["p"].isna().all()
    assert segment_stats(made, "category").table["lower"].isna().all()


def test_the_future_changes_no_segment_figure(shop):
    early = shop.query("SELECT min(local_date) + 20 AS d FROM transactions")["d"][0].date()
    labels = halves(shop)
    cut = shop.query("FROM transactions WHERE local_date <= $d", d=early).drop(columns=["local_date", "iso_weekday", "hour"])
    small = load_shop({"transactions": cut.assign(timestamp=cut["timestamp"]), "products": shop.query("FROM products")}, timestamps="local") if shop.name == "corner" else None
    if small is not None:
        pd.testing.assert_frame_equal(segment_index(small, labels).table, segment_index(shop, labels, as_of=early).table)
    assert segment_stats(shop, "store_id", as_of=early).table.loc["(all)", "lines"] == len(shop.query("FROM transactions WHERE local_date <= $d", d=early))
