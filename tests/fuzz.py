"""Random damage to the bytes of a CSV or Parquet file: `python tests/fuzz.py KIND FIRST LAST` tries the seeds and says what came of it.

KIND is `csv`, `parquet` (whose pages carry no checksums), `checked` (whose pages do) or `footer` (the same, and one byte of the footer is damaged, which no checksum covers).

A process of its own, so that a crash or a hang of a reader is seen for what it is."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retail_insight.contract.door import fill_shop
from retail_insight.contract.sources import open_source
from retail_insight.contract.tables import ContractError, contract_rules

SETTINGS = dict(time_zone=None, timestamps="local", currency="EUR", as_of=None)
LINES = 40


def log() -> pd.DataFrame:
    "Forty lines, some of them with quotes, delimiters, line ends and letters beyond ASCII in a field."
    notes = ["", "two, please", 'a 19" pan', "first line\nsecond line", "thé"]
    return pd.DataFrame({"transaction_id": [f"receipt{n:03d}" for n in range(LINES)], "timestamp": pd.date_range("2024-01-01 09:00", periods=LINES, freq="7h"),
                         "product_id": [f"article{n % 7}" for n in range(LINES)], "quantity": [1 + n % 3 for n in range(LINES)],
                         "amount": [f"{1 + n}.{n:02d}" for n in range(LINES)], "note": [notes[n % 5] for n in range(LINES)]})


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    "Some bytes changed, left out, put in or repeated, or the end cut off."
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at, how = int(rng.integers(len(data))), rng.integers(6)
        byte = int(rng.choice([rng.integers(256), *b'",;\n\r\0\xff']))
        if how < 2:
            data[at] = byte
        elif how == 2:
            del data[at:at + int(rng.integers(1, 4))]
        elif how == 3:
            data[at:at] = bytes([byte])
        elif how == 4:
            data[at:at] = data[at:at + int(rng.integers(1, 60))]
        elif rng.random() < .2:
            del data[at:]
    return bytes(data)


def load(source: object) -> duckdb.DuckDBPyConnection: # a path, or a frame
    "Through the door, into memory."
    con = duckdb.connect(config={"memory_limit": "500MB", "threads": 1})
    fill_shop(con, open_source(source), {}, SETTINGS, contract_rules())
    return con


def check_csv(content: bytes, con: duckdb.DuckDBPyConnection) -> str:
    "Every line that was left whole came in as it was, or stands in a rejected record."
    rows_in, rows, rejected = con.execute("SELECT rows_in, rows, rejected FROM door.tables WHERE \"table\" = 'transactions'").fetchall()[0]
    assert rows_in == rows + rejected, "the rows do not add up"
    if not {"transaction_id", "timestamp", "product_id", "quantity", "amount", "note"} <= set(con.table("transactions").columns):
        return "loaded, with a damaged header"
    got = Counter(map(tuple, con.execute("SELECT transaction_id, timestamp::VARCHAR, product_id, TRY_CAST(quantity AS BIGINT)::VARCHAR, amount::VARCHAR, coalesce(note, '') FROM transactions").fetchall()))
    aside = "\n".join(str(json.loads(r)) for r, in con.execute("SELECT record FROM door.rejected").fetchall())
    for row in log().astype(str).itertuples(index=False):
        line = ",".join(row).encode()
        if row.note in ("", "thé") and b"\n" + line + b"\n" in content:
            read = (*row[:1], str(pd.Timestamp(row.timestamp)), *row[2:])
            assert got[read] or row.transaction_id in aside, f"lost or changed: {row}"
    encoding = con.execute("SELECT encoding FROM door.files").fetchall()[0][0].removesuffix("-sig")  # a stray byte in an otherwise plain file is a letter of cp1252
    for row in got:
        assert row[0].encode(encoding) in content and row[2].encode(encoding) in content, f"made up: {row}"
    return "loaded, some set aside" if rejected else "loaded"


COLUMNS = ["transaction_id", "timestamp", "product_id", "quantity", "amount", "note"]
AS_TEXT = "SELECT transaction_id, timestamp::VARCHAR, product_id, TRY_CAST(quantity AS BIGINT)::VARCHAR, amount::VARCHAR, coalesce(note::VARCHAR, '') FROM transactions"


def rows_of(con: duckdb.DuckDBPyConnection) -> Counter[tuple[str, ...]]:
    "The log that was loaded, as text."
    return Counter(con.execute(AS_TEXT).fetchall())


def read_by_pyarrow(path: Path) -> Counter[tuple[str, ...]] | None:
    "The same file unpacked by another reader, and then through the same door; nothing where that reader refuses it. In a process of its own, which damaged footers have ended."
    again = path.with_name("again.parquet")
    copy = "import sys, pyarrow.parquet as pq; pq.write_table(pq.read_table(sys.argv[1]), sys.argv[2])"
    if subprocess.run([sys.executable, "-c", copy, str(path), str(again)], capture_output=True).returncode:
        return None
    try:
        return rows_of(load(again))
    except ContractError:
        return None


def check_parquet(path: Path, con: duckdb.DuckDBPyConnection, kind: str) -> str:
    "The rows that the file's footer promises came in or were set aside. A value that was changed is a failure if its page carries a checksum; if none does, the load must have said so."
    rows_in, rows, rejected = con.execute("SELECT rows_in, rows, rejected FROM door.tables WHERE \"table\" = 'transactions'").fetchall()[0]
    assert rows_in == rows + rejected, "the rows do not add up"
    said = con.execute("SELECT count FROM door.checks WHERE rule = 'no_checksum'").fetchall()
    assert said == ([(1,)] if kind == "parquet" else []), f"said of checksums: {said}"
    if not set(COLUMNS) <= set(con.table("transactions").columns):
        return "loaded, a column has another name in the footer"
    got, sent = rows_of(con), Counter(map(tuple, log().astype(str).to_numpy()))
    if got - sent or rows_in != LINES:
        assert kind == "parquet", f"lost or changed: {rows_in} rows, {list(got - sent)[:1]}"
        other = read_by_pyarrow(path)
        return f"loaded, a value changed, said to carry no checksum, {'pyarrow refuses it' if other is None else 'pyarrow reads the same' if got == other else 'pyarrow reads other values'}"
    return "loaded, some set aside" if rejected else "loaded"


def write(kind: str, path: Path) -> bytes:
    "The log as a file of a kind, in order; its bytes."
    if kind == "csv":
        log().to_csv(path, index=False)
    else:
        pq.write_table(pa.Table.from_pandas(log()), path, write_page_checksum=kind != "parquet")
    return path.read_bytes()


def damaged_footer(content: bytes, rng: np.random.Generator) -> bytes:
    "A byte of a Parquet file's footer changed, in one bit or altogether."
    data, size = bytearray(content), int.from_bytes(content[-8:-4], "little")
    at = len(data) - 8 - size + int(rng.integers(size))
    data[at] ^= 1 << int(rng.integers(8)) if rng.random() < .5 else int(rng.integers(1, 256))
    return bytes(data)


def one(kind: str, seed: int, folder: Path) -> str:
    "What came of one damaged file."
    path = folder / f"log.{'csv' if kind == 'csv' else 'parquet'}"
    content = (damaged_footer if kind == "footer" else damaged)(write(kind, path), np.random.default_rng(seed))
    path.write_bytes(content)
    try:
        con = load(path)
    except (ContractError, ValueError) as error:
        assert len(str(error)) > 20
        return "a clear error"
    said = check_csv(content, con) if kind == "csv" else check_parquet(path, con, kind)
    con.close()
    return said


def main() -> None:
    kind, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, last):
            print(seed, file=sys.stderr)  # the last one seen is the one that crashed
            try:
                seen[one(kind, seed, Path(folder))] += 1
            except BaseException as error:
                seen[f"FAILED {seed}: {type(error).__name__}: {str(error)[:300]}"] += 1
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
