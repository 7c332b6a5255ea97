"""Published estimates of CDNOW and of a grocer, to every printed digit; the data are read from the package lifetimes and beside the benchmarks."""

import os
import warnings
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import load_shop
from retail_insight.timing import BGCNBD, BGNBD, MBGNBD, NBD, GammaGamma, GGomNBD, ParetoNBD, customer_summary, dert

GROCERY = Path(os.environ.get("RETAIL_INSIGHT_DATA", "no-benchmark-data")) / "clv" / "grocery_elog.parquet"


def shop_of(log: pd.DataFrame, **columns: str):
    log = log.assign(receipt=[str(i) for i in range(len(log))], line=1)
    shop = load_shop(log, timestamps="local", columns={"transactions": {"transaction_id": "receipt", "line": "line", "customer_id": "customer_id", "timestamp": "day", "product_id": "= 'any'"} | columns})
    assert len(shop.rejected) == 0
    return shop


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    "2,357 customers of the first quarter of 1997, 39 weeks, and 39 held out."
    try:
        path = next(f for f in files("lifetimes") if f.name == "CDNOW_sample.txt").locate()
    except PackageNotFoundError:
        pytest.skip("CDNOW comes from the package lifetimes (extra: studies), which is not installed")
    log = pd.read_csv(path, sep=r"\s+", names=["master", "customer_id", "day", "cds", "spend"], dtype={"customer_id": str, "day": str})
    log = log.assign(day=pd.to_datetime(log["day"], format="%Y%m%d"), cds=log["cds"].clip(lower=1))
    return customer_summary(shop_of(log, quantity="cds", amount="spend"), "W", split="1997-09-30")


@pytest.fixture(scope="module")
def grocery() -> pd.DataFrame:
    if not GROCERY.exists():
        pytest.skip("RETAIL_INSIGHT_DATA has no clv/grocery_elog.parquet")
    log = pd.read_parquet(GROCERY).rename(columns={"cust": "customer_id", "date": "day"})
    return customer_summary(shop_of(log, quantity="= 1", amount="= 1"), "W", split="2006-12-31")


PUBLISHED = [
    (NBD, [".3848", "12.072"], "-9763.658", None, None),
    (BGNBD, [".243", "4.414", ".793", "2.426"], "-9582.4", [.24259, 4.41360, .79292, 2.42591], [.01256, .3782, .1857, .7054]),
    (MBGNBD, [".5248", "6.1831", ".8914", "1.6140"], "-9582.136", None, None),
    (ParetoNBD, [".553", "10.578", ".606", "11.669"], "-9595.0", [.55328, 10.57768, .60624, 11.66873], [.0476, .8427, .1873, 6.211])]
LOGLIKES = {NBD: -9763.65761, BGNBD: -9582.42921, MBGNBD: -9582.13572, ParetoNBD: -9594.97618}


def printed(value: float, as_in: str) -> str:
    "The value with as many decimals as the text has."
    return f"{value:.{len(as_in.partition('.')[2])}f}".replace("0.", ".", 1) if as_in.lstrip("-").startswith(".") else f"{value:.{len(as_in.partition('.')[2])}f}"


@pytest.mark.parametrize("model, params, llf, digits, errors", PUBLISHED, ids=["NBD", "BG", "MBG", "Pareto"])
def test_estimates(model, params, llf, digits, errors, cdnow):
    fitted = model(cdnow).fit()
    assert [printed(v, p) for v, p in zip(fitted.params, params, strict=True)] == params
    assert printed(fitted.llf, llf) == llf and abs(fitted.llf - LOGLIKES[model]) < 1e-5
    if digits:
        np.testing.assert_allclose(fitted.params, digits, atol=1.1e-5)
        np.testing.assert_allclose(fitted.bse, errors, rtol=2e-3)


def test_gompertz_on_its_ridge(cdnow):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = GGomNBD(cdnow).fit()
    assert printed(fitted.llf, "-9594.98") == "-9594.98" and any("b" in doubt for doubt in fitted.doubts)
    assert printed(fitted.params["r"], ".553") == ".553" and printed(fitted.params["alpha"], "10.578") == "10.578"


def test_spend(cdnow):
    fitted = GammaGamma(cdnow).fit()
    assert [printed(v, p) for v, p in zip(fitted.params, ["6.25", "3.74", "15.44"], strict=True)] == ["6.25", "3.74", "15.44"]
    np.testing.assert_allclose(fitted.params, [6.2493, 3.7443, 15.4443], rtol=1e-4)
    assert abs(fitted.llf + 4055.9177) < 1e-4


def cumulative_at(fitted, cdnow: pd.DataFrame, week: float) -> float:
    "Repeat visits of everybody until a week after the year began, as expected on each one's first day."
    nobody = pd.DataFrame({"frequency": [0.0], "recency": [0.0], "age": [0.0]})
    left = (week - (pd.to_datetime(cdnow["first_visit"]) - pd.Timestamp("1997-01-01")).dt.days / 7).value_counts()
    return sum(n * fitted.predict(float(h), nobody)["expected"].iloc[0] for h, n in left.items())


def test_forecasts(cdnow):
    once, came = cdnow["frequency"] == 0, cdnow["holdout_frequency"]
    assert printed(came[once].mean(), ".237") == ".237"
    for model, zero, correlation, gap, mae, rmse in ((BGNBD, ".23", ".626", -3.99, .7855, 1.608), (ParetoNBD, ".14", ".630", -1.47, .7545, 1.603)):
        fitted = model(cdnow).fit()
        expected = fitted.predict(39)["expected"]
        assert printed(expected[once].mean(), zero) == zero and printed(np.corrcoef(expected, came)[0, 1], correlation) == correlation
        assert abs(expected - came).mean() < mae + 5e-5 and np.sqrt(((expected - came) ** 2).mean()) < rmse + 5e-4
        assert abs(100 * (cumulative_at(fitted, cdnow, 78) / (cdnow["frequency"] + came).sum() - 1) - gap) < .02


def test_customer_1516(cdnow):
    bg, pareto = BGNBD(cdnow).fit(), ParetoNBD(cdnow).fit()
    assert printed(pareto.predict(39)["p_alive"]["1516"], ".99787") == ".99787" and printed(bg.predict(39)["p_alive"]["1516"], ".96885") == ".96885"
    assert printed(bg.predict(52)["expected"]["1516"], "25.757") == "25.757"


def test_discounted_visits(cdnow):
    weeks_of_a_year = 1.15 ** (365.25 / 7 / 52) - 1 # CLVTools' year has 52 weeks
    total = dert(ParetoNBD(cdnow).fit(), weeks_of_a_year)["dert"].sum()
    assert abs(total - 7205.5) < .1 and abs(total / 7207.8 - 1) < 4e-4


def test_a_grocer(grocery):
    published = {"-16376.9": NBD(grocery), "-15782.4": ParetoNBD(grocery), "-15836.6": BGNBD(grocery), "-15781.9": MBGNBD(grocery),
                 "-15054.2": BGCNBD(grocery, 2, early=False), "-14978.2": BGCNBD(grocery, 2)}
    assert {llf: printed(model.fit().llf, llf) for llf, model in published.items()} == {llf: llf for llf in published}
    assert BGCNBD(grocery, 3).fit().llf < BGCNBD(grocery, 2).fit().llf
