"""Models of single series: statsmodels' own figures, regressors known ahead, failures that are told."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX as Theirs

from retail_insight.contract import ContractError
from retail_insight.demand import Demand
from retail_insight.forecast import SARIMAX, Components, PanelModel, SingleETS, SingleTheta

DAYS = pd.date_range("2024-01-01", periods=90, freq="D")


def panel(**more):
    "Two products with displays, one of which reacts; ten days ahead are planned."
    draw = np.random.default_rng(0)
    shown = (draw.random((90, 2)) < .3) * 1.
    units = np.column_stack([20 * np.exp(.7 * shown[:, 0]) * draw.normal(1, .1, 90), draw.poisson(5, 90)])
    frame = pd.DataFrame({"product_id": np.repeat(["tea", "jam"], 90), "period": np.tile(DAYS, 2), "units": units.T.ravel(), "display": shown.T.ravel(), "weather": 1.})
    frame = frame.assign(**more)
    return Demand.from_frame(frame[["product_id", "period", "units"]], "product_id", "D", covariates=frame.drop(columns="units"), known=("display",))


@pytest.fixture(scope="module")
def held():
    return panel().until(DAYS[79])


def test_sarimax_equals_statsmodels(held):
    found = SARIMAX(("display",), log=True).fit(held)
    k = found.matrix.columns.get_loc("tea")
    x = panel().covariates.query("product_id == 'tea'")["display"].to_numpy()
    theirs = Theirs(np.log1p(found.matrix["tea"].to_numpy()), exog=x[:80, None], order=(0, 1, 1), concentrate_scale=True).filter(found.fits[k])
    ahead = theirs.get_forecast(10, exog=x[80:, None])
    np.testing.assert_allclose(found.mean(10)[:, k], np.expm1(ahead.predicted_mean))
    np.testing.assert_allclose(found.quantiles(10, np.array([.1]))[0, :, k], np.expm1(ahead.predicted_mean - 1.2815515655446004 * ahead.se_mean), rtol=1e-6)
    assert found.params.loc["tea", "display"] == pytest.approx(.7, abs=.1)


@pytest.mark.parametrize("model", [SARIMAX(), Components(), SingleETS(), SingleTheta(period=1)], ids=lambda m: m.name)
def test_every_model_forecasts_and_rolls(held, model):
    found, whole = model.fit(held.until(DAYS[69])), held.complete().matrix()
    assert isinstance(model, PanelModel) and found.reasons.eq("").all()
    frame = found.to_frame(5)
    assert np.isfinite(frame.select_dtypes("number")).all(axis=None) and (frame["lower"] <= frame["mean"]).all() and (frame["mean"] <= frame["upper"]).all()
    rolled = found.roll(whole)
    assert all(np.array_equal(a, b) for a, b in zip(rolled.fits, found.fits, strict=True)) and not np.allclose(rolled.mean(1), found.mean(1))


def test_paths_agree_with_quantiles(held):
    found = SARIMAX(("display",)).fit(held)
    levels = np.array([.1, .5, .9])
    assert (np.abs(np.quantile(found.paths(6, 4000), levels, axis=0) - found.quantiles(6, levels)) < .2 * found.matrix.std().to_numpy()).all()


def test_a_covariate_that_is_not_known_ahead(held):
    with pytest.raises(ValueError, match="is observed only"):
        SARIMAX(("weather",)).fit(held)
    with pytest.raises(ValueError, match="a matrix has none"):
        SARIMAX(("display",)).fit(held.complete().matrix())


def test_empty_cells_of_a_covariate():
    draw = np.ones(180)
    draw[5] = np.nan
    with pytest.raises(ContractError, match="1 of 160 cells seen"):
        SARIMAX(("display",)).fit(panel(display=draw).until(DAYS[79]))


def test_a_plan_beyond_what_was_seen_is_held_within_it():
    "A display larger than any before is forecast as the largest seen; one seen in two periods only has no coefficient."
    draw = np.random.default_rng(1)
    small = np.zeros((90, 2))
    small[[10, 30, 50, 70], 0], small[[10, 30], 1] = [.01, .02, .01, .02], .02
    small[80:] = [.02, .02]
    units = draw.poisson(6, (90, 2)) + 20. * (small > .01)
    frame = pd.DataFrame({"product_id": np.repeat(["tea", "jam"], 90), "period": np.tile(DAYS, 2), "units": units.T.ravel(), "display": small.T.ravel()})
    def fitted(ahead):
        held = frame[["product_id", "period", "display"]].assign(display=frame["display"].where(frame["period"] < DAYS[80], ahead))
        return SARIMAX(("display",), log=True).fit(Demand.from_frame(frame[["product_id", "period", "units"]], "product_id", "D", covariates=held, known=("display",)).until(DAYS[79]))
    most, more = fitted(.02), fitted(.9)
    np.testing.assert_array_equal(more.mean(4), most.mean(4))
    assert (most.mean(4) < units.max()).all() and most.params.loc["tea", "display"] > 10 and np.isnan(most.params.loc["jam", "display"])
    assert (most.mean(4)[:, most.matrix.columns.get_loc("tea")] > 1.5 * fitted(0.).mean(4)[:, most.matrix.columns.get_loc("tea")]).all()


@dataclass(frozen=True)
class Broken(SARIMAX):
    def estimate(self, y, x):
        raise np.linalg.LinAlgError("no decomposition")


def test_a_failed_fit_is_told_and_stops_nothing(held):
    found = Broken().fit(held)
    assert found.reasons.str.contains("the fit failed: LinAlgError: no decomposition").all()
    np.testing.assert_allclose(found.mean(3), np.tile(found.matrix.mean(), (3, 1)))
    odd = held.complete().matrix().assign(zero=0., still=4., none=np.nan, late=lambda m: m["tea"].mask(m.index < DAYS[40]))
    said = SARIMAX().fit(odd)
    assert said.reasons[["tea", "jam", "late"]].eq("").all() and said.reasons[["zero", "still", "none"]].ne("").all()
    assert np.isfinite(said.mean(2)[:, [0, 1, 2, 3, 5]]).all()
