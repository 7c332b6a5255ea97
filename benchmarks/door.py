"""The door: a log of any size, messy files, growth, damage and interruption.

    python benchmarks/door.py          every row
    python benchmarks/door.py JOB ...  one job, in this process

Larger logs are Complete Journey over and over, with customers and baskets of their own in each copy."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RUNS = 3
COPIES = (1, 5, 20)
FUZZED = 5000  # files of each kind


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


MAPPED = dict(transaction_id="basket_id", timestamp="transaction_timestamp", customer_id="household_id", amount="sales_value", discount="retail_disc", coupon="coupon_disc")


def csv_ours(path: str) -> dict:
    from retail_insight.contract import load_shop

    shop = load_shop(path, columns=MAPPED)
    counts = shop.tables().set_index("table").loc["transactions"]
    return {"rows": int(counts["rows"] + counts["rejected"]), "records": int(shop.query("SELECT sum(records) AS n FROM door.files")["n"][0])}


def csv_duckdb(path: str) -> dict:
    "DuckDB's own way, types detected."
    import duckdb

    with tempfile.TemporaryDirectory() as home:
        con = duckdb.connect(f"{home}/bare.duckdb")
        con.execute(f"CREATE TABLE transactions AS FROM read_csv('{path}')")
        return {"rows": con.execute("SELECT count(*) FROM transactions").fetchall()[0][0]}


def csv_duckdb_text(path: str) -> dict:
    "DuckDB's own way, everything as text, which loses no leading zero."
    import duckdb

    with tempfile.TemporaryDirectory() as home:
        con = duckdb.connect(f"{home}/bare.duckdb")
        con.execute(f"CREATE TABLE transactions AS FROM read_csv('{path}', all_varchar=true)")
        return {"rows": con.execute("SELECT count(*) FROM transactions").fetchall()[0][0]}


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
    "The same lines as CSV."
    from _table import measure, medians, row, this

    measure(this("write_csv", str(home)))
    runs: dict[str, list] = {"csv_ours": [], "csv_duckdb": [], "csv_duckdb_text": []}
    for _ in range(RUNS):
        for job, done in runs.items():
            shutil.rmtree(home / "cache", ignore_errors=True)
            done.append(measure(this(job, f"{home}/transactions.csv"), {"RETAIL_INSIGHT_CACHE": str(home / "cache")}))
    said = runs["csv_ours"][0]["said"]
    if said["rows"] != said["records"] or said["rows"] != runs["csv_duckdb"][0]["said"]["rows"]:
        raise SystemExit(f"not every record is accounted for: {said}")
    ours, own, text = (medians(r) for r in runs.values())
    what = f"CSV of {said['records']:,} records, every one accounted for"
    return [row(what, ours["cpu"], "CPU s", "at most 2 of the peer", own["cpu"], "DuckDB read_csv into a table, types detected"),
            row(what, ours["cpu"], "CPU s", "", text["cpu"], "DuckDB read_csv into a table, all as text"), row(what, ours["peak"], "MB", "", own["peak"], "DuckDB read_csv into a table, types detected")]


def fuzz_rows() -> list[dict]:
    "Random damage to bytes: crashes, hangs, rows lost or changed."
    from _table import row

    rows = []
    for kind in ("csv", "parquet"):
        done = subprocess.run([sys.executable, str(HERE.parent / "tests" / "fuzz.py"), kind, "0", str(FUZZED)], capture_output=True, text=True, timeout=3600)
        seen = json.loads(done.stdout) if done.returncode == 0 else {f"FAILED {done.stderr.splitlines()[-1]}": 1}
        bad = {s: n for s, n in seen.items() if s.startswith("FAILED")}
        if bad:
            print(bad)
        rows.append(row(f"{FUZZED:,} damaged {kind} files: crash, hang, row lost or changed", sum(bad.values()), "files", "0"))
        rows += [row(f"  of these: {what}", n, "files", "") for what, n in sorted(seen.items()) if not what.startswith("FAILED")]
    return rows


def main() -> None:
    from _table import publish

    with tempfile.TemporaryDirectory() as home:
        rows = large(Path(home)) + csv_rows(Path(home))
    publish(rows + fuzz_rows(), "door")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]), default=str))
    else:
        main()
