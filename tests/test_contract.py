"""The door: nothing is lost, nothing is silently changed, and bad input says what to do."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_insight.contract import (
    TABLES,
    ContractError,
    check_shop,
    contract_rules,
    corner_tables,
    load_shop,
    resolve_as_of,
)

DATA = os.environ.get("RETAIL_INSIGHT_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="RETAIL_INSIGHT_DATA is not set")
LOG = corner_tables()["transactions"]


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    old = os.environ.get("RETAIL_INSIGHT_CACHE")
    os.environ["RETAIL_INSIGHT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("RETAIL_INSIGHT_CACHE") if old is None else os.environ.update(RETAIL_INSIGHT_CACHE=old)


def accounted(shop):
    tables = shop.tables()
    assert (tables["rows_in"] == tables["rows"] + tables["rejected"]).all()
    assert len(shop.rejected) == tables["rejected"].sum()
    return tables.set_index("table")


def test_the_corner_shop_does_not_remember_what_a_reader_did_to_it():
    customers = corner_tables()["customers"]
    customers["region"] = "elsewhere"
    assert "elsewhere" not in set(corner_tables()["customers"]["region"])


def test_every_table_has_every_column():
    shop = load_shop(LOG, timestamps="local")
    for table, columns in TABLES.items():
        assert set(columns) <= set(getattr(shop, table).columns)
    assert not shop.has("products") and shop.has("transactions")


def test_frames_of_all_libraries_are_alike(tmp_path):
    LOG.to_parquet(tmp_path / "log.parquet")
    LOG.to_csv(tmp_path / "log.csv", index=False)
    query = "SELECT transaction_id, line, local_date, hour, product_id, quantity, amount FROM transactions ORDER BY ALL"
    want = load_shop(LOG, timestamps="local").query(query)
    for source in (pl.from_pandas(LOG), pl.from_pandas(LOG).lazy(), pl.from_pandas(LOG).to_arrow(),
                   tmp_path / "log.parquet", tmp_path / "log.csv", str(tmp_path / "lo*.csv")):
        pd.testing.assert_frame_equal(load_shop(source, timestamps="local").query(query), want)


def test_a_shop_travels_by_its_path():
    shop = load_shop("corner")
    again = pickle.loads(pickle.dumps(shop))
    assert again.path == shop.path and again.as_of == shop.as_of
    with pytest.raises(Exception, match="read-only"):
        shop.relation("DELETE FROM transactions")


BAD = {"amount": ["NaN", "inf", None, "two", -3.0], "quantity": ["many", None, "-inf", 1e400], "product_id": [None],
       "transaction_id": [None], "timestamp": [None, "yesterday", "2024-13-45"], "discount": ["x", "-inf"]}
corruption = st.sampled_from([(c, v) for c, values in BAD.items() for v in values])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(0, 19), corruption, max_size=12))
def test_nothing_is_lost_and_nothing_is_silently_changed(corruptions):
    frame = LOG.head(20).reset_index(drop=True).astype(object)
    frame["row_id"] = [f"row{i}" for i in range(20)]
    for row, (column, value) in corruptions.items():
        frame.loc[row, column] = value
    shop = load_shop(frame, timestamps="local")
    accounted(shop)
    kept = shop.query("FROM transactions").set_index("row_id")
    aside = {json.loads(r)["row_id"] for r in shop.rejected["record"]}
    assert set(kept.index) | aside == set(frame["row_id"]) and not set(kept.index) & aside
    touched = {f"row{i}" for i in corruptions}
    assert aside <= touched
    for i, row in frame.iterrows():
        if f"row{i}" in kept.index:
            mine = kept.loc[f"row{i}"]
            assert mine["amount"] == float(row["amount"]) and mine["quantity"] == float(row["quantity"])
            assert mine["product_id"] == row["product_id"] and mine["timestamp"] == pd.Timestamp(row["timestamp"])
        else:
            record = json.loads(shop.rejected.set_index("row").loc[i + 1, "record"])
            column, value = corruptions[i]
            assert record[column] == (None if value is None else str(value))


def test_messages_name_table_column_and_remedy(tmp_path):
    with pytest.raises(ContractError, match=r"transactions: 1 of 5 required columns are missing, first 'amount'"):
        load_shop(LOG.drop(columns="amount"))
    with pytest.raises(ContractError, match="Did you mean 'amount'"):
        load_shop(LOG, columns={"amount": "amout"})
    with pytest.raises(ContractError, match="two columns claim the name 'amount'"):
        load_shop(LOG.assign(total=1.0), columns={"amount": "total"})
    with pytest.raises(ContractError, match="no rows"):
        load_shop(LOG.head(0))
    with pytest.raises(ContractError, match="stands more than once"):
        load_shop(pd.concat([LOG, LOG[["amount"]]], axis=1))
    with pytest.raises(ContractError, match="expression in the mapping"):
        load_shop(LOG, columns={"amount": "= price * 2"})
    with pytest.raises(ContractError, match="no Parquet or CSV file"):
        load_shop(tmp_path / "nothing")
    with pytest.raises(ValueError, match="Did you mean 'products'"):
        load_shop(LOG, columns={"product": {"product_id": "x"}})
    (tmp_path / "map.toml").write_text("[transactions\n")
    with pytest.raises(ValueError, match=r"map.toml is not valid TOML"):
        load_shop(LOG, columns=tmp_path / "map.toml")


def test_one_unreadable_file_among_many_is_named(tmp_path):
    for n in range(3):
        LOG.to_parquet(tmp_path / f"day{n}.parquet")
    (tmp_path / "day1.parquet").write_bytes((tmp_path / "day1.parquet").read_bytes()[:100])
    with pytest.raises(ContractError, match=r"day1.parquet: 1 of 3 files"):
        load_shop(str(tmp_path / "day*.parquet"))


def test_hostile_text_stays_text():
    names = ["<script>alert(1)</script>", '"; DROP TABLE transactions; --', "two\nlines", "=1+1", "o'clock"]
    products = pd.DataFrame({"product_id": list("abcde"), "product_name": names})
    log = LOG.head(5).assign(product_id=list("abcde"), **{'evil"; DROP TABLE products; --': 1})
    shop = load_shop({"transactions": log, "products": products}, timestamps="local")
    assert shop.query("SELECT product_name FROM products ORDER BY product_id")["product_name"].tolist() == names
    assert 'evil"; DROP TABLE products; --' in shop.columns("transactions")


def test_repeated_keys_and_later_days_are_set_aside():
    products = corner_tables()["products"]
    tables = {"transactions": LOG, "products": pd.concat([products, products.head(1)])}
    shop = load_shop(tables, timestamps="local", as_of="2024-01-14")
    assert accounted(shop).loc["products", "rejected"] == 1
    assert set(shop.rejected["rule"]) == {"repeated_key", "after_as_of"}
    assert shop.query("SELECT max(local_date) AS d FROM transactions")["d"][0] <= pd.Timestamp("2024-01-14")
    with pytest.raises(ValueError, match="before the first line"):
        resolve_as_of(shop, "2020-01-01")


def test_rules_can_be_extended():
    night = dict(name="late", table="transactions", predicate="hour >= 21", severity="reject", remedy="closed")
    rules = pd.concat([contract_rules(), pd.DataFrame([night])], ignore_index=True)
    shop = load_shop(LOG, timestamps="local", rules=rules)
    assert (shop.rejected["rule"] == "late").all() and len(shop.rejected) == (LOG["timestamp"].dt.hour >= 21).sum()
    assert check_shop(shop).query("rule == 'late'")["count"].tolist() == [len(shop.rejected)]


def test_the_cache_knows_what_shaped_a_shop(tmp_path):
    LOG.to_parquet(tmp_path / "log.parquet")
    first = load_shop(tmp_path / "log.parquet")
    assert load_shop(tmp_path / "log.parquet").path == first.path
    assert load_shop(tmp_path / "log.parquet", currency="EUR").path != first.path
    LOG.head(3).to_parquet(tmp_path / "log.parquet")
    assert len(load_shop(tmp_path / "log.parquet").query("FROM transactions")) == 3
    assert oct(first.path.stat().st_mode)[-3:] == "600"


def test_mapping_file_beside_the_data(tmp_path):
    LOG.rename(columns={"amount": "Total"}).to_csv(tmp_path / "sales.csv", index=False)
    (tmp_path / "map.toml").write_text('[shop]\ntime_zone = "Europe/Amsterdam"\ntimestamps = "local"\ncurrency = "EUR"\n'
                                       '[transactions]\namount = "Total"\n')
    shop = load_shop(tmp_path)
    assert (shop.currency, shop.time_zone) == ("EUR", "Europe/Amsterdam")
    assert np.isclose(shop.query("SELECT sum(amount) AS s FROM transactions")["s"][0], LOG["amount"].sum())


def test_complete_journey_keeps_its_traps():
    shop = load_shop("complete_journey")
    tables = accounted(shop)
    assert tables["rows"].to_dict() | {"stores": 0} == {"products": 92331, "customers": 801, "stores": 0, "campaigns": 6589,
        "coupons": 116204, "promotions": 20940529, "redemptions": 2102, "transactions": 1469307}
    found = shop.findings.set_index("rule")["count"]
    assert found["unknown_product"] == 4836 and found["zero_quantity"] == 8869 and "rounded_discount" not in found
    moved = shop.query("""SELECT count(DISTINCT transaction_id) FILTER (WHERE local_date <> timestamp::DATE)
        / count(DISTINCT transaction_id) AS share, count(DISTINCT customer_id) AS households FROM transactions""").iloc[0]
    assert round(moved["share"], 3) == 0.183 and moved["households"] == 2469


@needs_data
def test_recipes_for_online_retail_and_ta_feng():
    retail = load_shop(Path(DATA) / "online_retail" / "transactions.parquet", columns="online_retail")
    tables = accounted(retail)
    assert tables.loc["transactions", "rows_in"] == 541909 and retail.currency == "GBP"
    assert retail.query("SELECT count(DISTINCT customer_id) AS n FROM transactions")["n"][0] == 4372
    feng = load_shop(Path(DATA) / "tafeng" / "transactions.parquet", columns="ta_feng")
    assert accounted(feng).loc["transactions", "rows_in"] == 817741
    assert feng.query("SELECT count(hour) AS n, count(DISTINCT customer_id) AS c FROM transactions").iloc[0].tolist() == [0, 32266]


def test_floats_of_money_are_rounded_half_away_from_zero():
    "As decimals are, although the floats nearest to these halves lie below them."
    lines = corner_tables()["transactions"].head(4).assign(amount=[1.005, 2.675, 1e13, 0.125], quantity=1.0)
    shop = load_shop(lines, timestamps="local")
    assert shop.query("SELECT amount::VARCHAR AS a FROM transactions ORDER BY line, amount")["a"].sort_values().tolist() == sorted(["1.01", "2.68", "10000000000000.00", "0.13"])
    assert shop.findings.set_index("rule").loc["rounded_amount", "count"] == 3


def test_two_processes_that_load_at_once_both_succeed(tmp_path):
    code = "from retail_insight import load_shop; print(load_shop('corner').tables()['rows'].sum())"
    env = os.environ | {"RETAIL_INSIGHT_CACHE": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    said = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert said[0] == said[1] and len(list(tmp_path.glob("*.duckdb"))) == 1


def test_the_name_of_a_shop_leads_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))
    corner_tables()["transactions"].to_parquet(tmp_path / "log.parquet")
    shop = load_shop(tmp_path / "log.parquet", columns={"shop": {"name": "../../outside"}}, timestamps="local")
    assert shop.name == "../../outside" and shop.path.parent == tmp_path / "cache"
