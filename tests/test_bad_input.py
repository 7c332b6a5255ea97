"""Input that is not in order: a clear error or a stated result, and a page of the documentation that says which."""

import json
import os
from pathlib import Path

import bad_input
import pytest

from retail_insight.contract import ContractError, load_shop

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "bad_input.md"
ERRORS = {"an empty file": "empty", "a header and nothing else": "no rows", "thousands or decimals": "none tells which", "two columns of one name": "share a name",
          "no header": "look like data", "day first or month first": "none tells which", "both orders of day and month": "cannot be told",
          "a truncated Parquet file": "1 of 1 files cannot be read", "a Parquet file with page checksums, an amount changed afterwards": "do not give the checksum", "Parquet files, timestamp as a number in one": "no type reads both",
          "Parquet files, a time with a zone in one": "no type reads both", "gzip cut off": "cannot be read",
          "a date at which the mapping's expression gives up": "TRY_CAST or try_strptime",
          "zip with two files": "holds 2 files", "a spreadsheet": "saved as CSV first"}
REJECTED = {"a date that the mapping's expression makes nothing of": "let the expression read this too", "UTF-8 with one broken byte": "undecodable_record", "a field too few": "ragged_record", "a field too many": "ragged_record",
            "a stray quote at the start of a field": "unclosed_quote", "two stray quotes, two lines apart": "unclosed_quote", "a null byte": "null_byte",
            "Parquet files, amount as text in one": "unreadable_amount", "Parquet files, one without a column": "missing_quantity", "NaN and infinity": "unreadable_amount", "a word among the numbers": "unreadable_amount",
            "a number too large for money": "unreadable_amount", "an identifier that is no whole number": "unreadable_product_id"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    old = os.environ.get("RETAIL_INSIGHT_CACHE")
    os.environ["RETAIL_INSIGHT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield {name: (happened, message) for name, happened, message in bad_input.table(tmp_path_factory.mktemp("bad"))}
    os.environ.pop("RETAIL_INSIGHT_CACHE") if old is None else os.environ.update(RETAIL_INSIGHT_CACHE=old)


def test_what_is_an_error_says_so_and_nothing_else_is_one(rows):
    assert {name for name, (happened, _) in rows.items() if happened == "error"} == set(ERRORS)
    for name, words in ERRORS.items():
        assert words in rows[name][1], rows[name]


def test_what_is_set_aside_is_stated_and_nothing_else_is(rows):
    assert {name for name, (happened, _) in rows.items() if happened != "error" and " 0 rejected" not in happened} == set(REJECTED)
    for name, rule in REJECTED.items():
        assert rule in rows[name][1], rows[name]


def test_files_of_one_table_that_differ_are_stated(rows):
    said = {name: message for name, (_, message) in rows.items() if "files_differ" in message}
    assert set(said) == {"CSV files with other columns", "Parquet files with other columns", "Parquet files, amount as text in one", "Parquet files, one without a column"}
    assert "b.parquet: also channel (beside a.parquet)" in said["Parquet files with other columns"]
    assert "b.csv: no note, also channel (beside a.csv)" in said["CSV files with other columns"]
    assert "b.parquet: amount is VARCHAR, not DOUBLE" in said["Parquet files, amount as text in one"]
    assert "b.parquet: no quantity" in said["Parquet files, one without a column"]


def test_files_without_checksums_are_noted(rows):
    noted = {name for name, (_, message) in rows.items() if "no_checksum" in message}
    written = {name for name, (happened, _) in rows.items() if "Parquet" in name and happened != "error"}
    assert noted == {*written, "a folder with other files in it", "ten million customers"} and len(written) > 3
    assert "log.parquet: 5 of 5 parts" in rows["a Parquet file without them, an amount changed afterwards"][1]


def test_the_page_says_what_happens(rows):
    said = bad_input.page([(name, *row) for name, row in rows.items()])
    if PAGE.read_text(encoding="utf-8") != said:
        PAGE.write_text(said, encoding="utf-8")
        pytest.fail(f"{PAGE.name} was out of step and is put right now: look at it and commit it.")


def test_values_come_out_as_they_were_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))
    same = ["a byte order mark", "UTF-16", "UTF-16 without a mark", "semicolons", "tabs", "decimal commas", "currency signs", "carriage returns alone", "Windows and Unix line ends",
            "a blank line", "no newline at the end", "day first", "month first", "gzip", "zip", "a newline in quotes", "a stray quote inside a field"]
    for number, name in enumerate(same):
        (tmp_path / str(number)).mkdir()
        shop = load_shop(bad_input.CASES[name](tmp_path / str(number)), timestamps="local")
        got = shop.query("SELECT transaction_id, timestamp::VARCHAR AS at, product_id, quantity, amount::VARCHAR AS amount FROM transactions ORDER BY ALL").values.tolist()
        assert got == [["r1", "2024-01-06 09:10:00", "milk", 2, "2.40"], ["r1", "2024-01-06 09:10:00", "tea", 1, "2.50"],
                       ["r2", "2024-01-08 17:30:00", "beer", 1, "8.90"], ["r3", "2024-01-31 08:00:00", "tea", 1, "2.50"]], name


def test_original_bytes_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))
    shop = load_shop(bad_input.CASES["UTF-8 with one broken byte"](tmp_path))
    assert b"r4,2024-01-31 09:00,t\xff,1,2.50,".hex() in shop.rejected["record"][0]
    shop = load_shop(bad_input.CASES["a stray quote at the start of a field"](tmp_path))
    assert r'r1,2024-01-06 09:10,\"milk,2,2.40,two' in shop.rejected["record"][0] and shop.rejected["row"].tolist() == [2]
    assert load_shop(bad_input.CASES["identifiers with leading zeros"](tmp_path)).query("SELECT DISTINCT product_id FROM transactions ORDER BY 1")["product_id"][0] == "0042"


def test_what_is_declared_is_not_guessed(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "log.csv").write_bytes("r1;2024-01-06;thé;1;2,50\nr2;2024-01-07;NA;1;2,50\n".encode("latin-1"))
    files = {"encoding": "latin-1", "delimiter": ";", "null": ["", "NA"], "names": ["transaction_id", "timestamp", "product_id", "quantity", "amount"]}
    shop = load_shop(tmp_path / "log.csv", columns={"files": files, "transactions": {}})
    assert shop.query("FROM transactions")["product_id"].tolist() == ["thé"] and shop.rejected["rule"].tolist() == ["missing_product_id"]
    assert shop.query("FROM door.files")["said"][0] == "encoding, delimiter, null, names"
    with pytest.raises(ValueError, match="Did you mean 'encoding'"):
        load_shop(tmp_path / "log.csv", columns={"files": {"encodin": "latin-1"}})
    with pytest.raises(ValueError, match="encoding 'klingon'"):
        load_shop(tmp_path / "log.csv", columns={"files": {"encoding": "klingon"}})


def test_a_torn_record_of_utf_16_without_a_mark_keeps_its_bytes(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))
    torn = 'r9,2024-01-31 09:00,"tea'
    for encoding in ("utf-16-le", "utf-16-be", "utf-16", "utf-32"):
        shop = load_shop(bad_input.text(*bad_input.ROWS, torn, encoding=encoding)(tmp_path))
        assert len(shop.query("FROM transactions")) == 4 and shop.rejected["rule"].tolist() == ["unclosed_quote"], encoding
        assert json.loads(shop.rejected["record"][0])["text"].rstrip() == torn


def test_two_logs_in_one_folder_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))
    for month in ("january", "february"):
        bad_input.text(*bad_input.ROWS, name=f"{month}.csv")(tmp_path)
    with pytest.raises(ContractError, match=r"which has: 'february', 'january'.*give one log in several files as a glob"):
        load_shop(tmp_path)
    assert len(load_shop(str(tmp_path / "*.csv")).query("FROM transactions")) == 2 * len(bad_input.ROWS)
