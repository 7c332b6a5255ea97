"""The whole run on shops that lack something, as a new reader would start it: each part has a result or its reason."""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from retail_insight.contract import corner_tables, load_shop
from retail_insight.describe import describe_shop

COMMAND = [sys.executable, "-c", "import sys; from retail_insight.report import main; sys.exit(main())"]
MAP = '[shop]\nname = "market"\ntime_zone = "America/New_York"\ntimestamps = "local"\n'


def one_line_each() -> dict[str, pd.DataFrame]:
    "Four hundred customers with one receipt of one line, and nothing known of them or of the goods."
    lines = corner_tables()["transactions"].sample(400, replace=True, random_state=1, ignore_index=True)
    return {"transactions": lines.assign(customer_id=[f"c{i}" for i in range(400)], transaction_id=[f"t{i}" for i in range(400)])}


def nobody_known() -> dict[str, pd.DataFrame]:
    tables = corner_tables()
    return tables | {"transactions": tables["transactions"].assign(customer_id=pd.Series(dtype="string"))}


def said_by(tmp_path: Path, tables: dict[str, pd.DataFrame]) -> str:
    "All that the workbook wrote of a shop."
    for name, frame in tables.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "map.toml").write_text(MAP)
    out = tmp_path / "out"
    done = subprocess.run([*COMMAND, "run", "--data", tmp_path, "--steps", "1", "--out", out], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0 and (out / "report.html").exists(), done.stderr[-4000:]
    cells = json.loads((out / "workbook.ipynb").read_text("utf8"))["cells"]
    outputs = [o for c in cells if c["cell_type"] == "code" for o in c["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "stream"], "something was printed, or warned of"
    text = "\n".join("".join(t) for o in outputs for kind, t in o.get("data", {}).items() if kind == "text/markdown")
    assert "Traceback" not in text and "np." not in text and " nan" not in text
    return text.replace("\\", "")


def test_customers_with_one_line_each(tmp_path):
    said = said_by(tmp_path, one_line_each())
    assert "Of 400 customers, 0% came on two days or more." in said
    assert "no difference that can be told from chance (it takes two customers, one of them with two baskets)" in said
    assert "people differ most in" in said, "tastes are told by product, however weakly"
    assert "There are no segments that would be found again: 0 customers to search among, and each segment sought needs 30" in said
    assert "399 of 399 customers made fewer than 10 baskets: they were left out of the search." in said
    assert "customers: the shop has 0 rows" in said or "no attribute" in said or "customers" in said.split("This part is left out")[-1]


@pytest.mark.parametrize("tables", [nobody_known()], ids=["nobody"])
def test_lines_of_nobody_known(tmp_path, tables):
    said = said_by(tmp_path, tables)
    assert "No line has a customer, so there is nobody to profile." in said
    assert said.count("no line has a customer") >= 4, "each part of the second tier gives the reason"
    assert "series by category" in said, "demand is told all the same"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("days", [1, 4, 5, 10])
def test_a_short_log_is_drawn_without_a_warning(days):
    tables = corner_tables()
    lines = tables["transactions"]
    early = lines[pd.to_datetime(lines["timestamp"]) < pd.Timestamp("2024-01-01") + pd.Timedelta(days=days)]
    axes = describe_shop(load_shop(tables | {"transactions": early}, timestamps="local")).plot()
    axes[0].figure.canvas.draw()
    plt.close("all")
