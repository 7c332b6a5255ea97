"""Bad input to forecasts: a stated result or an error in the house's form, and one bad series never stops the panel."""

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError
from retail_insight.demand import Demand
from retail_insight.forecast import (
    ETS,
    IMAPA,
    SARIMAX,
    TSB,
    Average,
    Combined,
    Conformal,
    GlobalGLM,
    LastValue,
    LiftModel,
    MultiplicativeETS,
    Naive,
    SeasonalNaive,
    Theta,
    backtest,
    choose_model,
    forecast_demand,
    panel_of,
    with_planned,
)

WEEKS = pd.date_range("2023-01-02", periods=44, freq="7D")
NAMES = ["good", "one point", "constant", "all zero", "negative", "late", "stopped", "huge"]
MODELS = [LastValue(), Naive(), SeasonalNaive(4), Average(8), ETS("ANN"), ETS(), TSB(), IMAPA(), Theta(), MultiplicativeETS(), SARIMAX(), LiftModel(2), GlobalGLM(steps=2), Conformal(Naive(), 2), Combined([Naive(), TSB()], 2)]


def rows(weeks=40, seed=1):
    "A row a product and a week; `display` is known four weeks on."
    rng = np.random.default_rng(seed)
    units = rng.poisson(9., (8, 44)).astype(float)
    units[1], units[2], units[3] = 0, 5, 0
    units[1, 7] = 3
    units[4, ::9] = -2
    units[5, :36] = 0
    units[6, 20:] = 0
    units[7] *= 100
    held = pd.DataFrame({"product_id": np.repeat(NAMES, 44), "period": np.tile(WEEKS, 8), "units": units.ravel(), "display": (rng.random(8 * 44) < .2) * 1., "price": 2.})
    return held, held[held["period"] < WEEKS[weeks]]


def panel(weeks=40, known=("display",), change=lambda held: held):
    held, seen = rows(weeks)
    return Demand.from_frame(seen[["product_id", "period", "units"]], "product_id", covariates=change(held[["product_id", "period", "display", "price"]]), known=list(known))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_odd_series_are_forecast_beside_good_ones(model):
    found = forecast_demand(panel(), 2, model=model)
    figures = found.frame.drop(columns=["product_id", "model", "period", "step"]).to_numpy(dtype=float)
    assert len(found.frame) == 16 and np.isfinite(figures).all() and (figures >= 0).all()
    mean = found.frame.groupby("product_id", sort=False)["mean"].max()
    assert mean["all zero"] == 0 and 2 < mean["good"] < 20 and mean["huge"] > 300
    said = found.reasons.set_index("product_id")["reason"]
    assert said["all zero"].startswith("all zero") and "good" not in said


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_holes_in_a_matrix_are_said_and_stop_nothing(model):
    matrix = panel().complete().matrix().drop(columns=["all zero", "one point"])
    matrix.iloc[12, 0], matrix.iloc[15, 1] = np.nan, np.inf
    if not hasattr(model, "fit_panel"):
        return
    from retail_insight.forecast.core import forecast_reasons
    frame, reasons = forecast_reasons(matrix, model, 2, .2, "W")
    assert np.isfinite(frame["mean"]).all() and len(frame) == 12
    assert all("missing or infinite periods" in why for why in reasons.iloc[:2])


def test_a_covariate_that_is_not_known_ahead():
    demand = panel(known=())
    for model in (SARIMAX(("display",)), SARIMAX(("price", "display"))):
        with pytest.raises(ValueError, match="is observed only"):
            forecast_demand(demand, 2, model=model)
    for model in (LiftModel(2, drivers=["display"]), GlobalGLM(steps=2, drivers=["price"])):
        with pytest.raises(ValueError, match=r"not known in advance\. Known: "):
            forecast_demand(demand, 2, model=model)
    with pytest.raises(ValueError, match="display") as said:
        forecast_demand(panel(weeks=40), 6, model=SARIMAX(("display",)))
    assert "4" in str(said.value)
    with pytest.raises(ValueError, match="4"):
        forecast_demand(panel(weeks=40), 6, model=GlobalGLM(steps=6))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_infinite_or_missing_covariates(bad):
    def change(held):
        return held.assign(display=held["display"].where(held["period"] != WEEKS[41], bad))

    try: # refused when the panel is made, or when a model needs the cells ahead
        demand = panel(change=change)
    except ContractError as error:
        assert np.isinf(bad) and "all 8 series are set aside" in str(error) and "have an infinite covariate" in str(error)
        return
    for model in (SARIMAX(("display",)), GlobalGLM(steps=2), LiftModel(2)):
        with pytest.raises((ContractError, ValueError), match=r"\d+ of \d+ cells ahead are empty or infinite, first 'display' of all zero"):
            forecast_demand(demand, 2, model=model)
    forecast_demand(demand, 2, model=ETS("ANN")) # asks for none


@pytest.mark.parametrize("plan, said", [
    (pd.DataFrame({"period": [WEEKS[40]] * 2, "display": [1., 0.]}), "plan a period again"),
    (pd.DataFrame({"period": [WEEKS[40]], "display": [np.inf]}), "1 of 1 cells are empty or infinite"),
    (pd.DataFrame({"period": [WEEKS[40]], "dispaly": [1.]}), "Did you mean 'display'"),
    (pd.DataFrame({"period": [WEEKS[3]], "display": [1.]}), "none of 1 rows falls on a period ahead"),
    (pd.DataFrame({"week": [WEEKS[40]], "display": [1.]}), "'period' is missing"),
], ids=["twice", "infinite", "misspelt", "past", "no period"])
def test_plans_that_do_not_fit(plan, said):
    with pytest.raises((ContractError, ValueError), match=said):
        with_planned(panel(), plan, 2)


@pytest.mark.parametrize("freq, step", [("D", "7D"), ("W", "1D"), ("W", "14D")])
def test_a_frequency_that_does_not_fit(freq, step):
    frame = pd.DataFrame({"product_id": "a", "period": pd.date_range("2023-01-02", periods=20, freq=step), "units": 1.})
    with pytest.raises((ContractError, ValueError)) as said:
        Demand.from_frame(frame, "product_id", freq)
    assert "2023" in str(said.value)
    if step == "14D":
        with pytest.raises(ValueError, match="14"):
            panel_of(frame.set_index("period")[["units"]])


def test_an_unknown_frequency():
    with pytest.raises(ValueError, match=r"freq 'M' is not known\. Use 'W'"):
        Demand.from_frame(rows()[1], "product_id", "M")


@pytest.mark.parametrize("spoil, said", [
    (lambda frame: pd.concat([frame, frame[frame["product_id"] == "good"].iloc[[4]]]), "good"),
    (lambda frame: frame.drop(index=frame.index[(frame["product_id"] == "good").to_numpy().nonzero()[0][7]]), "good"),
    (lambda frame: frame.assign(units=frame["units"].where(~((frame["product_id"] == "good") & (frame["period"] == WEEKS[5])), np.inf)), "good"),
], ids=["a period twice", "a gap", "infinite units"])
def test_a_bad_series_is_set_aside_named_and_stops_nothing(spoil, said):
    demand = Demand.from_frame(spoil(rows()[1])[["product_id", "period", "units"]], "product_id")
    assert demand.rejected["product_id"].tolist() == [said] and len(demand.series) == 7
    found = forecast_demand(demand, 2, model=ETS("ANN"))
    assert len(found.frame) == 14
    told = found.reasons.set_index("product_id")["reason"][said]
    assert told.startswith("set aside")
    assert choose_model(demand, 2, models=[Naive(), TSB()]).models["all"].name in ("naive", "TSB")


@pytest.mark.parametrize("model", [Naive(), Average(8), ETS("ANN"), TSB(), Theta(), LiftModel(9)], ids=lambda m: m.name)
def test_a_horizon_longer_than_the_history_is_forecast_and_said(model):
    demand = panel(weeks=7, known=())
    found = forecast_demand(demand, 9, model=model)
    assert len(found.frame) == 72 and np.isfinite(found.frame["mean"]).all()
    assert found.reasons["reason"].str.contains("shorter than the 9 periods ahead").all() and len(found.reasons) == 8


def test_models_that_look_back_refuse_a_horizon_longer_than_the_history():
    demand = panel(weeks=7, known=())
    for model in (Conformal(Naive(), 9), Combined([Naive(), TSB()], 9)):
        with pytest.raises(ValueError, match="7 whole periods"):
            forecast_demand(demand, 9, model=model)
    with pytest.raises(ValueError, match="was fitted for 2"):
        forecast_demand(panel(), 3, model=GlobalGLM(steps=2))
    with pytest.raises(ValueError, match="Use fewer origins or steps"):
        backtest([Naive()], demand, origins=2, steps=9)
    short = choose_model(demand, 9)
    assert short.tested is None and "too few to compare" in short.summary()["why"].iloc[0]


def test_one_period_is_too_few():
    demand = Demand.from_frame(rows(1)[1][["product_id", "period", "units"]], "product_id")
    with pytest.raises(ValueError, match="1 whole periods of 1; two are needed"):
        forecast_demand(demand, 2)


@pytest.mark.parametrize("arguments, said", [({"steps": 0}, "steps=0"), ({"steps": -3}, "steps=-3"), ({"steps": 2, "alpha": 1.}, "alpha=1"), ({"steps": 2, "by": "weekday"}, "by='weekday'")])
def test_arguments_out_of_range(arguments, said):
    with pytest.raises(ValueError, match=said):
        forecast_demand(panel(), **arguments)


def test_candidates_grow_with_what_the_panel_knows():
    from retail_insight.forecast import candidates
    names = [m.name for m in candidates(panel(), 2)]
    assert names[0] == "naive" and "level and lifts" in names and "Theta" in names and "global GLM" not in names
    assert "level and lifts" not in [m.name for m in candidates(panel(known=()), 2)]
    many = pd.concat([rows(seed=s)[1].assign(product_id=lambda d, s=s: d["product_id"] + str(s)) for s in range(3)])
    wide = Demand.from_frame(many, "product_id", covariates=["display"], known=[])
    quick, slow = ([m.name for m in candidates(wide, 2, thorough=t)] for t in (False, True))
    assert "global GLM" in quick and set(slow) - set(quick) >= {"combination", "global GLM, conformal"} and slow[:len(quick)] == quick
