"""Patterns and tastes: the obvious pandas version, the future, truth recovered, and shops that cannot say."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.lifestyle import consumption_pattern, taste_index, taste_space
from retail_insight.lifestyle.cards import facts_of
from retail_insight.lifestyle.demographics import Demographics
from retail_insight.lifestyle.pattern import add_moments, basket_moments, fit_shrinkage, top_up_cut
from retail_insight.lifestyle.space import TasteSpace, fit_mixture
from retail_insight.lifestyle.taste import (
    ChoiceTable,
    choice_loss,
    count_choices,
    customer_position,
    fit_shapes,
    shrunken_index,
)
from retail_insight.timing import check_summary

DATA = os.environ.get("RETAIL_INSIGHT_DATA")


@pytest.fixture(scope="module")
def online():
    if not DATA or not (Path(DATA) / "online_retail").is_dir():
        pytest.skip("Online Retail is not here")
    return load_shop(Path(DATA) / "online_retail" / "transactions.parquet", columns="online_retail")


def purchases(shop):
    log, products = (shop.query(f"SELECT * FROM {t}") for t in ("transactions", "products"))
    log = log[log["customer_id"].notna() & (log["quantity"] > 0)]
    return log.merge(products[["product_id", "category", "type", "own_brand"]], how="left", on="product_id")


def line(**changes):
    return corner_tables()["transactions"].query("customer_id == 'eve'").head(1).assign(**changes)


@pytest.mark.parametrize("by", ["category", "own_brand", "price_band"])
def test_choices_equal_the_obvious_pandas_version(shop, by):
    log = purchases(shop)
    if by == "own_brand":
        log[by] = log[by].map({True: "own brand", False: "other brands"})
    if by == "price_band":
        every = shop.query("""SELECT product_id, coalesce("type", category) AS kind, ((amount + discount) * 100)::BIGINT AS cents, quantity
                              FROM transactions JOIN products USING (product_id) WHERE quantity > 0""")
        sums = every.groupby(["product_id", "kind"])[["cents", "quantity"]].sum().reset_index()
        sums = sums.assign(price=sums["cents"] / 100 / sums["quantity"]).sort_values(["kind", "price", "product_id"])
        place, size = sums.groupby("kind").cumcount(), sums.groupby("kind")["price"].transform("size")
        big, rest = size // 3, size % 3  # SQL's ntile gives the first thirds one more
        ends = [big + (rest > 0), 2 * big + (rest > 0) + (rest > 1)]
        band = np.select([place < ends[0], place < ends[1]], ["low", "middle"], "high")
        sums = sums.assign(price_band=np.where(size >= 3, band, None))
        log = log.merge(sums[["product_id", "price_band"]], how="left", on="product_id")
        if not log[by].notna().any():
            with pytest.raises(ContractError, match="a product with a price_band"):
                count_choices(shop, by)
            return
    obvious = log.dropna(subset=[by]).groupby(["customer_id", by])["transaction_id"].nunique()
    ours = count_choices(shop, by).dropna().set_index(["customer_id", by])["n"]
    pd.testing.assert_series_equal(ours, obvious, check_names=False, check_dtype=False)


def test_the_index_equals_the_obvious_formula(shop):
    taste = taste_index(shop)
    counts = count_choices(shop).dropna().pivot_table("n", "customer_id", "category", fill_value=0)
    expected = np.outer(counts.sum(axis=1), counts.sum()) / counts.to_numpy().sum()
    shape = taste.items["shape"].to_numpy()
    assert np.allclose(taste.matrix(), 100 * (shape + counts) / (shape + expected))
    frame = taste.frame
    assert len(frame) == (counts > 0).to_numpy().sum()
    assert np.allclose(frame["raw"], (100 * counts / expected).to_numpy()[counts.to_numpy() > 0])
    assert (frame["lower"] < frame["index"]).all() and (frame["index"] < frame["upper"]).all()
    assert (np.abs(frame["index"] - 100) <= np.abs(frame["raw"] - 100) + 1e-6).all()
    assert np.allclose(taste.shares().sum(axis=1), 1)


def test_basket_features_equal_the_obvious_pandas_version(shop):
    log = purchases(shop)
    log["kind"] = log["category"].map(lambda c: f"c{c}", na_action="ignore").fillna("p" + log["product_id"].astype(str))
    log = log.astype({"amount": float, "discount": float}).assign(offer=lambda x: x["discount"] > 0)
    baskets = log.groupby(["customer_id", "transaction_id"]).agg(
        began=("timestamp", "min"), day=("local_date", "min"), weekday=("iso_weekday", "min"), hour=("hour", "min"), products=("product_id", "nunique"),
        kinds=("kind", "nunique"), spend=("amount", "sum"), saved=("discount", "sum"), lines=("line", "size"), offers=("offer", "sum"))
    baskets = baskets.reset_index().sort_values(["customer_id", "day", "began", "transaction_id"])
    small = baskets["products"].quantile(.33, interpolation="lower")
    who = baskets["customer_id"]
    gap = baskets["day"].groupby(who).diff().dt.days.replace(0, np.nan)
    obvious = pd.DataFrame({
        "size": np.log(baskets["products"]), "top_up": baskets["products"] <= small, "variety": np.log(baskets["kinds"] / baskets["products"]),
        "price": np.log((baskets["spend"] / baskets["products"]).where(baskets["spend"] > 0)), "gap": np.log(gap), "weekend": baskets["weekday"] >= 6,
        "sunday": baskets["weekday"] == 7, "morning": baskets["hour"] < 11, "evening": baskets["hour"] >= 17, "late": baskets["hour"] >= 20,
        "offers": baskets["offers"] / baskets["lines"],
        "saving": (baskets["saved"] / (baskets["spend"] + baskets["saved"])).where(baskets["spend"] + baskets["saved"] > 0)}).astype(float)
    log_gap = np.log(gap)
    obvious["uneven"] = (log_gap - log_gap.groupby(who).ffill().groupby(who).shift()).abs()
    assert abs(top_up_cut(shop) - small) <= 1
    ours = add_moments(basket_moments(shop, None, small))
    assert np.allclose(ours["mean"][obvious.columns], obvious.groupby(who).mean(), equal_nan=True)
    assert np.allclose(ours["ss"][obvious.columns], obvious.groupby(who).var(ddof=0).fillna(0) * obvious.groupby(who).count(), atol=1e-6)
    assert (ours["n"][obvious.columns] == obvious.groupby(who).count()).all(axis=None)


def test_the_future_changes_nothing():
    tables, day = corner_tables(), "2024-02-10"
    log = tables["transactions"]
    later = log[log["timestamp"] >= "2024-02-11"]
    other = later.assign(product_id="beer", customer_id="ana", amount=99.0, discount=5.0, timestamp=later["timestamp"].dt.normalize())
    worlds = [load_shop({**tables, "transactions": t}, timestamps="local") for t in
              (log, log[log["timestamp"] < "2024-02-11"], pd.concat([log[log["timestamp"] < "2024-02-11"], other]))]
    patterns, tastes, bands = ([f(w) for w in worlds] for f in (
        lambda w: consumption_pattern(w, day).scores, lambda w: taste_index(w, as_of=day).frame, lambda w: taste_index(w, "label", day).frame))
    spaces = [taste_space(w, as_of=day).scores for w in worlds]
    for found in (patterns, tastes, bands, spaces):
        pd.testing.assert_frame_equal(found[1], found[0])
        pd.testing.assert_frame_equal(found[2], found[0])


def test_arguments_are_not_mutated_and_a_second_run_is_the_same(journey):
    first, second = (taste_space(journey, "department", 4) for _ in range(2))
    pd.testing.assert_frame_equal(first.scores, second.scores)
    assert first.names == second.names and (first.scores >= 0).all(axis=None)
    moments = add_moments(basket_moments(load_shop("corner")))
    before = moments.copy()
    fit_shrinkage(moments)
    pd.testing.assert_frame_equal(moments, before)


@pytest.mark.parametrize("seed", range(3))
def test_shapes_are_recovered_and_intervals_cover(seed):
    rng = np.random.default_rng(seed)
    shape, share = rng.uniform(.3, 4, 20), rng.dirichlet(np.full(20, 5))
    total = np.exp(rng.normal(4, 1, 3000)) + 2
    theta = rng.gamma(shape, 1 / shape, (3000, 20))
    n = rng.poisson(total[:, None] * share * theta).astype(float)
    row, col = np.nonzero(n)
    table = ChoiceTable(pd.RangeIndex(3000), pd.RangeIndex(20), row, col, n[row, col], total, share)
    found = fit_shapes(table)
    assert np.abs(np.log(found / shape)).max() < .3
    said = shrunken_index(n.ravel(), np.outer(total, share).ravel(), np.tile(found, 3000))
    inside = (said["lower"] <= 100 * theta.ravel()) & (100 * theta.ravel() <= said["upper"])
    assert abs(inside.mean() - .95) < .006
    few = np.repeat(total < 20, 20)
    assert abs(inside[few].mean() - .95) < .015


def test_a_large_item_is_a_choice_between_two():
    rng, share, shape = np.random.default_rng(5), np.array([.4, .6]), 8.
    total = np.floor(np.exp(rng.normal(3.5, 1, 4000))) + 2
    own = rng.beta(shape, shape * 1.5, 4000)
    n = np.column_stack([taken := rng.binomial(total.astype(int), own), total - taken]).astype(float)
    row, col = np.nonzero(n)
    found = fit_shapes(ChoiceTable(pd.RangeIndex(4000), pd.RangeIndex(2), row, col, n[row, col], total, share))
    assert np.abs(np.log(found / [shape, shape * 1.5])).max() < .12
    said, wide = (shrunken_index(n[:, 0], total * .4, np.full(4000, found[0]), total=t) for t in (total, np.inf))
    inside, by_poisson = (((x["lower"] <= 100 * own / .4) & (100 * own / .4 <= x["upper"])).mean() for x in (said, wide))
    assert abs(inside - .95) < .012 and by_poisson > .97  # the Poisson's interval is too wide for it
    assert said["index"].equals(wide["index"])


def test_the_likelihood_never_falls_in_the_mixture():
    rng = np.random.default_rng(1)
    counts = rng.poisson(rng.gamma(.5, 4, (60, 12))).astype(float) + np.eye(60, 12)
    def loglike(steps):
        w, h = fit_mixture(counts, 3, steps=steps, own=0, dimension=0)
        return (counts * np.log(w @ h)).sum()
    steps = [loglike(s) for s in (0, 1, 2, 5, 20, 60)]
    assert (np.diff(steps) > -1e-6).all()


def test_taste_foresees_next_month_better_than_raw_shares(journey):
    taste = taste_index(journey, as_of="2017-08-31")
    later = count_choices(journey, "category", "2017-09-30", since="2017-09-01")
    counts = taste.dense()
    def loss(x):
        return choice_loss(pd.DataFrame(x / x.sum(axis=1, keepdims=True), taste.table.customers, taste.table.items), later, "category")["loss"].mean()
    assert choice_loss(taste.shares(), later, "category")["loss"].mean() < min(loss(counts + .5), loss(counts + taste.table.share), loss(0 * counts + taste.table.share)) - .05


def test_factors_keep_their_names_and_scores_over_a_quarter(journey):
    now, before = consumption_pattern(journey), consumption_pattern(journey, "2017-09-30")
    assert now.method == "factors" and set(now.loadings) == set(before.loadings)
    assert all(now.scores[f].corr(before.scores[f]) > .8 for f in now.scores)
    few = now.baskets <= 2
    assert now.scores[few].abs().mean().mean() < .7 * now.scores[~few].abs().mean().mean()


def test_one_line_is_a_taste_but_no_pattern():
    shop = load_shop({**corner_tables(), "transactions": line()}, timestamps="local")
    taste = taste_index(shop)
    assert taste.frame["n"].tolist() == [1] and taste.frame["index"].round(6).tolist() == [100]
    assert taste_space(shop).names == ["everybody"]
    with pytest.raises(ContractError, match=r"1 customer with a basket .* no difference that can be told from chance"):
        consumption_pattern(shop)


def test_a_customer_with_one_line_stays_near_everybody(journey):
    taste = taste_index(journey)
    lone = taste.table.customers[taste.table.total == 1]
    assert len(lone) and (taste.frame[taste.frame["customer_id"].isin(lone)]["raw"] > 1000).any()
    assert (taste.frame[taste.frame["customer_id"].isin(lone)].eval("upper - lower") > 150).all()


@pytest.mark.parametrize("ask", [consumption_pattern, taste_index, taste_space])
def test_nobody_known_is_an_error_that_says_so(ask):
    tables = corner_tables()
    shop = load_shop({**tables, "transactions": tables["transactions"].assign(customer_id=None)}, timestamps="local")
    with pytest.raises(ContractError, match=r"transactions: no line up to .* has .*a customer_id"):
        ask(shop)


@pytest.mark.parametrize("ask", [consumption_pattern, taste_index, taste_space])
def test_as_of_before_the_first_line(ask):
    with pytest.raises(ValueError, match="before the first line"):
        ask(load_shop("corner"), as_of="2020-01-01")


def test_returns_alone_are_no_choice():
    shop = load_shop({**corner_tables(), "transactions": line(quantity=-1, amount=-2.8)}, timestamps="local")
    with pytest.raises(ContractError, match="there are no choices to count"):
        taste_index(shop)
    with pytest.raises(ContractError, match="a quantity above 0"):
        consumption_pattern(shop)


def test_no_customer_table_and_no_product_table():
    log = corner_tables()["transactions"]
    bare = load_shop(log, timestamps="local")
    assert consumption_pattern(bare).scores.index.tolist() == ["ana", "ben", "cleo", "dan", "eve"]
    assert taste_index(bare, "product_id").of("dan").index[0] in ("beer", "crisps")
    assert taste_space(bare, "product_id", 2).similar_customers("dan", 1).index[0] == "ben"
    for by in ("category", "price_band", "label", "own_brand"):
        with pytest.raises(ContractError, match=f"gives no {by}.*product_id"):
            taste_index(bare, by)
    with pytest.raises(ValueError, match="is no column of the products"):
        taste_index(bare, "no such thing")


def test_a_null_category_is_counted_and_is_no_taste():
    tables = corner_tables()
    products = tables["products"].assign(category=tables["products"]["category"].where(tables["products"]["product_id"] != "beer"))
    taste = taste_index(load_shop({**tables, "products": products}, timestamps="local"))
    assert "BEER" not in taste.table.items and len(taste.table.items) == 7
    whole = taste_index(load_shop("corner"))
    assert taste.unknown == pytest.approx(whole.table.share[whole.table.items.get_loc("BEER")])
    assert whole.unknown == 0


def test_a_column_with_any_name_is_quoted():
    tables = corner_tables()
    odd = 'a "column"; DROP TABLE x'
    shop = load_shop({**tables, "products": tables["products"].assign(**{odd: "$x$"})}, timestamps="local")
    taste = taste_index(shop, odd)
    assert taste.table.items.tolist() == ["$x$"]
    taste.plot("ana").figure.canvas.draw()


def test_online_retail_without_categories(online):
    pattern = consumption_pattern(online)
    assert pattern.method == "factors" and "switch" in pattern.left_out.index and np.isfinite(pattern.scores).all(axis=None)
    with pytest.raises(ContractError, match="gives no category"):
        taste_index(online)
    taste = taste_index(online, "product_id")
    assert taste.frame.groupby("customer_id")["n"].sum().sum() == taste.items["n"].sum()
    space = taste_space(online, "product_id", 6, min_buyers=20)
    assert np.allclose(space.scores.sum(axis=1), 1) and len(space.similar_products("85123A", 3)) == 3


def test_choices_by_product_of_online_retail_equal_pandas(online):
    log = online.query("SELECT customer_id, product_id, transaction_id FROM transactions WHERE customer_id IS NOT NULL AND quantity > 0")
    obvious = log.groupby(["customer_id", "product_id"])["transaction_id"].nunique()
    ours = count_choices(online, "product_id").set_index(["customer_id", "product_id"])["n"]
    pd.testing.assert_series_equal(ours, obvious, check_dtype=False, check_names=False)


def test_an_unknown_customer_is_named_by_the_plain_number():
    "A NumPy id, as a table of integers gives it, reads like the number in the shop's own files."
    known = pd.DataFrame(index=pd.Index([1, 2], name="customer_id"))
    unknown, day = np.int64(7), "2024-05-31"
    asked = {
        "customer 7 has no choice": lambda: customer_position(known.index, unknown),
        "customer 7 is not among the 2": lambda: facts_of(SimpleNamespace(frame=known, as_of=day), unknown),
        "customer 7 is neither": lambda: Demographics.of(SimpleNamespace(known=known, features=known, as_of=day), unknown),
        "product_id 7 is not among the 2": lambda: TasteSpace.similar_products(SimpleNamespace(by="product_id", dims=known.T), unknown)}
    for said, ask in asked.items():
        with pytest.raises(KeyError, match=said):
            ask()
    wrong = pd.DataFrame({"frequency": [1.0], "recency": [9.0], "age": [2.0]}, index=np.array([7]))
    with pytest.raises(ValueError, match="first 7 with"):
        check_summary(wrong)
