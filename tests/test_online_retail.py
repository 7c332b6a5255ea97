"""A shop without categories, stores and demographics but the country: both tiers, and the report, as a reader would have them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

DATA = os.environ.get("RETAIL_INSIGHT_DATA")
COMMAND = [sys.executable, "-c", "import sys; from retail_insight.report import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    "A third of its customers, and some lines of nobody, as the source has them."
    source = Path(DATA or "") / "online_retail" / "transactions.parquet"
    if not DATA or not source.exists():
        pytest.skip("Online Retail is not here")
    path = tmp_path_factory.mktemp("online") / "transactions.parquet"
    duckdb.sql("SELECT * FROM read_parquet($source) WHERE CustomerID % 3 = 0 OR CustomerID IS NULL AND hash(InvoiceNo) % 10 = 0 ORDER BY ALL",
               params={"source": str(source)}).write_parquet(str(path))
    return path


@pytest.fixture(scope="module")
def run(log) -> Path:
    out = log.parent / "out"
    done = subprocess.run([*COMMAND, "run", "--data", log, "--columns", "online_retail", "--out", out], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.fixture(scope="module")
def said(run) -> str:
    "All that the workbook wrote and shows, without its pictures."
    cells = json.loads((run / "workbook.ipynb").read_text("utf8"))["cells"]
    outputs = [o for c in cells if c["cell_type"] == "code" for o in c["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "stream"], "something was printed, or warned of"
    return "\n".join("".join(text) for o in outputs for kind, text in o.get("data", {}).items() if kind.startswith("text/"))


def test_both_tiers_and_the_outlook_are_told(run, said):
    tables = {p.stem for p in (run / "tables").glob("*.parquet")}
    assert {"segments", "demographics", "pattern", "tastes", "dimensions", "inferred", "judged", "outlook", "profiles"} <= tables
    assert "region" in said and "foretell" in said and "customers are expected" not in said
    judged = pd.read_parquet(run / "tables" / "judged.parquet")
    assert set(judged["target"]) == {"spend", "products"} and "taste index" in set(judged["profile"])


def test_tastes_are_told_by_product_and_by_name(run):
    tastes = pd.read_parquet(run / "tables" / "tastes.parquet")
    assert len(tastes) and tastes["product"].str.fullmatch(r".+ \(\w+\)").all()


def test_the_pattern_names_nothing_twice(run):
    factors = pd.read_parquet(run / "tables" / "pattern.parquet")
    assert not factors["made_of"].str.contains("sunday").any(), "closed on Saturdays, so that weekends are Sundays"


def test_nobody_is_named_and_nothing_reads_as_code(log, said):
    assert "np." not in said and "nan" not in said.lower().split() and "Traceback" not in said
    people = duckdb.sql(f"SELECT DISTINCT CustomerID::VARCHAR FROM '{log}' WHERE CustomerID IS NOT NULL AND CustomerID::VARCHAR NOT IN (SELECT StockCode FROM '{log}')").fetchall()
    words = set(said.replace("\\", " ").replace("(", " ").replace(")", " ").split())
    assert len(people) > 500 and not words & {p[0] for p in people}
