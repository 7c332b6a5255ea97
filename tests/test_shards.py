"""Shards: cut by lines, every line in one, and the same result on processes, Dask and Spark."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import cloudpickle
import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.contract.cutting import Shard, cut_sql, key_columns, key_seeds, plan_shards, shard_shop
from retail_insight.contract.shards import ShardError, joined, map_shards, versions
from retail_insight.profile import build_profiles, cut_points, when_and_how_much

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Spark's workers cannot import this file
ENGINES = ["local", "dask", "spark"]
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def corner():
    return load_shop("corner")


@pytest.fixture(scope="module")
def journey():
    try:
        return load_shop("complete_journey")
    except ContractError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def dask_client():
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL") as cluster:
        with distributed.Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def spark_session():
    sql = pytest.importorskip("pyspark.sql", reason="the extra spark is not installed")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("no Java: on Debian, apt-get install default-jre-headless")
    from retail_insight.contract.shards import local_spark

    with local_spark(sql, 2) as session:
        yield session


@pytest.fixture(params=ENGINES)
def engine(request) -> dict:
    "The arguments that choose an engine with two workers."
    if request.param == "local":
        return {"engine": "local", "workers": 2}
    fixture = {"dask": "dask_client", "spark": "spark_session"}[request.param]
    return {"engine": request.param, "workers": 2, "cluster": request.getfixturevalue(fixture)}


def profile_rows(shop, cuts):
    return build_profiles(shop, cuts=cuts).to_frame()


def count_lines(shop):
    return shop.query("SELECT customer_id, count(*) AS lines FROM transactions WHERE customer_id IS NOT NULL GROUP BY ALL ORDER BY ALL")


def fails_for_dan(shop):
    if len(shop.query("FROM transactions WHERE customer_id = 'dan'")):
        raise ValueError("dan's ☃ \"fault\"")
    return count_lines(shop)


def dies_for_dan(shop):
    if len(shop.query("FROM transactions WHERE customer_id = 'dan'")):
        os._exit(9)
    return count_lines(shop)


# Equal on every engine --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 3, 7])
def test_profiles_of_shards_are_those_of_the_whole(corner, engine, shards):
    figures = {"cuts": cut_points(when_and_how_much(corner))}
    made = map_shards(profile_rows, corner, figures=figures, shards=shards, **engine)
    pd.testing.assert_frame_equal(made, build_profiles(corner).to_frame(), check_exact=True)


def test_a_real_shop_is_equal_to_the_last_digit(journey, engine):
    figures = {"cuts": cut_points(when_and_how_much(journey))}
    made = map_shards(profile_rows, journey, figures=figures, shards=7, **engine)
    pd.testing.assert_frame_equal(made, build_profiles(journey).to_frame(), check_exact=True)


def test_one_process_is_equal_too(journey):
    figures = {"cuts": cut_points(when_and_how_much(journey))}
    made = map_shards(profile_rows, journey, figures=figures, shards=5, workers=1)
    pd.testing.assert_frame_equal(made, build_profiles(journey).to_frame(), check_exact=True)


def test_types_come_back_as_they_left(corner, engine):
    def odd(shop):
        frame = count_lines(shop)
        n = len(frame)
        bands = pd.CategoricalDtype(["young", "old"], ordered=True)
        return frame.assign(band=pd.Series(["old"] * n, dtype=bands), small=np.int8(3), maybe=pd.array([None] * n, dtype="Int64"),
                            when=pd.Timestamp("2024-01-01", tz="Europe/Amsterdam"), what=[{"a", 1}] * n)

    made, whole = map_shards(odd, corner, shards=4, **engine), odd(corner)
    pd.testing.assert_frame_equal(made, whole, check_exact=True)
    assert made.dtypes.equals(whole.dtypes)


def test_a_day_in_the_past_cuts_everybody_off(corner, engine):
    made = map_shards(count_lines, corner, as_of="2024-01-10", shards=3, **engine)
    whole = corner.query("SELECT customer_id, count(*) AS lines FROM transactions WHERE customer_id IS NOT NULL AND local_date <= '2024-01-10' GROUP BY ALL ORDER BY ALL")
    pd.testing.assert_frame_equal(made, whole)


# Cutting ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_shards_are_balanced_by_lines_and_hold_each_key_once(sizes, shards):
    class Lines:
        def columns(self, table):
            return ["customer_id"] if table == "transactions" else []

        def relation(self, sql, **params):
            return con.sql(sql, params=params or None)

    with duckdb.connect() as con:
        con.register("sizes", pd.DataFrame({"customer_id": range(len(sizes)), "n": sizes}))
        con.execute("CREATE TABLE transactions AS SELECT customer_id, DATE '2024-01-01' AS local_date FROM sizes, range(n)")
        rows = con.sql(cut_sql(key_columns(Lines(), "customer_id")), params={"as_of": date(2024, 1, 1), "shards": shards}).fetchall()
    assert [k for first, last, *_ in rows for k in range(first, last + 1)] == list(range(len(sizes)))
    assert all(lines == sum(sizes[first : last + 1]) and keys == last - first + 1 for first, last, keys, lines in rows)
    assert max(r[3] for r in rows) <= sum(sizes) / shards + max(sizes)
    large = {k for k, n in enumerate(sizes) if n > sum(sizes) / shards}
    assert all(first == last for first, last, *_ in rows if large & set(range(first, last + 1)))


@pytest.mark.parametrize("by", ["customer_id", "category", ["store_id", "product_id"], ["department", "local_date"], "age_band", "customers.region"])
def test_every_line_with_a_key_is_in_one_shard(corner, by):
    plan = plan_shards(corner, by, 4)
    parts = []
    for shard in plan.shards:
        shop = shard_shop(corner, shard)
        parts.append(shop.query("SELECT transaction_id, line FROM transactions"))
        assert len(parts[-1]) == shard.lines
        shop.close()
    held = pd.concat(parts)
    assert not held.duplicated().any()
    assert len(held) + plan.left_out == len(corner.query("FROM transactions"))


def test_a_missing_key_is_counted_and_left_out(corner):
    assert plan_shards(corner).left_out == len(corner.query("FROM transactions WHERE customer_id IS NULL")) > 0


def test_hostile_keys():
    names = ["O'Neil", 'a "b"; DROP TABLE x', "☃ снег", "", "a\\b", "%s {0} $1"]
    log = corner_tables()["transactions"].head(12).assign(customer_id=names * 2)
    shop = load_shop(log, timestamps="local")
    made = map_shards(count_lines, shop, shards=6, workers=1)
    pd.testing.assert_frame_equal(made, count_lines(shop))
    assert set(made["customer_id"]) <= set(names) and len(made) >= 5


def test_a_shard_is_a_shop(corner):
    shop = shard_shop(corner, plan_shards(corner, shards=3).shards[0])
    again = pickle.loads(pickle.dumps(shop))
    for table in ("products", "customers", "stores", "promotions", "campaigns", "coupons", "redemptions"):
        pd.testing.assert_frame_equal(again.query(f"FROM {table}"), corner.query(f"FROM {table}"))
    pd.testing.assert_frame_equal(again.tables(), corner.tables())
    assert list(again.transactions.columns) == list(corner.transactions.columns)
    assert again.currency == corner.currency and "shard 1 of 3" in repr(again)
    with pytest.raises(duckdb.Error):
        again.relation("INSERT INTO whole.main.products SELECT * FROM whole.main.products")
    shop.close(), again.close()


def test_keys_that_are_not_there_are_named(corner):
    for by, said in (("custmer_id", "customer_id"), ([], "by is empty"), ("nothing", "not known")):
        with pytest.raises(ValueError, match=said):
            plan_shards(corner, by)


# What goes wrong --------------------------------------------------------------------------------------------------


def test_a_failure_names_its_shard_and_what_the_worker_said(corner, engine):
    with pytest.raises(ShardError, match=r"shard 3 of 3 \(customer_id cleo to eve: 3 keys, 41 lines\)") as caught:
        map_shards(fails_for_dan, corner, shards=3, **engine)
    assert "dan's ☃" in str(caught.value) and "fails_for_dan" in caught.value.__notes__[0]
    with pytest.raises(ValueError):
        fails_for_dan(shard_shop(corner, caught.value.shards[0]))


@pytest.mark.parametrize("name", ["local", "dask"])
def test_a_worker_that_dies_names_what_is_known(corner, name):
    if name == "dask":
        pytest.importorskip("distributed", reason="the extra dask is not installed")
    with pytest.raises(ShardError, match="cleo to eve") as caught:
        map_shards(dies_for_dan, corner, shards=3, engine=name, workers=2)
    assert any("dan" in (s.first + s.last) or s.number == 3 for s in caught.value.shards)
    assert len(map_shards(count_lines, corner, shards=3, workers=2)) == 5


def test_a_dead_worker_on_spark_is_named(corner, spark_session):
    with pytest.raises(ShardError, match="cleo to eve"):
        map_shards(dies_for_dan, corner, shards=3, engine="spark", cluster=spark_session)
    assert len(map_shards(count_lines, corner, shards=3, engine="spark", cluster=spark_session)) == 5


def test_answers_that_do_not_fit_are_named(corner):
    def uneven(shop):
        frame = count_lines(shop)
        return frame.assign(extra=1) if "ana" in set(frame["customer_id"]) else frame

    with pytest.raises(ShardError, match="differ in"):
        map_shards(uneven, corner, shards=3, workers=1)
    with pytest.raises(ShardError, match="to_frame"):
        map_shards(build_profiles, corner, shards=3, workers=1)
    with pytest.raises(ShardError, match="SystemExit"):
        map_shards(lambda shop: sys.exit("enough"), corner, shards=3, workers=1)
    with pytest.raises(ValueError, match="Did you mean 'spark'"):
        map_shards(count_lines, corner, engine="sparc")


def test_a_worker_without_the_file_or_with_other_versions_says_so(corner, monkeypatch):
    from retail_insight.contract import shards

    monkeypatch.setattr(shards, "versions", lambda: versions() | {"pandas": "0"})
    job = shards.Job(corner.path, shards.packed(count_lines, None), "100MB", versions())
    shard = plan_shards(corner, shards=2).shards[0]
    assert "pandas 0 instead of" in pickle.loads(shards.run_shard(job, shard)[1]).message
    monkeypatch.undo()
    gone = shards.Job(corner.path.with_name("gone.duckdb"), job.call, "100MB", versions())
    assert "RETAIL_INSIGHT_CACHE" in pickle.loads(shards.run_shard(gone, shard)[1]).message


def test_a_missing_extra_says_what_to_install(corner, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"retail_insight\[dask\]"):
        map_shards(count_lines, corner, engine="dask", workers=2)


def test_an_empty_answer_keeps_the_types_of_the_others(corner):
    def only_ana(shop):
        return shop.query("SELECT customer_id, amount FROM transactions WHERE customer_id = 'ana' ORDER BY transaction_id, line")

    pd.testing.assert_frame_equal(map_shards(only_ana, corner, shards=5, workers=1), only_ana(corner))
    shard = plan_shards(corner).shards[0]
    assert isinstance(shard, Shard) and joined({shard: count_lines(corner).head(0)}).empty


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_control_c_leaves_no_process(tmp_path):
    psutil = pytest.importorskip("psutil", reason="psutil counts the processes")
    (tmp_path / "slow.py").write_text("import time\nfrom retail_insight.contract import load_shop, map_shards\n"
        "def slow(shop):\n    print('in work', flush=True)\n    time.sleep(60)\nmap_shards(slow, load_shop('corner'), workers=2)\n")
    child = subprocess.Popen([sys.executable, "slow.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.readline()
    workers = psutil.Process(child.pid).children(recursive=True)
    assert workers
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=20)
    until = time.monotonic() + 10
    while (left := [w for w in workers if w.is_running() and w.status() != psutil.STATUS_ZOMBIE]) and time.monotonic() < until:
        time.sleep(0.1)
    assert child.returncode and not left


def test_a_progress_bar_counts_shards_on_request(corner, capsys):
    map_shards(count_lines, corner, shards=3, workers=1, progress=True)
    assert "3/3" in capsys.readouterr().err
    map_shards(count_lines, corner, shards=3, workers=1)
    assert capsys.readouterr().err == ""  # no terminal, no bar


def test_the_page_on_clusters_shows_what_was_measured():
    rows = {r["row"]: r["ours"] for r in json.loads((ROOT / "benchmarks" / "results" / "shards.json").read_text(encoding="utf-8"))}
    table = ["| engine | start | a shard more | two workers pay from (running) | two workers pay from (with the start) |", "|---|---|---|---|---|"]
    for engine in ENGINES:
        pays = [rows[f"{engine}: work from which two workers pay, {when}"] for when in ("running", "with the start")]
        table.append(f"| `{engine}` | {rows[f'{engine}: start']:.1f} s | {rows[f'{engine}: a shard more']:.0f} ms | {pays[0]:.1f} s of work | {pays[1]:.1f} s of work |")
    page = ROOT / "docs" / "howto" / "cluster.md"
    old = page.read_text(encoding="utf-8")
    new = re.sub(r"(?m)^\| engine .*\n(\|.*\n)+", "\n".join(table) + "\n", old)
    if new != old or "\n".join(table) not in new:
        page.write_text(new, encoding="utf-8")
        pytest.fail("cluster.md was out of step with the benchmark and is put right now: look at it and commit it.")


# Chance -----------------------------------------------------------------------------------------------------------


def test_seeds_depend_on_the_key_alone():
    assert key_seeds(["ana", "ben"]).tolist() == [*key_seeds(["ana"]).tolist(), *key_seeds(["ben"]).tolist()]
    assert key_seeds(["ana"]).tolist() == [4549413224575237882] and key_seeds(["ana"]).dtype == np.uint64
    assert len(set(key_seeds(range(5000)))) == 5000
    assert not set(key_seeds(range(50))) & set(key_seeds(range(50), seed=1))
    several = pd.DataFrame({"store": [1, 1], "product": ["a", "b"]})
    assert key_seeds(pd.MultiIndex.from_frame(several)).tolist() == key_seeds(several).tolist()
    with pytest.raises(ValueError, match="1 of 2 missing"):
        key_seeds(pd.Series(["a", None]))


def test_a_bootstrap_is_the_same_in_one_shard_or_five(corner, engine):
    def draws(shop):
        people = count_lines(shop)
        return people.assign(draw=[np.random.default_rng(s).normal() for s in key_seeds(people["customer_id"])])

    pd.testing.assert_frame_equal(map_shards(draws, corner, shards=5, **engine), map_shards(draws, corner, shards=1, workers=1), check_exact=True)
