"""A shop that grows is the shop that one load makes; a person who is erased is gone; what breaks leaves the old or the new."""

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import kill
import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import (
    ContractError,
    append,
    cached_shops,
    check_shop,
    corner_tables,
    erase,
    load_shop,
    open_shop,
)

LOG = corner_tables()["transactions"]
DERIVED = {"transactions": {}, "products": {"from": "transactions", "product_id": "product_id", "product_name": "label"},
           "customers": {"from": "transactions", "customer_id": "customer_id", "age_band": "band"}}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))


def damaged_log(rng: np.random.Generator) -> pd.DataFrame:
    "The corner shop's log with labels and bands that change, some rows that break the contract, and a few late ones."
    log = LOG.astype({"amount": object, "timestamp": object}).reset_index(drop=True)
    log["label"] = rng.choice(["Tea", "tea", "TEA!"], len(log))
    log["band"] = rng.choice(["19-24", "25-34", "65+", None], len(log))
    for row in rng.choice(len(log), 8, replace=False):
        column, value = [("amount", "two"), ("timestamp", "yesterday"), ("product_id", None), ("amount", None), ("quantity", -1)][rng.integers(5)]
        log.loc[row, column] = value
    return log.iloc[rng.permutation(len(log))] if rng.random() < .5 else log


def facts_of(shop) -> dict:
    "All that two equal shops must agree on."
    tables = {t: shop.query(f"FROM {t} ORDER BY ALL") for t in ("transactions", "products", "customers", "stores")}
    checks = check_shop(shop).drop(columns="first").sort_values(["table", "rule"], ignore_index=True)
    checks = checks[~checks["rule"].str.startswith("read_")].reset_index(drop=True)
    return tables | {"rejected": shop.rejected, "counts": shop.tables(), "checks": checks, "as_of": shop.as_of, "columns": {t: shop.columns(t) for t in ("transactions", "products")}}


def assert_same(a, b):
    one, other = facts_of(a), facts_of(b)
    for name, value in one.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, other[name], check_exact=True, obj=name)
        else:
            assert value == other[name], name


@pytest.mark.parametrize("seed", range(8))
def test_a_grown_shop_is_what_one_load_makes(seed, tmp_path):
    rng = np.random.default_rng(seed)
    log, kind, mapping = damaged_log(rng), ["csv", "parquet"][seed % 2], DERIVED if seed % 4 < 2 else None
    cuts = np.sort(rng.choice(np.arange(20, len(log) - 5), rng.integers(1, 4), replace=False))
    paths = []
    for number, part in enumerate(np.split(np.arange(len(log)), cuts)):
        paths.append(tmp_path / f"part{number}.{kind}")
        some = log.iloc[part].astype(str).where(log.iloc[part].notna(), None)
        some.to_csv(paths[-1], index=False) if kind == "csv" else some.to_parquet(paths[-1])
    if kind == "csv":  # a record that is none, in the last part
        with open(paths[-1], "a", encoding="utf-8") as file:
            file.write('"torn,1\n')
    shop = load_shop(paths[0], timestamps="local", columns=mapping)
    for path in paths[1:]:
        shop = append(shop, path)
    assert_same(shop, load_shop(str(tmp_path / f"part*.{kind}"), timestamps="local", columns=mapping))


def test_late_lines_for_old_days_enter():
    late = (LOG["timestamp"] < "2024-01-10") & (LOG.index % 3 == 0)
    shop = append(load_shop(LOG[~late], timestamps="local"), LOG[late])
    days = "SELECT local_date, count(*) AS lines, sum(amount) AS spent FROM transactions GROUP BY ALL ORDER BY ALL"
    pd.testing.assert_frame_equal(shop.query(days), load_shop(LOG, timestamps="local").query(days))
    assert late.sum() > 3 and shop.as_of == load_shop(LOG, timestamps="local").as_of


def test_dimensions_join_too_and_findings_are_counted_again(tmp_path):
    tables = corner_tables()
    first = {**tables, "transactions": LOG.iloc[:60], "products": tables["products"].iloc[:6], "customers": tables["customers"].iloc[:2]}
    rest = {"transactions": LOG.iloc[60:], "products": tables["products"].iloc[5:], "customers": tables["customers"].iloc[1:]}
    shop = append(load_shop(first, timestamps="local"), rest)
    both = {**tables, "products": pd.concat([first["products"], rest["products"]]), "customers": pd.concat([first["customers"], rest["customers"]])}
    assert_same(shop, load_shop(both, timestamps="local"))
    assert set(shop.rejected["rule"]) == {"repeated_key"} and shop.findings.set_index("rule").get("unknown_product") is None
    assert shop.query("SELECT DISTINCT age_band FROM customers ORDER BY 1")["age_band"].cat.ordered


def test_a_file_given_twice_is_recognised(tmp_path, caplog):
    LOG.iloc[:60].to_csv(tmp_path / "a.csv", index=False)
    LOG.iloc[60:].to_csv(tmp_path / "b.csv", index=False)
    shop = append(load_shop(tmp_path / "a.csv", timestamps="local"), tmp_path / "b.csv")
    (tmp_path / "same.csv").write_bytes((tmp_path / "a.csv").read_bytes())
    with caplog.at_level(logging.WARNING, logger="retail_insight"):
        again = append(shop, tmp_path / "same.csv")
    assert again.path == shop.path and "same.csv is in the shop already" in caplog.text
    assert_same(append(load_shop(tmp_path / "a.csv", timestamps="local"), str(tmp_path / "*.csv")), shop)
    twice = load_shop(str(tmp_path / "*.csv"), timestamps="local").findings.set_index("rule")
    assert twice.loc["file_twice", "count"] == 1 and "a.csv = same.csv" in twice.loc["file_twice", "first"]


def test_a_shop_grows_in_its_own_file_from_day_to_day(tmp_path):
    home = tmp_path / "till.duckdb"
    shop = load_shop(LOG[LOG["timestamp"] < "2024-01-03"], timestamps="local")
    shop = append(shop, LOG[LOG["timestamp"].dt.date == pd.Timestamp("2024-01-03").date()], to=home)
    for day in pd.date_range("2024-01-04", "2024-01-10"):
        if len(lines := LOG[LOG["timestamp"].dt.date == day.date()]):
            shop = append(open_shop(home), lines, to=home)
    assert shop.path == home and len(shop.query("FROM transactions")) == (LOG["timestamp"] < "2024-01-11").sum()
    assert oct(home.stat().st_mode)[-3:] == "600" and [p.name for p in tmp_path.iterdir() if p.name.startswith("till")] == ["till.duckdb"]


def test_what_would_change_the_old_rows_cannot_join(tmp_path):
    numbered = LOG.assign(product_id=range(len(LOG)), customer_id=7)
    shop = load_shop(numbered, timestamps="local")
    with pytest.raises(ContractError, match=r"first 'customer_id'. Load all of them together"):
        append(shop, LOG)
    days = LOG.assign(timestamp=LOG["timestamp"].dt.date)
    with pytest.raises(ContractError, match="the new lines have times of day, which changes how the old ones are read"):
        append(load_shop(days, timestamps="local"), LOG)
    with pytest.raises(ContractError, match="of another type in the new rows, first 'note'"):
        append(load_shop(LOG.assign(note=1), timestamps="local"), LOG.assign(note="one"))
    assert len(shop.query("FROM transactions")) == len(LOG)


def test_snapshots_are_kept_and_frames_are_not():
    once = load_shop(LOG, timestamps="local", snapshot="january")
    assert load_shop(LOG.head(3), timestamps="local", snapshot="january").path == once.path
    assert load_shop(LOG, timestamps="local", snapshot="february").path != once.path
    assert load_shop(LOG, timestamps="local").path != load_shop(LOG, timestamps="local").path


def test_an_erased_person_is_nowhere_in_the_file(tmp_path):
    name = "PERSON-4711-XYZ"
    log = LOG.astype({"amount": object}).assign(customer_id=LOG["customer_id"].replace("ben", name))
    log.loc[log.index[log["customer_id"] == name][:2], "amount"] = "two"
    log.to_csv(tmp_path / "log.csv", index=False)
    with open(tmp_path / "log.csv", "a", encoding="utf-8") as file:
        file.write(f'torn,{name}\n"torn,other\n')
    shop = load_shop(tmp_path / "log.csv", timestamps="local", columns={"transactions": {}, "customers": {"from": "transactions", "customer_id": "customer_id"}})
    lines = int((log["customer_id"] == name).sum())
    assert name.encode() in shop.path.read_bytes() or len(shop.rejected) == 4
    removed = erase(shop, name).set_index("table")["rows"].to_dict()
    assert removed == {"transactions": lines - 2, "rejected transactions": 3, "customers": 1}
    assert name.encode() not in shop.path.read_bytes()
    counts = shop.tables()
    assert (counts["rows_in"] == counts["rows"] + counts["rejected"]).all() and len(shop.rejected) == counts["rejected"].sum() == 1
    assert not shop.findings["first"].astype(str).str.contains(name).any() and "erased" in set(shop.findings["rule"])
    with pytest.raises(ValueError, match="is not in"):
        erase(shop, name)
    assert oct(shop.path.stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize("name", ["#4711", "Zoë", "ñ", "a|b.c*", 'O"Neil', "back\\slash", "+49 170", "00042"])
def test_a_person_of_any_name_is_erased_from_torn_records_too(name, tmp_path):
    log = LOG.astype({"amount": object}).assign(customer_id=LOG["customer_id"].replace("ben", name))
    log.loc[log.index[log["customer_id"] == name][:2], "amount"] = "two"
    log.to_csv(tmp_path / "log.csv", index=False)
    with open(tmp_path / "log.csv", "ab") as file:
        file.write(f'torn,{name}\n'.encode() + b"\xff torn,\xe9," + name.encode() + f',x,y,z\n"torn,{name}\n'.encode())
    shop = load_shop(tmp_path / "log.csv", timestamps="local")
    assert len(shop.rejected) == 5
    removed = erase(shop, name).set_index("table")["rows"].to_dict()
    assert removed == {"transactions": int((log["customer_id"] == name).sum()) - 2, "rejected transactions": 5}
    left = shop.path.read_bytes()
    for spelt in (name, json.dumps(name)[1:-1], name.encode().hex()):
        assert len(name) < 3 or spelt.encode() not in left
    assert shop.rejected.empty and shop.findings["first"].dropna().str.contains(name, regex=False).sum() == 0


def test_erase_says_who_else_still_knows_the_person(tmp_path, caplog):
    LOG.head(60).to_csv(tmp_path / "one.csv", index=False)
    LOG.tail(len(LOG) - 60).to_csv(tmp_path / "two.csv", index=False)
    before = load_shop(tmp_path / "one.csv", timestamps="local")
    grown = append(before, tmp_path / "two.csv")
    erase(grown, "ben")
    said = caplog.text
    assert "still stands in other shops of the cache (1, first" in said and before.path.name in said and "ben" not in said
    caplog.clear()
    erase(before, "ben")
    assert "still stands" not in caplog.text
    assert grown.query("SELECT count(*) AS n FROM transactions WHERE customer_id = 'ben'")["n"][0] == 0


@pytest.mark.parametrize(("what", "times"), [("load", 24), ("append", 23), ("run", 3)])
def test_kill_9_leaves_the_old_or_the_new(what, times, tmp_path):
    done = subprocess.run([sys.executable, kill.__file__, what, str(tmp_path), str(times), "1"], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert seen["half"] == 0 and seen["left running"] == 0 and seen["failed afterwards"] == 0 and seen["killed"] >= times / 3, seen


def test_a_log_larger_than_the_engines_memory(tmp_path, monkeypatch):
    "Two million lines, which take more than the 120 MB that the engine may have, through the door, with a day more, and asked for a median."
    con = duckdb.connect()
    sql = "SELECT 'receipt ' || range // 4 AS transaction_id, TIMESTAMP '2024-01-01' + to_seconds(range) AS timestamp, 'card ' || range % 70000 AS customer_id, 'article ' || hash(range) % 900000 AS product_id, 1 AS quantity, (range % 997)::DECIMAL(9, 2) + 1 AS amount"
    con.execute(f"COPY ({sql} FROM range(2000000)) TO '{tmp_path / 'log.parquet'}'; COPY ({sql} FROM range(2000000, 2005000)) TO '{tmp_path / 'day.parquet'}'")
    monkeypatch.setenv("RETAIL_INSIGHT_MEMORY", "120MB")
    shop = append(load_shop(tmp_path / "log.parquet", timestamps="local"), tmp_path / "day.parquet")
    assert shop.path.stat().st_size > 0 and shop.query("SELECT current_setting('memory_limit') AS m")["m"][0].startswith("114.4")
    found = shop.query("SELECT count(*) AS n, count(DISTINCT product_id) AS goods, count(DISTINCT transaction_id) AS receipts FROM transactions").iloc[0]
    assert found["n"] == 2_005_000 and found["receipts"] == 501_250 and found["goods"] > 700_000


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path):
    "A limit on the size of files stands for a disk that is full."
    code = ("import resource, sys; from retail_insight import load_shop; import retail_insight.contract.shop; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            f"\ntry: load_shop({str(tmp_path / 'log.parquet')!r}, timestamps='local')\nexcept Exception as error: print(type(error).__name__, error); sys.exit(3)")
    pd.concat([LOG.assign(transaction_id=LOG["transaction_id"] + str(n), note=np.random.default_rng(n).random(len(LOG))) for n in range(60)]).to_parquet(tmp_path / "log.parquet")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 3 and "ContractError" in done.stdout and "disk is full" in done.stdout, done.stdout + done.stderr
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert len(load_shop(tmp_path / "log.parquet", timestamps="local").query("FROM transactions")) == 60 * len(LOG)


SMALL_DISK = """mount -t tmpfs -o size=4m tmpfs "$RETAIL_INSIGHT_CACHE" || exit 77
exec "$0" -c "$1" """


def test_a_disk_that_is_really_full(tmp_path):
    "The cache on a file system of 4 MB, seen by the child alone, where the system lets us mount one."
    pd.concat([LOG.assign(transaction_id=LOG["transaction_id"] + str(n), note=np.random.default_rng(n).random(len(LOG))) for n in range(60)]).to_parquet(tmp_path / "log.parquet")
    pd.concat([LOG.assign(transaction_id="late" + LOG["transaction_id"] + str(n), note=np.random.default_rng(n).random(len(LOG))) for n in range(60)]).to_parquet(tmp_path / "late.parquet")
    (tmp_path / "cache").mkdir(mode=0o700)
    code = f"""import os, sys
from retail_insight import append, load_shop
cache, said = os.environ["RETAIL_INSIGHT_CACHE"], []
shop = load_shop("corner")
before = shop.path.read_bytes()
for job in (lambda: load_shop({str(tmp_path / 'log.parquet')!r}, timestamps="local"), lambda: append(shop, {str(tmp_path / 'late.parquet')!r})):
    try: job()
    except Exception as error: said.append(f"{{type(error).__name__}} {{error}}")
print(*said, [p.name for p in __import__("pathlib").Path(cache).rglob("*") if p.is_file()] == [shop.path.name], shop.path.read_bytes() == before, sep="\\n")"""
    try:
        done = subprocess.run(["unshare", "-rm", "sh", "-c", SMALL_DISK, sys.executable, code], capture_output=True, text=True, env=os.environ, timeout=300)
    except OSError as error:
        pytest.skip(f"no unshare here: {error}")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()[:200]}")
    assert len(done.stdout.strip().splitlines()) == 4, done.stdout + done.stderr[-1500:]
    first, second, alone, same = done.stdout.strip().splitlines()
    for said in (first, second):
        assert said.startswith("ContractError") and "disk is full" in said, done.stdout + done.stderr
    assert (alone, same) == ("True", "True"), done.stdout


def test_a_read_only_cache_is_said(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o500)
    LOG.to_parquet(tmp_path / "log.parquet")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    code = ("import os, sys; import retail_insight.contract.shop as s; os.getuid() or (os.setgid(65534), os.setuid(65534))\n"
            f"try: s.load_shop({str(tmp_path / 'log.parquet')!r})\nexcept Exception as error: print(type(error).__name__, error); sys.exit(3)")
    (tmp_path / "cache").chmod(0o555)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 3 and "RETAIL_INSIGHT_CACHE" in done.stdout, done.stdout + done.stderr


def test_what_an_older_version_left_is_loaded_afresh(tmp_path):
    LOG.to_parquet(tmp_path / "log.parquet")
    shop = load_shop(tmp_path / "log.parquet", timestamps="local")
    path, count = shop.path, len(shop.query("FROM transactions"))
    code = f"from retail_insight import load_shop; print(len(load_shop({str(tmp_path / 'log.parquet')!r}, timestamps='local').query('FROM transactions')))"
    for content in (b"", b"not a database", path.read_bytes()[: path.stat().st_size // 2]):
        path.write_bytes(content)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=120)
        assert done.stdout.strip() == str(count), done.stderr[-1500:]


def test_threads_that_load_and_grow_one_shop_do_not_meet(tmp_path):
    "Each has a file of its own until it is whole; what a killed load left is in nobody's way."
    LOG.iloc[:100].to_parquet(tmp_path / "log.parquet")
    LOG.iloc[100:].to_parquet(tmp_path / "rest.parquet")
    before = os.umask(0o022)
    try:
        with ThreadPoolExecutor(4) as pool:
            shops = list(pool.map(lambda _: load_shop(tmp_path / "log.parquet", timestamps="local"), range(8)))
            left = shops[0].path.with_name(f"{shops[0].path.name}.{os.getpid()}.new")
            left.write_bytes(b"half a shop")
            grown = list(pool.map(lambda n: append(shops[0], tmp_path / "rest.parquet", to=tmp_path / f"grown{n}.duckdb").path, range(4)))
        assert os.umask(0o022) == 0o022, "a load changed the process's rights of new files"
    finally:
        os.umask(before)
    assert {s.path for s in shops} == {shops[0].path} and len(set(grown)) == 4
    assert [len(open_shop(p).query("FROM transactions")) for p in (shops[0].path, *grown)] == [100] + 4 * [len(LOG)]
    files = sorted(p.name for p in (tmp_path / "cache").iterdir() if p.is_file())
    assert files == sorted([shops[0].path.name, left.name]) and not list(tmp_path.rglob("*.new/*"))


def test_threads_that_append_to_one_file_take_turns(tmp_path):
    "Nothing of anybody's is lost, and whoever asks meanwhile is answered from a whole shop."
    home = append(load_shop(LOG.iloc[:100], timestamps="local"), LOG.iloc[100:110], to=tmp_path / "till.duckdb").path
    seen, count = [], "SELECT count(*) AS n FROM transactions"
    with ThreadPoolExecutor(6) as pool:
        added = [pool.submit(append, open_shop(home), LOG.iloc[110 + n:111 + n], to=home) for n in range(12)]
        asked = [pool.submit(lambda: [open_shop(home).query(count)["n"][0] for _ in range(25)]) for _ in range(2)]
        lines = [len(f.result().query("FROM transactions")) for f in added]
        seen = [n for f in asked for n in f.result()]
    assert max(lines) == open_shop(home).query(count)["n"][0] == 122 and set(seen) <= set(range(110, 123))
    assert os.listdir(tmp_path / "cache") and [p.name for p in tmp_path.iterdir() if "till" in p.name] == ["till.duckdb"]


def test_processes_that_append_to_one_file_take_turns(tmp_path):
    home = append(load_shop(LOG.iloc[:100], timestamps="local"), LOG.iloc[100:110], to=tmp_path / "till.duckdb").path
    before = open_shop(home)
    code = (f"from retail_insight.contract import append, corner_tables, open_shop; log, home = corner_tables()['transactions'], {str(home)!r}\n"
            "import sys; start = int(sys.argv[1])\nfor n in range(start, start + 5): append(open_shop(home), log.iloc[n:n + 1], to=home)")
    both = [subprocess.Popen([sys.executable, "-c", code, str(start)], stderr=subprocess.PIPE, text=True, env=os.environ) for start in (110, 115)]
    said = [p.communicate(timeout=200)[1] for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert len(before.query("FROM transactions")) == 120, "what is asked after a file has grown is answered from the grown one"
    assert erase(before, "ben")["rows"].sum() > 0 and "ben" not in set(open_shop(home).query("FROM transactions")["customer_id"])


def test_a_grown_shop_takes_no_other_files_place(tmp_path):
    LOG.iloc[:60].to_csv(tmp_path / "log.csv", index=False)
    with duckdb.connect(str(tmp_path / "other.duckdb")) as con:
        con.execute("CREATE TABLE mine AS SELECT 1 AS x")
    (tmp_path / "folder").mkdir()
    before = {name: (tmp_path / name).read_bytes() for name in ("log.csv", "other.duckdb")}
    shop = load_shop(tmp_path / "log.csv", timestamps="local")
    for name in ("log.csv", "other.duckdb", "folder"):
        with pytest.raises(ValueError, match="is there already and is not replaced"):
            append(shop, LOG.iloc[60:], to=tmp_path / name)
    with pytest.raises(ValueError, match="there is no folder"):
        append(shop, LOG.iloc[60:], to=tmp_path / "nowhere" / "shop.duckdb")
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    same = append(shop, tmp_path / "log.csv", to=tmp_path / "home.duckdb")
    assert same.path == tmp_path / "home.duckdb" and len(open_shop(same.path).query("FROM transactions")) == 60


def test_a_file_that_is_no_shop_is_said(tmp_path, monkeypatch):
    LOG.to_csv(tmp_path / "log.csv", index=False)
    with duckdb.connect(str(tmp_path / "other.duckdb")) as con:
        con.execute("CREATE TABLE mine AS SELECT 1 AS x")
    for name, said in (("none.duckdb", "no such file"), ("log.csv", "not a loaded shop"), ("other.duckdb", "not a loaded shop")):
        with pytest.raises(ContractError, match=f"{name}: .*{said}"):
            open_shop(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    shop = append(load_shop(LOG.iloc[:60], timestamps="local"), LOG.iloc[60:], to="home.duckdb")
    monkeypatch.chdir("/")
    assert len(open_shop(shop.path).query("FROM transactions")) == len(LOG), "a shop is found again from another folder"


def test_the_file_of_a_shop_is_opened_and_not_loaded_again(tmp_path, capsys):
    from retail_insight.report import main

    home = append(load_shop(LOG.iloc[:60], timestamps="local", currency="EUR"), LOG.iloc[60:], to=tmp_path / "home.duckdb").path
    assert load_shop(str(home)).path == home and load_shop(home).currency == "EUR"
    for asked in ({"currency": "GBP"}, {"columns": {"transactions": {}}}, {"as_of": "2024-02-01"}, {"snapshot": "now"}):
        with pytest.raises(ValueError, match=r"home\.duckdb is a loaded shop"):
            load_shop(home, **asked)
    assert main(["describe", "--data", str(home)]) == 0 and "EUR" in capsys.readouterr().out


def test_the_cache_is_listed_while_loads_come_and_go(tmp_path, recwarn, capsys):
    from retail_insight.report import main

    LOG.iloc[:40].to_csv(tmp_path / "log.csv", index=False)
    append(load_shop(LOG.iloc[:40], timestamps="local"), LOG.iloc[40:])
    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load_shop, LOG.iloc[:40], timestamps="local") for _ in range(12)]
        while not all(f.done() for f in loads):
            assert "frames" in set(cached_shops()["shop"])
        assert [f.exception() for f in loads] == 12 * [None]
    del loads
    (tmp_path / "cache" / "log.csv-1.duckdb.x.new").mkdir()
    (tmp_path / "cache" / "log.csv-1.duckdb.x.new" / "shop.duckdb").write_bytes(b"0" * 3_000_000)
    assert main(["cache"]) == 0
    said = capsys.readouterr().out
    assert "3.0 MB of it" in said and "in use by a load, or left of one that did not end" in said and not recwarn.list
    assert main(["cache", "--clear", "frames"]) == 0 and set(cached_shops()["kind"]) == {"in use or left over"}
    assert main(["cache", "--clear"]) == 0 and not [p for p in (tmp_path / "cache").iterdir() if p.name != "spill"]


def test_what_is_odd_is_shown_by_the_same_row_in_every_load():
    "DuckDB's threads give groups in any order; the first offender is the first of the table."
    offers = pd.DataFrame({"product_id": [f"p{i % 4000}" for i in range(12_000)], "start_date": pd.Timestamp("2024-01-01"), "end_date": pd.Timestamp("2024-01-07")})
    loads = [load_shop({"transactions": LOG, "promotions": offers}, timestamps="local") for _ in range(3)]
    assert {s.findings.set_index("rule").loc["repeated_promotion", "first"] for s in loads} == {"product p0"}
    for other in loads[1:]:
        pd.testing.assert_frame_equal(other.tables(), loads[0].tables())
        pd.testing.assert_frame_equal(check_shop(other), check_shop(loads[0]))


def test_shops_are_their_owners():
    shop = load_shop(LOG, timestamps="local")
    assert json.dumps(shop.facts) and oct(Path(os.environ["RETAIL_INSIGHT_CACHE"]).stat().st_mode)[-3:] == "700"
    assert oct(shop.path.stat().st_mode)[-3:] == "600"


def test_a_shop_is_closed_to_others_from_its_first_byte_on(tmp_path, monkeypatch):
    "Also in a folder that others may enter, where a load that is killed would leave its file."
    import retail_insight.contract.shop as shop_module

    (tmp_path / "open").mkdir(mode=0o755)
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "open"))
    modes, fill = {}, shop_module.fill_shop

    def look(con, *parts, **more):
        fill(con, *parts, **more)
        con.execute("CHECKPOINT")
        modes.update({p.name: oct(p.stat().st_mode)[-2:] for p in (tmp_path / "open").iterdir()})

    monkeypatch.setattr(shop_module, "fill_shop", look)
    LOG.to_csv(tmp_path / "log.csv", index=False)
    shop = load_shop(tmp_path / "log.csv", timestamps="local")
    assert any(name.endswith(".new") for name in modes) and set(modes.values()) == {"00"}
    grown = append(shop, LOG.head(2))
    erase(grown, "ben")
    assert {oct(p.stat().st_mode)[-2:] for p in (tmp_path / "open").iterdir()} == {"00"}
