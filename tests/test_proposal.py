"""`retail-insight check`, tried as somebody would on data that they have never loaded."""

import os
import sqlite3
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import corner_tables, load_shop, read_mapping
from retail_insight.contract.proposal import propose_mapping
from retail_insight.report import main

DATA = Path(os.environ.get("RETAIL_INSIGHT_DATA", "no-benchmark-data"))
NEEDED = ("transaction_id", "timestamp", "product_id", "quantity", "amount")


def benchmark(name: str) -> pd.DataFrame:
    path = DATA / name / "transactions.parquet"
    if not path.exists():
        pytest.skip(f"RETAIL_INSIGHT_DATA has no {name}/transactions.parquet")
    return pd.read_parquet(path)


def checked(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["check", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def mapped(proposal) -> dict:
    return proposal.mapping["transactions"]


@pytest.fixture
def spreadsheet(tmp_path) -> Path:
    "Online Retail as its second spreadsheet names the columns, with dates as such a sheet is saved: month first."
    log = benchmark("online_retail").head(30_000).rename(columns={"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"})
    log["InvoiceDate"] = log["InvoiceDate"].map(lambda t: f"{t.month}/{t.day}/{t.year} {t.hour}:{t.minute:02d}")
    log.to_csv(tmp_path / "online_retail_II.csv", index=False)
    return tmp_path / "online_retail_II.csv"


def test_the_columns_of_a_spreadsheet(spreadsheet, capsys):
    code, said, _ = checked(capsys, spreadsheet, "--write")
    assert code == 0 and "month first" in said and "10,000 of 30,000 rows" in said
    found = read_mapping(spreadsheet.parent / "map.toml")
    names = {c: found["transactions"][c] for c in ("transaction_id", "customer_id", "product_id", "quantity")}
    assert names == {"transaction_id": "Invoice", "customer_id": "Customer ID", "product_id": "StockCode", "quantity": "Quantity"}
    shop, log = load_shop(spreadsheet), pd.read_csv(spreadsheet)
    counts = shop.tables().set_index("table").loc["transactions"]
    assert counts["rows_in"] == 30_000 and counts["rejected"] == 0
    taken = shop.query("SELECT sum(amount) AS a, min(timestamp) AS t, count(DISTINCT transaction_id) AS n FROM transactions").iloc[0]
    assert abs(taken["a"] - (log["Quantity"] * log["Price"]).sum()) < 0.005 * 30_000 and taken["n"] == log["Invoice"].nunique()
    assert taken["t"] == pd.to_datetime(log["InvoiceDate"], format="%m/%d/%Y %H:%M").min()


def test_the_same_columns_in_the_recipe_say_so(tmp_path, capsys):
    benchmark("online_retail").head(5_000).to_csv(tmp_path / "log.csv", index=False)
    code, said, _ = checked(capsys, tmp_path / "log.csv")
    assert code == 0 and "recipe online_retail" in said and 'transaction_id = "InvoiceNo"' in said and "no column numbers receipts" not in said


def test_a_recipe_does_not_read_dates_that_are_written_otherwise(tmp_path, capsys):
    log = benchmark("online_retail").iloc[::40].copy()
    days = log["InvoiceDate"].dt.floor("min")
    log["InvoiceDate"] = days.dt.strftime("%d/%m/%Y %H:%M")
    log.to_csv(tmp_path / "log.csv", index=False)
    code, said, _ = checked(capsys, tmp_path / "log.csv")
    assert code == 0 and "recipe online_retail, but with the dates as they are written here" in said and "day first" in said
    proposal = propose_mapping(tmp_path / "log.csv")
    assert proposal.mapping["shop"]["time_zone"] == "Europe/London"
    shop = load_shop(tmp_path / "log.csv", columns=proposal.mapping)
    assert sorted(shop.query("SELECT timestamp AS t FROM transactions")["t"]) == sorted(days)


@pytest.mark.parametrize("data", ["tills", "spreadsheet"])
@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_text_fits_the_terminal(width, data, request, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    _, said, _ = checked(capsys, request.getfixturevalue(data), "--rows", "2000")
    assert max(map(len, said.splitlines())) < width and "WHAT WAS UNDERSTOOD" in said


@pytest.mark.parametrize("separator, name", [("\t", "sales.tsv"), (";", "sales.csv")])
def test_dates_only_with_tabs_and_semicolons(separator, name, tmp_path, capsys):
    log = benchmark("tafeng").sample(20_000, random_state=1).sort_index()
    log["TRANSACTION_DT"] = log["TRANSACTION_DT"].dt.strftime("%m/%d/%Y")
    log.to_csv(tmp_path / name, sep=separator, index=False)
    renamed = log.rename(columns={"TRANSACTION_DT": "DATE", "CUSTOMER_ID": "CARD", "SALES_PRICE": "PRICE"})
    (tmp_path / "renamed").mkdir()
    renamed.to_csv(tmp_path / "renamed" / name, sep=separator, index=False)
    code, said, _ = checked(capsys, tmp_path / name)
    assert code == 0 and "recipe ta_feng" in said and "nothing" in said
    other = propose_mapping(tmp_path / "renamed")
    assert other.complete and mapped(other)["quantity"] == "AMOUNT" and mapped(other)["customer_id"] == "CARD"
    assert "%m/%d/%Y" in mapped(other)["timestamp"] and mapped(other)["amount"] == "= PRICE"
    questions = " ".join(d.question for d in other.doubts)
    assert "receipt number" in questions and "price of the whole line" in questions
    shop = load_shop(tmp_path / "renamed", columns=other.mapping)
    counts = shop.query("SELECT count(*) AS n, count(hour) AS timed, sum(amount) AS spent FROM transactions").iloc[0]
    assert counts["n"] == 20_000 and counts["timed"] == 0 and counts["spent"] == log["SALES_PRICE"].sum()


@pytest.fixture
def tills(tmp_path) -> Path:
    "The corner shop as two files of a point of sale: receipts with a day and a time, and lines."
    log = corner_tables()["transactions"]
    receipts = log.groupby("transaction_id", as_index=False).agg(Date=("timestamp", "first"), Card=("customer_id", "first"), Branch=("store_id", "first"))
    receipts.insert(2, "Time", receipts["Date"].dt.strftime("%H:%M:%S"))
    receipts["Total"] = log.groupby("transaction_id")["amount"].sum().to_numpy()
    receipts.assign(Date=receipts["Date"].dt.strftime("%d/%m/%Y")).rename(columns={"transaction_id": "ReceiptNo"}).to_csv(tmp_path / "receipts.csv", sep=";", index=False)
    names = {"transaction_id": "ReceiptNo", "product_id": "Item", "quantity": "Qty", "amount": "LineTotal", "discount": "Disc"}
    log[list(names)].rename(columns=names).to_csv(tmp_path / "lines.csv", sep=";", index=False)
    return tmp_path


def test_receipts_and_lines_in_two_files(tills, capsys):
    code, said, _ = checked(capsys, tills, "--write")
    assert code == 0 and "joined by ReceiptNo" in said and "0 of 150 lines have no receipt" in said and "after the discount?" in said
    assert "day first" in said and "Which currency" in said and "UTC?" in said
    asked = "SELECT transaction_id, timestamp, customer_id, product_id, store_id, quantity, amount, discount FROM transactions ORDER BY ALL"
    pd.testing.assert_frame_equal(load_shop(tills).query(asked), load_shop("corner").query(asked), check_dtype=False)
    code, said, _ = checked(capsys, tills)
    assert code == 0 and "THE MAPPING (map.toml)" in said


def test_a_till_that_writes_txt(tills, capsys):
    for name, new in (("receipts.csv", "HEADER.TXT"), ("lines.csv", "DETAIL.TXT")):
        (tills / name).rename(tills / new)
    assert checked(capsys, tills, "--write")[0] == 0
    assert load_shop(tills).query("SELECT count(*) AS n FROM transactions")["n"][0] == 150


def test_the_words_of_an_american_till():
    "A price of one is not a unit of measure, and what it sells has a description."
    log = corner_tables()["transactions"]
    n, each = log["quantity"].abs(), (log["amount"].astype(float) / log["quantity"]).round(2)
    till = pd.DataFrame({"TRANS_NO": log["transaction_id"], "BUS_DATE": log["timestamp"].dt.strftime("%m/%d/%Y"), "REG_NBR": "3", "UPC": "00" + log["product_id"], "ITEM_DESC": log["product_id"] + " fresh",
                         "UNITS": n.astype(str), "UNIT_RETAIL": each.astype(str), "EXT_RETAIL": (n * each).round(2).astype(str), "TENDER": "CASH", "TAX_RATE": "7"})
    proposal = propose_mapping(till)
    got = mapped(proposal)
    assert proposal.complete and "unit" not in got and (got["quantity"], got["amount"], got["product_id"]) == ("UNITS", "EXT_RETAIL", "UPC")
    assert proposal.mapping["products"]["product_name"] == "ITEM_DESC"


def test_names_and_addresses_stay_behind():
    log = corner_tables()["transactions"].assign(CustomerName="Ana Smith", email="ana@example.org")
    proposal = propose_mapping(log)
    assert mapped(proposal)["leave_out"] == ["CustomerName", "email"]
    assert not {"CustomerName", "email"} & set(load_shop(log, columns=proposal.mapping).query("FROM transactions"))


def test_a_written_mapping_is_never_replaced(tills, capsys):
    (tills / "mine.toml").write_text("# mine\n", encoding="utf-8")
    code, _, error = checked(capsys, tills, "--write", tills / "mine.toml")
    assert code == 1 and "mine.toml is there already and was not replaced" in error
    assert (tills / "mine.toml").read_text(encoding="utf-8") == "# mine\n" and not (tills / "map.toml").exists()


def test_without_write_nothing_is_written(tills, capsys):
    before = sorted(p.name for p in tills.iterdir())
    assert checked(capsys, tills)[0] == 0
    assert sorted(p.name for p in tills.iterdir()) == before


@pytest.mark.parametrize("seed", range(6))
def test_order_and_junk_columns_change_nothing(seed):
    rng = np.random.default_rng(seed)
    log = corner_tables()["transactions"].rename(columns={"transaction_id": "Bon-Nr.", "timestamp": "Zeitpunkt", "customer_id": "Kundenkarte",
                                                          "product_id": "Artikelnummer", "quantity": "Anzahl", "amount": "Betrag"})
    log["x1"], log["noise"], log["flag"] = rng.normal(size=len(log)), rng.integers(0, 9_999, len(log)), "J"
    log["nothing"] = None
    proposal = propose_mapping(log[rng.permutation(log.columns)])
    got = {c: mapped(proposal)[c] for c in ("transaction_id", "customer_id", "product_id", "quantity", "amount")}
    assert got == {"transaction_id": "Bon-Nr.", "customer_id": "Kundenkarte", "product_id": "Artikelnummer", "quantity": "Anzahl", "amount": "Betrag"}
    assert proposal.complete and not {"x1", "noise", "flag", "nothing"} & set(map(str, mapped(proposal).values()))


def test_the_contracts_own_names_need_no_mapping_to_speak_of():
    proposal = propose_mapping(corner_tables())
    assert proposal.complete and proposal.set_aside.empty
    assert all(mapped(proposal)[c] == c for c in NEEDED)
    pd.testing.assert_frame_equal(load_shop(corner_tables(), columns=proposal.mapping).tables(), load_shop(corner_tables(), timestamps="local").tables())


@pytest.mark.parametrize("amounts, expected", [("total", "Wert"), ("each", "Preis")])
def test_a_price_is_not_taken_for_an_amount(amounts, expected):
    log = corner_tables()["transactions"]
    price = (log["amount"].astype(float) / log["quantity"]).round(2)
    frame = pd.DataFrame({"receipt": log["transaction_id"], "date": log["timestamp"], "sku": log["product_id"], "qty": log["quantity"], "Preis": price})
    if amounts == "total":
        frame["Wert"] = log["amount"].astype(float)
    proposal = propose_mapping(frame)
    assert expected in mapped(proposal)["amount"] and ("qty" in mapped(proposal)["amount"]) == (amounts == "each")


def test_prices_that_could_be_times_are_prices():
    "1.50 and 12.00 are a time of day in some tills; here they are money."
    rng = np.random.default_rng(1)
    price, pieces = rng.choice([0.5, 1.5, 2.0, 3.5, 12.0], 200), rng.integers(1, 3, 200)
    log = pd.DataFrame({"Bon": np.arange(200) // 3, "Date": "2024-03-" + pd.Series(np.arange(200) // 9 + 1).astype(str).str.zfill(2), "Time": "9.30",
                        "Article": rng.integers(100, 120, 200), "Qty": pieces, "Price": [f"{p:.2f}" for p in price], "Total": [f"{p * n:.2f}" for p, n in zip(price, pieces, strict=True)]})
    proposal = propose_mapping(log.astype(str))
    assert proposal.complete and mapped(proposal)["amount"] == "Total" and "Time" in mapped(proposal)["timestamp"]


def test_what_lacks_is_said_and_not_made_up(tmp_path, capsys):
    corner_tables()["transactions"].drop(columns=["quantity", "amount", "discount"]).to_csv(tmp_path / "log.csv", index=False)
    code, said, _ = checked(capsys, tmp_path / "log.csv")
    assert code == 1 and "WHAT IS LACKING" in said and "quantity: no column looks like one" in said and "amount: no column looks like one" in said


def test_what_would_be_set_aside_is_counted(tmp_path, capsys):
    log = corner_tables()["transactions"].astype({"quantity": object})
    log.loc[[3, 9], "quantity"] = "two"
    log.to_csv(tmp_path / "log.csv", index=False)
    code, said, _ = checked(capsys, tmp_path / "log.csv")
    counts = load_shop(tmp_path / "log.csv", timestamps="local").tables().set_index("table").loc["transactions"]
    assert code == 0 and counts["rejected"] == 2 and "2 of 150 transactions" in said


@pytest.mark.parametrize("name, content, said", [
    ("nothing.csv", b"", "empty"), ("header.csv", b"receipt,date,sku,qty,total\n", "rows"), ("noise.csv", bytes(range(256)) * 40, "nothing.like"),
    ("noise.parquet", b"PAR1 no such thing", "parquet")])
def test_what_is_no_log_is_said_in_a_sentence(name, content, said, tmp_path, capsys):
    (tmp_path / name).write_bytes(content)
    code, out, error = checked(capsys, tmp_path / name)
    told = out + error
    assert code == 1 and "Traceback" not in told and "\x1b" not in told and "\x00" not in told and (name in told or "LACKING" in told)
    assert said.lower() in told.lower() or "no column looks like one" in told


def test_wrong_usage(capsys):
    for arguments, said in ((["nowhere/at/all"], "there is no such file"), (["corner", "--columns", "nowhere.toml"], "Name a TOML file"),
                            (["postgresql://me:secret@shop/sales"], "PGPASSWORD"), (["corner", "--rows", "0"], "use 1 or more")):
        with pytest.raises(SystemExit) as stop:
            main(["check", *arguments])
        error = capsys.readouterr().err
        assert stop.value.code == 2 and said in error and "secret" not in error
    assert main(["check", "corner", "--write"]) == 0 and "nothing written: there is a mapping already" in capsys.readouterr().out
    assert main(["check", "corner"]) == 0 and "milk" in capsys.readouterr().out


def test_hostile_names_do_not_act(tmp_path, capsys):
    log = corner_tables()["transactions"].rename(columns={"amount": "amount \x1b[31m'; DROP TABLE x; --", "product_id": 'pro"duct\nid'})
    log.to_csv(tmp_path / "log.csv", index=False)
    code, said, error = checked(capsys, tmp_path / "log.csv", "--write")
    assert "\x1b" not in said + error and code in (0, 1)
    text = (tmp_path / "map.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) and "\x1b" not in text


@pytest.mark.parametrize("source", ["till", "plain"])
def test_a_proposal_is_the_mapping_that_it_writes(source, tills):
    proposal = propose_mapping(tills if source == "till" else corner_tables()["transactions"])
    assert read_mapping(tomllib.loads(proposal.to_toml())) == proposal.mapping
    assert list(proposal.to_frame().columns) == ["table", "column", "source", "reason", "doubt", "confidence"]
    assert proposal.to_frame()["reason"].str.len().min() > 0


def test_a_database_has_no_folder_for_a_mapping(tmp_path, capsys):
    with sqlite3.connect(tmp_path / "till.db") as till:
        corner_tables()["transactions"].astype(str).to_sql("transactions", till, index=False)
    address = f"sqlite:///{tmp_path / 'till.db'}"
    code, _, said = checked(capsys, address, "--write")
    assert code and "Name a file: --write MAP.toml" in said
    checked(capsys, address, "--write", tmp_path / "MAP.toml")
    assert "transactions" in tomllib.loads((tmp_path / "MAP.toml").read_text(encoding="utf-8"))
