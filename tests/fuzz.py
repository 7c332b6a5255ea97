"""Random damage to the bytes of a CSV or Parquet file: `python tests/fuzz.py KIND FIRST LAST` tries the seeds and says what came of it.

A process of its own, so that a crash or a hang of a reader is seen for what it is."""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

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


def load(path: Path) -> duckdb.DuckDBPyConnection:
    "Through the door, into memory."
    con = duckdb.connect(config={"memory_limit": "500MB", "threads": 1})
    fill_shop(con, open_source(path), {}, SETTINGS, contract_rules())
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


def check_parquet(content: bytes, con: duckdb.DuckDBPyConnection) -> str:
    "The rows that the file's footer promises came in or were set aside. Whether a value was changed is counted: the format has no checksum unless its writer adds one, so a reader cannot know."
    rows_in, rows, rejected = con.execute("SELECT rows_in, rows, rejected FROM door.tables WHERE \"table\" = 'transactions'").fetchall()[0]
    assert rows_in == rows + rejected, "the rows do not add up"
    got = Counter(con.execute("SELECT transaction_id, timestamp::VARCHAR, product_id, TRY_CAST(quantity AS BIGINT)::VARCHAR, amount::VARCHAR FROM transactions").fetchall())
    sent = Counter((row[0], str(pd.Timestamp(row[1])), *row[2:5]) for row in log().astype(str).itertuples(index=False))
    if rows_in != LINES:
        return "loaded, another number of rows in the footer"
    if got - sent:
        return "loaded, a value changed that carries no checksum"
    return "loaded, some set aside" if rejected else "loaded"


def one(kind: str, seed: int, folder: Path) -> str:
    "What came of one damaged file."
    path = folder / f"log.{kind}"
    log().to_csv(path, index=False) if kind == "csv" else log().to_parquet(path)
    content = damaged(path.read_bytes(), np.random.default_rng(seed))
    path.write_bytes(content)
    try:
        con = load(path)
    except (ContractError, ValueError) as error:
        assert len(str(error)) > 20
        return "a clear error"
    said = (check_csv if kind == "csv" else check_parquet)(content, con)
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
