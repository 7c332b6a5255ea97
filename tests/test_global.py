"""Models of a whole panel: what they may know, what they estimate, and what they say of odd series."""

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from retail_insight.contract import ContractError, load_shop
from retail_insight.contract.shop import connection
from retail_insight.demand import UNIT_GOODS, Demand, add_covariates, build_demand
from retail_insight.forecast.boost import Boost
from retail_insight.forecast.combine import Combined, inverse_weights, weighted
from retail_insight.forecast.conformal import Conformal, ConformalResults, Past, calibrate, past_of, said_at
from retail_insight.forecast.core import MovingAverage
from retail_insight.forecast.features import changed_after, grid_of, lessons_of
from retail_insight.forecast.glm import FAR, GlobalGLM, LiftModel, design, family_of, fit_glm, terms_in

STEPS = 4


def simulated(series: int = 60, periods: int = 40, seed: int = 3) -> Demand:
    "Weekly counts with displays whose lift differs from series to series around 1."
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2024-01-01", periods=periods + STEPS, freq="7D")
    display = (rng.random((series, periods + STEPS)) < .2).astype(float)
    lift = rng.normal(1, .4, (series, 1))
    units = rng.poisson(np.exp(rng.normal(2, .6, (series, 1)) + lift * display))
    names = np.repeat([f"s{i:02d}" for i in range(series)], periods + STEPS)
    table = pd.DataFrame({"product_id": names, "period": np.tile(dates, series), "display": display.ravel(), "price": 1 + rng.random(series * (periods + STEPS)),
                          "units": units.ravel()})
    seen = table[table["period"] <= dates[periods - 1]]
    held = table.drop(columns="units").assign(price=table["price"].where(table["period"] <= dates[periods - 1]))
    return Demand.from_frame(seen[["product_id", "period", "units"]], "product_id", covariates=held, known=["display"])


PANEL = simulated()
MODELS = [LiftModel(), GlobalGLM(), GlobalGLM("negative binomial"), GlobalGLM("tweedie")]
if find_spec("lightgbm"):
    MODELS += [Boost(trees=40), Boost("median", trees=40)]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{m.name} {getattr(m, 'family', '')}")
def test_a_changed_future_changes_nothing(model):
    origin = PANEL.periods[29]
    forecasts = [model.fit_panel(panel.until(origin)).to_frame(STEPS) for panel in (PANEL, changed_after(PANEL, origin))]
    pd.testing.assert_frame_equal(*forecasts)
    past = changed_after(PANEL, PANEL.periods[10]).until(origin)
    assert not model.fit_panel(past).to_frame(STEPS)["mean"].equals(forecasts[0]["mean"])


def test_promotions_beyond_the_horizon_change_nothing():
    "What is planned after the last step is not looked at."
    origin = PANEL.periods[29]
    later = PANEL.covariates["period"] > PANEL.periods[29 + STEPS]
    other = replace(PANEL, covariates=PANEL.covariates.assign(display=PANEL.covariates["display"].mask(later, 1 - PANEL.covariates["display"])))
    for model in MODELS[:2]:
        pd.testing.assert_frame_equal(model.fit_panel(PANEL.until(origin)).to_frame(STEPS), model.fit_panel(other.until(origin)).to_frame(STEPS))


@pytest.mark.parametrize("family", ["poisson", "negative binomial", "tweedie"])
def test_chunks_equal_statsmodels_in_one_piece(family):
    past = lessons_of(PANEL, STEPS).past
    names = terms_in(past, ("log_expected", "log_mean8", "display", "lift", "log_price", "zeros"))
    x = design(past, names)
    whole = sm.GLM(past.target, x.astype(float), family=family_of(family, .3)).fit(tol=1e-12)
    piece = fit_glm(x, past.target, family, alpha=.3, chunk=997)
    np.testing.assert_allclose(piece.params, whole.params, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(piece.cov)), whole.bse, rtol=1e-5)
    assert piece.deviance == pytest.approx(whole.deviance, rel=1e-9)


@pytest.mark.parametrize("family", ["poisson", "negative binomial", "tweedie"])
def test_a_series_a_million_times_larger_spoils_no_other(family):
    "The others are forecast as without it, within a few percent (levels and lifts of the panel are shared); the large one is forecast too, named, and rolls on."
    large = PANEL.matrix().min().idxmax() # times a million, a week without sales would be a chasm on the log scale
    times = np.where(PANEL.frame["product_id"] == large, 1_000_003, 1)
    wild = replace(PANEL, frame=PANEL.frame.assign(units=PANEL.frame["units"] * times))
    alone, beside = (GlobalGLM(family, steps=STEPS).fit_panel(panel) for panel in (PANEL, wild))
    i = list(alone.matrix.columns).index(large)
    others, ratio = np.arange(60) != i, beside.mean(STEPS) / alone.mean(STEPS)
    assert np.abs(ratio[:, others] - 1).mean() < .03 and np.abs(ratio[:, others] - 1).max() < .15
    assert ratio[:, i] / 1_000_003 == pytest.approx(1, rel=.25)
    assert beside.reasons[large] == FAR and alone.reasons.eq("").all() and beside.reasons.drop(large).eq("").all()
    early = GlobalGLM(family, steps=STEPS).fit_panel(wild.until(PANEL.periods[-3]))
    assert early.roll(wild).reasons[large] == FAR and early.roll(wild).mean(1)[0, i] > 1_000_003


def test_lifts_come_out():
    "The true lifts average 1 and the filter finds that, and each series' own better than the common one."
    lifts = LiftModel(groups=None).fit_panel(PANEL).params["display"]
    assert lifts.mean() == pytest.approx(1, abs=.15)
    true = np.random.default_rng(3)
    true.random((60, 40 + STEPS))
    assert np.corrcoef(true.normal(1, .4, 60), lifts)[0, 1] > .5


def test_intervals_cover_and_totals_are_wider_than_independent_steps():
    for model in MODELS[:2]:
        origin = 31
        found = model.fit_panel(PANEL.until(PANEL.periods[origin]))
        came = PANEL.values()[:, origin + 1:origin + 1 + STEPS].T
        low, high = found.quantiles(STEPS, np.array([.1, .9]))
        assert .7 < np.mean((came >= low) & (came <= high)) < .95
        assert (np.diff(found.quantiles(STEPS, np.array([.1, .5, .9])), axis=0) >= 0).all()
        np.testing.assert_array_equal(found.paths(STEPS, 20, seed=1), found.paths(STEPS, 20, seed=1))


def test_odd_series_are_forecast_and_said():
    matrix = PANEL.matrix().astype(float)
    matrix["s00"] = 0.
    matrix.iloc[20:, 1] = 0.
    matrix.iloc[:-2, 2] = np.nan
    matrix["s03"] = np.nan
    for model in MODELS[:2]:
        found = model.fit_panel(matrix)
        mean = found.mean(STEPS)
        assert np.isfinite(mean).all() and (mean >= 0).all()
        assert (mean[:, 0] == 0).all() and (found.quantiles(STEPS, np.array([.9]))[0][:, 0] == 0).all()
        assert (mean[:, 1] < .1 * matrix.iloc[:20, 1].mean()).all()
        assert found.reasons["s00"].startswith("all zero") and found.reasons["s01"].startswith("discontinued")
        assert found.reasons["s02"].startswith("short") and found.reasons["s03"].startswith("nothing observed")
        assert mean[:, 3].mean() == pytest.approx(np.expm1(np.log1p(matrix.iloc[:, 4:]).to_numpy().mean()), rel=.8)


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="fitted for 4"):
        LiftModel().fit_panel(PANEL).mean(5)
    with pytest.raises(ValueError, match="covariates end 4 periods after"):
        LiftModel(steps=5).fit_panel(PANEL)
    with pytest.raises(ValueError, match="not known in advance"):
        LiftModel(drivers=["price"]).fit_panel(PANEL)
    with pytest.raises(ValueError, match="family='gamma' is not known"):
        GlobalGLM("gamma").fit_panel(PANEL)
    with pytest.raises(ValueError, match="name a series again"):
        grid_of(PANEL, STEPS, pd.DataFrame({"product_id": ["s00", "s00"], "kind": ["a", "b"]}))
    empty = PANEL.covariates["display"].where(PANEL.covariates["period"] <= PANEL.periods[-1])
    with pytest.raises(ContractError, match="cells ahead are empty"):
        LiftModel().fit_panel(replace(PANEL, covariates=PANEL.covariates.assign(display=empty)))


def test_trees_need_an_extra_and_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ImportError, match=r"pip install 'retail-insight\[boost\]'"):
        Boost().fit_panel(PANEL)
    with pytest.raises(ValueError, match="objective='mean' is not known"):
        Boost("mean")


@pytest.mark.skipif(not find_spec("lightgbm"), reason="needs the extra boost")
def test_trees_are_deterministic_on_any_number_of_threads():
    one, two = (Boost(trees=30, n_jobs=n).fit_panel(PANEL).mean(STEPS) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, Boost(trees=30, seed=1).fit_panel(PANEL).mean(STEPS))


@pytest.fixture
def on_four_threads():
    "Complete Journey, its engine on four threads however many processors there are."
    shop = load_shop("complete_journey")
    asked = connection(shop.path)
    before = asked.execute("SELECT current_setting('threads')").fetchall()[0][0]
    asked.execute("SET threads = 4")
    yield shop
    asked.execute(f"SET threads = {before}")


def test_two_builds_two_tables_and_two_fits_are_equal_bit_for_bit(on_four_threads):
    "Threads add up in any order; nothing that is said may depend on it."
    def built() -> Demand:
        panel = build_demand(on_four_threads, "category", where=UNIT_GOODS + " AND category IN ('COFFEE', 'FRZN FRUITS', 'FRZN POTATOES')", cap=48).complete().sold_in(40)
        return add_covariates(panel, on_four_threads, steps=STEPS, holidays="US")
    panels = [built() for _ in range(2)]
    told = [lessons_of(panel, STEPS, rows=20_000) for panel in panels]
    fits = [[model.fit_lessons(table).mean(STEPS) for model in (GlobalGLM(), LiftModel(), *([Boost(trees=20)] if find_spec("lightgbm") else []))] for table in told]
    for panel, table, means in zip(panels[1:], told[1:], fits[1:], strict=True):
        pd.testing.assert_frame_equal(panel.frame, panels[0].frame, check_exact=True)
        pd.testing.assert_frame_equal(panel.covariates, panels[0].covariates, check_exact=True)
        np.testing.assert_array_equal(table.past.x, told[0].past.x)
        np.testing.assert_array_equal(table.now.x, told[0].now.x)
        np.testing.assert_array_equal(means, fits[0])
    assert len(panels[0].series) > 2


def test_conformal_intervals_hold_what_they_promise():
    "Also where most periods are empty, and where the model is off by a third."
    rng = np.random.default_rng(5)
    for rate, wrong in ((20., 1.), (.4, 1.), (20., .67)):
        rates = rate * np.exp(rng.normal(0, .7, 1000))
        past = Past(np.tile(wrong * rates, (3, 4, 1)), rng.poisson(rates, (3, 4, 1000)).astype(float))
        matrix = pd.DataFrame(rng.poisson(rates, (20, 1000)), index=pd.date_range("2024-01-01", periods=20, freq="7D")).astype(float)
        found = ConformalResults("off", matrix, "W", pd.DataFrame(), pd.Series("", index=matrix.columns), np.tile(wrong * rates, (4, 1)), calibrate(past), past)
        came, ends = rng.poisson(rates, (4, 1000)), found.interval(4, .2)
        assert .77 < np.mean((came >= ends[0]) & (came <= ends[1])) < .83
        paths = found.paths(4, 400, seed=1)
        np.testing.assert_array_equal(paths, found.paths(4, 400, seed=1))
        assert np.quantile(paths, .9, axis=0).mean() == pytest.approx(found.quantiles(4, np.array([.9]))[0].mean(), rel=.1)


def test_paths_keep_steps_together():
    "Series that are off are off in all steps: their totals are wider than those of shuffled steps."
    rng = np.random.default_rng(6)
    shift = rng.normal(0, 5, (3, 1, 300))
    past = Past(np.full((3, 4, 300), 30.), np.maximum(30 + shift + rng.normal(0, 2, (3, 4, 300)), 0))
    assert np.corrcoef(calibrate(past).scores[:, 0].ravel(), calibrate(past).scores[:, 3].ravel())[0, 1] > .6


def test_a_changed_future_changes_no_combination():
    origin = PANEL.periods[35]
    model = Combined([LiftModel(), MovingAverage(8)], origins=2)
    one, two = (model.fit_panel(panel.until(origin)).to_frame(STEPS) for panel in (PANEL, changed_after(PANEL, origin)))
    pd.testing.assert_frame_equal(one, two)


def test_a_combination_is_hardly_worse_than_its_best_member():
    "Over several origins, with a member that is useless among them."
    members, rules = [LiftModel(), MovingAverage(8), MovingAverage(1)], ("inverse", "blend", "stack")
    lost = []
    for row in (27, 35):
        seen, came = PANEL.until(PANEL.periods[row]), PANEL.values()[:, row + 1:row + 1 + STEPS].T
        now, pasts = [said_at(m, seen, STEPS) for m in members], [past_of(m, seen, STEPS, 2) for m in members]
        both = [Combined(members, weights=rule).put_together(seen, pasts, now).mean(STEPS) for rule in rules]
        lost.append([np.abs(came - mean).sum() for mean in (*both, *now)])
    total = np.sum(lost, axis=0)
    assert total[:3].max() < 1.03 * total[3:].min()


def test_members_that_cannot_forecast_a_series_leave_it_to_the_others():
    past = [Past(np.ones((1, 2, 3)), np.ones((1, 2, 3))), Past(np.full((1, 2, 3), np.nan), np.ones((1, 2, 3)))]
    found = weighted([past[0].mean, past[1].mean], np.array([.5, .5]))
    np.testing.assert_allclose(found, past[0].mean)
    past[1].mean[0, 0] = 3.
    assert inverse_weights(past)[0] > .9


def test_combinations_and_calibrations_that_cannot_be_are_said():
    with pytest.raises(ValueError, match="two members or more"):
        Combined([LiftModel(), LiftModel()])
    with pytest.raises(ValueError, match="weights='best' is not known"):
        Combined([LiftModel(), GlobalGLM()], weights="best")
    with pytest.raises(ValueError, match="to look 20 ahead from a past origin"):
        Conformal(MovingAverage(4), steps=20).fit_panel(PANEL.matrix().iloc[:20])
    with pytest.raises(ValueError, match="was calibrated for 4"):
        Conformal(MovingAverage(4)).fit_panel(PANEL.matrix()).mean(5)
