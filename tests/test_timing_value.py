"""Spend and lifetime value: published estimates, integrals to thirty digits, bad input, and values that came true."""

import warnings
from importlib.metadata import PackageNotFoundError, files

import mpmath
import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import Shop, corner_tables, load_shop
from retail_insight.scoring import brier_score, expected_calibration_error
from retail_insight.timing import (
    BGBB,
    BGCNBD,
    BGNBD,
    MBGNBD,
    NBD,
    GammaGamma,
    GGomNBD,
    ParetoNBD,
    ShiftedBetaGeometric,
    clv,
    customer_summary,
    dert,
    evaluate_holdout,
    load_model,
    new_customer,
    next_visit,
    predict_customers,
    predict_visits,
    recalibrate,
    save_model,
    simulate_leaving,
    simulate_lifetimes,
    simulate_occasions,
    track_visits,
)
from retail_insight.timing.geometric import beta_nodes
from retail_insight.timing.spend import (
    discounted_by_parts,
    discounted_if_alive,
    discounted_time,
    discounted_while_leaving,
    simulate_spend,
    spend_correlation,
)


def published(name: str) -> str:
    "A data file of the package lifetimes, which is read and never imported."
    try:
        return str(next(f for f in files("lifetimes") or [] if f.name == name).locate())
    except (PackageNotFoundError, StopIteration):
        pytest.skip(f"the package lifetimes, whose {name} is wanted as data, is not installed")


def cdnow(name: str, names: list[str]) -> Shop:
    "A log of CDNOW as a shop."
    log = pd.read_csv(published(name), sep=r"\s+", names=names, dtype=str, skiprows=int("master" in name))
    log = log.assign(transaction_id=[f"{i}" for i in range(len(log))], line=1, date=pd.to_datetime(log["date"]), quantity=log["discs"].astype(int).clip(lower=1), amount=log["amount"].astype(float))
    columns = {c: c for c in ("transaction_id", "line", "customer_id", "quantity", "amount")} | {"timestamp": "date", "product_id": "= 'cd'"}
    return load_shop(log, timestamps="local", columns={"transactions": columns})


@pytest.fixture(scope="module")
def tenth_shop() -> Shop:
    return cdnow("CDNOW_sample.txt", ["id", "customer_id", "date", "discs", "amount"])


@pytest.fixture(scope="module")
def tenth(tenth_shop) -> pd.DataFrame:
    "CDNOW, the tenth of the papers: 2,357 customers, 39 weeks and 39 weeks of holdout, times in weeks."
    return customer_summary(tenth_shop, "W", split="1997-09-30")


def test_published_spend(tenth):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        fitted = GammaGamma(tenth).fit()
    assert fitted.converged and fitted.nobs == 946 and fitted.model.one_time == 2357 - 946
    np.testing.assert_allclose(fitted.params, [6.2493, 3.7443, 15.4443], atol=1e-3)
    assert abs(fitted.llf + 4055.9177) < 1e-4
    assert abs(fitted.new_customer - fitted.predict(tenth[tenth["frequency"] == 0])["spend"]).max() < 1e-9


def test_published_dert(tenth):
    discount = 1.15 ** (365.25 / 7 / 52) - 1 # the papers count 52 weeks to a year
    total = dert(ParetoNBD(tenth).fit(), discount)["dert"].sum()
    assert abs(total - 7205.5) < .1 # CLVTools says 7207.8


def test_every_start_reaches_the_top_of_spend(tenth):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        best, rng = GammaGamma(tenth).fit(), np.random.default_rng(1)
        for _ in range(20):
            start = best.params * np.exp(rng.uniform(-2, 2, 3))
            assert abs(GammaGamma(tenth).fit(start=start).llf - best.llf) < 1e-5, start


def test_spend_is_the_same_in_another_currency(tenth):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        here, there = (GammaGamma(tenth.assign(mean_spend=tenth["mean_spend"] * rate)).fit() for rate in (1, 160))
    np.testing.assert_allclose(there.params, here.params * [1, 1, 160], rtol=1e-5)
    np.testing.assert_allclose(there.predict()["spend"], 160 * here.predict()["spend"], rtol=1e-6)


def test_discounted_time_keeps_its_digits():
    rng = np.random.default_rng(2)
    for s, base, rate in np.exp(rng.uniform(np.log([.01, .1, 1e-6]), np.log([500, 1e5, .5]), (150, 3))):
        with mpmath.workdps(30):
            known = float(base * mpmath.hyperu(1, 2 - mpmath.mpf(s), mpmath.mpf(rate) * base))
        assert abs(discounted_time(s, base, rate) / known - 1) < 1e-9, (s, base, rate)


@pytest.mark.parametrize("model, point", [(BGNBD, [.24, 4.4, .79, 2.43]), (MBGNBD, [.52, 6.2, .9, 1.6])])
def test_discounted_visits_of_those_who_leave_after_a_visit(model, point):
    people = pd.DataFrame({"frequency": [0, 2, 26], "recency": [0, 30.4, 30.86], "age": [38.9, 38.9, 31.0]})
    made = model(people)
    r, alpha, a, b = point
    values = discounted_if_alive(made, made.natural(np.log(point)), made.data, .0027)
    for x, age, value in zip(made.data["frequency"], made.data["age"], values, strict=True):
        k, c, stay = r + x, alpha + age, b + x + made.early
        with mpmath.workdps(20):
            known = mpmath.quad(lambda u, k=k, c=c, stay=stay: mpmath.exp(-.0027 * u) * k / c * mpmath.hyp2f1(k + 1, a, a + stay, -u / c), [0, 1, 5, 20, 100, 1000, 5000, 20000])
        assert abs(value / float(known) - 1) < 1e-6


def test_heavy_buyers_who_leave_after_a_visit_keep_their_digits():
    x, age = np.array([0.0, 2, 26, 300, 1000]), np.array([38.9, 38.9, 31.0, 39.0, 39.0])
    for r, alpha, a, b in ((.24, 4.4, .79, 2.43), (.52, 6.2, 3.0, 8.0), (.24, 4.4, .05, 1.3)):
        for rate, horizon in ((.0027, np.inf), (.05, np.inf), (0.0, 52.0), (.0027, 52.0)):
            told = discounted_while_leaving(r + x, alpha + age, np.full(5, a), b + x, rate, horizon)
            p, weight = beta_nodes(np.full(5, a), b + x, n=400) # the obvious mean, with many nodes
            known = (r + x) / (alpha + age) * (weight * discounted_time((r + x)[:, None] + 1, (alpha + age)[:, None] / p, rate, horizon)).sum(axis=1)
            np.testing.assert_allclose(told, known, rtol=2e-8)
    many = discounted_while_leaving(r + x, alpha + age, np.full(5, .79), 2.43 + x, 1e-5, n=2000)
    np.testing.assert_allclose(discounted_while_leaving(r + x, alpha + age, np.full(5, .79), 2.43 + x, 1e-5), many, rtol=1e-7)


def test_nobody_leaves_and_the_sum_is_known():
    people = pd.DataFrame({"frequency": [0, 3], "recency": [0.0, 5.0], "age": [10.0, 10.0]})
    model = NBD(people)
    natural = model.natural(np.log([.5, 4.0]))
    rate = (.5 + model.data["frequency"]) / (4 + model.data["age"])
    np.testing.assert_allclose(discounted_by_parts(model, natural, model.data, .01), rate / .01, rtol=1e-9)
    np.testing.assert_allclose(discounted_by_parts(model, natural, model.data, .01, 30.0), rate * -np.expm1(-.3) / .01, rtol=1e-9)


def crowd(n: int, seed: int) -> pd.DataFrame:
    frame = simulate_lifetimes(n, .55, 10.6, .6, 11.7, age=39.0, holdout=52, seed=seed)
    frame = frame.join(simulate_spend(frame["frequency"], 6.25, 3.74, 15.44, seed=seed + 1))
    frame.attrs["unit"] = "W"
    return frame


def test_correlation_is_zero_where_spend_is_independent():
    inside = 0
    for seed in range(100):
        found = spend_correlation(crowd(2000, 2 * seed))
        inside += found["lower"] < 0 < found["upper"]
    assert inside >= 88 # of 95 expected


def test_value_in_blocks_is_value_at_once():
    frame = crowd(3000, 5)
    pareto, spend = ParetoNBD(frame).fit(), GammaGamma(frame).fit()
    whole = clv(pareto, spend, .1, margin=.4, alpha=.1, draws=20)
    from retail_insight.timing.spend import Worth, check_spend, discount_rate
    worth = Worth(pareto, spend, check_spend(frame).to_numpy(), pareto.model.prepare(None), discount_rate(.1, "W"), np.inf, np.array([.4]))
    lower, upper, _ = worth.intervals(.1, 20, 0, block=700)
    np.testing.assert_allclose(whole.frame["value_lower"], lower, rtol=1e-12)
    np.testing.assert_allclose(whole.frame["value_upper"], upper, rtol=1e-12)
    others = frame.sample(50, random_state=1)
    np.testing.assert_allclose(clv(pareto, spend, .1, others, margin=.4).frame["value"], whole.frame.loc[others.index, "value"], rtol=1e-9)
    assert abs(whole.monthly.sum() / clv(pareto, spend, .1, margin=.4, horizon=60 * 365.25 / 12 / 7).total["value"] - 1) < 1e-9


def test_a_ridge_leaves_intervals_finite():
    rng = np.random.default_rng(3)
    age, rate = 40.0, rng.gamma(1.4, 1 / 1.4, 800) # nobody leaves, so lifetimes lie on a ridge
    x = rng.poisson(rate * age)
    frame = pd.DataFrame({"frequency": x, "recency": np.where(x > 0, age * rng.random(800) ** (1 / np.maximum(x, 1)), 0), "age": age})
    frame.attrs["unit"] = "W"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = ParetoNBD(frame).fit()
        told = dert(fitted, .1, horizon=26.0, alpha=.05, draws=30)
    assert np.isfinite(told).all().all()
    assert (told["dert_upper"] / told["dert"]).max() < 1.5


BAD = [
    (lambda f: GammaGamma(f.assign(mean_spend=f["mean_spend"].where(f.index != f["mean_spend"].first_valid_index(), 0.0))), "mean_spend must be above 0 for a customer with repeat visits; 1 of"),
    (lambda f: GammaGamma(f.assign(mean_spend=np.nan)), "mean_spend must be"),
    (lambda f: GammaGamma(f.drop(columns="mean_spend")), "mean_spend not among its columns"),
    (lambda f: GammaGamma(f.assign(frequency=0, recency=0.0)), "came back"),
    (lambda f: dert(ParetoNBD(f).fit(), 0.0), "no bound"),
    (lambda f: dert(ParetoNBD(f).fit(), .1, horizon=-1.0), "no time ahead"),
    (lambda f: dert(ParetoNBD(pd.DataFrame(f.to_dict())).fit(), .1), "attrs['unit']"),
    (lambda f: clv(ParetoNBD(f).fit(), GammaGamma(f).fit(), margin=np.nan), "no share of spend"),
    (lambda f: clv(ParetoNBD(f).fit(), GammaGamma(f.iloc[5:]).fit()), "not to the same")]


@pytest.mark.parametrize("ask, said", BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named(ask, said):
    with pytest.raises(ValueError, match=said.replace("[", r"\[").replace("]", r"\]")):
        ask(crowd(400, 9))


EVERY = [(NBD, [.385, 12.1], {}), (BGNBD, [.24, 4.4, .79, 2.43], {}), (MBGNBD, [.52, 6.2, .9, 1.6], {}), (ParetoNBD, [.55, 10.6, .6, 11.7], {}),
         (GGomNBD, [.55, 10.6, .03, .6, 1.5], {}), (BGCNBD, [.52, 6.2, .9, 1.6], {"k": 3})]


def at(model, frame, point, **options):
    "Results at given parameters, without a fit."
    made = model(frame, **options)
    return made.results(made, np.log(np.array(point)), True, 0)


@pytest.mark.parametrize("model, point, options", EVERY, ids=[m.__name__ for m, _, _ in EVERY])
def test_the_whole_distribution_agrees_with_the_forecast(model, point, options):
    people = pd.DataFrame({"frequency": [0, 0, 2, 26, 7, 300], "recency": [0, 0, 30.4, 30.86, 3, 30], "age": [38.9, 0, 38.9, 31, 39, 31.0], "log_gaps": 1.0})
    fitted = at(model, people, point, **options)
    for horizon in (.5, 13.0, 80.0):
        told, ahead = predict_visits(fitted, horizon), fitted.predict(horizon)
        np.testing.assert_allclose(told.pmf.sum(axis=1), 1, atol=1e-9)
        assert (told.pmf.to_numpy().astype(float) >= 0).all()
        np.testing.assert_allclose(told.pmf[0], 1 - ahead["p_active"], atol=1e-8)
        np.testing.assert_allclose(told.mean, ahead["expected"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [2, 3])
def test_regular_customers_do_what_is_expected_of_them(k):
    crowd = simulate_leaving(60_000, .8, 4.0, .8, 2.5, age=30.0, holdout=20, k=k, early=1, seed=k)
    fitted = at(BGCNBD, crowd, [.8, 4.0, .8, 2.5], k=k, gap_unit=1.0)
    ahead, came = fitted.predict(20.0), crowd["holdout_frequency"]
    for part in (came >= 0, crowd["frequency"] == 0, crowd["frequency"].between(1, 4), crowd["frequency"] > 4):
        assert abs(came[part].mean() - ahead["expected"][part].mean()) < 4 * came[part].std() / np.sqrt(part.sum()), part.sum()
    said = predict_visits(fitted, 20.0, most=5).pmf.sum().to_numpy().astype(float)
    seen = came.clip(upper=6).value_counts().sort_index().to_numpy()
    assert ((said - seen) ** 2 / said).sum() < 22.5 # chi-squared, 6 degrees, .999
    some = crowd.head(40)
    some.attrs = {"unit": "W"}
    few = at(BGCNBD, some, [.8, 4.0, .8, 2.5], k=k, gap_unit=1.0)
    np.testing.assert_allclose(dert(few, 1e-9, horizon=20.0)["dert"], few.predict(20.0)["expected"], rtol=1e-6)
    grid, rate = np.linspace(0, 20, 401), np.log(1.3) * 7 / 365.25 # the obvious sum: each week's visits, discounted
    until = np.array([few.predict(t)["expected"] if t else np.zeros(40) for t in grid])
    np.testing.assert_allclose(dert(few, .3, horizon=20.0)["dert"], np.exp(-rate * (grid[1:] + grid[:-1]) / 2) @ np.diff(until, axis=0), rtol=1e-5)


@pytest.mark.parametrize("model, point, draw", [
    (ParetoNBD, [.55, 10.6, .6, 11.7], lambda: simulate_lifetimes(40_000, .55, 10.6, .6, 11.7, age=39.0, seed=3)),
    (MBGNBD, [.52, 6.2, .9, 1.6], lambda: simulate_leaving(40_000, .52, 6.2, .9, 1.6, age=39.0, early=1, seed=3)),
    (BGNBD, [.24, 4.4, .79, 2.43], lambda: simulate_leaving(40_000, .24, 4.4, .79, 2.43, age=39.0, seed=3))])
def test_a_new_customer_does_what_new_customers_do(model, point, draw):
    fresh = draw()["frequency"]
    fitted = at(model, pd.DataFrame({"frequency": [1], "recency": [1.0], "age": [2.0]}), point)
    told = predict_visits(fitted, 39.0, new_customer(), most=5).pmf.iloc[0].to_numpy().astype(float)
    seen = fresh.clip(upper=6).value_counts().sort_index().to_numpy()
    assert ((told * 40_000 - seen) ** 2 / (told * 40_000)).sum() < 25 # chi-squared, 6 degrees of freedom
    assert abs(fitted.predict(39.0, new_customer())["expected"].iloc[0] / fresh.mean() - 1) < .05


def test_the_next_visit_is_the_inverse_of_p_active():
    frame = crowd(300, 11)
    frame.attrs |= {"split": "2024-05-31"}
    fitted = ParetoNBD(frame).fit()
    told = next_visit(fitted, alpha=.2)
    for name, level in (("lower", .1), ("median", .5)):
        there = np.isfinite(told[f"{name}_days"])
        for days, row in zip(told.loc[there, f"{name}_days"].head(20), frame[there].head(20).index, strict=True):
            assert fitted.predict(days / 7, frame.loc[[row]])["p_active"].iloc[0] >= level - 1e-9
            assert days <= 1 or fitted.predict((days - 1) / 7, frame.loc[[row]])["p_active"].iloc[0] < level
            assert told.loc[row, name] == pd.Timestamp("2024-05-31") + pd.Timedelta(days=days)
    assert (told["median"].isna() == ~np.isfinite(told["median_days"]) | (told["median_days"] > 365 * 200)).all()
    assert (told.loc[told["never"] > .5, "median"].isna()).all()


def test_one_customer_gets_an_answer():
    frame = pd.DataFrame({"frequency": [3.0], "recency": [5.0], "age": [9.0], "mean_spend": [4.0]}, index=["only"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = NBD(frame).fit()
    told = predict_visits(fitted, 4.0)
    assert abs(told.pmf.to_numpy().astype(float).sum() - 1) < 1e-9 and abs(told.mean["only"] - fitted.predict(4.0).loc["only", "expected"]) < 1e-4


def test_the_outlook_says_what_it_cannot_tell():
    tables = corner_tables()
    log = tables["transactions"]
    repaid = log.assign(amount=log["amount"].where(log["customer_id"] != "eve", 0 * log["amount"]))
    told = predict_customers(load_shop(tables | {"transactions": repaid}, timestamps="local"), 2.0, model=BGNBD, draws=5)
    assert told.frame.loc["eve", ["spend", "value", "value_lower", "value_upper"]].isna().all()
    assert told.frame.drop(index="eve")["value"].notna().all() and any(note.startswith("1 of 5 customers have a mean spend of zero or less") for note in told.notes)
    assert told.frame["p_active"].notna().all() and len(told.frame) == 5


def test_one_time_buyers_have_an_outlook_without_value():
    tables = corner_tables()
    log = tables["transactions"]
    once = log[log.groupby("customer_id")["timestamp"].transform("min").dt.date == log["timestamp"].dt.date]
    told = predict_customers(load_shop(tables | {"transactions": once}, timestamps="local"), 2.0, model=NBD, draws=5)
    assert told.spend is None and told.frame["value"].isna().all() and any("no value" in note for note in told.notes)
    assert told.frame["expected"].notna().all() and "no value" in " ".join(str(told.summary()).split())


HOLDOUT = { # MAE, RMSE, bias in percent, AUC, Brier
    "BG/NBD": [.7855, 1.608, -12.2, .757, .1612], "MBG/NBD": [.7648, 1.607, -16.2, .760, .1614], "Pareto/NBD": [.7545, 1.603, -11.5, .771, .1619],
    "NBD": [1.041, 1.860, 55.7, .774, .1821], "hiatus rule": [.7570, 1.929, -35.0, .771]}


def test_the_holdout_of_the_papers(tenth):
    told = evaluate_holdout(tenth)
    for name, known in HOLDOUT.items():
        found = told.scores.loc[name, ["MAE", "RMSE", "bias", "AUC", "Brier"]] .to_numpy(dtype=float) * [1, 1, 100, 1, 1]
        assert (abs(found - np.pad(known, (0, 5 - len(known)), constant_values=np.nan)) > [6e-5, 6e-4, .1, 6e-4, 6e-5]).sum() == 0, (name, found)
    assert told.scores.loc["Pareto/NBD", "MAE"] <= .75455 and told.scores.loc["Pareto/NBD", "RMSE"] <= 1.6035
    zero = told.by_frequency().loc[0]
    np.testing.assert_allclose(zero[["came", "BG/NBD", "Pareto/NBD"]], [.237, .225, .138], atol=6e-4)
    for name, known in (("BG/NBD", .6256), ("Pareto/NBD", .6302)):
        assert abs(np.corrcoef(told.predictions[name]["expected"], tenth["holdout_frequency"])[0, 1] - known) < 6e-5
    assert "personal frequency" in str(told.summary())


def test_the_tracking_of_the_papers(tenth_shop, tenth):
    for model, known in ((BGNBD, -3.99), (ParetoNBD, -1.47)):
        track = track_visits(tenth_shop, model(tenth).fit(), tenth)
        assert len(track) == 78 and track["holdout"].sum() == 39
        off = 100 * (track["cumulative_expected"].iloc[-1] / track["cumulative_came"].iloc[-1] - 1)
        assert abs(off - known) < .3, (model, off) # the papers' sales days are counted in weeks from each first day


def test_p_active_means_what_it_says():
    shop = cdnow("CDNOW_master.txt", ["customer_id", "date", "discs", "amount"])
    later = customer_summary(shop, "W", split="1997-09-30")
    came = (later["holdout_frequency"] > 0).to_numpy(dtype=float)
    told = recalibrate(shop, later.attrs["holdout"], split="1997-09-30").predict(later.attrs["holdout"])
    before, after = (expected_calibration_error(came, told[c]) for c in ("said", "p_active"))
    assert after < .01 < before, (before, after)
    assert brier_score(came, told["p_active"]) < brier_score(came, told["said"]) - .005


def test_recalibration_sees_nothing_after_the_split():
    tables = corner_tables()
    log = tables["transactions"]
    early = log[log["timestamp"] < "2024-02-11"]
    changed = pd.concat([early, log[log["timestamp"] >= "2024-02-11"].assign(customer_id="dan")])
    told = [recalibrate(load_shop(tables | {"transactions": t}, timestamps="local"), 1.0, split=split, models=(NBD,), splits=3).predict(1.0)
            for t, split in ((changed, "2024-02-10"), (early, None))]
    pd.testing.assert_frame_equal(*told)


@pytest.mark.parametrize("ask, said", [
    (lambda shop: evaluate_holdout(customer_summary(shop)), "no holdout_frequency"),
    (lambda shop: customer_summary(shop, split="2031-01-01"), "leaves nothing after it"),
    (lambda shop: recalibrate(shop, 0.0), "no time ahead"),
    (lambda shop: recalibrate(shop, 1.0, models=(NBD, BGNBD), method="isotonic"), "with one model"),
    (lambda shop: recalibrate(shop, 1.0, method="magic"), "is not known")], ids=range(5))
def test_a_wrong_holdout_is_named(ask, said):
    with pytest.raises(ValueError, match=said):
        ask(load_shop("corner"))


def test_the_donations_of_the_paper():
    table = pd.read_csv(published("donations.csv")).rename(columns={"periods": "age"})
    assert table["weights"].sum() == 11_104
    fitted = BGBB(table, weights=table["weights"]).fit()
    assert fitted.converged and fitted.nobs == 11_104 and abs(fitted.llf + 33225.58) < .01
    np.testing.assert_allclose(fitted.params, [1.204, .750, .657, 2.783], atol=6e-4)
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert abs(BGBB(table, weights=table["weights"]).fit(start=fitted.params * np.exp(rng.uniform(-2, 2, 4))).llf - fitted.llf) < 1e-5


def test_the_whole_distribution_of_occasions():
    people = pd.DataFrame({"frequency": [0, 1, 3, 6, 2], "recency": [0, 6, 4, 6, 2], "age": [6, 6, 6, 6, 9]})
    fitted = at(BGBB, people, [1.2, .75, .66, 2.78])
    told, ahead = predict_visits(fitted, 5, most=5), fitted.predict(5)
    np.testing.assert_allclose(told.pmf.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(told.pmf["more"].astype(float), 0, atol=1e-12)
    np.testing.assert_allclose(told.pmf[0], 1 - ahead["p_active"], atol=1e-12)
    np.testing.assert_allclose(told.mean, ahead["expected"], atol=1e-12)
    drawn = simulate_occasions(60_000, 1.2, .75, .66, 2.78, age=6, holdout=5, seed=2)
    some = drawn[(drawn["frequency"] == 3) & (drawn["recency"] == 4)]["holdout_frequency"].value_counts(normalize=True).reindex(range(6), fill_value=0)
    assert abs(some - told.pmf.iloc[2, :6].astype(float)).max() < .03


def test_contracts_are_forecast_from_where_they_stand():
    frame = pd.DataFrame({"age": [3.0, 3.0, 1.0], "left": [0.0, 1.0, 0.0]})
    told = at(ShiftedBetaGeometric, frame, [.7, 1.2]).predict(2)
    first, second = (1.2 + 3) / (1.9 + 3), (1.2 + 4) / (1.9 + 4)
    np.testing.assert_allclose(told.iloc[0], [1, first * second, first + first * second])
    np.testing.assert_allclose(told.iloc[1], 0)


@pytest.mark.parametrize("model, point, options", [*EVERY, (BGBB, [1.2, .75, .66, 2.78], {})], ids=[*(m.__name__ for m, _, _ in EVERY), "BGBB"])
def test_a_loaded_model_is_equal_to_the_last_digit(model, point, options, tmp_path):
    frame = pd.DataFrame({"frequency": [0, 2, 3, 6], "recency": [0, 3, 4, 6], "age": [6, 6, 6, 9], "log_gaps": 1.0})
    frame.attrs = {"unit": "W", "split": "2024-03-31"}
    fitted = at(model, frame.head(3), point, **options)
    again = load_model(save_model(fitted, tmp_path / "model.json"))
    pd.testing.assert_frame_equal(again.predict(5, frame), fitted.predict(5, frame), check_exact=True)
    pd.testing.assert_frame_equal(predict_visits(again, 5, frame, most=4).pmf, predict_visits(fitted, 5, frame, most=4).pmf, check_exact=True)
    assert str(again.summary()) == str(fitted.summary()) and not list(tmp_path.glob(".*"))
    with pytest.raises(ValueError, match="Give summary="):
        again.predict(5)


def test_a_loaded_formula_knows_its_levels(tmp_path):
    frame = crowd(600, 21).assign(band=lambda f: pd.Categorical(np.where(f.index % 3, "young", "old"), ["young", "old"], ordered=True), income=lambda f: 10.0 + f.index % 7)
    fitted = ParetoNBD(frame, transaction="band + scale(income)", penalty=1.0).fit()
    again = load_model(save_model(fitted, tmp_path / "model.json"))
    some = frame.iloc[[1, 2, 3]]
    pd.testing.assert_frame_equal(again.predict(5.0, some), fitted.predict(5.0, some), check_exact=True)
    for results in (fitted, again):
        with pytest.raises(ValueError, match="ageless"):
            results.predict(5.0, some.assign(band="ageless"))


def test_a_file_runs_nothing(tmp_path):
    fitted = ParetoNBD(crowd(300, 22).assign(income=lambda f: 1.0 + f.index % 5), transaction="log(income)", penalty=1.0).fit()
    path = save_model(fitted, tmp_path / "model.json")
    text, mark = path.read_text(), tmp_path / "ran"
    for attack in (f"{{open('{mark}', 'w')}}", f"{{np.save('{mark}', income)}}", f"{{income.to_csv('{mark}')}}", f"{{(lambda: open('{mark}', 'w'))()}}"):
        path.write_text(text.replace("log(income)", attack))
        with pytest.raises(ValueError, match="not run from a file"):
            load_model(path)
    assert not mark.exists() and not mark.with_suffix(".npy").exists()
    path.write_text('{"format": "retail_insight.timing 9", "model": "NBD"}')
    with pytest.raises(ValueError, match="another version"):
        load_model(path)


@pytest.mark.parametrize("ask, said", [
    (lambda: BGBB(pd.DataFrame({"frequency": [3], "recency": [2], "age": [6]})), "no more can be used"),
    (lambda: BGBB(pd.DataFrame({"frequency": [1], "recency": [-2], "age": [6]})), "recency must lie between"),
    (lambda: ShiftedBetaGeometric(pd.DataFrame({"age": [1.5], "left": [0]})), "whole number of renewals")], ids=range(3))
def test_wrong_occasions_are_named(ask, said):
    with pytest.raises(ValueError, match=said):
        ask()


def test_a_ridge_draws_intervals_without_a_warning():
    frame = pd.DataFrame({"frequency": [1.0, 2.0], "recency": [1.0, 5.0], "age": [9.0, 9.0]})
    fitted = at(ParetoNBD, frame, [.55, 10.6, .6, 11.7])
    vars(fitted)["_cov_logs"] = np.diag([.01, .01, -1e-7, 4.0]) # as rounding leaves it along a ridge
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = fitted.predict(5.0, alpha=.1, draws=50)
    assert (told["expected_lower"] < told["expected"]).all() and (told["expected"] < told["expected_upper"]).all()
