"""First-tier profiles: beside hand-written SQL, pandas and openretailscience, and at 29 million lines.

    python benchmarks/profile.py          every row
    python benchmarks/profile.py JOB ...  one job, in this process

The shop is loaded beforehand, and every job starts from its tables. Seconds are those of the call, without imports; each job
runs in a process of its own. The bare SQL makes the same columns (scores and words for demographics left out), and must agree
before times are shown. Larger logs are the transactions over and over, with customers and receipts of their own in each copy."""

import json
import os
import resource
import runpy
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "profile": # cProfile, which others import, looks here for the standard library's module of this name
    globals().update(runpy.run_path(str(Path(os.__file__).with_name("profile.py"))))

RUNS = 3
TIMES = 20
SOLD = "quantity >= 0 AND amount >= 0"
SQL = f"""
WITH mine AS (SELECT * FROM transactions WHERE customer_id IS NOT NULL AND local_date <= $day),
offered AS (SELECT product_id, store_id, local_date FROM (SELECT DISTINCT product_id, store_id, local_date FROM mine) k
    WHERE EXISTS (FROM promotions p WHERE p.product_id = k.product_id AND p.store_id = k.store_id AND k.local_date BETWEEN start_date AND end_date)),
receipt AS (SELECT customer_id, transaction_id, min(local_date) AS day, min(hour) AS hour, min(store_id) AS store_id, count(*) AS lines, sum(amount) AS spend,
    count(*) FILTER ({SOLD}) AS sold, sum(amount) FILTER ({SOLD}) AS sales, sum(discount) FILTER ({SOLD}) AS discount, count(*) FILTER ({SOLD} AND discount > 0) AS cheap,
    sum(coupon) FILTER ({SOLD}) AS coupon, sum(least(quantity, 48)) FILTER ({SOLD} AND (unit IS NULL OR unit = 'each')) AS items FROM mine GROUP BY ALL),
daily AS (SELECT customer_id, day, count(*) AS receipts, sum(spend) AS spend, day - lag(day) OVER (PARTITION BY customer_id ORDER BY day) AS gap FROM receipt GROUP BY customer_id, day),
rhythm AS (SELECT customer_id, min(day) AS first_visit, max(day) AS last_visit, count(*) AS visits, avg(gap) AS mean_gap, median(gap) AS median_gap, stddev_samp(gap) AS sd_gap,
    count(gap) AS gaps, avg((receipts > 1)::INTEGER) AS two, count(*) FILTER (day > $day - 91) AS visits_last, count(*) FILTER (day > $day - 182 AND day <= $day - 91) AS visits_before,
    sum(spend) FILTER (day > $day - 91) AS spend_last, sum(spend) FILTER (day > $day - 182 AND day <= $day - 91) AS spend_before,
    {", ".join(f"avg((isodow(day) = {d})::INTEGER) AS weekday_{d}" for d in range(1, 8))} FROM daily GROUP BY ALL),
basket AS (SELECT customer_id, count(*) AS receipts, sum(lines) AS lines, sum(spend) AS spend, sum(items) AS items, sum(sold) AS sold, sum(sales) AS sales, sum(discount) AS discount,
    sum(cheap) AS cheap, sum(coupon) AS coupon, median(spend::DOUBLE) AS median_basket, {", ".join(f"avg((hour = {h})::INTEGER) AS hour_{h}" for h in range(24))}
    FROM receipt GROUP BY ALL),
store AS (SELECT customer_id, count(*) AS stores, min_by(store_id, (-n, store_id)) AS main_store, max(n) / sum(n) AS main_store_share
    FROM (SELECT customer_id, store_id, count(*) AS n FROM receipt GROUP BY ALL) GROUP BY ALL),
product AS (SELECT customer_id, product_id, count(*) AS n FROM mine WHERE {SOLD} GROUP BY ALL),
kind AS (SELECT customer_id, department, category, own_brand, sum(n) AS n FROM product JOIN products USING (product_id) GROUP BY ALL),
department AS (SELECT customer_id, count(*) AS departments, sum(n) ** 2 / sum(n ** 2) AS effective_departments, list(department ORDER BY n DESC, department)[:3] AS top_departments,
    list(n ORDER BY n DESC)[:3] AS of_departments, sum(n) AS in_departments FROM (SELECT customer_id, department, sum(n) AS n FROM kind WHERE department IS NOT NULL GROUP BY ALL) GROUP BY ALL),
category AS (SELECT customer_id, count(*) AS categories, sum(n) ** 2 / sum(n ** 2) AS effective_categories, list(category ORDER BY n DESC, category)[:3] AS top_categories,
    list(n ORDER BY n DESC)[:3] AS of_categories, sum(n) AS in_categories FROM (SELECT customer_id, category, sum(n) AS n FROM kind WHERE category IS NOT NULL GROUP BY ALL) GROUP BY ALL),
own AS (SELECT customer_id, sum(n) FILTER (own_brand) / sum(n) FILTER (own_brand IS NOT NULL) AS own_brand_share FROM kind GROUP BY ALL),
wide AS (SELECT customer_id, count(*) AS products FROM product GROUP BY ALL),
promoted AS (SELECT customer_id, count(*) AS promoted FROM mine SEMI JOIN offered USING (product_id, store_id, local_date) WHERE {SOLD} GROUP BY ALL)
SELECT *, spend / receipts AS mean_basket, lines / receipts AS basket_lines, items / receipts AS basket_items, lines - sold AS return_lines, sales - spend AS returned,
    discount / nullif(sales + discount, 0) AS discount_share, cheap / sold AS cheap_share, coupon / nullif(sales, 0) AS coupon_share, coalesce(promoted, 0) / sold AS promotion_share,
    top_departments[1] AS d1, of_departments[1] / in_departments AS s1, top_departments[2] AS d2, of_departments[2] / in_departments AS s2, top_departments[3] AS d3, of_departments[3] / in_departments AS s3,
    top_categories[1] AS c1, of_categories[1] / in_categories AS t1, top_categories[2] AS c2, of_categories[2] / in_categories AS t2, top_categories[3] AS c3, of_categories[3] / in_categories AS t3,
    (mean_gap - sd_gap) / (mean_gap + sd_gap) AS regularity, (visits_last - visits_before) / nullif(visits_last + visits_before, 0) AS visits_trend,
    (spend_last - spend_before) / nullif(abs(spend_last) + abs(spend_before), 0) AS spend_trend, categories / (SELECT count(DISTINCT category) FROM products) AS category_reach
FROM rhythm JOIN basket USING (customer_id) JOIN store USING (customer_id) LEFT JOIN wide USING (customer_id) LEFT JOIN department USING (customer_id)
    LEFT JOIN category USING (customer_id) LEFT JOIN own USING (customer_id) LEFT JOIN promoted USING (customer_id) LEFT JOIN customers USING (customer_id) ORDER BY customer_id"""


def timed(call) -> tuple:
    "A result, and the seconds that it took: on the wall and of the processors."
    wall, cpu = time.perf_counter(), time.process_time()
    made = call()
    return made, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def told(frame) -> dict:
    "Sums that two versions must share."
    columns = ["visits", "spend", "items", "median_basket", "products", "effective_categories", "own_brand_share", "promotion_share", "main_store_share", "discount_share"]
    return {"customers": len(frame)} | {c: round(float(frame[c].astype(float).sum()), 3) for c in columns}


def opened(path: str):
    from retail_insight.contract import load_shop, open_shop

    return open_shop(path) if path else load_shop("complete_journey")


def ours(path: str = "") -> dict:
    from retail_insight.profile import build_profiles

    shop = opened(path)
    made, took = timed(lambda: build_profiles(shop))
    return took | {"told": told(made.frame)}


def sql(path: str = "") -> dict:
    shop = opened(path)
    made, took = timed(lambda: shop.query(SQL, day=shop.as_of))
    return took | {"told": told(made)}


def pandas() -> dict:
    "The obvious version, which the tests hold equal: from the tables in memory."
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from test_profile import by_hand

    shop = opened("")
    made, took = timed(lambda: by_hand(shop, shop.as_of, 91))
    return took | {"told": told(made)}


def few() -> dict:
    "What the peer has of it: RFM with segments, heavy-medium-light, purchases and gaps."
    from retail_insight.profile import cut_points, rfm_scores, rfm_segment, spend_scores, when_and_how_much

    def subset():
        frame = when_and_how_much(shop)
        cuts = cut_points(frame)
        return rfm_segment(rfm_scores(frame, cuts)), spend_scores(frame, cuts)

    shop = opened("")
    return timed(subset)[1]


def openretailscience(folder: str) -> dict:
    import pandas as pd
    from openretailscience.analysis.customer import DaysBetweenPurchases, PurchasesPerCustomer
    from openretailscience.segmentation.hml import HMLSegmentation
    from openretailscience.segmentation.rfm import RFMSegmentation

    log = pd.read_parquet(f"{folder}/log.parquet")
    return timed(lambda: (PurchasesPerCustomer(log).df, DaysBetweenPurchases(log).df, HMLSegmentation(log).df, RFMSegmentation(log, current_date="2017-12-31").df))[1]


def copies(path: str, times: str) -> dict:
    "The shop's file with its transactions over and over."
    import shutil

    import duckdb

    shutil.copyfile(opened("").path, path)
    with duckdb.connect(path, config={"memory_limit": "2GB", "temp_directory": f"{path}.spill"}) as con:
        con.execute(f"""CREATE TABLE more AS SELECT * EXCLUDE (copy) REPLACE (customer_id + 10000 * copy AS customer_id, transaction_id + 1000000000000 * copy AS transaction_id)
            FROM transactions, (SELECT range AS copy FROM range({int(times)})) ORDER BY copy""")
        con.execute("DROP TABLE transactions; ALTER TABLE more RENAME TO transactions")
        return {"lines": con.execute("SELECT count(*) FROM transactions").fetchall()[0][0]}


def small() -> list[dict]:
    from _table import measure, row, this

    runs: dict[str, list] = {"ours": [], "sql": []}
    for _ in range(RUNS):
        for job, done in runs.items():
            done.append(measure(this(job))["said"])
    frames, subset = measure(this("pandas"))["said"], measure(this("few"))["said"]
    for other in (runs["sql"][0], frames):
        if other["told"] != runs["ours"][0]["told"]:
            raise SystemExit(f"two versions differ:\n{runs['ours'][0]['told']}\n{other['told']}")
    best = {job: {m: sorted(r[m] for r in done)[RUNS // 2] for m in ("wall", "cpu")} for job, done in runs.items()}
    rows = [row("first tier, Complete Journey", best["ours"][m], unit, "at most 1.3 of the SQL" if m == "wall" else "", best["sql"][m], "hand-written DuckDB SQL") for m, unit in (("wall", "s"), ("cpu", "CPU s"))]
    rows.append(row("first tier, Complete Journey", best["ours"]["cpu"], "CPU s", "less than the peer", frames["cpu"], "pandas"))
    what, goal, python = "RFM, heavy-medium-light, purchases and gaps", "less than the peer", os.environ.get("RETAIL_INSIGHT_PEERS", "")
    missing = Path(python).parent.parent / "missing.txt"
    if not python or (missing.exists() and "openretailscience" in missing.read_text()):
        return [*rows, row(what, subset["cpu"], "CPU s", goal, None, "openretailscience: not installed here")]
    with tempfile.TemporaryDirectory() as home:
        opened("").relation("SELECT customer_id, transaction_id, local_date::TIMESTAMP AS transaction_date, amount::DOUBLE AS unit_spend, quantity AS unit_quantity FROM transactions").write_parquet(f"{home}/log.parquet")
        peer = measure(this("openretailscience", home, python=python))["said"]
    return [*rows, row(what, subset["cpu"], "CPU s", goal, peer["cpu"], "openretailscience")]


def large(first: float) -> list[dict]:
    "Twenty times the lines, and again with the engine held to 1 GB."
    from _table import measure, row, this

    with tempfile.TemporaryDirectory() as home:
        path = f"{home}/large.duckdb"
        lines = measure(this("copies", path, str(TIMES)))["said"]["lines"]
        us, bare, tight = (measure(this(job, path), {"RETAIL_INSIGHT_MEMORY": memory})["said"] for job, memory in (("ours", "1500MB"), ("sql", "1500MB"), ("ours", "1GB")))
    if not us["told"] == bare["told"] == tight["told"]:
        raise SystemExit(f"two versions differ:\n{us['told']}\n{bare['told']}\n{tight['told']}")
    what = f"first tier, {lines:,} lines"
    return [row(what, us["wall"], "s", "at most 1.3 of the SQL", bare["wall"], "hand-written DuckDB SQL"), row(what, us["cpu"], "CPU s", "", bare["cpu"], "hand-written DuckDB SQL"),
            row(what, us["peak"], "MB", "under 2500", bare["peak"], "hand-written DuckDB SQL"), row(f"{TIMES} times the lines", us["cpu"] / first, "times the CPU", f"at most {TIMES}"),
            row(f"{what}, engine limited to 1 GB", tight["cpu"], "CPU s", "at most 1.5 of without", us["cpu"], "the same without the limit"),
            row(f"{what}, engine limited to 1 GB", tight["peak"], "MB", "", us["peak"], "the same without the limit")]


def main() -> None:
    from _table import publish

    rows = small()
    publish(rows, "profile")
    publish([*rows, *large(rows[1]["ours"])], "profile")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]), default=str))
    else:
        main()
