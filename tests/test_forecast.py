"""Forecasts: the published protocol's figures, no look ahead, honest intervals, and clear refusals."""

import os
import shutil
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from retail_insight.contract import ContractError, load_shop
from retail_insight.demand import Demand, add_covariates, build_demand, demand_from_frame
from retail_insight.forecast import (
    SES,
    LastValue,
    Level,
    LinearResults,
    MovingAverage,
    backtest,
    choose_model,
    distribution,
    forecast_demand,
    panel_of,
    reasons_of,
    seen_until,
    with_planned,
)

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Spark's workers cannot import this file
DATA = os.environ.get("RETAIL_INSIGHT_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="RETAIL_INSIGHT_DATA is not set")
ORIGINS = [pd.Timestamp("2017-01-02") + pd.Timedelta(weeks=week - 2) for week in (29, 33, 37, 41, 45, 49)]


@pytest.fixture(scope="module")
def reference():
    "The protocol of the reference measurements on 268 categories."
    panel = pd.read_parquet(Path(DATA) / "panels" / "categories_weekly.parquet")
    return backtest([LastValue(), MovingAverage(8), SES()], demand_from_frame(panel, "category"), origins=ORIGINS, steps=4)


@needs_data
@pytest.mark.parametrize("model, wape, rmsse", [("last value", .211, .989), ("moving average 8", .185, .881), ("exponential smoothing", .178, .853)])
def test_the_reference_figures_come_out(reference, model, wape, rmsse):
    found = reference.scores().loc[model]
    assert found["WAPE"] == pytest.approx(wape, abs=.0006)
    assert found["RMSSE"] == pytest.approx(rmsse, abs=.0021)


@needs_data
def test_scores_are_what_numpy_says(reference):
    frame = reference.to_frame().query("model == 'exponential smoothing'")
    y, mean = frame["units"].to_numpy(), frame["mean"].to_numpy()
    found = reference.scores().loc["exponential smoothing"]
    assert found["WAPE"] == pytest.approx(np.abs(y - mean).sum() / y.sum())
    cells = frame.assign(e2=(y - mean) ** 2).groupby(["category", "origin"]).agg(e2=("e2", "mean"), scale=("scale", "first"))
    assert found["RMSSE"] == pytest.approx((np.sqrt(cells["e2"]) / cells["scale"]).mean())
    loss = sum(np.maximum(q * (y - frame[f"{q:.1f}"]), (q - 1) * (y - frame[f"{q:.1f}"])).sum() for q in np.arange(1, 10) / 10)
    assert found["CRPS"] == pytest.approx(2 * loss / 9 / y.sum())


@needs_data
def test_intervals_of_the_categories_hold_about_what_they_say(reference):
    assert reference.scores().loc["exponential smoothing", "coverage"] == pytest.approx(.8, abs=.05)


def test_ses_agrees_with_the_state_space_model():
    y = 50 + np.random.default_rng(3).normal(size=120).cumsum()
    ours = SES().fit(y)
    theirs = ETSModel(pd.Series(y), initialization_method="known", initial_level=y[0]).fit(disp=False)
    assert ours.keeps == pytest.approx(theirs.smoothing_level, abs=.01)
    assert ours.mean == pytest.approx(theirs.forecast(1).iloc[0], abs=.05)
    sd = np.sqrt(theirs.get_prediction(len(y), len(y) + 3).forecast_variance)
    assert ours.spread(4) == pytest.approx(np.asarray(sd), rel=.03)


def test_coverage_is_nominal_where_the_model_is_true():
    rng = np.random.default_rng(11)
    walk = 1000 + rng.normal(size=(300, 60)).cumsum(axis=1)
    held = [(lambda d, now: d["lower"].le(now) & d["upper"].ge(now))(distribution(LastValue().fit(s[:-4]), 4, .2), s[-4:]) for s in walk]
    assert np.mean(held) == pytest.approx(.8, abs=.035)


def test_quantiles_are_of_the_normal_and_never_negative():
    frame = distribution(Level(10, 4, .5), 3, alpha=.1)
    assert frame.loc[2, "0.9"] == pytest.approx(stats.norm.ppf(.9, 10, 4 * np.sqrt(1.25)))
    assert frame.loc[1, "upper"] == pytest.approx(stats.norm.ppf(.95, 10, 4))
    assert (distribution(Level(.1, 4, .5), 3) >= 0).all(axis=None)
    assert (np.diff(frame[[f"{q / 10:.1f}" for q in range(1, 10)]], axis=1) > 0).all()


def test_the_future_changes_no_forecast():
    demand = build_demand(load_shop("corner"), "product_id")
    rows = demand.complete().frame
    cut = rows["period"].unique()[4]
    other = demand_from_frame(rows.assign(units=rows["units"].where(rows["period"] <= cut, 1000.)), "product_id")
    models = [LastValue(), MovingAverage(2), SES()]
    a, b = (backtest(models, d, origins=[cut], steps=2).to_frame() for d in (demand, other))
    pd.testing.assert_frame_equal(a.drop(columns=["units", "weight"]), b.drop(columns=["units", "weight"]))  # the other has no money
    assert (b["units"] == 1000).all()


class AllItSees:
    "A model that expects the sum of every covariate cell that it can see, so that a leak cannot hide."

    name = "all it sees"

    def fit_panel(self, demand):
        matrix, freq = panel_of(demand)
        cells = demand.covariates.drop(columns="period").groupby("product_id").sum().sum(axis=1).reindex(matrix.columns)
        ahead = demand.ahead(demand.known, 2).sum(axis=2).T if demand.known else np.zeros((2, matrix.shape[1]))
        return Seen(self.name, matrix, freq, pd.DataFrame({"mean": cells + matrix.sum()}), reasons_of(matrix), np.ones(matrix.shape[1]), ahead)


class Seen(LinearResults):
    def __init__(self, *fields):
        super().__init__(*fields[:-1])
        object.__setattr__(self, "ahead", fields[-1])

    def mean(self, steps):
        return self.params["mean"].to_numpy() + self.ahead[:steps]

    def shares(self, steps):
        return np.eye(steps)[:, :1] * np.ones(len(self.sigma))


def with_covariates(change=0.):
    "The corner shop with a price that is observed and a promotion that is known, both different after the fifth week."
    rows = build_demand(load_shop("corner"), "product_id").complete().frame[["product_id", "period", "units"]]
    cut = rows["period"].unique()[4]
    later = rows["period"] > cut
    rows = rows.assign(units=rows["units"] + change * later, price=2. + change * later, promotion=(rows["period"].dt.day % 2) * 1.)
    return Demand.from_frame(rows, "product_id", covariates=["price", "promotion"], known=["promotion"]), cut


def test_the_future_of_observed_covariates_changes_no_forecast():
    (one, cut), (two, _) = with_covariates(), with_covariates(70.)
    a, b = (backtest([AllItSees(), SES()], d, origins=[cut], steps=2).to_frame() for d in (one, two))
    pd.testing.assert_frame_equal(a.drop(columns="units"), b.drop(columns="units"))
    assert (b["units"] - a["units"] == 70).all()


def test_a_cut_panel_keeps_the_plans_and_nothing_else():
    demand, cut = with_covariates()
    seen = seen_until(demand, cut)
    later = seen.covariates[seen.covariates["period"] > cut]
    assert seen.frame["period"].max() == cut and len(later)
    assert later["price"].isna().all() and later["promotion"].notna().all()


def test_the_covariates_of_a_shop_are_cut_as_well():
    shop = load_shop("corner")
    demand = add_covariates(build_demand(shop, "product_id"), shop, steps=4)
    cut = demand.complete().periods[3]
    unseen = [c for c in demand.covariates if c not in ("product_id", "period", *demand.known)]
    then = add_covariates(build_demand(shop, "product_id", as_of=(cut + pd.Timedelta(days=6)).date()), shop, steps=2)
    later = seen_until(demand, cut).covariates.query("period > @cut")
    assert unseen and later[unseen].isna().all(axis=None)
    assert then.covariates.query("period > @cut")[unseen].isna().all(axis=None)


def test_a_plan_reaches_the_steps_ahead_only():
    demand, _ = with_covariates()
    after = demand.periods[-1] + pd.Timedelta(days=7)
    plan = pd.DataFrame({"period": [after, after + pd.Timedelta(days=7), demand.periods[0]], "price": [1.5, 1.6, 9.], "promotion": [1., 0., 9.]})
    planned = with_planned(demand, plan, 2)
    assert planned.known == ("promotion", "price")
    assert planned.ahead(["price"], 2)[:, :, 0].tolist() == [[1.5, 1.6]] * len(demand.series)
    past = planned.covariates.merge(demand.covariates, on=["product_id", "period"], suffixes=("", "_was"))
    assert (past["price"] == past["price_was"]).all() and (past["promotion"] == past["promotion_was"]).all()
    a, b = (forecast_demand(demand, 2, plan.assign(promotion=[p, 0., 9.]), model=AllItSees()).frame["mean"].to_numpy() for p in (1., 3.))
    assert set(np.round(b - a, 9)) == {2. + 2., 2.}  # the sum sees every step, the step itself once more


@pytest.mark.parametrize("plan, kind, said", [
    ({"price": [1.]}, ContractError, "'period' is missing"), ({"period": ["2024-03-04"], "pricee": [1.]}, ValueError, "Did you mean 'price'"),
    ({"period": ["2024-03-04"] * 2, "price": [1., 2.]}, ContractError, "plan a period again"),
    ({"period": ["2024-03-04"], "price": [np.inf]}, ContractError, "empty or infinite"),
    ({"period": ["1999-01-01"], "price": [1.]}, ContractError, "none of 1 rows falls on a period ahead"),
])
def test_a_plan_that_does_not_fit_is_refused(plan, kind, said):
    demand, _ = with_covariates()
    with pytest.raises(kind, match=said):
        forecast_demand(demand, 2, pd.DataFrame(plan))


def test_a_plan_for_a_panel_without_covariates_is_refused():
    with pytest.raises(ValueError, match="Add covariates first"):
        forecast_demand(build_demand(load_shop("corner"), "category"), 2, pd.DataFrame({"period": ["2024-03-04"], "price": [1.]}))


def test_partial_periods_are_neither_fitted_nor_scored():
    demand = build_demand(load_shop("corner"), "category")
    partial = set(demand.frame.loc[demand.frame["partial"], "period"])
    assert partial and not partial & set(backtest([LastValue()], demand, origins=2, steps=2).frame["period"])
    assert set(forecast_demand(demand, 1, model=SES()).frame["period"]) == partial


def test_two_keys_stay_beside_each_other():
    demand = build_demand(load_shop("corner"), ["store_id", "category"])
    ahead = forecast_demand(demand, 2, model=MovingAverage(2))
    assert list(ahead.frame)[:5] == ["store_id", "category", "model", "period", "step"]
    mean = ahead.frame.set_index(["store_id", "category", "step"])["mean"]
    assert mean["corner", "DAIRY", 1] == demand.complete().matrix()["corner", "DAIRY"].iloc[-2:].mean()
    assert backtest([LastValue()], demand, origins=1, steps=1).scores("category").index.names == ["category", "model"]
    assert len(ahead.summary()) == 8 and ahead.plot() is not None


def test_a_series_of_zeros_is_zero_and_has_no_scale():
    weeks = pd.date_range("2024-01-01", periods=6, freq="7D")
    panel = pd.DataFrame({"product_id": ["a"] * 6 + ["b"] * 6, "period": [*weeks] * 2, "units": [0] * 6 + [3, 4, 3, 5, 4, 4]})
    results = backtest([LastValue(), SES()], demand_from_frame(panel, "product_id"), origins=1, steps=2)
    assert (results.frame.query("product_id == 'a'")[["mean", "lower", "upper"]] == 0).all(axis=None)
    assert (results.scores()["without scale"] == 1).all() and results.scores()["RMSSE"].notna().all()


def test_bad_arguments_say_what_to_choose():
    demand = build_demand(load_shop("corner"), "category")
    for call, said in [(lambda: forecast_demand(demand, 0), "one period or more"), (lambda: forecast_demand(demand, 1, alpha=1.5), "between 0 and 1"),
                       (lambda: backtest([], demand, origins=1, steps=1), "at least one"),
                       (lambda: backtest([SES(), SES()], demand, origins=1, steps=1), "a name of its own"),
                       (lambda: backtest([SES()], demand, origins=["2023-01-02"], steps=1), "first day of a whole period"),
                       (lambda: backtest([SES()], demand, origins=20, steps=2), "Use fewer origins or steps"),
                       (lambda: forecast_demand(build_demand(load_shop("corner"), "category", as_of="2024-01-10"), 1), "1 whole periods of 2")]:
        with pytest.raises(ValueError, match=said):
            call()


def test_a_name_with_dollars_can_be_drawn():
    weeks = pd.date_range("2024-01-01", periods=5, freq="7D")
    demand = demand_from_frame(pd.DataFrame({"category": "$x^{$ 5$ off", "period": weeks, "units": [3, 4, 3, 5, 4]}), "category")
    for ax in (demand.plot(), forecast_demand(demand, 2, model=SES()).plot()):
        ax.figure.canvas.draw()


# In pieces, on any engine -----------------------------------------------------------------------------------------


class WholeMean:
    "A model of the whole panel: every series is expected to sell the panel's mean."

    name = "whole mean"

    def fit_panel(self, demand):
        matrix, freq = panel_of(demand)
        level = pd.DataFrame({"mean": np.full(matrix.shape[1], matrix.to_numpy().mean())})
        return Seen(self.name, matrix, freq, level, reasons_of(matrix), np.ones(matrix.shape[1]), np.zeros((9, matrix.shape[1])))


def many(series=300, periods=16):
    units = np.random.default_rng(5).poisson(np.linspace(.2, 9, series)[:, None], (series, periods))
    weeks = pd.date_range("2024-01-01", periods=periods, freq="7D")
    rows = pd.DataFrame({"product_id": np.repeat([f"p{i:04d}" for i in range(series)], periods), "period": np.tile(weeks, series), "units": units.ravel()})
    return Demand.from_frame(rows, "product_id")


@pytest.fixture(params=["processes", "dask", "spark"])
def engine(request):
    if request.param == "processes":
        yield {"engine": "local", "workers": 2}
    elif request.param == "dask":
        distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
        with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL") as cluster, distributed.Client(cluster) as client:
            yield {"engine": "dask", "cluster": client}
    else:
        sql = pytest.importorskip("pyspark.sql", reason="the extra spark is not installed")
        if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
            pytest.skip("no Java: on Debian, apt-get install default-jre-headless")
        from retail_insight.contract.shards import local_spark

        with local_spark(sql, 2) as session:
            yield {"engine": "spark", "cluster": session}


def test_forecasts_are_the_same_on_every_engine(engine):
    demand, models = many(), [LastValue(), WholeMean(), MovingAverage(3)]
    here = backtest(models, demand, origins=2, steps=3)
    there = backtest(models, demand, origins=2, steps=3, progress=False, **engine)
    pd.testing.assert_frame_equal(there.to_frame(), here.to_frame(), check_exact=True)
    pd.testing.assert_frame_equal(there.reasons, here.reasons)
    assert len(here.frame) == 3 * 300 * 2 * 3 and list(here.scores().index) == [m.name for m in models]


def test_the_models_of_a_panel_are_fitted_to_the_whole():
    demand = many()
    found = backtest([WholeMean()], demand, origins=1, steps=1).to_frame()
    assert found["mean"].to_numpy() == pytest.approx(np.full(300, demand.values()[:, :-1].mean()))


class Breaks(WholeMean):
    "Gives up at the series whose names end in 7, and answers 9 with nothing."

    local, name = True, "breaks"

    def fit_panel(self, demand):
        if demand.series["product_id"].str.endswith("7").any():
            raise np.linalg.LinAlgError("singular")
        found = super().fit_panel(demand)
        found.params.loc[demand.series["product_id"].str.endswith("9").to_numpy(), "mean"] = np.inf
        return found


def test_one_bad_series_never_stops_the_panel():
    demand = many(series=40)
    found = backtest([Breaks(), LastValue()], demand, origins=1, steps=2)
    assert found.frame[["mean", "lower", "upper"]].notna().all(axis=None)
    said = found.reasons.query("model == 'breaks'").set_index("product_id")["reason"]
    assert said.filter(regex="7$").tolist() == ["mean of its past: LinAlgError: singular"] * 4
    assert said.filter(regex="9$").tolist() == ["mean of its past: the model's answer is not finite"] * 4
    ahead = forecast_demand(demand, 2, model=Breaks())
    assert len(ahead.reasons) == 8 and ahead.frame["mean"].notna().all()


def test_a_model_that_gives_up_everywhere_is_an_error():
    class Never:
        name = "never"

        def fit(self, sold):
            raise ValueError("no")

    class WholeNever(Never):
        name = "whole never"
        fit_panel = Never.fit

    with pytest.raises(ValueError, match="gave up at every series, first with ValueError: no"):
        backtest([Never()], many(40), origins=1, steps=1)
    with pytest.raises(ValueError, match="gave up at every"):
        forecast_demand(many(40), 1, model=Never())
    with pytest.raises(RuntimeError, match="piece 0: whole never on 40 series from 1 origins: ValueError: no"):
        backtest([WholeNever()], many(40), origins=1, steps=1)


def test_scores_by_groups_are_those_of_the_groups():
    results = backtest([LastValue(), MovingAverage(4)], many(60), origins=2, steps=3)
    frame = results.to_frame().query("model == 'last value'")
    by_step = results.scores("step")["WAPE"].xs("last value", level="model")
    for step, part in frame.groupby("step"):
        assert by_step[step] == pytest.approx((part["units"] - part["mean"]).abs().sum() / part["units"].sum())
    classes = results.scores(["class", "step"])
    assert classes["forecasts"].sum() == len(results.frame) and classes.index.names == ["class", "step", "model"]
    with pytest.raises(ValueError, match="choose from product_id, step, origin, class"):
        results.scores("shop")


def test_mase_and_wrmsse_by_hand():
    results = backtest([LastValue()], many(30), origins=[pd.Timestamp("2024-03-25")], steps=3)
    matrix = many(30).matrix().to_numpy()
    seen, came = matrix[:13], matrix[13:]
    miss, scale, change = came - seen[-1], np.sqrt((np.diff(seen, axis=0) ** 2).mean(axis=0)), np.abs(np.diff(seen, axis=0)).mean(axis=0)
    some, weight = scale > 0, seen[-3:].sum(axis=0)
    found = results.scores().loc["last value"]
    root = np.sqrt((miss ** 2).mean(axis=0))
    assert found["MASE"] == pytest.approx((np.abs(miss).mean(axis=0)[some] / change[some]).mean())
    assert found["WRMSSE"] == pytest.approx((weight[some] * root[some] / scale[some]).sum() / weight[some].sum())


def test_skill_is_the_share_saved_and_its_interval_holds_it():
    results = backtest([LastValue(), MovingAverage(8)], many(80), origins=2, steps=3)
    wape, skill = results.scores()["WAPE"], results.skill()
    assert skill.loc["moving average 8", "skill"] == pytest.approx(1 - wape["moving average 8"] / wape["last value"])
    assert 0 < skill.loc["moving average 8", "lower"] < skill.loc["moving average 8", "skill"] < skill.loc["moving average 8", "upper"] < 1
    assert results.skill("moving average 8").loc["last value", "upper"] < 0
    with pytest.raises(ValueError, match="choose a loss"):
        results.skill(loss="RMSE")


def test_odd_series_are_forecast_and_said():
    weeks = pd.date_range("2024-01-01", periods=6, freq="7D")
    units = {"zero": [0] * 6, "flat": [3] * 6, "minus": [2, -1, 3, -2, 4, 1], "once": [0, 0, 0, 0, 5, 0], "fine": [4, 6, 5, 7, 5, 6]}
    rows = pd.concat([pd.DataFrame({"product_id": name, "period": weeks, "units": u}) for name, u in units.items()])
    more = pd.DataFrame({"product_id": ["gap"] * 5 + ["point"] + ["twice"] * 7, "period": [*weeks[[0, 1, 2, 4, 5]], weeks[3], *weeks, weeks[2]], "units": 1})
    demand = Demand.from_frame(pd.concat([rows, more]), "product_id")
    ahead = forecast_demand(demand, 8, model=SES())
    said = ahead.reasons.groupby("product_id")["reason"].first()
    assert said[["gap", "point", "twice"]].str.startswith("set aside").all()
    assert said["zero"] == "all zero; shorter than the 8 periods ahead" and said["flat"].startswith("constant")
    assert ahead.frame[["mean", "lower", "upper"]].ge(0).all(axis=None) and set(ahead.frame["product_id"]) == set(units)
    assert backtest([SES()], demand, origins=1, steps=2).reasons.set_index("product_id")["reason"].to_dict() == {"zero": "all zero", "flat": "constant", "once": "all zero"}


# Which model, and why ---------------------------------------------------------------------------------------------


def test_the_choice_is_what_lost_least_and_says_so():
    choice = choose_model(many(60), 2, [LastValue(), MovingAverage(8), WholeMean()])
    table = choice.table.set_index("model")
    assert choice.models["all"].name == table["CRPS"].idxmin() == "moving average 8"
    assert "least CRPS" in table.loc["moving average 8", "why"] and "last value" in table.loc["moving average 8", "why"]
    again = backtest([MovingAverage(8)], many(60), origins=3, steps=2).scores().loc["moving average 8", "CRPS"]
    assert table.loc["moving average 8", "CRPS"] == pytest.approx(again)
    ahead = forecast_demand(many(60), 2, model=choice)
    assert set(ahead.frame["model"]) == {"moving average 8"} and ahead.choice["chosen"].sum() == 1


def test_the_choice_sees_nothing_after_its_origins():
    demand = many(60)
    later = demand.frame["period"] > demand.periods[-3]
    other = Demand.from_frame(demand.frame.assign(units=demand.frame["units"].where(~later, 500.)).drop(columns="partial"), "product_id")
    a, b = (choose_model(d, 2, [LastValue(), MovingAverage(8)]).tested.frame for d in (demand, other))
    pd.testing.assert_frame_equal(a.drop(columns="units"), b.drop(columns="units"))


def test_a_candidate_that_cannot_be_fitted_loses_its_place_only():
    class Broken:
        name = "broken"

        def fit(self, sold):
            raise ZeroDivisionError("by zero")

    choice = choose_model(many(40), 2, [LastValue(), Broken()])
    assert choice.table.set_index("model")["why"]["broken"].startswith("did not run: broken gave up at every series")
    with pytest.raises(ValueError, match="no candidate can be fitted to this panel; broken said"):
        choose_model(many(40), 2, [Broken()])


def test_each_class_gets_its_own_model():
    weeks = many(120)
    units = weeks.values() * (np.arange(16) % 3 == 0)[None, :] ** (np.arange(120) % 2)[:, None]  # every second one sells in every third week
    demand = Demand.from_frame(weeks.frame.assign(units=units.ravel()).drop(columns="partial"), "product_id")
    choice = choose_model(demand, 2, [LastValue(), MovingAverage(8), MovingAverage(2)], by="class")
    assert len(choice.models) > 2
    ahead = forecast_demand(demand, 2, model=choice)
    assert (ahead.frame["product_id"].to_numpy() == np.repeat(demand.series["product_id"].to_numpy(), 2)).all()
    single = {name: forecast_demand(demand, 2, model=m).frame["mean"] for name, m in choice.models.items()}
    assert all((ahead.frame["mean"] == column).any() for column in single.values())


def test_a_large_panel_is_judged_on_a_sample():
    choice = choose_model(many(300), 2, [LastValue(), MovingAverage(8)], most=50)
    assert choice.tested.frame["product_id"].nunique() == 50
    assert len(forecast_demand(many(300), 2, model=choice).frame) == 600


def test_too_short_a_past_is_not_compared():
    demand = build_demand(load_shop("corner"), "category")
    choice = choose_model(demand, 5)
    assert choice.tested is None and "too few to compare" in choice.summary()["why"].iloc[0]
    assert forecast_demand(demand, 5).frame["mean"].notna().all()
    with pytest.raises(ValueError, match="choose by 'panel' or 'class'"):
        choose_model(demand, 2, by="store")


def test_nothing_sold_at_all_is_forecast_as_nothing():
    weeks = pd.date_range("2024-01-01", periods=12, freq="7D")
    demand = Demand.from_frame(pd.DataFrame({"product_id": "a", "period": weeks, "units": 0}), "product_id")
    ahead = forecast_demand(demand, 2)
    assert (ahead.frame[["mean", "lower", "upper"]] == 0).all(axis=None) and ahead.reasons["reason"].tolist() == ["all zero"]
