"""Every summary of the first tier on shops that lack something: a stated result, or an error that says what is missing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, Shop, corner_tables, load_shop
from retail_insight.profile import (
    build_cohorts,
    build_profiles,
    churn_curve,
    composite_rank,
    cross_shop,
    days_between_purchases,
    decision_hierarchy,
    gain_loss,
    group_table,
    main_choice,
    nearest_store,
    penetration,
    price_bands,
    product_association,
    publish,
    purchase_path,
    purchases_per_customer,
    revenue_tree,
    revenue_tree_by,
    segment_index,
    segment_stats,
    threshold_segments,
    when_and_how_much,
)
from retail_insight.report import choose_demand, publish_profiles, segment_table

DATA = os.environ.get("RETAIL_INSIGHT_DATA")
Tables = dict[str, pd.DataFrame]


def some_of(shop: Shop, customers: int) -> Tables:
    "A small shop of the same kind: a few customers, a table each."
    who = shop.query("SELECT customer_id FROM transactions WHERE customer_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1")["customer_id"].iloc[5:5 + customers].tolist()
    lines = shop.query("SELECT * FROM transactions WHERE list_contains($who, customer_id)", who=who)
    names = ["transaction_id", "timestamp", "customer_id", "product_id", "store_id", "quantity", "amount"]
    made = {"transactions": lines[[c for c in names if lines[c].notna().any()]].head(6000)}
    for table in ("products", "customers", "stores"):
        if shop.has(table):
            frame = shop.query(f"FROM {table}")
            made[table] = frame.loc[:, frame.notna().any()]
    if "products" in made:
        made["products"] = made["products"][made["products"]["product_id"].isin(made["transactions"]["product_id"])]
    return made


@pytest.fixture(scope="module", params=["corner", "complete_journey", "online_retail"])
def tables(request) -> Tables:
    if request.param == "corner":
        return corner_tables()
    if request.param == "complete_journey":
        return some_of(load_shop("complete_journey"), 25)
    path = Path(DATA or "") / "online_retail" / "transactions.parquet"
    if not DATA or not path.exists():
        pytest.skip("RETAIL_INSIGHT_DATA does not name the folder of the benchmark data")
    return some_of(load_shop(path, columns="online_retail"), 25)


def without(tables: Tables, *names: str, **others: pd.DataFrame) -> Shop:
    return load_shop({n: t for n, t in tables.items() if n not in names} | others, timestamps="local")


def null_category(tables: Tables) -> Shop:
    if "products" not in tables or "category" not in tables["products"]:
        pytest.skip("no categories to lose")
    products = tables["products"].copy()
    common = products["category"].mode()[0]
    return without(tables, products=products.assign(category=products["category"].where(products["category"] != common, None)))


def closing(tables: Tables) -> Shop:
    stores = pd.DataFrame({"store_id": tables["transactions"]["store_id"].dropna().unique()}) if "store_id" in tables["transactions"] else None
    if stores is None:
        pytest.skip("no stores to close")
    middle = tables["transactions"]["timestamp"].sort_values().iloc[len(tables["transactions"]) // 2]
    return without(tables, "stores", stores=stores.assign(closed=pd.Timestamp(middle).normalize()))


CASES: dict[str, Callable[[Tables], Shop]] = {
    "whole": lambda t: without(t),
    "no customer table": lambda t: without(t, "customers"),
    "no product table": lambda t: without(t, "products"),
    "no table but the log": lambda t: load_shop(t["transactions"], timestamps="local"),
    "one line": lambda t: without(t, "transactions", transactions=t["transactions"][t["transactions"]["customer_id"].notna() & (t["transactions"]["quantity"] > 0)].head(1)),
    "all lines anonymous": lambda t: without(t, "transactions", transactions=t["transactions"].assign(customer_id=None)),
    "a null category": null_category,
    "a store that closes": closing,
}


def halves(shop: Shop) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    first, last = shop.query("SELECT min(local_date) AS a, max(local_date) AS b FROM transactions").iloc[0]
    middle = first + (last - first) // 2
    return (first, middle), (middle + pd.Timedelta(days=1), max(last, middle + pd.Timedelta(days=1)))


def labels(shop: Shop) -> pd.Series:
    who = shop.query("SELECT DISTINCT customer_id FROM transactions WHERE customer_id IS NOT NULL ORDER BY 1")["customer_id"]
    return pd.Series(["a" if i % 2 else "b" for i in range(len(who))], index=who, dtype=object)


def largest(shop: Shop, by: str) -> list[str]:
    return shop.query(f"SELECT p.{by} AS g FROM transactions JOIN products p USING (product_id) WHERE p.{by} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 3")["g"].tolist()


NEEDS_PEOPLE = {"build_profiles", "when_and_how_much", "segment_index", "build_cohorts", "purchases_per_customer", "days_between_purchases", "churn_curve", "penetration",
                "publish", "group_table", "publish_profiles", "segment_table", "threshold_segments", "cross_shop", "revenue_tree"}
NEEDS_PRODUCTS = {"segment_index", "revenue_tree_by", "penetration", "decision_hierarchy", "price_bands", "cross_shop", "purchase_path", "segment_stats"}
CALLS: dict[str, Callable[..., Any]] = {
    "build_profiles": lambda s, d: build_profiles(s, d),
    "when_and_how_much": lambda s, d: when_and_how_much(s, d),
    "main_choice": lambda s, d: main_choice(s, "store", d),
    "segment_index": lambda s, d: segment_index(s, labels(s), as_of=d),
    "segment_stats": lambda s, d: segment_stats(s, "category", as_of=d),
    "threshold_segments": lambda s, d: threshold_segments(build_profiles(s, d).frame["spend"]),
    "build_cohorts": lambda s, d: build_cohorts(s, as_of=d),
    "revenue_tree": lambda s, d: revenue_tree(s, *halves(s), repeats=20),
    "revenue_tree_by": lambda s, d: revenue_tree_by(s, *halves(s), by="category"),
    "gain_loss": lambda s, d: gain_loss(s, *halves(s)),
    "purchases_per_customer": lambda s, d: purchases_per_customer(s, as_of=d),
    "days_between_purchases": lambda s, d: days_between_purchases(s, as_of=d),
    "churn_curve": lambda s, d: churn_curve(s, 14, as_of=d),
    "penetration": lambda s, d: penetration(s, as_of=d),
    "decision_hierarchy": lambda s, d: decision_hierarchy(s, (largest(s, "category") or ["none"])[0], by="product_id", repeats=5, as_of=d),
    "product_association": lambda s, d: product_association(s, min_support=.01, as_of=d),
    "price_bands": lambda s, d: price_bands(s, as_of=d),
    "cross_shop": lambda s, d: cross_shop(s, [*largest(s, "category"), "x", "y"][:2], by="category", as_of=d),
    "purchase_path": lambda s, d: purchase_path(s, by="category", as_of=d),
    "nearest_store": lambda s, d: nearest_store(s),
    "publish": lambda s, d: publish(build_profiles(s, d), key="secret"),
    "group_table": lambda s, d: group_table(build_profiles(s, d), "segment", key="secret"),
    "publish_profiles": lambda s, d: publish_profiles(build_profiles(s, d), key="secret"),
    "segment_table": lambda s, d: segment_table(build_profiles(s, d), key="secret"),
    "choose_demand": lambda s, d: choose_demand(s, d),
}
TIMELESS = {"nearest_store", "revenue_tree", "revenue_tree_by", "gain_loss"}


def outcome(call: Callable[..., Any], shop: Shop, day: Any = None) -> str:
    "`result` or `error`; a result can be told and drawn, and an error says what is wrong and what to do."
    try:
        made = call(shop, day)
    except (ContractError, ValueError) as error:
        said = str(error)
        assert len(said) > 40 and said.count(". ") and said.endswith((".", "?", ")")), said
        return "error"
    for method in ("to_frame", "summary", "plot"):
        if hasattr(made, method):
            getattr(made, method)()
    plt.close("all")
    return "result"


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("case", CASES)
def test_what_a_shop_lacks_is_a_result_or_an_error_that_says_so(tables, case):
    shop = CASES[case](tables)
    found = {name: outcome(call, shop) for name, call in CALLS.items()}
    if case == "all lines anonymous":
        assert {n for n in NEEDS_PEOPLE if found[n] != "error"} == set()
        assert found["choose_demand"] == "result"
    elif case in ("no product table", "no table but the log"):
        assert {n for n in NEEDS_PRODUCTS if found[n] != "error"} == set()
        assert {n for n in ("build_profiles", "publish", "churn_curve", "purchases_per_customer", "product_association", "revenue_tree", "choose_demand") if found[n] != "result"} == set()
    elif case == "one line":
        assert {n for n in ("build_profiles", "publish", "purchases_per_customer", "build_cohorts") if found[n] != "result"} == set()
    elif "products" in tables and "category" in tables["products"]:
        assert {n for n in set(CALLS) - {"nearest_store", "decision_hierarchy"} if found[n] != "result"} == set()


def test_a_day_before_the_log_is_an_error_everywhere(tables):
    shop = without(tables)
    for name in set(CALLS) - TIMELESS:
        with pytest.raises(ValueError, match="before the first line"):
            CALLS[name](shop, "1990-01-01")
    for name in ("revenue_tree", "revenue_tree_by", "gain_loss"):
        call: Any = {"revenue_tree": revenue_tree, "revenue_tree_by": revenue_tree_by, "gain_loss": gain_loss}[name]
        with pytest.raises(ValueError):
            call(shop, ("1990-02-01", "1990-01-01"), ("1990-03-01", "1990-04-01"))


def test_an_error_names_an_identifier_as_the_reader_wrote_it():
    tables = corner_tables()
    who = pd.Series(["a", "b", "c"], index=pd.Index([7, 7, 9], name="customer_id"))
    people = {name: i for i, name in enumerate(tables["transactions"]["customer_id"].dropna().unique())}
    shop = load_shop(tables["transactions"].assign(customer_id=lambda t: 100 + t["customer_id"].map(people)), timestamps="local")
    frame = pd.DataFrame({"spend": [1.0, np.nan]}, index=pd.Index([7, 8], name="customer_id"))
    for ask in (lambda: segment_index(shop, who, by="product_id"), lambda: segment_index(shop, who.iloc[[0, 2]], by="product_id"), lambda: threshold_segments(frame["spend"]), lambda: composite_rank(frame, {"spend": "high"})):
        with pytest.raises(ValueError, match=r" '?[78]'?\. ") as error:
            ask()
        assert "np." not in str(error.value)
