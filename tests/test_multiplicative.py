"""Errors and seasons that multiply: statsmodels' likelihoods and forecasts, the choice of a family, bad series."""

import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from retail_insight.contract import load_shop
from retail_insight.demand import UNIT_GOODS, build_demand
from retail_insight.forecast import ETS, MFORMS, AnyETS, MultiplicativeETS, PanelModel


@pytest.fixture(scope="module")
def daily():
    "Departments of Complete Journey that sold every day of 26 weeks."
    panel = build_demand(load_shop("complete_journey"), "department", freq="D", where=UNIT_GOODS, cap=48).complete().matrix().iloc[:182]
    return panel.loc[:, (panel > 0).all()].iloc[:, :6]


def theirs(y, form, period=7):
    form = MFORMS[form]
    return ETSModel(y, error="mul" if form.multiplied else "add", trend="add" if form.trend else None, damped_trend=form.damped,
                    seasonal="mul" if form.season else None, seasonal_periods=period if form.season else None)


def at_ours(found, k, form, y):
    model, (alpha, beta, gamma, phi), start = theirs(y, form), found.theta[:, k], found.start[:, k]
    values = {"smoothing_level": alpha, "smoothing_trend": alpha * beta, "smoothing_seasonal": (1 - alpha) * gamma, "damping_trend": phi, "initial_level": start[0],
              "initial_trend": start[1], **{f"initial_seasonal.{j}": start[2 + (-1 - j) % 7] for j in range(7)}}
    return model, np.array([values[name] for name in model.param_names])


@pytest.fixture(scope="module")
def fitted(daily):
    return {form: MultiplicativeETS(form, 7).fit(daily) for form in MFORMS}


@pytest.mark.parametrize("form", list(MFORMS))
def test_likelihood_and_forecasts_equal_statsmodels_at_the_same_parameters(daily, fitted, form):
    found = fitted[form]
    assert found.reasons.eq("").all() and found.params["form"].eq(form).all()
    for k in range(daily.shape[1]):
        model, at = at_ours(found, k, form, daily.iloc[:, k].to_numpy())
        assert model.loglike(at) == pytest.approx(found.params["loglik"].iloc[k], rel=1e-8)
        np.testing.assert_allclose(found.mean(16)[:, k], np.maximum(model.smooth(at).forecast(16), 0), rtol=1e-8)


def test_likelihood_is_as_high_as_statsmodels():
    "Within .05 of the optimum that statsmodels finds, or higher, for 95% of 20 categories in each of three forms."
    panel = build_demand(load_shop("complete_journey"), "category", freq="D", where=UNIT_GOODS, cap=48).complete().matrix().iloc[:350]
    panel = panel.loc[:, (panel > 0).all()].iloc[:, ::6]
    assert panel.shape[1] == 20
    for form in ("MNN", "MAdN", "MNM"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            best = [theirs(panel[k].to_numpy(float), form).fit(disp=False).llf for k in panel]
        gaps = MultiplicativeETS(form, 7).fit(panel).params["loglik"].to_numpy() - best
        assert np.mean(gaps > -.05) >= .95, (form, np.round(np.sort(gaps), 2))


def test_the_form_of_least_aicc(daily, fitted):
    each = pd.DataFrame({form: found.params["aicc"] for form, found in fitted.items()})
    chosen = MultiplicativeETS(period=7).fit(daily).params
    assert (chosen["aicc"] <= each[["MNN", "MAdN", "MNM", "MAdM"]].min(axis=1) + 1e-6).all()
    both = AnyETS(7).fit(daily)
    np.testing.assert_allclose(both.params["aicc"].astype(float), np.minimum(chosen["aicc"], ETS(period=7).fit(daily).params["aicc"]))
    assert both.taken.any()


def test_quantiles_grow_with_the_level():
    "Of two series with the same relative noise, ten times the level has ten times the spread; an interval holds what it says."
    draw = np.random.default_rng(0)
    noise = draw.normal(1, .1, (220, 200))
    panel = pd.DataFrame(noise * np.where(np.arange(200) % 2, 10., 100.), index=pd.date_range("2024-01-01", periods=220))
    ahead = MultiplicativeETS("MNN").fit(panel.iloc[:206]).to_frame(14)
    inside = pd.Series(panel.iloc[206:].to_numpy().T.ravel()).between(ahead["lower"], ahead["upper"]).mean()
    assert .77 < inside < .83
    width = (ahead["upper"] - ahead["lower"]).groupby(ahead["series"]).mean()
    assert width[width.index % 2 == 0].mean() / width[width.index % 2 == 1].mean() == pytest.approx(10, rel=.1)


def test_roll(daily):
    early = MultiplicativeETS("MNM", 7).fit(daily.iloc[:150])
    rolled = early.roll(daily)
    model, at = at_ours(early, 0, "MNM", daily.iloc[:, 0].to_numpy())
    np.testing.assert_allclose(rolled.mean(9)[:, 0], model.smooth(at).forecast(9), rtol=1e-8)
    np.testing.assert_array_equal(early.roll(daily.iloc[:160]).roll(daily).state, rolled.state)
    both = AnyETS(7).fit(daily.iloc[:150])
    np.testing.assert_array_equal(both.roll(daily.iloc[:150]).mean(5), both.mean(5))
    with pytest.raises(ValueError, match="must hold the same"):
        early.roll(daily.iloc[5:])


def test_no_bad_series_stops_the_panel(daily):
    good = daily.iloc[:, :2].set_axis(["a", "b"], axis=1)
    odd = good.assign(zero=0., still=4., none=np.nan, now=good["a"].mask(good.index == good.index[7], 0), below=good["a"] - good["a"].mean(), late=good["b"].mask(good.index < good.index[100]),
                      hole=good["a"].mask(good.index == good.index[4]), few=good["b"].mask(good.index < good.index[-6]))
    for model in (MultiplicativeETS(period=7), AnyETS(7)):
        found = model.fit(odd)
        assert isinstance(model, PanelModel)
        np.testing.assert_allclose(found.mean(9)[:, :2], model.fit(good).mean(9), rtol=1e-6)
        frame = found.to_frame(9).set_index("series").select_dtypes("number")
        assert np.isfinite(frame.drop("none")).all(axis=None) and (frame.drop("none") >= 0).all(axis=None)
    times = MultiplicativeETS(period=7).fit(odd).reasons
    assert times[["now", "below"]].eq("zero or negative units").all() and times[["a", "b", "late"]].eq("").all()
    assert AnyETS(7).fit(odd).reasons[["now", "below", "late"]].eq("").all()


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="is not known"):
        MultiplicativeETS("MMM")
