"""Fitted forecasts in a file and over new periods: equal to the last digit, equal to filtering everything, and nothing of a stranger's is run."""

import json
from dataclasses import dataclass, replace
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX as Theirs

from retail_insight.contract import load_shop
from retail_insight.demand import Demand, add_covariates, build_demand
from retail_insight.forecast import (
    ADIDA,
    ETS,
    IMAPA,
    SARIMAX,
    SES,
    TSB,
    AnyETS,
    Average,
    Boost,
    Combined,
    Components,
    Conformal,
    Croston,
    GlobalGLM,
    LastValue,
    LiftModel,
    MovingAverage,
    MultiplicativeETS,
    Naive,
    PanelResults,
    SeasonalNaive,
    SingleETS,
    SingleTheta,
    Theta,
    candidates,
    load_model,
    roll,
    save_model,
)
from retail_insight.forecast.core import fit_levels
from retail_insight.forecast.features import grid_of, lifts_again, make_cells, settled
from retail_insight.forecast.glm import expected_of
from retail_insight.forecast.saved import FORMAT

STEPS = 2


@pytest.fixture(scope="module")
def demand():
    "Twelve products over sixty weeks, one of which sells nothing, one always the same, one now and then; displays known four weeks on."
    rng, weeks = np.random.default_rng(4), pd.date_range("2023-01-02", periods=64, freq="7D")
    shown = (rng.random((12, 64)) < .2).astype(float)
    units = rng.poisson(np.exp(2 + .6 * shown)).astype(float)
    units[0], units[1], units[2] = 0, 4, units[2] * (rng.random(64) < .3)
    units[3] += 50
    names = [f"p{i:02d}" for i in range(12)]
    rows = pd.DataFrame({"product_id": np.repeat(names, 64), "period": np.tile(weeks, 12), "units": units.ravel(), "display": shown.ravel()})
    return Demand.from_frame(rows[rows["period"] < weeks[60]], "product_id", covariates=rows[["product_id", "period", "display"]], known=["display"])


def cut(demand, weeks):
    return demand.until(demand.periods[weeks - 1])


def since(demand, weeks):
    return replace(demand, frame=demand.frame[demand.frame["period"] > demand.periods[weeks - 1]].reset_index(drop=True))


MODELS = [LastValue(), MovingAverage(6), SES(), SES(start="estimated"), Naive(), SeasonalNaive(4), Average(8), Average(weights=(.2, .8)), ETS(), ETS("AAA", period=4), TSB(), Croston(None), Croston(debias=True), ADIDA(), IMAPA(), Theta(), Theta(period=4),
          MultiplicativeETS(), AnyETS(period=4), SARIMAX(), SARIMAX(("display",), log=True), Components(), SingleETS(), SingleTheta(period=4), LiftModel(STEPS), LiftModel(STEPS, smear=True),
          GlobalGLM(steps=STEPS), GlobalGLM("negative binomial", STEPS), Boost(steps=STEPS, trees=20), Boost("median", STEPS, trees=20), Conformal(ETS("ANN"), STEPS), Conformal(SES(), STEPS),
          Combined([Naive(), GlobalGLM(steps=STEPS)], STEPS)]


@pytest.fixture(scope="module", params=MODELS, ids=lambda m: f"{m.name} {type(m).__name__}")
def fitted(request, demand):
    if "trees" in request.param.name:
        pytest.importorskip("lightgbm")
    return request.param.fit_panel(cut(demand, 52))


def same(one, two):
    pd.testing.assert_frame_equal(one.to_frame(STEPS), two.to_frame(STEPS), check_exact=True)
    np.testing.assert_array_equal(one.paths(STEPS, 20, seed=3), two.paths(STEPS, 20, seed=3))
    pd.testing.assert_frame_equal(one.summary(), two.summary(), check_exact=True)


def test_a_file_forecasts_to_the_last_digit(fitted, tmp_path, demand):
    loaded = load_model(save_model(fitted, tmp_path / "a"))
    assert type(loaded) is type(fitted) and loaded.model == fitted.model
    same(loaded, fitted)
    assert (tmp_path / "a").read_bytes() == save_model(loaded, tmp_path / "b").read_bytes()
    same(roll(loaded, demand), roll(fitted, demand))


def test_new_periods_alone_are_as_good_as_the_whole_panel(fitted, demand):
    whole = roll(fitted, demand)
    assert whole.matrix.equals(demand.complete().matrix()) and not np.array_equal(whole.mean(1), fitted.mean(1))
    same(roll(fitted, since(demand, 52)), whole)
    same(roll(roll(fitted, cut(demand, 57)), since(demand, 57)), whole)
    same(roll(fitted, cut(demand, 52)), fitted)


def test_the_future_changes_nothing(fitted, demand):
    wild = replace(demand, frame=demand.frame.assign(units=demand.frame["units"].where(demand.frame["period"] <= demand.periods[55], 999.)))
    same(roll(fitted, cut(wild, 56)), roll(fitted, cut(demand, 56)))


def test_sarimax_rolled_on_is_what_statsmodels_appends(demand):
    found = SARIMAX(("display",), log=True).fit(cut(demand, 52))
    k = found.matrix.columns.get_loc("p05")
    y, x = np.log1p(demand.values()[k]), demand.covariates.query("product_id == 'p05'")["display"].to_numpy()[:, None]
    theirs = Theirs(y[:52], exog=x[:52], order=(0, 1, 1), concentrate_scale=True).filter(found.fits[k]).append(y[52:], exog=x[52:60])
    np.testing.assert_allclose(roll(found, since(demand, 52)).mean(4)[:, k], np.expm1(theirs.forecast(4, exog=x[60:])), rtol=1e-9)


def test_a_rolled_regression_is_the_old_coefficients_on_new_cells(demand):
    found = GlobalGLM(steps=STEPS).fit_panel(cut(demand, 52))
    grid = grid_of(demand, STEPS)
    lifts, x = lifts_again(grid, found.rule)
    now = make_cells(grid, lifts, x, np.array([59]), STEPS)
    by_hand = expected_of(now, list(found.coefficients.index[1:]), found.coefficients["estimate"].to_numpy()).reshape(12, STEPS).T
    np.testing.assert_allclose(roll(found, demand).mean(STEPS), settled(by_hand, grid))


def test_a_shop_and_its_covariates(tmp_path):
    shop = load_shop("corner")
    week = add_covariates(build_demand(shop, by=("category", "product_id")).complete(), shop, steps=STEPS)
    for model in (GlobalGLM(steps=STEPS), SARIMAX(("display",)), Theta()):
        found = model.fit_panel(week.until(week.periods[-3]))
        loaded = load_model(save_model(found, tmp_path / "shop"))
        same(roll(loaded, week), roll(found, week))


@pytest.mark.parametrize("change, said", [
    (lambda m: m.iloc[53:], "days apart"), (lambda m: m.iloc[40:], "begin with the same 52 periods"), (lambda m: m.iloc[:, 1:], "same 12 series"),
    (lambda m: m.iloc[:50], "begin with the same"), (lambda m: m.iloc[52:].set_axis(m.index[52:] + pd.Timedelta(days=1)), "days apart"), (lambda m: m.iloc[52:52], "begin with the same"),
], ids=["gap", "from the middle", "a series less", "shorter", "another day", "nothing"])
def test_what_cannot_be_rolled_on_says_so(demand, change, said):
    matrix = demand.complete().matrix()
    for model in (ETS("ANN"), GlobalGLM(steps=STEPS), TSB()):
        with pytest.raises(ValueError, match=said):
            roll(model.fit_panel(matrix.iloc[:52]), change(matrix))


def test_covariates_that_are_missing_later(demand):
    bare = demand.complete().matrix()
    for model in (GlobalGLM(steps=STEPS), LiftModel(STEPS), SARIMAX(("display",))):
        with pytest.raises(ValueError, match="display"):
            roll(model.fit_panel(cut(demand, 52)), bare)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_series_with_a_hole_stops_nothing_and_is_said(demand, bad):
    matrix = demand.complete().matrix()
    holed = matrix.copy()
    holed.iloc[57, 5] = bad
    for model in (ETS("ANN"), TSB(), GlobalGLM(steps=STEPS), SARIMAX()):
        found = model.fit_panel(matrix.iloc[:52])
        rolled, whole = roll(found, holed), roll(found, matrix)
        assert rolled.reasons.iloc[5] == "1 new periods missing or infinite, taken as its mean"
        assert np.isfinite(rolled.mean(STEPS)).all()
        if type(rolled).__name__ != "GLMResults":
            np.testing.assert_array_equal(np.delete(rolled.mean(STEPS), 5, axis=1), np.delete(whole.mean(STEPS), 5, axis=1))


@dataclass(frozen=True)
class Own:
    name: str = "my own"

    def fit(self, sold):
        return replace(SES().fit(sold))


class MyResults(PanelResults):
    pass


def test_every_candidate_of_the_choice_rolls_on(demand):
    "What `choose_model` tries, its slow candidates too, goes on without a fit."
    def twice(frame):
        return pd.concat([frame, frame.assign(product_id="q" + frame["product_id"])], ignore_index=True)

    wide = replace(demand, frame=twice(demand.frame), covariates=twice(demand.covariates))
    tried = candidates(wide, STEPS, thorough=True)
    assert {"naive", "ETS ANN", "level and lifts", "global GLM", "combination", "global GLM, conformal"} <= {m.name for m in tried}
    for model in tried:
        assert roll(model.fit_panel(cut(wide, 52)), wide).matrix.equals(wide.complete().matrix()), model.name


def test_a_level_rolled_on_is_the_recursion_of_its_share(demand):
    "The level of smoothing is that of statsmodels with the share held; a series of one value stays; a model of one's own says that it cannot."
    from statsmodels.tsa.holtwinters import SimpleExpSmoothing
    units, found = demand.complete().matrix(), SES().fit_panel(cut(demand, 52))
    rolled = roll(found, demand)
    for i in (2, 3, 7):
        y = units.iloc[:, i].to_numpy(float)
        held = SimpleExpSmoothing(y, initialization_method="known", initial_level=y[0]).fit(smoothing_level=found.keeps[i], optimized=False)
        assert rolled.mean(1)[0, i] == pytest.approx(held.forecast(1)[0], rel=1e-9)
    assert rolled.mean(1)[0, 1] == 4 and rolled.mean(1)[0, 0] == 0
    np.testing.assert_allclose(roll(MovingAverage(6).fit_panel(cut(demand, 52)), demand).mean(1)[0], units.iloc[-6:].mean())
    own = fit_levels(Own(), cut(demand, 52))
    assert own.mean(1)[0, 5] == found.mean(1)[0, 5]
    with pytest.raises(ValueError, match="my own cannot go on without a new fit"):
        roll(own, demand)


def test_what_cannot_be_saved_says_so(demand, tmp_path):
    found = ETS("ANN").fit(demand)
    own = MyResults("my own", found.matrix, "W", found.params, found.reasons)
    for value, said in [(found.forecast(2), "to_frame"), (own, "MyResults cannot be saved"), (SES().fit(np.arange(9.)), "fit a model of the panel first"), (42, "int cannot be saved"),
                        (replace(found, params=found.params.assign(odd=[own] * 12)), "MyResults is no kind of value")]:
        with pytest.raises(ValueError, match=said):
            save_model(value, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    assert save_model(Conformal(Own(), STEPS).fit_panel(demand), tmp_path / "own").exists() # numbers are all that is needed of it


@pytest.mark.parametrize("entries", [
    {"model.json": "{}"}, {"model.json": "[1, 2"}, {"other": "x"}, {"model.json": json.dumps({"format": "retail_insight.forecast 2", "results": None})},
    {"model.json": json.dumps({"format": FORMAT, "results": {"class": "Popen", "fields": {"args": ["touch", "x"]}}})},
    {"model.json": json.dumps({"format": FORMAT, "results": {"class": "Naive", "fields": {}}})},
    {"model.json": json.dumps({"format": FORMAT, "results": {"class": "ETSResults", "fields": {"run": "x"}}})},
    {"model.json": json.dumps({"format": FORMAT, "results": {"__import__": "os"}})},
    {"model.json": json.dumps({"format": FORMAT, "results": {"kind": "object", "values": []}})},
    {"model.json": json.dumps({"format": FORMAT, "results": {"array": 0}}), "0.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + b" " * 58 + b"\n" + b"cos\nsystem\n(S'touch x'\ntR."},
], ids=range(10))
def test_a_file_of_a_stranger_is_refused(entries, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ZipFile("model", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="model is no model saved by save_model"):
        load_model("model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_file_cut_short_too_large_or_missing(demand, tmp_path):
    path = save_model(ETS("ANN").fit(demand), tmp_path / "model")
    with pytest.raises(ValueError, match="more than most=1,000"):
        load_model(path, most=1000)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="Save it anew"):
        load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")


def test_the_table_of_parameters_says_the_level_now(demand):
    for model in (ETS("ANN"), MultiplicativeETS(), AnyETS()):
        rolled = roll(model.fit(cut(demand, 52)), demand)
        np.testing.assert_allclose(rolled.params["level"] + rolled.params["trend"] * rolled.params["phi"], rolled.mean(1)[0], rtol=1e-9)
