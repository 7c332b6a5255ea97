"""Averages and Croston's kin: equal to statsforecast, to slow versions, and not stopped by a bad series."""

import json
import os
import subprocess

import numpy as np
import pandas as pd
import pytest

from retail_insight.forecast import ADIDA, IMAPA, TSB, Average, Croston, Naive, PanelModel, SeasonalNaive

METHODS = (Croston(), Croston(None), Croston(debias=True), TSB(), ADIDA(), IMAPA())
EVERY = (Naive(), SeasonalNaive(7), Average(8), Average(weights=(1, 2, 3)), *METHODS)

# statsforecast 2.1.1 on the series of `rare`: CrostonClassic, CrostonOptimized, CrostonSBA, TSB(.1, .1), ADIDA, IMAPA
THEIRS = {"Croston": [0.729882, 0.43797, 1.346908, 1.467809, 2.48244, 2.804184], "Croston optimised": [0.680594, 0.635897, 1.317785, 1.172536, 2.64321, 2.804184],
          "SBA": [0.693388, 0.416072, 1.279563, 1.394419, 2.358318, 2.663975], "TSB": [0.200083, 0.198948, 1.61356, 1.35917, 2.522402, 2.804184],
          "ADIDA": [0.354712, 0.315765, 1.966303, 0.986972, 2.560083, 2.804184], "IMAPA": [0.290254, 0.302224, 2.059066, 0.949859, 2.560083, 2.804184]}


@pytest.fixture(scope="module")
def rare():
    "Six series of 60 days, from one sale in twelve days to one a day."
    draw = np.random.default_rng(5)
    series = [(draw.random(60) < p) * draw.integers(1, 6, 60) * 1. for p in (.08, .15, .3, .5, .8, 1.)]
    return pd.DataFrame(np.array(series).T, index=pd.date_range("2024-01-01", periods=60), columns=list("abcdef"))


@pytest.mark.parametrize("model", METHODS, ids=lambda model: model.name)
def test_equals_statsforecast(rare, model):
    np.testing.assert_allclose(model.fit(rare).rate, THEIRS[model.name], atol=1e-5)


def test_equals_statsforecast_live(rare, tmp_path):
    "The same on 200 other series, where the peers' environment is."
    python = os.environ.get("RETAIL_INSIGHT_PEERS")
    if not python:
        pytest.skip("RETAIL_INSIGHT_PEERS names no python with statsforecast")
    draw = np.random.default_rng(1)
    panel = (draw.random((90, 200)) < draw.uniform(.05, 1, 200)) * draw.gamma(2, 2, (90, 200))
    panel[0] += panel.sum(axis=0) == 0
    np.save(tmp_path / "panel.npy", panel)
    code = ("import sys, json, numpy as np; from statsforecast.models import *; p = np.load(sys.argv[1]); "
            "ms = dict(zip(sys.argv[2:], (CrostonClassic(), CrostonOptimized(), CrostonSBA(), TSB(.1, .1), ADIDA(), IMAPA()))); "
            "print(json.dumps({n: [float(m.forecast(y=y.copy(), h=1)['mean'][0]) for y in p.T] for n, m in ms.items()}))")
    said = subprocess.run([python, "-c", code, str(tmp_path / "panel.npy"), *(m.name for m in METHODS)], capture_output=True, text=True, check=False)
    if said.returncode:
        pytest.skip("statsforecast is not installed there")
    theirs = json.loads(said.stdout.strip().splitlines()[-1])
    ours = pd.DataFrame(panel, index=pd.date_range("2024-01-01", periods=90))
    for model in METHODS:
        off = np.abs(model.fit(ours).rate / theirs[model.name] - 1) > 2e-4 # a search may end in another of two equal minima
        assert off.sum() <= 2 * (model.name not in ("Croston", "SBA", "TSB")), (model.name, off.sum())


def slow_croston(y, alpha=.1):
    size = gap = None
    since = 0
    for units in y:
        since += 1
        if units:
            size, gap = (units, since) if size is None else (size + alpha * (units - size), gap + alpha * (since - gap))
            since = 0
    return size / gap


def slow_tsb(y, alpha=.1, beta=.1):
    chance, size = float(y[0] > 0), y[y > 0][0]
    for units in y[1:]:
        chance += beta * ((units > 0) - chance)
    for units in y[y > 0][1:]:
        size += alpha * (units - size)
    return chance * size


@pytest.mark.parametrize("model, slow", [(Croston(), slow_croston), (TSB(), slow_tsb), (Croston(.3), lambda y: slow_croston(y, .3))])
def test_equals_the_obvious_version(rare, model, slow):
    np.testing.assert_allclose(model.fit(rare).rate, [slow(rare[name].to_numpy()) for name in rare])


def test_repeating_models_equal_pandas(rare):
    np.testing.assert_allclose(Naive().fit(rare).mean(3), np.tile(rare.iloc[-1], (3, 1)))
    np.testing.assert_allclose(SeasonalNaive(7).fit(rare).mean(8), rare.iloc[[*range(-7, 0), -7]])
    np.testing.assert_allclose(Average(8).fit(rare).mean(1)[0], rare.iloc[-8:].mean())
    miss = rare.iloc[1:] - rare.rolling(8, min_periods=1).mean().shift(1).iloc[1:]
    np.testing.assert_allclose(Average(8).fit(rare).sigma, np.sqrt((miss ** 2).mean()))
    assert np.allclose(SeasonalNaive(7).fit(rare).sigma, np.sqrt((rare.diff(7).iloc[7:] ** 2).mean()))


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_no_bad_series_stops_the_panel(rare, model):
    "Whatever else is in the panel, a good series gets the forecast that it gets alone; each other one has a reason."
    bad = rare[["c"]].assign(zero=0., still=4., one=[np.nan] * 59 + [3.], none=np.nan, endless=rare["d"].mask(rare.index == rare.index[9], np.inf),
                             hole=rare["d"].mask(rare.index == rare.index[9]), back=rare["d"] - 2)
    found, alone = model.fit(bad), model.fit(rare[["c"]])
    assert isinstance(model, PanelModel)
    frame = found.to_frame(9)
    mine, lone = (f[f["series"] == "c"].drop(columns="series").reset_index(drop=True) for f in (frame, alone.to_frame(9)))
    pd.testing.assert_frame_equal(mine, lone)
    assert found.reasons.drop(["c", "back"]).ne("").all() and found.reasons["back"] == ""
    at = frame.set_index("series")
    assert (at.loc["zero", ["mean", "lower", "upper"]] == 0).all(axis=None) and np.allclose(at.loc["still", ["mean", "0.1", "0.9"]], 3.8 if model.name == "SBA" else 4)
    assert at.loc["none", "mean"].isna().all() and np.isfinite(at.drop(["none", "one"]).select_dtypes("number")).all(axis=None)
    assert (at.drop("none").select_dtypes("number") >= 0).all(axis=None)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_quantiles_and_paths_agree(rare, model):
    "Coherent: the quantiles of the paths are the quantiles, and the paths' mean is the mean (but for what is cut off below zero)."
    found = model.fit(rare)
    levels, paths = np.array([.2, .5, .9]), found.paths(3, 4000, seed=1)
    quantiles = found.quantiles(3, levels)
    assert (np.diff(quantiles, axis=0) >= 0).all()
    scale = np.maximum(rare.std().to_numpy(), 1)
    for level, at in zip(levels, quantiles, strict=True):
        assert ((paths <= at + 1e-9).mean(axis=0) > level - .03).all() and ((paths < at - 1e-9).mean(axis=0) < level + .03).all()
    if hasattr(found, "rate"):
        assert (np.abs(paths.mean(axis=0) - found.mean(3)) / scale < .08).all()


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_roll_keeps_what_was_estimated(rare, model):
    "New periods without a fit: a method that estimates nothing says what a fit to all would; the others keep their shares."
    rolled, anew = model.fit(rare.iloc[:50]).roll(rare), model.fit(rare)
    assert rolled.matrix.equals(rare)
    if model.name in ("Croston optimised", "ADIDA", "IMAPA"):
        assert np.array_equal(rolled.found, model.fit(rare.iloc[:50]).found)
        np.testing.assert_array_equal(rolled.rate, model.expect(np.ascontiguousarray(rare.to_numpy().T), np.ones((6, 60), bool), rolled.found)[0])
    else:
        np.testing.assert_array_equal(rolled.mean(4), anew.mean(4))
    with pytest.raises(ValueError, match="must hold the same 6 series"):
        rolled.roll(rare.iloc[5:])


def test_the_future_changes_nothing(rare):
    later = rare.copy()
    later.iloc[50:] = 1000.
    for model in EVERY:
        pd.testing.assert_frame_equal(model.fit(rare.iloc[:50]).to_frame(3), model.fit(later.iloc[:50]).to_frame(3))


@pytest.mark.parametrize("wrong, says", [(lambda: Average(0), "one period or more"), (lambda: Average(weights=(0, 0)), "weights"), (lambda: SeasonalNaive(1), "Naive"),
                                         (lambda: Croston(0), "above 0"), (lambda: TSB(beta=2), "at most 1")])
def test_arguments_out_of_range(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()


def test_a_panel_shorter_than_its_season(rare):
    with pytest.raises(ValueError, match="7 periods; a season and one more"):
        SeasonalNaive(7).fit(rare.iloc[:7])


def test_coverage_of_rare_sales():
    "On sales drawn as the model thinks, an 80% interval of a day holds 80% or (counts are lumpy) a little more."
    draw = np.random.default_rng(3)
    panel = (draw.random((140, 400)) < .25) * draw.integers(1, 9, (140, 400)) * 1.
    frame = pd.DataFrame(panel, index=pd.date_range("2024-01-01", periods=140))
    ahead = TSB().fit(frame.iloc[:112]).to_frame(28)
    inside = frame.iloc[112:].to_numpy().T.ravel()
    assert .75 < ((inside >= ahead["lower"]) & (inside <= ahead["upper"])).mean() < .9
