"""Pareto/NBD with covariates that change over time: its integral, its optimum, known crowds, and bad input."""

import pickle
from itertools import pairwise

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from retail_insight.contract import load_shop
from retail_insight.timing import (
    GammaGamma,
    ParetoNBD,
    VaryingParetoNBD,
    clv,
    dert,
    load_model,
    next_visit,
    predict_customers,
    predict_visits,
    save_model,
    simulate_varying,
)

TRUTH = {"r": .8, "alpha": 6.0, "s": .6, "beta": 12.0, "transaction: season": .5, "transaction: letter": .7, "lifetime: letter": -.8}
FORMULAS = dict(transaction="~ season + letter", lifetime="~ letter")


def crowd(n: int, seed: int, weeks: int = 104):
    "Customers with a weekly season that all share and letters of their own."
    born = pd.Series(pd.Timestamp("2022-01-04") + pd.to_timedelta(np.arange(n) % 84, unit="D"), index=[f"c{i}" for i in range(n)])
    periods = pd.DataFrame({"customer_id": np.repeat(born.index, weeks), "start": np.tile(pd.date_range("2022-01-03", periods=weeks, freq="7D"), n)})
    periods["season"] = np.cos(2 * np.pi * (periods["start"].dt.day_of_year - 350) / 365.25)
    periods["letter"] = np.random.default_rng(1000 + seed).binomial(1, .2, len(periods)).astype(float)
    return *simulate_varying(born, periods, TRUTH, "2022-12-31", holdout=26, seed=seed, **FORMULAS), periods


@pytest.fixture(scope="module")
def known():
    return crowd(600, 0)


def obvious(theta, summary, visits, periods, who):
    "The log-likelihood of one customer to eighteen digits, period by period."
    r, alpha, s, beta, season, letter, leave = map(mpmath.mpf, theta)
    row, own = summary.loc[who], periods[periods["customer_id"] == who]
    begin = ((own["start"] - row["first_visit"]) / pd.Timedelta(weeks=1)).to_numpy()
    ends = np.append(begin[1:], begin[-1] + 1)
    begin, ends = np.clip(begin, 0, row["age"]), np.clip(ends, 0, row["age"])
    rate = [mpmath.exp(season * a + letter * b) for a, b in zip(own["season"], own["letter"], strict=True)]
    hazard = [mpmath.exp(leave * b) for b in own["letter"]]
    at_a, at_b, gone = alpha, beta, mpmath.mpf(0)
    for lo, hi, a, b in zip(begin, ends, rate, hazard, strict=True):
        start = max(lo, row["recency"])
        if hi > start:
            gone += mpmath.quad(lambda u, lo=lo, a=a, b=b, at_a=at_a, at_b=at_b: (at_a + a * (u - lo)) ** -(r + row["frequency"]) * (at_b + b * (u - lo)) ** -(s + 1) * b,
                                [start, hi], method="gauss-legendre")
        at_a, at_b = at_a + a * (hi - lo), at_b + b * (hi - lo)
    days = visits.loc[visits["customer_id"] == who, "day"].iloc[1:]
    days = days[(days - row["first_visit"]) / pd.Timedelta(weeks=1) <= row["age"]]
    at = np.searchsorted(own["start"].to_numpy(), days.to_numpy(), side="right") - 1
    front = mpmath.loggamma(r + row["frequency"]) - mpmath.loggamma(r) + r * mpmath.log(alpha) + s * mpmath.log(beta) + sum(mpmath.log(rate[j]) for j in at)
    return float(front + mpmath.log(at_a ** -(r + row["frequency"]) * at_b ** -s + s * gone))


def test_the_likelihood_is_the_integral(known):
    summary, visits, periods = known
    model = VaryingParetoNBD(summary, periods, visits, **FORMULAS)
    order = summary["frequency"].sort_values().index
    some = [*order[[0, 200, 400, 500]], *order[-3:]]
    for point in (list(TRUTH.values()), [3.0, .7, .05, 40.0, -2.0, 1.5, 2.0]):
        natural = np.array(point)
        theta = np.append(np.log(natural[:4]), natural[4:])
        rows = pd.Series(model.rows_at(theta).loglike, summary.index)
        with mpmath.workdps(18):
            for who in some:
                exact = obvious(point, summary, visits, periods, who)
                assert abs(rows[who] - exact) < 1e-9 * max(1, abs(exact)), (who, point)


def test_covariates_that_do_not_change_are_static(known):
    summary, visits, periods = known
    near = periods.assign(near=periods["customer_id"].str[1:].astype(int) % 3 / 2)
    static = ParetoNBD(summary.assign(near=near.groupby("customer_id")["near"].first()), transaction="~ near", lifetime="~ near").fit()
    varying = VaryingParetoNBD(summary, near, visits, transaction="~ near", lifetime="~ near").fit()
    assert abs(varying.llf - static.llf) < 1e-7
    np.testing.assert_allclose(varying.params, static.params, rtol=1e-4)
    np.testing.assert_allclose(varying.bse, static.bse, rtol=1e-4)
    asked = summary.assign(near=near.groupby("customer_id")["near"].first())
    np.testing.assert_allclose(varying.predict(26), static.predict(26, asked), rtol=1e-4)


def test_no_start_finds_more(known):
    summary, visits, periods = known
    model = VaryingParetoNBD(summary, periods, visits, **FORMULAS)
    best, rng = model.fit(), np.random.default_rng(5)
    assert best.converged and best.llf >= ParetoNBD(summary).fit().llf
    for _ in range(10):
        found = model.fit(start=[*best.params[:4] * np.exp(rng.uniform(-2, 2, 4)), *rng.normal(0, 1, 3)])
        assert found.llf <= best.llf + 1e-6


def test_known_crowds_are_found_again():
    hits = []
    for seed in range(20):
        summary, visits, periods = crowd(400, seed, weeks=79)
        fitted = VaryingParetoNBD(summary, periods, visits, **FORMULAS).fit()
        theta = np.append(np.log(list(TRUTH.values())[:4]), list(TRUTH.values())[4:])
        hits.append(abs(fitted.theta - theta) <= 2 * np.sqrt(np.diag(fitted._cov_logs)))
    assert np.mean(hits) >= .9 and np.mean(hits, axis=0).min() >= .8


def test_expected_visits_come(known):
    summary, visits, periods = known
    truth = VaryingParetoNBD(summary, periods, visits, **FORMULAS, fixed=TRUTH)
    ahead = truth.results(truth, truth.known, True, 0).predict(26)
    came = summary["holdout_frequency"]
    z = (came.sum() - ahead["expected"].sum()) / np.sqrt(((came - ahead["expected"]) ** 2).sum())
    assert abs(z) < 3
    assert abs(ahead["p_alive"].mean() - summary["alive"].mean()) < .05 and abs(ahead["p_active"].mean() - (came > 0).mean()) < .05


def test_robust_errors_and_intervals(known):
    summary, visits, periods = known
    model = VaryingParetoNBD(summary, periods, visits, **FORMULAS)
    fitted, robust = model.fit(), model.fit(cov_type="robust")
    assert (abs(robust.bse / fitted.bse - 1) < .6).all()
    ahead = fitted.predict(4, summary.head(5), alpha=.1, draws=50)
    assert ((ahead["expected_lower"] <= ahead["expected"]) & (ahead["expected"] <= ahead["expected_upper"])).all()


def test_one_coefficient_in_both_processes(known):
    summary, visits, periods = known
    free = VaryingParetoNBD(summary, periods, visits, **FORMULAS).fit()
    tied = VaryingParetoNBD(summary, periods, visits, **FORMULAS, equal=["letter"]).fit()
    assert tied.params["transaction: letter"] == pytest.approx(tied.params["lifetime: letter"])
    test = free.compare_lr_test(tied)
    assert test["df"] == 1 and test["statistic"] > 0


BAD = [
    (lambda s, v, p: (s, p.drop(columns="start"), v), "start is not among the columns"),
    (lambda s, v, p: (s, p.iloc[:0], v), "there is no row"),
    (lambda s, v, p: (s, p.assign(start=p["start"].where(p.index != 5)), v), "missing in 1 of"),
    (lambda s, v, p: (s, pd.concat([p, p.iloc[[0]]]), v), "come twice in 1 of"),
    (lambda s, v, p: (s, p[p["customer_id"] != "c3"], v), "first 'c3', whose covariate has no row"),
    (lambda s, v, p: (s, p[p["start"] > "2022-03-01"], v), "begins too late"),
    (lambda s, v, p: (s, p[p["start"] < "2022-06-01"], v), "ends too early"),
    (lambda s, v, p: (s, p.assign(letter=p["letter"].where(p.index != 9)), v), "missing or infinite"),
    (lambda s, v, p: (s, p, v.groupby("customer_id").head(1)), "another number of repeat visits"),
    (lambda s, v, p: (s.drop(columns="first_visit"), p, v), "first_visit is not given"),
    (lambda s, v, p: (s.assign(frequency=-1), p, v), "whole numbers"),
    (lambda s, v, p: (s, p.groupby("customer_id").head(1), v), "Give period_days")]


@pytest.mark.parametrize("change, said", BAD, ids=[said for _, said in BAD])
def test_periods_that_cannot_work(change, said, known):
    small = known[0].head(10)
    summary, periods, visits = change(small, known[1][known[1]["customer_id"].isin(small.index)], known[2][known[2]["customer_id"].isin(small.index)].reset_index(drop=True))
    with pytest.raises(ValueError, match=said):
        VaryingParetoNBD(summary, periods, visits, **FORMULAS)


def test_other_arguments_that_cannot_work(known):
    summary, visits, periods = known
    with pytest.raises(ValueError, match="no covariate is given"):
        VaryingParetoNBD(summary, periods, visits)
    with pytest.raises(ValueError, match="'income' cannot be equal"):
        VaryingParetoNBD(summary, periods, visits, **FORMULAS, equal=["income"])
    fitted = VaryingParetoNBD(summary, periods, visits, transaction="~ letter").fit()
    with pytest.raises(ValueError, match="no time ahead"):
        fitted.predict(0)
    with pytest.raises(ValueError, match="ends too early"):
        fitted.predict(104)
    with pytest.raises(ValueError, match=r"covariates are known for 52\.\d W ahead, not for all time"):
        dert(fitted, .1)
    with pytest.raises(ValueError, match="ends too early"):
        dert(fitted, .1, horizon=104)


def test_a_loaded_model_is_equal_to_the_last_digit(known, tmp_path):
    summary, visits, periods = known
    banded = periods.assign(band=np.where(periods["letter"] > 0, "letter", "none"))
    for fitted, own in ((VaryingParetoNBD(summary, periods, visits, **FORMULAS).fit(cov_type="robust"), periods), (VaryingParetoNBD(summary, banded, visits, transaction="~ C(band)").fit(), banded)):
        again = load_model(save_model(fitted, tmp_path / "model.json"))
        assert "c1" not in (tmp_path / "model.json").read_text()
        new = summary.tail(40).rename(index=lambda who: f"new {who}")
        theirs = own[own["customer_id"].isin(summary.tail(40).index)].assign(customer_id=lambda f: "new " + f["customer_id"])
        pd.testing.assert_frame_equal(again.predict(13, new, periods=theirs, alpha=.1, draws=20), fitted.predict(13, new, periods=theirs, alpha=.1, draws=20), check_exact=True)
        assert str(again.summary()) == str(fitted.summary()) and again.llf == fitted.llf
        for options in ({}, {"summary": new}, {"periods": theirs}):
            with pytest.raises(ValueError, match="Give summary="):
                again.predict(13, **options)


def test_results_pickled_where_periods_stood_before_are_read(known):
    summary, visits, periods = known
    fitted = VaryingParetoNBD(summary, periods, visits, **FORMULAS).fit()
    pickled = pickle.dumps(fitted)
    older = pickled.replace(b"retail_insight.timing.periods", b"retail_insight.timing.varying") # names of one length
    assert older != pickled
    pd.testing.assert_frame_equal(pickle.loads(older).predict(13), fitted.predict(13), check_exact=True)


def test_what_needs_the_time_ahead_says_so(known):
    summary, visits, periods = known
    fitted = VaryingParetoNBD(summary, periods, visits, **FORMULAS).fit()
    spend = GammaGamma(summary.assign(mean_spend=np.random.default_rng(6).gamma(5, 4, len(summary)))).fit()
    short = fitted.ahead(periods[periods["start"] < "2022-12-31"], period_days=5)
    for ask, said in ((lambda: dert(fitted), "let the last hold"), (lambda: clv(fitted, spend), "let the last hold"), (lambda: clv(short, spend, horizon=4.0), "ends too early"),
                      (lambda: next_visit(short), "covariates of 600 of 600 customers end with the log, first 'c0'"), (lambda: predict_visits(short, 4.0), "ends too early")):
        with pytest.raises(ValueError, match=said):
            ask()
    with pytest.raises(ValueError, match="which a log does not hold"):
        predict_customers(load_shop("corner"), model=VaryingParetoNBD)


def test_the_time_ahead_is_the_integral(known):
    summary, visits, periods = known
    model = VaryingParetoNBD(summary, periods, visits, **FORMULAS)
    fitted = model.results(model, np.append(np.log([*TRUTH.values()][:4]), [*TRUTH.values()][4:]), True, 0)
    order = summary["frequency"].sort_values().index
    some, rate = summary.loc[[order[0], order[300], order[-1]]], np.log(1.2) * 7 / 365.25
    told, all_time = dert(fitted, .2, some, horizon=26.0), dert(fitted.ahead(hold=True), .2, some)
    alive = fitted.predict(26.0, some)["p_alive"]
    for who, row in some.iterrows():
        own = periods[periods["customer_id"] == who]
        begin = ((own["start"] - row["first_visit"]) / pd.Timedelta(weeks=1)).to_numpy()
        speed, leave = np.exp(.5 * own["season"] + .7 * own["letter"]).to_numpy(), np.exp(-.8 * own["letter"]).to_numpy()

        def clock(t, v, begin=begin): # the obvious clock, from the first visit to t
            ends = np.append(begin[1:], np.inf)
            return float((v * np.clip(np.minimum(ends, t) - np.maximum(begin, 0), 0, None)).sum())
        at = 12.0 + clock(row["age"], leave)

        def term(t, begin=begin, speed=speed, leave=leave, at=at, row=row, clock=clock):
            return speed[np.searchsorted(begin, t, side="right") - 1] * (at / (12.0 + clock(t, leave))) ** .6 * np.exp(-rate * (t - row["age"]))
        for end, said in ((row["age"] + 26, told), (row["age"] + 9000, all_time)):
            cuts = np.unique(np.clip(np.append(begin, [row["age"] + 300, row["age"] + 2000, end]), row["age"], end))
            total = sum(integrate.quad(term, lo, hi, epsabs=1e-11)[0] for lo, hi in pairwise(cuts))
            value = alive[who] * (.8 + row["frequency"]) / (6.0 + clock(row["age"], speed)) * total
            assert said.loc[who, "dert"] == pytest.approx(value, rel=1e-5), who


def test_visits_ahead_are_those_of_a_crowd(known):
    summary, visits, periods = known
    model = VaryingParetoNBD(summary, periods, visits, **FORMULAS)
    fitted = model.results(model, np.append(np.log([*TRUTH.values()][:4]), [*TRUTH.values()][4:]), True, 0)
    pmf, ahead = predict_visits(fitted, 26.0), fitted.predict(26.0)
    np.testing.assert_allclose(pmf.pmf.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(pmf.pmf[0], 1 - ahead["p_active"], atol=1e-7)
    np.testing.assert_allclose(pmf.mean, ahead["expected"], rtol=1e-4, atol=1e-5)
    count = summary["holdout_frequency"].clip(upper=9).value_counts().reindex(range(10), fill_value=0)
    said = pmf.pmf.sum()
    said = np.append(said.iloc[:9], said.iloc[9:].sum()).astype(float)
    assert ((count - said) ** 2 / said).sum() < 27.9 # chi-squared, 9 degrees, .999


def test_the_next_visit_knows_how_far_it_may_look(known):
    summary, visits, periods = known
    fitted = VaryingParetoNBD(summary, periods, visits, **FORMULAS).fit()
    near, held = next_visit(fitted, summary.head(60), alpha=.2), next_visit(fitted.ahead(hold=True), summary.head(60), alpha=.2)
    assert (near["known_days"] <= 367).all() and (held["known_days"] > 36_000).all() and (held["never"] <= near["never"]).all()
    assert (near["median"].isna() == np.isinf(near["median_days"])).all() and near["median"].isna().any()
    for name, level in (("lower", .1), ("median", .5)):
        there = np.flatnonzero(np.isfinite(near[f"{name}_days"]))
        np.testing.assert_array_equal(near[f"{name}_days"].iloc[there], held[f"{name}_days"].iloc[there])
        for i in there[:6]:
            days, one = near[f"{name}_days"].iloc[i], summary.iloc[[i]]
            assert fitted.predict(days / 7, one)["p_active"].iloc[0] >= level - 1e-9
            assert days <= 1 or fitted.predict((days - 1) / 7, one)["p_active"].iloc[0] < level
    beyond = near["median"].isna()
    assert (fitted.predict(52.0, summary.head(60)).loc[beyond.to_numpy(), "p_active"] < .5).all()


def test_value_with_covariates_ahead(known, tmp_path):
    summary, visits, periods = known
    paid = summary.assign(mean_spend=np.random.default_rng(6).gamma(5, 4, len(summary)))
    fitted, spend = VaryingParetoNBD(paid, periods, visits, **FORMULAS).fit(), GammaGamma(paid).fit()
    worth = clv(fitted, spend, .1, margin=.3, horizon=26.0)
    visits_ahead = dert(fitted, .1, horizon=26.0)["dert"]
    np.testing.assert_allclose(worth.frame["value"], .3 * visits_ahead * spend.predict()["spend"], rtol=1e-9)
    assert worth.monthly.sum() == pytest.approx(worth.total["value"])
    sale = periods.assign(letter=np.where(periods["start"] >= "2023-01-01", 1.0, periods["letter"]))
    assert clv(fitted.ahead(sale), spend, .1, margin=.3, horizon=26.0).total["value"] > worth.total["value"]
    interval = clv(fitted, spend, .1, paid.head(30), horizon=26.0, alpha=.1, draws=40).frame
    assert ((interval["value_lower"] <= interval["value"]) & (interval["value"] <= interval["value_upper"])).all()
    again = load_model(save_model(fitted, tmp_path / "model.json"))
    new, own = paid.tail(20), periods[periods["customer_id"].isin(paid.tail(20).index)]
    for ask in (lambda f: dert(f, .1, new, horizon=26.0), lambda f: next_visit(f, new), lambda f: predict_visits(f, 8.0, new).pmf):
        pd.testing.assert_frame_equal(ask(again.ahead(own)), ask(fitted.ahead(own)), check_exact=True)
    with pytest.raises(ValueError, match=r"ahead\(periods\)"):
        dert(again, .1, new, horizon=4.0)
