"""The summaries that retailers ask for: the obvious pandas version, intervals that cover, and bad input."""

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.profile import (
    build_cohorts,
    churn_curve,
    days_between_purchases,
    decision_hierarchy,
    gain_loss,
    penetration,
    price_bands,
    product_association,
    purchases_per_customer,
    revenue_tree,
    revenue_tree_by,
    segment_index,
    segment_stats,
    threshold_segments,
)


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


# ---- growth

PERIODS = {"corner": (("2024-01-08", "2024-01-31"), ("2024-02-01", "2024-02-24")),
           "complete_journey": (("2017-02-01", "2017-03-31"), ("2017-08-01", "2017-09-28"))}


@pytest.mark.parametrize(("freq", "code"), [("week", "W"), ("month", "M"), ("quarter", "Q")])
def test_cohorts_equal_the_obvious_pandas_version(shop, freq, code):
    log = lines(shop).dropna(subset="customer_id")
    period = log["local_date"].dt.to_period(code)
    number = period.astype("int64")
    log = log.assign(cohort=period.groupby(log["customer_id"]).transform("min"), age=number - number.groupby(log["customer_id"]).transform("min"))
    theirs = log.groupby(["cohort", "age"]).agg(active=("customer_id", "nunique"), spend=("amount", "sum"))
    ours = build_cohorts(shop, freq=freq).table
    assert (ours["active"][ours["active"] > 0].to_numpy() == theirs["active"].to_numpy()).all()
    assert np.allclose(ours["spend"][ours["active"] > 0], theirs["spend"].astype(float))
    size = ours["active"].xs(0, level="age")
    assert (ours["customers"].groupby(level=0).first() == size).all() and size.sum() == log["customer_id"].nunique()
    assert ours["truncated"].groupby(level=0).first().sum() == 1
    ends = pd.Series({c: (pd.Period(shop.as_of, code) - pd.Period(c, code)).n + 1 for c in size.index})
    assert (ours.groupby(level=0).size() == ends).all()


def test_partial_cells_are_those_of_a_period_that_is_not_over(journey):
    assert not build_cohorts(journey, as_of="2017-09-30").table["partial"].any()
    middle = build_cohorts(journey, as_of="2017-09-15").table["partial"]
    assert middle.sum() == 9 and middle.groupby(level=0).last().all()
    assert build_cohorts(journey, warmup=3).table["truncated"].groupby(level=0).first().sum() == 3


def test_wilson_covers_small_cohorts():
    from retail_insight.profile.segments import wilson

    rng = np.random.default_rng(1)
    for p in (0.05, 0.3, 0.8):
        hits = rng.binomial(25, p, 4000)
        low, high = wilson(hits, np.full(4000, 25))
        assert 0.92 <= np.mean((low <= p) & (p <= high)) <= 1


def test_decompositions_add_up_and_are_even_handed():
    from retail_insight.profile.growth import lmdi, shapley, to_the_cent

    rng = np.random.default_rng(0)
    a, b = rng.gamma(2, 3, (500, 4)), rng.gamma(2, 3, (500, 4))
    for method in (lmdi, shapley):
        parts = method(a, b)
        assert np.allclose(parts.sum(axis=1), b.prod(axis=1) - a.prod(axis=1))
        assert np.allclose(method(b, a), -parts)
        assert np.allclose(method(a[:, ::-1], b[:, ::-1]), parts[:, ::-1])
        assert np.allclose(method(a, np.column_stack([b[:, :1], a[:, 1:]]))[:, 1:], 0)
    orders = np.zeros(4)
    from itertools import permutations
    for order in permutations(range(4)):
        now = a[0].copy()
        for k in order:
            before, now[k] = now.prod(), b[0, k]
            orders[k] += (now.prod() - before) / 24
    assert np.allclose(shapley(a[:1], b[:1])[0], orders)
    for _ in range(200):
        parts = rng.normal(0, 100, 5)
        total = round(parts.sum(), 2)
        rounded = to_the_cent(parts, total)
        assert round(rounded.sum(), 2) == total and np.abs(rounded - parts).max() < 0.0101


@pytest.mark.parametrize("items", ["units", "lines"])
def test_the_tree_equals_the_obvious_pandas_version_and_adds_up_to_the_cent(shop, items):
    first, second = PERIODS[shop.name]
    log, tree = lines(shop, "department"), revenue_tree(shop, first, second, items=items, repeats=50)
    for column, period in (("first", first), ("second", second)):
        rows = log[log["local_date"].between(*period)]
        known = rows.dropna(subset="customer_id")
        customers, visits = known["customer_id"].nunique(), len(known[["customer_id", "local_date"]].drop_duplicates())
        n = float(known["quantity"].sum()) if items == "units" else len(known)
        spend = float(known["amount"].sum())
        assert np.allclose(tree.table[column].iloc[:4], [customers, visits / customers, n / visits, spend / n])
        assert round(tree.table.loc["revenue", column], 2) == round(float(rows["amount"].sum()), 2)
    assert round(tree.table["contribution"].drop("revenue").sum(), 2) == tree.table.loc["revenue", "contribution"]
    parts = revenue_tree_by(shop, first, second, by="department", items=items)
    change = [log[log["local_date"].between(*p)].groupby("department")["amount"].sum().astype(float) for p in (first, second)]
    theirs = change[1].sub(change[0], fill_value=0)
    assert np.allclose(parts["change"].reindex(theirs.index), theirs)


def shop_of_two_periods(rng, customers):
    "Customers who come more often in the second of two months, and pay 10% more."
    rate = rng.gamma(2, 1, customers)
    visits = np.column_stack([rng.poisson(rate), rng.poisson(1.2 * rate)])
    items = np.column_stack([rng.poisson(3 * v) + v for v in visits.T])
    spend = items * rng.gamma(20, 0.1, (customers, 1)) * [1, 1.1]
    made = {f"{n}_{p}": x[:, p - 1].astype(float) for p in (1, 2) for n, x in (("visits", visits), ("items", items), ("spend", spend))}
    return pd.DataFrame(made | {f"customers_{p}": (visits[:, p - 1] > 0).astype(float) for p in (1, 2)})


def test_intervals_of_the_tree_cover_the_truth():
    from retail_insight.profile.growth import bootstrap_sums, lmdi, tree_factors

    rng, n = np.random.default_rng(4), 200
    truth = lmdi(*tree_factors(shop_of_two_periods(rng, 400_000).sum().to_frame().T))[0] / 400_000 * n
    hits = np.zeros(4)
    for i in range(150):
        sample = shop_of_two_periods(rng, n)
        low, high = np.quantile(lmdi(*tree_factors(bootstrap_sums(sample, 200, i))), [0.025, 0.975], axis=0)
        hits += (low <= truth) & (truth <= high)
    assert (hits / 150 >= 0.88).all() and hits.mean() / 150 >= 0.91, hits / 150


def moved(rows, focus, against, first, second):
    "Gains and losses in pandas, customer by customer."
    inside = rows[rows["g"].isin([*focus, *against])]
    early = inside["local_date"].between(*first)
    sums = {}
    for name, group in (("f", focus), ("c", against)):
        for period, mask in ((1, early), (2, ~early)):
            part = inside[inside["g"].isin(group) & mask]
            sums[f"{name}{period}"] = part.groupby("customer_id")["amount"].sum().astype(float)
    each = pd.DataFrame(sums).fillna(0.0)
    there = [each.index.isin(inside.loc[m, "customer_id"]) for m in (early, ~early)]
    made = dict.fromkeys(["new", "increased", "switched in", "switched out", "decreased", "lost"], 0.0)
    for (_, row), before, after in zip(each.iterrows(), *there, strict=True):
        d, e = row["f2"] - row["f1"], row["c2"] - row["c1"]
        if not before or not after:
            made["new" if not before else "lost"] += d
            continue
        s = min(d, -e) if d > 0 > e else -min(-d, e) if d < 0 < e else 0
        made["switched in" if s > 0 else "switched out"] += s
        made["increased" if d - s > 0 else "decreased"] += d - s
    return pd.Series(made)


def test_gains_and_losses_equal_the_obvious_pandas_version(shop):
    first, second = PERIODS[shop.name]
    column, focus, against = ("category", ["BREAD"], ["DAIRY", "FRUIT"]) if shop.name == "corner" else ("category", ["SOFT DRINKS"], ["BEERS/ALES", "FLUID MILK PRODUCTS"])
    log = lines(shop, column).rename(columns={column: "g"})
    rows = log[log["local_date"].between(*first) | log["local_date"].between(*second)]
    ours = gain_loss(shop, first, second, by=column, focus=focus, against=against)
    theirs = moved(rows.dropna(subset="customer_id"), focus, against, first, second)
    assert np.allclose(ours.table.loc[theirs.index, "amount"], theirs, atol=0.005)
    whole = rows[rows["g"].isin(focus)]
    change = float(whole[whole["local_date"].between(*second)]["amount"].sum() - whole[whole["local_date"].between(*first)]["amount"].sum())
    assert round(ours.table["amount"].drop("change").sum(), 2) == round(change, 2) == ours.table.loc["change", "amount"]
    everything = gain_loss(shop, first, second)
    assert everything.table.loc[["switched in", "switched out"], "amount"].eq(0).all()


def test_intervals_of_gains_are_those_of_a_bootstrap(journey):
    first, second = PERIODS["complete_journey"]
    ours = gain_loss(journey, first, second).table
    log = lines(journey)
    rows = log[log["local_date"].between(*first) | log["local_date"].between(*second)]
    sign = np.where(rows["local_date"].between(*first), -1, 1)
    each = (rows["amount"].astype(float) * sign).groupby(rows["customer_id"]).sum().to_numpy()
    rng = np.random.default_rng(0)
    drawn = [each[rng.integers(0, len(each), len(each))].sum() for _ in range(2000)]
    wide = ours.loc["change", "upper"] - ours.loc["change", "lower"]
    assert np.isclose(wide, 2 * 1.96 * np.std(drawn), rtol=0.05)


def test_distributions_equal_the_obvious_pandas_version_and_their_quantiles_cover(shop):
    from retail_insight.profile.growth import CustomerDistribution

    days = lines(shop).dropna(subset="customer_id")[["customer_id", "local_date"]].drop_duplicates().sort_values(["customer_id", "local_date"])
    visits = days.groupby("customer_id").size()
    assert purchases_per_customer(shop).table["customers"].to_dict() == visits.value_counts().sort_index().to_dict()
    gaps = days.groupby("customer_id")["local_date"].diff().dt.days.groupby(days["customer_id"])
    for statistic in ("median", "mean"):
        ours, theirs = days_between_purchases(shop, statistic=statistic), getattr(gaps, statistic)().dropna()
        assert np.allclose(np.repeat(ours.table.index, ours.table["customers"]), np.sort(theirs)) and ours.left_out == len(visits) - len(theirs)
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        drawn = pd.Series(np.ceil(rng.exponential(10, 80))).value_counts().sort_index().rename("customers").to_frame()
        found = CustomerDistribution(drawn, "days", 0, 0.05, shop.as_of).quantile(0.5)
        hits += found["lower"] <= np.ceil(10 * np.log(2)) <= found["upper"]
    assert hits / 300 >= 0.94


def test_churn_equals_the_obvious_pandas_version(shop):
    wait = 14 if shop.name == "corner" else 45
    days = lines(shop).dropna(subset="customer_id")[["customer_id", "local_date"]].drop_duplicates().sort_values(["customer_id", "local_date"])
    person = days.groupby("customer_id")["local_date"]
    gap, ahead = person.diff().dt.days, -person.diff(-1).dt.days
    days = days.assign(visit=person.cumcount() + 1, ahead=ahead, late=(gap > wait).groupby(days["customer_id"]).cummax())
    judged = days[~days["late"] & ((pd.Timestamp(shop.as_of) - days["local_date"]).dt.days >= wait)]
    theirs = judged.assign(churned=judged["ahead"].isna() | (judged["ahead"] > wait)).groupby("visit")["churned"].agg(["size", "sum"])
    ours = churn_curve(shop, wait).table
    assert (ours["customers"] == theirs["size"]).all() and (ours["churned"] == theirs["sum"]).all()
    assert np.allclose(ours["still"], (1 - theirs["sum"] / theirs["size"]).cumprod())


def test_growth_says_what_it_cannot_do(shop, nobody):
    first, second = PERIODS["corner"]
    for call in (build_cohorts, purchases_per_customer, days_between_purchases, lambda s: churn_curve(s, 5)):
        with pytest.raises(ValueError, match="customer"):
            call(nobody)
    with pytest.raises(ValueError, match="no tree"):
        revenue_tree(nobody, first, second)
    only = gain_loss(nobody, first, second).table
    assert only.loc["anonymous", "amount"] == only.loc["change", "amount"] and only.loc["new", "amount"] == 0
    assert (revenue_tree_by(nobody, first, second)["anonymous"] == revenue_tree_by(nobody, first, second)["change"]).all()
    for wrong in (dict(method="other"), dict(items="pounds")):
        with pytest.raises(ValueError, match="is not known"):
            revenue_tree(shop, *PERIODS[shop.name], **wrong)
    with pytest.raises(ValueError, match="freq="):
        build_cohorts(shop, freq="day")
    with pytest.raises(ValueError, match="churn_days="):
        churn_curve(shop, 0)
    with pytest.raises(ValueError, match="before the first line"):
        build_cohorts(shop, as_of="1990-01-01")


def test_one_customer_has_a_tree_without_spread():
    one = corner_tables()
    one["transactions"] = one["transactions"].query("customer_id == 'cleo'")
    made = load_shop(one, timestamps="local")
    tree = revenue_tree(made, *PERIODS["corner"], repeats=20).table
    assert np.allclose(tree["lower"].iloc[:4], tree["upper"].iloc[:4])
    assert gain_loss(made, *PERIODS["corner"]).table["lower"].isna().all()
    assert build_cohorts(made).table["retention"].eq(1).all()


# ---- products


@pytest.mark.parametrize("within", [None, 20])
def test_penetration_equals_the_obvious_pandas_version(shop, within):
    log = lines(shop, "category").dropna(subset="customer_id").query("quantity > 0")
    days = log[["customer_id", "category", "local_date"]].drop_duplicates().sort_values(["customer_id", "category", "local_date"])
    group = days.groupby(["customer_id", "category"])["local_date"]
    each = pd.DataFrame({"first": group.min(), "second": group.nth(1).set_axis(pd.MultiIndex.from_frame(days.loc[group.nth(1).index, ["customer_id", "category"]]))})
    wait = (each["second"] - each["first"]).dt.days
    judged = (pd.Timestamp(shop.as_of) - each["first"]).dt.days >= (within or 0)
    again = judged & (wait <= (within or 10**6))
    ours = penetration(shop, within_days=within)
    assert ours.customers == lines(shop)["customer_id"].nunique()
    for column, theirs in (("buyers", each["first"].groupby("category").size()), ("judged", judged.groupby("category").sum()), ("repeaters", again.groupby("category").sum())):
        assert (ours.table[column].sort_index() == theirs.sort_index()).all(), column
    assert np.allclose(ours.table["spend"].sort_index(), log.groupby("category")["amount"].sum().astype(float))


@pytest.mark.parametrize("unit", ["receipt", "customer"])
def test_association_equals_an_independent_implementation(shop, unit):
    from scipy.stats import fisher_exact
    from statsmodels.stats.multitest import multipletests

    key = {"receipt": "transaction_id", "customer": "customer_id"}[unit]
    log = lines(shop, "department").query("quantity > 0")
    held = pd.crosstab(log[key], log["department"]).gt(0).drop(columns="(unknown)", errors="ignore")
    n = log[key].nunique()
    ours = product_association(shop, by="department", unit=unit, min_support=0.02)
    frequent = [c for c in held if held[c].sum() >= 0.02 * n]
    rows = []
    for i, one in enumerate(frequent):
        for other in frequent[i + 1:]:
            a, n1, n2 = (held[one] & held[other]).sum(), held[one].sum(), held[other].sum()
            p = fisher_exact([[a, n1 - a], [n2 - a, n - n1 - n2 + a]], alternative="greater")[1]
            rows.append((*sorted([one, other]), a, a / n1 / (n2 / n), p))
    theirs = pd.DataFrame(rows, columns=["item_1", "item_2", "both", "lift", "p"])
    theirs["q"] = multipletests(theirs["p"], method="fdr_bh")[1]
    joined = theirs[theirs["both"] > 0].merge(ours.table, on=["item_1", "item_2"])
    assert ours.tests == len(theirs) and len(joined) == len(ours.table) == (theirs["both"] > 0).sum()
    for column in ("both", "lift"):
        assert np.allclose(joined[f"{column}_x"], joined[f"{column}_y"])
    assert np.allclose(joined["p_x"], joined["p_y"], atol=1e-12)
    listed_all = (theirs["both"] > 0).all()
    assert np.allclose(joined["q_x"], joined["q_y"]) if listed_all else (joined["q_y"] >= joined["q_x"] - 1e-12).all()


def random_pairs(rng, items=40, baskets=400, linked=0):
    "Baskets filled at random; the first `linked` pairs of items go together."
    held = rng.random((baskets, items)) < 0.12
    for k in range(linked):
        held[:, 2 * k + 1] |= held[:, 2 * k] & (rng.random(baskets) < 0.7)
    both = held.T.astype(int) @ held.astype(int)
    i, j = np.triu_indices(items, 1)
    return pd.DataFrame({"item_1": i, "item_2": j, "n_1": np.diag(both)[i], "n_2": np.diag(both)[j], "both": both[i, j]})


def test_false_discoveries_among_pairs_are_controlled_and_true_ones_found():
    from retail_insight.profile.products import rule_table

    rng, false, share, power = np.random.default_rng(8), [], [], []
    for _ in range(60):
        null = random_pairs(rng)
        false.append((rule_table(null[null["both"] > 0], 400, len(null), 0.05)["q"] < 0.05).any())
        some = random_pairs(rng, linked=8)
        found = rule_table(some[some["both"] > 0], 400, len(some), 0.05).query("q < .05")
        real = (found["item_1"] % 2 == 0) & (found["item_2"] == found["item_1"] + 1) & (found["item_1"] < 16)
        share.append(1 - real.mean())
        power.append(real.sum() / 8)
    assert np.mean(false) <= 0.1 and np.mean(share) <= 0.06 and np.mean(power) > 0.95


def test_intervals_of_a_lift_cover_the_truth():
    from retail_insight.profile.products import rule_table

    rng, cells = np.random.default_rng(9), np.array([0.06, 0.09, 0.14, 0.71])
    truth = cells[0] / ((cells[0] + cells[1]) * (cells[0] + cells[2]))
    drawn = rng.multinomial(500, cells, 3000)
    pairs = pd.DataFrame({"item_1": "a", "item_2": "b", "n_1": drawn[:, 0] + drawn[:, 1], "n_2": drawn[:, 0] + drawn[:, 2], "both": drawn[:, 0]})
    found = rule_table(pairs, 500, 1, 0.05)
    assert 0.935 <= ((found["lower"] <= truth) & (truth <= found["upper"])).mean() <= 0.965


def test_a_decision_hierarchy_equals_the_obvious_counts_and_finds_what_stands_in(shop):
    level, of = ("GROCERY", "department") if shop.name == "corner" else ("SOFT DRINKS", "category")
    by = "product_id" if shop.name == "corner" else "type"
    log = lines(shop, *{of, "department", "category"}).dropna(subset="customer_id").query("quantity > 0")
    log = log[log[of] == level]
    if by == "type":
        log = log.merge(shop.query("SELECT product_id, type FROM products"), on="product_id").dropna(subset="type")
    held = pd.crosstab(log["customer_id"], log[by].astype(str)).gt(0)
    ours = decision_hierarchy(shop, level, of=of, by=by, repeats=5)
    assert ours.customers == len(held)
    for row in ours.pairs.head(20).itertuples():
        one, other = held[row.item_1], held[row.item_2]
        cells = [(one & other).sum(), (one & ~other).sum(), (~one & other).sum(), (~one & ~other).sum()]
        assert cells == [row.both, row.only_1, row.only_2, row.neither]
        a, b, c, d = (x + 0.5 for x in cells)
        assert np.isclose(row.q, (a * d - b * c) / (a * d + b * c))


def taste_shop(rng, customers, divided):
    "Six products: two kinds of three, of which a customer sticks to one kind; or buys any."
    kind = rng.integers(0, 2, customers)
    rows = []
    for who, mine in enumerate(kind):
        for item in rng.integers(0, 3, 4):
            rows.append((who, f"{'ab'[mine if divided else rng.integers(0, 2)]}{item}"))
    made = pd.DataFrame(rows, columns=["customer_id", "product_id"]).assign(timestamp=pd.Timestamp("2024-01-01"), quantity=1.0, amount=1.0)
    made["transaction_id"] = np.arange(len(made))
    goods = pd.DataFrame({"product_id": [f"{k}{i}" for k in "ab" for i in range(3)], "category": "C"})
    return load_shop({"transactions": made, "products": goods}, timestamps="local")


def test_support_is_high_for_a_branch_that_is_there_and_low_for_one_that_is_not():
    # who sticks to a kind never buys across: the pairs across kinds are the stand-ins, so no branch is pure in kind
    real = decision_hierarchy(taste_shop(np.random.default_rng(1), 400, True), "C", by="product_id", repeats=60)
    across = real.pairs["item_1"].str[0] != real.pairs["item_2"].str[0]
    assert real.pairs.loc[across, "upper"].max() < real.pairs.loc[~across, "lower"].min()
    noise = decision_hierarchy(taste_shop(np.random.default_rng(1), 400, False), "C", by="product_id", repeats=60)
    assert noise.table["support"].iloc[:-1].mean() < 0.5
    assert noise.clusters(2).nunique() == 2


def test_yules_interval_covers():
    from retail_insight.profile.products import yules_q

    cells, rng = np.array([0.1, 0.3, 0.2, 0.4]), np.random.default_rng(3)
    truth = (cells[0] * cells[3] - cells[1] * cells[2]) / (cells[0] * cells[3] + cells[1] * cells[2])
    a, b, c, d = rng.multinomial(300, cells, 3000).T
    q, se = yules_q(a, a + b, a + c, a + b + c + d)
    assert 0.93 <= (np.abs(q - truth) <= 1.96 * se).mean() <= 0.97


@pytest.mark.parametrize("method", ["quantile", "natural"])
def test_price_bands_equal_the_obvious_pandas_version(shop, method):
    from retail_insight.profile.products import band_cuts

    of, levels = ("department", ["DRINKS", "GROCERY"]) if shop.name == "corner" else ("category", ["BEERS/ALES", "YOGURT"])
    log = lines(shop, of)
    log = log[(log["quantity"] > 0) & (log["amount"] > 0) & log[of].isin(levels)]
    ours = price_bands(shop, by=of, levels=levels, bands=3, method=method)
    for level in levels:
        rows = log[log[of] == level].astype({"amount": float})
        goods = rows.groupby("product_id")[["amount", "quantity"]].sum()
        price = (goods["amount"] / goods["quantity"]).round(4)
        band = pd.Series(np.searchsorted(band_cuts(np.sort(price.to_numpy()), 3, method), price, side="left"), index=price.index) + 1
        theirs = rows.groupby(rows["product_id"].map(band)).agg(units=("quantity", "sum"), spend=("amount", "sum"), products=("product_id", "nunique"), buyers=("customer_id", "nunique"))
        part = ours.table.loc[level]
        assert np.allclose(part[["units", "spend", "products", "buyers"]], theirs)
        inside = part["share_of_spend"].between(part["lower"], part["upper"]) | part["lower"].isna()
        assert inside.all()


def test_intervals_of_a_band_are_those_of_a_bootstrap(journey):
    band = price_bands(journey, levels="BEERS/ALES", bands=3).table.loc["BEERS/ALES"]
    log = lines(journey, "category").query("category == 'BEERS/ALES' and quantity > 0 and amount > 0").astype({"amount": float})
    price = log.groupby("product_id")["amount"].sum() / log.groupby("product_id")["quantity"].sum()
    low = log["product_id"].map(price) <= band["highest"].iloc[0] + 1e-9
    each = log.assign(x=log["amount"].where(low, 0)).groupby("customer_id")[["x", "amount"]].sum().to_numpy()
    rng = np.random.default_rng(0)
    drawn = [np.divide(*each[rng.integers(0, len(each), len(each))].sum(axis=0)) for _ in range(1000)]
    assert np.allclose(np.quantile(drawn, [0.025, 0.975]), band[["lower", "upper"]].iloc[0], atol=0.004)


def test_products_say_what_they_cannot_do(shop, bare, nobody):
    for call in (penetration, price_bands, lambda s: decision_hierarchy(s, "BEER"), lambda s: product_association(s, by="category")):
        with pytest.raises(ContractError, match="0 rows of products"):
            call(bare)
    with pytest.raises(ValueError, match="nobody buys anything"):
        penetration(nobody)
    with pytest.raises(ValueError, match="have a customer_id"):
        product_association(nobody, unit="customer")
    assert (price_bands(nobody, by="department").table["buyers"] == 0).all()
    assert len(product_association(nobody).table)
    with pytest.raises(ValueError, match=r"no line|needs 3"):
        decision_hierarchy(nobody, "DRINKS", of="department", by="product_id")
    with pytest.raises(ValueError, match="min_support"):
        product_association(shop, min_support=0)
    with pytest.raises(ValueError, match="bands="):
        price_bands(shop, bands=1)


def test_a_null_category_is_unknown_and_no_item():
    odd = corner_tables()
    odd["products"] = odd["products"].replace({"category": {"BEER": None}})
    made = load_shop(odd, timestamps="local")
    assert penetration(made).table.loc["(unknown)", "buyers"] == 2
    assert "(unknown)" not in set(product_association(made, by="category").table[["item_1", "item_2"]].to_numpy().ravel())
    assert segment_index(made, pd.Series({"dan": "x", "ana": "y"})).table.loc[("x", "(unknown)"), "share"] > 0.5
