"""Closed days that are known ahead: every forecast is zero there and says so, and none is fitted or calibrated on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, load_shop
from retail_insight.demand import UNIT_GOODS, Demand, add_closures, add_covariates, build_demand, mark_availability
from retail_insight.forecast import (
    ETS,
    SARIMAX,
    SES,
    TSB,
    AnyETS,
    Average,
    Boost,
    Combined,
    Conformal,
    Croston,
    GlobalGLM,
    LiftModel,
    MultiplicativeETS,
    Naive,
    SeasonalNaive,
    Theta,
    backtest,
    forecast_demand,
    lessons_of,
    load_model,
    save_model,
)
from retail_insight.forecast.conformal import past_of

DAYS = pd.date_range("2024-01-01", periods=126)
PAST, AHEAD = "2024-03-13", "2024-05-08" # Wednesdays: the tenth week, and day 129 of which 126 are seen
MODELS = [Naive(), SeasonalNaive(7), ETS("ANN"), SES(), Theta(), Croston(), LiftModel(7), GlobalGLM(steps=7), Conformal(SeasonalNaive(7), 7), Combined([SeasonalNaive(7), ETS("ANN")], 7)]


def panel(shut=(PAST,), series=12, closed_units=0.):
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(2, .5, (series, 1))) * np.array([.8, .8, 1, 1, 1.2, 1.5, .9])[np.arange(len(DAYS)) % 7]
    units = rng.poisson(mean).astype(float)
    units[:, np.isin(DAYS, pd.to_datetime(list(shut)))] = closed_units
    return Demand.from_frame(pd.DataFrame({"product_id": np.repeat([f"p{i:02d}" for i in range(series)], len(DAYS)), "period": np.tile(DAYS, series), "units": units.ravel()}), "product_id", "D")


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_every_model_is_zero_on_a_closed_day_ahead_and_says_why(model):
    told = forecast_demand(add_closures(panel(), [PAST, AHEAD]), 7, model=model)
    plain = forecast_demand(add_closures(panel(), [PAST]), 7, model=model)
    shut, figures = told.frame["period"] == AHEAD, ["mean", "lower", "upper", *(f"0.{i}" for i in range(1, 10))]
    assert shut.sum() == 12 and (told.frame.loc[shut, figures] == 0).all(axis=None)
    assert told.reasons["reason"].str.contains(f"closed on {AHEAD}: forecast zero").sum() == 12
    pd.testing.assert_frame_equal(told.frame[~shut], plain.frame[~shut]) # and no other day is touched
    assert (plain.frame.loc[shut, "upper"] > 0).all() and not plain.reasons["reason"].str.contains("closed").any()


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_past_closed_day_teaches_nothing(model):
    zero, other = (add_closures(panel(), [PAST]), panel(closed_units=0.))
    other = add_closures(Demand.from_frame(other.frame.assign(units=other.frame["units"].where(other.frame["period"] != PAST, -3.)), "product_id", "D"), [PAST])
    a, b = (forecast_demand(d, 7, model=model).frame for d in (zero, other))
    pd.testing.assert_frame_equal(a, b) # whatever stands there


def test_trees_and_their_lessons_leave_closed_days_out():
    demand = add_closures(panel(), [PAST, AHEAD])
    told = lessons_of(demand, 7)
    at = int(np.flatnonzero(DAYS == PAST)[0])
    assert "closed" not in told.past.names and len(told.past.target) and not (told.past.origin + told.past.step == at).any()
    assert np.isnan(told.grid.logs[:, at]).all()
    assert (Boost(steps=7, trees=20).fit_panel(demand).mean(7)[2] == 0).all()


def test_closed_days_are_no_lesson_for_intervals():
    rows = past_of(SeasonalNaive(7), add_closures(panel(), [PAST]), 7, 9)
    hidden = past_of(SeasonalNaive(7), panel(), 7, 9)
    assert np.isnan(rows.units).sum() == 12 and not np.isnan(hidden.units).any()
    whole, told = (Conformal(SeasonalNaive(7), 7, 9).fit_panel(d) for d in (panel(), add_closures(panel(), [PAST])))
    assert np.nanmean(np.abs(told.past.units - told.past.mean)) < np.abs(whole.past.units - whole.past.mean).mean()
    assert np.isfinite(told.interval(7)).all() and np.isfinite(told.paths(7, 50)).all() and (told.interval(7)[1] > 0).all()


def test_a_backtest_counts_a_closed_day_as_exactly_right():
    late = str(DAYS[-4].date())
    blind, told = (backtest([SeasonalNaive(7)], d, origins=1, steps=7) for d in (panel((late,)), add_closures(panel((late,)), [late])))
    on = told.frame["period"] == late
    assert (told.frame.loc[on, ["mean", "lower", "upper", "units"]] == 0).all(axis=None)
    assert told.scores()["WAPE"].iloc[0] < blind.scores()["WAPE"].iloc[0] and told.scores()["coverage"].iloc[0] >= blind.scores()["coverage"].iloc[0]
    assert told.reasons["reason"].str.contains("closed on").all()


def test_a_plan_may_close_a_shop_and_nothing_else_need_be_known():
    found = forecast_demand(panel(), 7, pd.DataFrame({"product_id": ["p03"], "period": [AHEAD], "closed": [1.]}), model=Naive())
    zero = found.frame[(found.frame["upper"] == 0)]
    assert zero[["product_id", "period"]].to_numpy().tolist() == [["p03", pd.Timestamp(AHEAD)]]
    assert found.reasons["product_id"].tolist() == ["p03"]


def test_stores_close_one_by_one():
    shop = load_shop("corner")
    demand = add_covariates(build_demand(shop, ["store_id", "category"], freq="D"), shop, steps=14, closures=pd.DataFrame({"store_id": ["corner"], "date": ["2024-03-01"]}))
    assert "closed" in demand.known and demand.closed(14)[:, -14:].sum() == (demand.series["store_id"] == "corner").sum()
    with pytest.raises(ContractError, match="none of 1 rows names a series"):
        add_closures(demand, pd.DataFrame({"store_id": ["nowhere"], "date": ["2024-03-01"]}))


def test_a_week_with_one_closed_day_is_no_closed_week():
    shop = load_shop("corner")
    weekly = add_closures(build_demand(shop, "category"), ["2024-02-25"])
    assert not weekly.closed(2).any() and weekly.covariates["closed"].max() == pytest.approx(1 / 7)
    whole = add_closures(build_demand(shop, "category"), list(pd.date_range("2024-02-26", "2024-03-03")))
    assert (forecast_demand(whole, 2, model=Naive()).frame.query("step == 2")["upper"] == 0).all()


LOCAL = [Naive(), Average(8), ETS("ANN"), AnyETS(7), MultiplicativeETS("MNN"), SES(), Theta(), Croston(), SARIMAX()]
FIGURES = ["mean", "lower", "upper", *(f"0.{i}" for i in range(1, 10))]


@pytest.mark.parametrize("model", LOCAL + MODELS[6:], ids=lambda m: m.name)
def test_a_model_that_is_asked_directly_knows_closed_days(model):
    demand = add_closures(panel(), [PAST, AHEAD])
    fitted = model.fit_panel(demand)
    direct = fitted.forecast(7)
    shut = direct.frame["period"] == AHEAD
    assert shut.sum() == 12 and (direct.frame.loc[shut, FIGURES] == 0).all(axis=None) and (direct.frame.loc[~shut, "upper"] > 0).all()
    asked = forecast_demand(demand, 7, model=model)
    pd.testing.assert_frame_equal(direct.frame, asked.frame)
    pd.testing.assert_frame_equal(direct.reasons, asked.reasons, check_index_type=False)
    assert direct.reasons["reason"].str.contains(f"closed on {AHEAD}: forecast zero").sum() == 12
    open_ = model.fit_panel(add_closures(panel(), [PAST]))
    assert (fitted.sums(7)["mean"] < open_.sums(7)["mean"]).all()


@pytest.mark.parametrize("model", LOCAL, ids=lambda m: m.name)
def test_rolling_on_keeps_and_renews_what_is_stated(model):
    demand = add_closures(panel(series=3), [PAST, AHEAD])
    early = demand.until(str(DAYS[-8].date()))
    since = panel(series=3).matrix().iloc[-7:]
    for later in (demand, since): # the panel that states it, and bare units that do not
        rolled = model.fit_panel(early).roll(later).to_frame(7)
        assert (rolled.loc[rolled["period"] == AHEAD, "upper"] == 0).sum() == 3 and (rolled.loc[rolled["period"] != AHEAD, "upper"] > 0).all()


def by_week(closed=(), series=12):
    daily = panel((), series).frame
    weeks = daily.assign(period=daily["period"] - pd.to_timedelta(daily["period"].dt.day_of_week, unit="D")).groupby(["product_id", "period"], as_index=False)["units"].sum()
    return add_closures(Demand.from_frame(weeks, "product_id", "W"), list(closed))


WEEKLY = [Naive(), ETS("ANN"), SES(), Theta(), Croston(), TSB(), LiftModel(2), GlobalGLM(steps=2), Conformal(ETS("ANN"), 2), Combined([Naive(), ETS("ANN")], 2)]


@pytest.mark.parametrize("model", WEEKLY, ids=lambda m: m.name)
def test_a_week_with_closed_days_sells_what_is_left_of_it(model):
    plain, less = (forecast_demand(by_week(closed), 2, model=model) for closed in ((), ["2024-05-13", "2024-05-14"]))
    second = plain.frame["step"] == 2
    np.testing.assert_allclose(less.frame.loc[second, "mean"], 5 / 7 * plain.frame.loc[second, "mean"], rtol=1e-4) # a combination is taken on the log scale
    pd.testing.assert_frame_equal(less.frame[~second], plain.frame[~second])
    assert (less.frame.loc[second, "upper"] < plain.frame.loc[second, "upper"]).all()
    assert less.reasons["reason"].str.contains("open in part from 2024-05-13: forecast at that share").all()
    direct = model.fit_panel(by_week(["2024-05-13", "2024-05-14"])).forecast(2)
    pd.testing.assert_frame_equal(direct.frame, less.frame)
    pd.testing.assert_frame_equal(direct.reasons, less.reasons)


def test_of_a_past_week_two_closed_days_are_made_up_and_one_is_not():
    weekly, last = by_week(), by_week().periods[-1]
    usual = weekly.values()[:, -5:-1].mean(axis=1)
    one, three = (add_closures(weekly, list(pd.date_range(last, periods=days))).opened().values() for days in (1, 3))
    np.testing.assert_array_equal(one, weekly.values())
    np.testing.assert_allclose(three[:, -1], weekly.values()[:, -1] + 3 / 7 * usual)
    np.testing.assert_array_equal(three[:, :-1], weekly.values()[:, :-1])


def test_a_closed_part_uses_nothing_that_comes_later():
    "Another future, the same forecast from a past origin with partly closed weeks before and after it."
    a = by_week(["2024-03-04", "2024-03-05", "2024-04-22"])
    late = a.frame["period"] > "2024-04-08"
    b = replace(a, frame=a.frame.assign(units=a.frame["units"].where(~late, 999.)))
    for model in (ETS("ANN"), LiftModel(2), Conformal(ETS("ANN"), 2)):
        first, second = (backtest([model], d, origins=["2024-04-08"], steps=2).frame[FIGURES] for d in (a, b))
        pd.testing.assert_frame_equal(first, second)


def test_the_week_of_christmas_is_forecast_better_where_the_day_is_stated():
    shop = load_shop("complete_journey")
    weekly = build_demand(shop, "category", where=UNIT_GOODS, cap=48).sold_in(26).complete()
    plain, told = (backtest([ETS("ANN"), LiftModel(4)], d, origins=["2017-11-27"], steps=4) for d in (weekly, add_closures(weekly, ["2017-12-25"])))
    christmas = [found.frame[found.frame["step"] == 4] for found in (plain, told)]
    wape = [(f["units"] - f["mean"]).abs().groupby(f["model"]).sum() / f["units"].groupby(f["model"]).sum() for f in christmas]
    assert (wape[1] < .9 * wape[0]).all()
    pd.testing.assert_frame_equal(*(found.frame[found.frame["step"] < 4].reset_index(drop=True) for found in (plain, told)))


def test_stated_days_show_in_the_states_of_a_panel():
    marked = mark_availability(add_closures(panel(series=3), [PAST])).frame
    assert marked.loc[marked["state"] == "closed", "why"].unique().tolist() == ["stated in advance"]


def test_a_fitted_model_goes_on_over_a_closed_day_and_keeps_its_plan(tmp_path):
    demand = add_closures(panel(), [PAST, AHEAD])
    early = demand.until(str(DAYS[-8].date()))
    for model in (LiftModel(14), Conformal(SeasonalNaive(7), 14, 2), ETS("ANN"), Croston()):
        fitted = model.fit_panel(early)
        save_model(fitted, tmp_path / "m.zip")
        later = load_model(tmp_path / "m.zip").roll(demand)
        frame = later.to_frame(7)
        assert (frame.loc[frame["period"] == AHEAD, "upper"] == 0).sum() == 12 and (later.mean(7)[3:] > 0).all()


def test_contradictions_and_unreadable_days_are_named():
    with pytest.raises(ContractError, match="closures: in 12 of 12 closed periods something was sold"):
        add_closures(panel(()), ["2024-02-03"])
    with pytest.raises(ContractError, match="1 of 2 rows have no date"):
        add_closures(panel(), [PAST, "Christmas"])
    with pytest.raises(ContractError, match="column 'date' is missing"):
        add_closures(panel(), pd.DataFrame({"day": [PAST]}))
    with pytest.raises(ContractError, match="closed is the share of a period, 0 to 1; 12 of"):
        forecast_demand(panel(), 7, pd.DataFrame({"period": [AHEAD], "closed": [2.]}), model=Naive())
    with pytest.raises(ValueError, match="not among the keys"):
        add_closures(panel(), pd.DataFrame({"date": [PAST], "store_id": ["a"]}))
