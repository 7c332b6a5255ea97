"""Models of return: published estimates, heavy buyers against fifty digits, bad input, and nothing from the future."""

import os
import warnings
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from retail_insight.contract import corner_tables, load_shop, map_shards
from retail_insight.timing import (
    BGBB,
    BGCNBD,
    BGNBD,
    MBGNBD,
    NBD,
    GammaGamma,
    GGomNBD,
    ParetoNBD,
    customer_summary,
    dert,
    next_visit,
    simulate_leaving,
    simulate_lifetimes,
)

DATA = Path(os.environ.get("RETAIL_INSIGHT_DATA", "no-benchmark-data")) / "clv"


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    "The calibration summary of all 23,570 customers, 39 weeks, with the holdout."
    if not (DATA / "cdnow_master.parquet").exists():
        pytest.skip("RETAIL_INSIGHT_DATA has no clv/cdnow_master.parquet")
    log = pd.read_parquet(DATA / "cdnow_master.parquet").assign(line=1, row=lambda f: range(len(f)))
    log["quantity"], log["receipt"] = log["number_of_cds"].clip(lower=1), log["row"].astype(str)
    shop = load_shop(log, timestamps="local", columns={"transactions": {
        "transaction_id": "receipt", "line": "line", "timestamp": "date", "customer_id": "customer_id", "product_id": "= 'cd'", "quantity": "quantity", "amount": "dollar_value"}})
    assert len(shop.rejected) == 0
    return customer_summary(shop, "W", split="1997-09-30")


PUBLISHED = [
    (BGNBD, [.25162, 4.78894, .72343, 2.16109], -95368.4439),
    (ParetoNBD, [.59742, 11.58566, .52219, 8.82776], -95415.1186)]


@pytest.mark.parametrize("model, params, llf", PUBLISHED, ids=["BG", "Pareto"])
def test_all_of_cdnow(model, params, llf, cdnow):
    fitted = model(cdnow).fit()
    assert fitted.converged
    np.testing.assert_allclose(fitted.params, params, atol=6e-6)
    assert abs(fitted.llf - llf) < 1e-4


def test_one_pass_is_the_obvious_summary(cdnow):
    log = pd.read_parquet(DATA / "cdnow_master.parquet")
    days = log.assign(day=log["date"].dt.normalize()).groupby(["customer_id", "day"], as_index=False)["dollar_value"].sum()
    early = days[days["day"] <= "1997-09-30"]
    first = early.groupby("customer_id")["day"].min()
    np.testing.assert_array_equal(cdnow["frequency"], early.groupby("customer_id").size() - 1)
    np.testing.assert_allclose(cdnow["recency"], (early.groupby("customer_id")["day"].max() - first).dt.days / 7)
    np.testing.assert_allclose(cdnow["age"], (pd.Timestamp("1997-09-30") - first).dt.days / 7)
    repeat = early[early["day"] > early["customer_id"].map(first)]
    spent = repeat.groupby("customer_id")["dollar_value"].mean().reindex(first.index)
    np.testing.assert_allclose(cdnow["mean_spend"], spent, rtol=1e-9)
    np.testing.assert_array_equal(cdnow["holdout_frequency"], days[days["day"] > "1997-09-30"].groupby("customer_id").size().reindex(first.index, fill_value=0))


def test_every_start_reaches_the_top(cdnow):
    sample = cdnow.sample(2357, random_state=1)
    rng = np.random.default_rng(2)
    for model in (BGNBD, MBGNBD, ParetoNBD):
        best = model(sample).fit()
        for _ in range(50):
            start = best.params * np.exp(rng.uniform(-3, 3, 4))
            assert abs(model(sample).fit(start=start).llf - best.llf) < 1e-5, (model, start)


def test_every_start_reaches_the_top_of_the_others_too():
    crowd = simulate_leaving(600, .5, 5.0, .8, 2.5, age=39.0, k=2, early=1, seed=4)
    rng = np.random.default_rng(3)
    for model, starts, near in ((NBD, 50, 1e-6), (BGCNBD, 50, 1e-6), (GGomNBD, 50, 1e-3)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            best = model(crowd).fit()
            for _ in range(starts):
                start = best.params.clip(1e-3, 1e3) * np.exp(rng.uniform(-2, 2, len(best.params)))
                assert abs(model(crowd).fit(start=start).llf - best.llf) < near, (model, start)


def test_ties_and_known_values():
    rng = np.random.default_rng(8)
    crowd = simulate_lifetimes(1500, .8, 6.0, .6, 12.0, seed=8).assign(z=rng.normal(0, 20, 1500), kind=rng.choice(["a", "b"], 1500))
    both = dict(transaction="~ z", lifetime="~ z")
    free, tied, known, none = (ParetoNBD(crowd, **options).fit() for options in (both, both | {"equal": ["z"]}, both | {"fixed": {"lifetime: z": 0.0, "s": .6}}, {}))
    assert free.llf >= tied.llf >= none.llf - 1e-9 and free.llf >= known.llf
    assert tied.params["transaction: z"] == pytest.approx(tied.params["lifetime: z"]) and known.params["s"] == pytest.approx(.6) and known.bse["s"] == 0
    assert [free.compare_lr_test(other)["df"] for other in (tied, known, none)] == [1, 2, 2]
    assert none.aic == pytest.approx(-2 * none.llf + 8) and tied.aic == pytest.approx(-2 * tied.llf + 10)
    for options, said in ((both | {"equal": ["kind"]}, "'kind' cannot be equal"), ({"fixed": {"q": 1.0}}, "'q' cannot be fixed"), ({"fixed": {"s": 0.0}}, "above 0")):
        with pytest.raises(ValueError, match=said):
            ParetoNBD(crowd, **options)
    assert any("transaction: twice" in doubt for doubt in NBD(crowd.assign(twice=2 * crowd["z"]), transaction="~ z + twice").fit().doubts)
    fitted = NBD(crowd, transaction="~ kind").fit()
    with pytest.raises(ValueError, match="levels that the fitted model has seen"):
        fitted.predict(4, crowd.head(3).assign(kind="c"))


def test_a_penalty_draws_coefficients_to_zero():
    rng = np.random.default_rng(8)
    crowd = simulate_lifetimes(1500, .8, 6.0, .6, 12.0, seed=8).assign(z=rng.normal(0, 1, 1500))
    asked = dict(transaction="~ z", lifetime="~ z")
    fits = [ParetoNBD(crowd, **asked, penalty=penalty).fit() for penalty in (0.0, 50.0, 1e7)]
    sizes = [np.abs(fitted.params.iloc[4:]).sum() for fitted in fits]
    assert sizes[0] > sizes[1] > sizes[2] and sizes[2] < 1e-4
    assert fits[0].llf > fits[1].llf > fits[2].llf and abs(fits[2].llf - ParetoNBD(crowd).fit().llf) < 1e-3
    theta = fits[1].theta # the penalised function is level there
    _, score, _ = ParetoNBD(crowd, **asked).evaluate(theta)
    np.testing.assert_allclose(score - 50 * np.append(np.zeros(4), theta[4:]), 0, atol=1e-3)


def test_weights_are_customers():
    crowd, rng = simulate_lifetimes(400, .8, 6.0, .6, 12.0, seed=8), np.random.default_rng(1)
    count = rng.integers(0, 4, 400)
    for model in (NBD, BGNBD, ParetoNBD):
        weighted, copied = model(crowd, weights=count).fit(), model(crowd.loc[crowd.index.repeat(count)]).fit()
        assert weighted.nobs == copied.nobs and weighted.llf == pytest.approx(copied.llf, rel=1e-10)
        np.testing.assert_allclose(weighted.params, copied.params, rtol=1e-4)
        np.testing.assert_allclose(weighted.bse, copied.bse, rtol=1e-3)
    for options, said in (({"weights": count[:5]}, "5 of them for 400 rows"), ({"weights": -count}, "are negative"), ({"weights": 0 * count}, "their sum is 0")):
        with pytest.raises(ValueError, match=said):
            NBD(crowd, **options)
    for start in ([1.0], [1.0, -1.0], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="natural parameters above 0"):
            NBD(crowd).fit(start=start)


def test_a_search_that_stops_early_says_so():
    crowd = simulate_lifetimes(300, .8, 6.0, .6, 12.0, seed=8)
    with pytest.warns(ConvergenceWarning, match="Give start= near the optimum"):
        fitted = ParetoNBD(crowd).fit(start=[40.0, .01, 9.0, .01], max_iter=1)
    assert not fitted.converged and "did not converge" in str(fitted.summary())


def test_summaries_that_cannot_be_made():
    shop = load_shop("corner")
    for options, said in (({"split": "2030-01-01"}, "leaves nothing after"), ({"split": "1990-01-01"}, "leaves nothing before"), ({"unit": "fortnight"}, "is not known")):
        with pytest.raises(ValueError, match=said):
            customer_summary(shop, **options)


def test_one_customer_has_a_fit_that_doubts_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in (NBD, BGNBD, ParetoNBD):
            fitted = model(GOOD.loc[["ben"]]).fit(max_iter=30)
            assert fitted.doubts and np.isfinite(fitted.llf)


def test_no_model_ends_below_one_that_it_contains(cdnow):
    sample = cdnow.sample(2357, random_state=1)
    nobody_leaves = NBD(sample).fit().llf
    assert BGNBD(sample).fit().llf >= nobody_leaves - 1e-6
    pareto = ParetoNBD(sample).fit()
    assert pareto.llf >= nobody_leaves - 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert GGomNBD(sample).fit().llf >= pareto.llf - 1e-3


def obvious_pareto(r, alpha, s, beta, x, recency, age):
    with mpmath.workdps(25):
        r, alpha, s, beta, x, recency, age = map(mpmath.mpf, (r, alpha, s, beta, float(x), float(recency), float(age)))

        def moment(u):
            return mpmath.exp(-(r + x) * mpmath.log((alpha + u) / (alpha + recency)) - (s + 1) * mpmath.log((beta + u) / (beta + recency)))
        cuts = [recency] + [recency + (age - recency) * mpmath.mpf(2) ** -i for i in range(40, -1, -8)] if age > recency else [recency, age]
        left = s * mpmath.quad(moment, cuts) * (alpha + recency) ** -(r + x) * (beta + recency) ** -(s + 1)
        return float(mpmath.log((alpha + age) ** -(r + x) * (beta + age) ** -s + left))


def test_heavy_buyers_keep_their_digits():
    rng = np.random.default_rng(3)
    for _ in range(400):
        point = np.exp(rng.uniform(np.log([.05, .1, .05, .1]), np.log([20, 200, 5, 200])))
        age = float(rng.uniform(10, 400))
        x = float(rng.choice([0, 1, 5, 50, 158, 1000]))
        recency = 0.0 if x == 0 else float(age * rng.beta(5, .5))
        frame = pd.DataFrame({"frequency": [x], "recency": [recency], "age": [age]})
        model = ParetoNBD(frame)
        rows = model.rows(model.natural(np.log(point)), model.data)
        assert np.isfinite(rows.loglike).all() and np.isfinite(rows.score).all() and np.isfinite(rows.hessian).all()
        with mpmath.workdps(40):
            r, alpha, _, beta = map(mpmath.mpf, point)
            front = float(mpmath.loggamma(r + x) - mpmath.loggamma(r) + r * mpmath.log(alpha) + mpmath.mpf(point[2]) * mpmath.log(beta))
        known = front + obvious_pareto(*point, x, recency, age)
        assert abs(rows.loglike[0] - known) < 1e-8 * max(1, abs(known)), (point, x, recency, age)


def test_what_comes_after_changes_nothing():
    tables = corner_tables()
    log = tables["transactions"]
    early = log[log["timestamp"] < "2024-02-01"]
    asked = dict(split="2024-01-20", as_of="2024-01-31")
    changed = tables | {"transactions": pd.concat([early, log[log["timestamp"] >= "2024-02-01"].assign(amount=9.99)])}
    pd.testing.assert_frame_equal(customer_summary(load_shop(changed, timestamps="local"), **asked),
                                  customer_summary(load_shop(tables | {"transactions": early}, timestamps="local"), **asked))


def test_a_log_with_everything_odd_is_summed_as_the_obvious_way_does():
    rng = np.random.default_rng(4)
    n = 4000
    log = pd.DataFrame({"transaction_id": [str(i) for i in range(n)], "line": 1, "customer_id": [f"c{i}" for i in rng.integers(0, 300, n)], "product_id": "any",
                        "timestamp": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, n), unit="D"), "quantity": rng.choice([-1.0, 1, 2], n, p=[.3, .4, .3])})
    log["amount"] = (log["quantity"] * rng.uniform(1, 20, n)).round(2)
    shop = load_shop({"transactions": log}, timestamps="local")
    days = log.groupby(["customer_id", log["timestamp"].rename("day")]).agg(spend=("amount", "sum"), most=("quantity", "max")).reset_index()
    bought, split = days[days["most"] > 0], pd.Timestamp("2024-03-31")
    early, later = bought[bought["day"] <= split], bought[bought["day"] > split]
    first = early.groupby("customer_id")["day"].min()
    told = customer_summary(shop, "D", split=split)
    assert list(told.index) == sorted(first.index) and told.attrs["return_days"] == len(days) - len(bought)
    assert told.attrs["customers_after_split"] == len(set(later["customer_id"]) - set(first.index)) and told.attrs["customers_without_purchase"] == len(set(days["customer_id"]) - set(bought["customer_id"]))
    repeat = early[early["day"] > early["customer_id"].map(first)]
    gaps = np.log(early.sort_values("day").groupby("customer_id")["day"].diff().dropna().dt.days).groupby(early["customer_id"]).sum().reindex(first.index, fill_value=0)
    for column, known in {"frequency": early.groupby("customer_id").size() - 1, "recency": (early.groupby("customer_id")["day"].max() - first).dt.days, "age": (split - first).dt.days,
                          "mean_spend": repeat.groupby("customer_id")["spend"].mean().reindex(first.index), "holdout_frequency": later.groupby("customer_id").size().reindex(first.index, fill_value=0),
                          "holdout_spend": later.groupby("customer_id")["spend"].sum().reindex(first.index, fill_value=0), "log_gaps": gaps}.items():
        np.testing.assert_allclose(told[column].astype(float), known.sort_index().astype(float), rtol=1e-9, atol=1e-9, err_msg=column)
    whole = customer_summary(shop, "D", as_of=split)
    pd.testing.assert_frame_equal(whole, told[list(whole)], check_dtype=False)
    with pytest.raises(ValueError, match="log_gaps is not among its columns"):
        BGCNBD(whole.drop(columns="log_gaps"))


def test_shards_are_the_whole():
    shop = load_shop("complete_journey")
    whole = customer_summary(shop, "W", split="2017-09-30")
    parts = map_shards(customer_summary_of, shop, shards=3)
    pd.testing.assert_frame_equal(parts.sort_index(), whole.sort_index(), check_like=True)


def customer_summary_of(shop):
    return customer_summary(shop, "W", split="2017-09-30", as_of="2017-12-31")


GOOD = pd.DataFrame({"frequency": [0.0, 3, 1], "recency": [0.0, 4, 2], "age": [5.0, 9, 7], "log_gaps": [0.0, 1, 2]}, index=["ana", "ben", "cleo"])


@pytest.mark.parametrize("change, said", [
    ({"recency": [0, 10, 2]}, "1 of 3 customers break this, first 'ben'"), ({"recency": [1, 4, 2]}, "first 'ana'"),
    ({"frequency": [0, 2.5, 1]}, "whole numbers"), ({"frequency": [-1, 3, 1]}, "whole numbers"), ({"age": [5, np.nan, 7]}, "finite"),
    ({"age": [np.inf, 9, 7]}, "finite"), ({"age": [-5, 9, 7]}, "age")])
def test_impossible_summaries(change, said):
    with pytest.raises(ValueError, match=said):
        ParetoNBD(GOOD.assign(**change))


def test_errors_name_customers_as_they_are_written():
    numbered = GOOD.assign(occasions=9.0, mean_spend=5.0).set_axis([101, 102, 103])
    for call in (lambda f: ParetoNBD(f.assign(age=-1.0)), lambda f: NBD(f.assign(z=np.nan), transaction="~ z"), lambda f: BGBB(f.assign(recency=20.0)),
                 lambda f: GammaGamma(f.assign(mean_spend=-1.0))):
        with pytest.raises(ValueError, match=r"first 10[12]\b"):
            call(numbered)


def test_the_quick_sum_is_the_sum_of_the_rows(cdnow):
    rng, heavy = np.random.default_rng(5), pd.DataFrame({"frequency": [0.0, 400, 9000], "recency": [0.0, 38.9, 39], "age": [39.0, 39, 39]})
    for frame in (cdnow.sample(3000, random_state=2), heavy, heavy.assign(frequency=[0.0, 400, 20_000])):
        for model in (BGNBD(frame), MBGNBD(frame)):
            for _ in range(20):
                theta, w = rng.uniform(np.log(1e-2), np.log(1e2), 4), rng.integers(0, 3, len(model.weights)).astype(float)
                for quick, slow in zip(model.evaluate(theta, w), model.gather(theta, model.rows_at(theta), w), strict=True):
                    np.testing.assert_allclose(quick, slow, rtol=1e-9, atol=1e-9 * np.abs(slow).max())


def test_other_arguments_that_cannot_work():
    for arguments, said in (({"lifetime": "~ z"}, "no process"), ({"transaction": "~ nowhere"}, "covariates of"), ({"transaction": "~ z"}, "first 'ben'")):
        with pytest.raises(ValueError, match=said):
            NBD(GOOD.assign(z=[1.0, np.nan, 2.0]), **arguments)
    with pytest.raises(ValueError, match="no customer"):
        NBD(GOOD.iloc[:0])
    with pytest.raises(ValueError, match="number of stages"):
        BGCNBD(GOOD, k=0)
    with pytest.raises(ValueError, match="no time ahead"):
        NBD(GOOD).fit().predict(0)
    with pytest.raises(ValueError, match="fewer parameters"):
        fitted = NBD(GOOD).fit()
        fitted.compare_lr_test(fitted)


@pytest.mark.parametrize("ask, said", [
    (lambda f: NBD(f).fit(cov_type="HC3"), "cov_type='HC3' is not known"), (lambda f: NBD(f, penalty=-1.0), "penalty=-1.0"), (lambda f: NBD(f).fit().predict(np.inf), "no time ahead"),
    (lambda f: NBD(f).fit().predict(4, alpha=1.5), "outside the interval"), (lambda f: NBD(f).fit().predict(4, alpha=.1, draws=0), "one draw"), (lambda f: NBD(f).fit().conf_int(0.0), "alpha=0.0"),
    (lambda f: NBD(f.assign(age="old")), r"3 of 3 customers have none, first \['ana'\]"), (lambda f: NBD(f["age"].tolist()), "a list is no table"),
    (lambda f: next_visit(NBD(f).fit(), alpha=2.0), "outside the interval"), (lambda f: dert(NBD(f).fit(), alpha=.1, draws=0), "one draw")], ids=range(10))
def test_arguments_that_mean_nothing(ask, said):
    table = GOOD.copy()
    table.attrs = {"unit": "W"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with pytest.raises(ValueError, match=said):
            ask(table)


def test_one_time_buyers_have_a_likelihood():
    once = pd.DataFrame({"frequency": 0.0, "recency": 0.0, "age": [5.0, 9.0, 20.0]})
    for model in (NBD, BGNBD, MBGNBD, ParetoNBD):
        assert np.isfinite(model(once).loglike(np.ones(len(model.names))))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = model(once).fit(max_iter=30)
        assert fitted.doubts, model
