"""Input as it goes wrong in shops: for each case a way to make it. `table()` loads them all and says what happened."""

import gzip
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retail_insight.contract import ContractError, load_shop

HEAD = "transaction_id,timestamp,product_id,quantity,amount,note"
ROWS = ["r1,2024-01-06 09:10,tea,1,2.50,", "r1,2024-01-06 09:10,milk,2,2.40,two", "r2,2024-01-08 17:30,beer,1,8.90,", "r3,2024-01-31 08:00,tea,1,2.50,"]
Case = Callable[[Path], object]


def text(*rows: str, head: str = HEAD, end: str = "\n", encoding: str = "utf-8", name: str = "log.csv") -> Case:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes((end.join([head, *rows]) + end).encode(encoding))
        return folder / name
    return make


def raw(content: bytes, name: str = "log.csv") -> Case:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name
    return make


def frame(**columns: object) -> Case:
    base = dict(transaction_id=["r1", "r1", "r2"], timestamp=pd.to_datetime(["2024-01-06 09:10", "2024-01-06 09:10", "2024-01-08 17:30"]),
                product_id=["tea", "milk", "beer"], quantity=[1, 2, 1], amount=[2.5, 2.4, 8.9])
    return lambda folder: pd.DataFrame(base | columns)


def good() -> pd.DataFrame:
    return frame()(Path())


def packed(folder: Path) -> Path:
    (folder / "log.csv.gz").write_bytes(gzip.compress("\n".join([HEAD, *ROWS]).encode()))
    return folder / "log.csv.gz"


def zipped(folder: Path, *names: str) -> Path:
    with zipfile.ZipFile(folder / "log.zip", "w") as archive:
        for name in names or ("log.csv",):
            archive.writestr(name, "\n".join([HEAD, *ROWS]))
    return folder / "log.zip"


def altered(checksums: bool) -> Case:
    "A Parquet file in which 8.90 became 9.80 after it was written."
    def make(folder: Path) -> Path:
        pq.write_table(pa.Table.from_pandas(good()), folder / "log.parquet", write_page_checksum=checksums, write_statistics=False, use_dictionary=False, compression="none")
        was, is_now = (np.float64(amount).tobytes() for amount in (8.9, 9.8))
        content = (folder / "log.parquet").read_bytes()
        assert content.count(was) == 1
        (folder / "log.parquet").write_bytes(content.replace(was, is_now))
        return folder / "log.parquet"
    return make


def truncated(folder: Path) -> Path:
    good().to_parquet(folder / "log.parquet")
    (folder / "log.parquet").write_bytes((folder / "log.parquet").read_bytes()[:-30])
    return folder / "log.parquet"


def parts(folder: Path, lacks: str = "none", **other: object) -> str:
    good().to_parquet(folder / "a.parquet")
    good().assign(**other).drop(columns=lacks, errors="ignore").to_parquet(folder / "b.parquet")
    return str(folder / "*.parquet")


def texts(folder: Path, rows: list[str], head: str) -> str:
    text(*ROWS, name="a.csv")(folder)
    text(*rows, head=head, name="b.csv")(folder)
    return str(folder / "*.csv")


def crowded(folder: Path) -> Path:
    good().to_parquet(folder / "transactions.parquet")
    (folder / "readme.txt").write_text("Ask Eva.")
    (folder / "plan.xlsx").write_bytes(b"PK\x03\x04")
    (folder / ".hidden.csv").write_text("x")
    return folder


def many(folder: Path, rows: int = 10_000_000) -> Path:
    import duckdb

    duckdb.sql(f"COPY (SELECT 'r' || range AS transaction_id, TIMESTAMP '2024-01-01' + to_seconds(range) AS timestamp, 'c' || range AS customer_id, 'p' || (range % 7) AS product_id, "
               f"1 AS quantity, 1.5::DECIMAL(18,2) AS amount FROM range({rows})) TO '{folder / 'log.parquet'}'")
    return folder / "log.parquet"


def swap(row: int, old: str, new: str) -> list[str]:
    return [r.replace(old, new) if i == row else r for i, r in enumerate(ROWS)]


def mapped(expression: str) -> Case:
    def make(folder: Path) -> Path:
        (folder / "map.toml").write_text(f"[transactions]\ntimestamp = \"= {expression}\"\n")
        return text(*swap(2, "2024-01-08", "2024-13-08"))(folder)
    return make


DAYS = [r.replace("2024-01-06", "06/01/2024").replace("2024-01-08", "08/01/2024").replace("2024-01-31", "31/01/2024") for r in ROWS]

CASES: dict[str, Case] = {
    "an empty file": raw(b""),
    "a header and nothing else": text(),
    "a byte order mark": raw(b"\xef\xbb\xbf" + "\n".join([HEAD, *ROWS]).encode()),
    "UTF-16": text(*ROWS, encoding="utf-16"),
    "UTF-16 without a mark": text(*ROWS, encoding="utf-16-le"),
    "Latin-1": text(*swap(0, "tea", "thé"), encoding="latin-1"),
    "UTF-8 with one broken byte": raw("\n".join([HEAD, *swap(1, "two", "Zoë"), "r4,2024-01-31 09:00,té,1,2.50,"]).encode().replace(b"t\xc3\xa9", b"t\xff")),
    "semicolons": text(*[r.replace(",", ";") for r in ROWS], head=HEAD.replace(",", ";")),
    "tabs": text(*[r.replace(",", "\t") for r in ROWS], head=HEAD.replace(",", "\t"), name="log.tsv"),
    "decimal commas": text(*[r.replace(",", ";").replace(".", ",") for r in ROWS], head=HEAD.replace(",", ";")),
    "thousands separators": text(*swap(2, "8.90", '"1,208.90"')),
    "thousands or decimals": text(*[re.sub(r"\d\.\d\d", '"1,208"', r) for r in ROWS]),
    "currency signs": text(*[re.sub(r"(\d\.\d\d)", r"€ \1", r) for r in ROWS]),
    "a minus behind": text(*swap(2, "beer,1,8.90", "beer,1-,8.90-")),
    "a field too few": text(*swap(2, ",8.90", "")),
    "a field too many": text(*swap(1, "two", "two,three")),
    "a stray quote at the start of a field": text(*swap(1, "milk", '"milk')),
    "a stray quote inside a field": text(*swap(1, "two", '2" pan')),
    "two stray quotes, two lines apart": text(*swap(1, "milk", '"milk')[:3], ROWS[3].replace("tea", 'te"a')),
    "a newline in quotes": text(*swap(1, "two", '"two\nlines"')),
    "a date that the mapping's expression makes nothing of": mapped("try_strptime(timestamp, '%Y-%m-%d %H:%M')"),
    "a date at which the mapping's expression gives up": mapped("strptime(timestamp, '%Y-%m-%d %H:%M')"),
    "a blank line": text(*ROWS[:2], "", *ROWS[2:]),
    "a null byte": raw("\n".join([HEAD, *swap(1, "two", "t\0wo")]).encode()),
    "no newline at the end": raw("\n".join([HEAD, *ROWS]).encode()),
    "carriage returns alone": text(*ROWS, end="\r"),
    "Windows and Unix line ends": raw("\r\n".join([HEAD, *ROWS[:2]]).encode() + b"\r\n" + "\n".join(ROWS[2:]).encode()),
    "two columns of one name": text(*ROWS, head=HEAD.replace("note", "Amount")),
    "no header": text(*ROWS[1:], head=ROWS[0]),
    "day first": text(*DAYS),
    "month first": text(*[re.sub(r"(\d\d)/(\d\d)/", r"\2/\1/", r) for r in DAYS]),
    "day first or month first": text(*DAYS[:3]),
    "both orders of day and month": text(*DAYS, DAYS[3].replace("31/01", "01/31"), ),
    "two formats of one order": text(*DAYS[:3], "r3,31.01.24,tea,1,2.50,"),
    "plain dates beside day first": text(*DAYS[:3], ROWS[3], DAYS[3].replace("r3", "r4")),
    "a time with its zone": text(*swap(0, "2024-01-06 09:10", "2024-01-06 09:10:00+02:00")),
    "CSV files with other columns": lambda f: texts(f, [r + "online" for r in ROWS], HEAD.replace("note", "channel")),
    "CSV files, one in another dialect": lambda f: texts(f, [r.replace(",", ";") for r in ROWS], HEAD.replace(",", ";")),
    "a truncated Parquet file": truncated,
    "a Parquet file with page checksums, an amount changed afterwards": altered(True),
    "a Parquet file without them, an amount changed afterwards": altered(False),
    "Parquet files with other columns": lambda f: parts(f, channel="online"),
    "Parquet files, one without a column": lambda f: parts(f, lacks="quantity"),
    "Parquet files, amount as text in one": lambda f: parts(f, amount=["2.50", "two", "8.90"]),
    "Parquet files, timestamp as a number in one": lambda f: parts(f, timestamp=[1, 2, 3]),
    "Parquet files, a time with a zone in one": lambda f: parts(f, timestamp=good()["timestamp"].dt.tz_localize("Europe/Amsterdam")),
    "Parquet files, wider whole numbers in one": lambda f: parts(f, quantity=np.array([1, 2, 1], dtype="int16")),
    "gzip": packed,
    "gzip cut off": lambda f: raw(packed(f).read_bytes()[:-20], "half.csv.gz")(f),
    "zip": zipped,
    "zip with two files": lambda f: zipped(f, "a.csv", "b.csv"),
    "a spreadsheet": raw(b"PK\x03\x04", "log.xlsx"),
    "a folder with other files in it": crowded,
    "NaN and infinity": frame(amount=[np.nan, np.inf, 8.9]),
    "numbers as text": frame(amount=["2.50", "2.40", "8.90"], quantity=["1", " 2", "1.0"]),
    "a word among the numbers": frame(amount=["2.50", "two", "8.90"]),
    "identifiers with leading zeros": text(*[r.replace("tea", "0042") for r in ROWS]),
    "a number too large for money": frame(amount=[2.5, 1e30, 8.9]),
    "an identifier too large for BIGINT": frame(product_id=np.array([2**63, 1, 2], dtype="uint64")),
    "an identifier that is no whole number": frame(product_id=[1.5, 1.0, 2.0]),
    "ten million customers": many,
}


def outcome(source: object) -> tuple[str, str]:
    "What happened, and the message or the finding."
    try:
        shop = load_shop(source, timestamps="utc", time_zone="UTC")
    except (ContractError, ValueError) as error:
        return "error", str(error)
    counts = shop.tables().set_index("table").loc["transactions"]
    assert counts["rows_in"] == counts["rows"] + counts["rejected"]
    assert len(shop.rejected.query("table == 'transactions'")) == counts["rejected"]
    found = shop.findings[lambda f: f["severity"].eq("reject") | f["rule"].str.startswith(("read_", "rounded_", "files_differ", "no_checksum"))]
    said = "; ".join(f"{r.rule}: {r.first if r.rule.startswith(('read_', 'files_', 'no_checksum')) else r.remedy}" for r in found.itertuples())
    files = shop.query("FROM door.files")
    unusual = [f"{f.encoding}" for f in files.itertuples() if f.encoding != "utf-8"] + [f"delimiter {f.delimiter!r}" for f in files.itertuples() if f.delimiter != ","]
    unusual += [f"{f.blank} blank line left out" for f in files.itertuples() if f.blank]
    return f"{counts['rows_in']:,} rows in, {counts['rows']:,} accepted, {counts['rejected']:,} rejected", "; ".join(filter(None, [", ".join(unusual), said]))


def table(folder: Path) -> list[tuple[str, str, str]]: # input, what happens, message
    "All cases, each in a folder of its own."
    rows = []
    for number, (name, make) in enumerate(CASES.items()):
        mine = folder / str(number)
        mine.mkdir()
        happened, message = outcome(make(mine))
        rows.append((name, happened, message.replace(str(mine), "sales")))
    return rows


def page(rows: list[tuple[str, str, str]]) -> str: # Markdown
    "The table as a page of the documentation."
    def cell(value: str) -> str:
        return value.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[")
    lines = ["# When input is not in order", "", "Each row is made and loaded by the tests, which also write this page. The log has three or four good rows, and one thing is wrong with it. "
             "What cannot be told ends in an error that says what to do; what can be told is stated; and a row is accepted or set aside whole, never lost. `no_checksum` is a note that stands beside every load of Parquet files whose pages carry no checksums: "
             "what was changed in them after they were written cannot be told. Where they carry them, a changed page is an error; what has no checksum in any Parquet file is its footer, "
             "so a column whose name is damaged there comes in under that name.", "",
             "| input | what happens | message |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {cell(a)} | {cell(b)} | {cell(c)} |" for a, b, c in rows)]) + "\n"
