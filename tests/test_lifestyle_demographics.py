"""Demographics inferred from purchases: what is known stays, what cannot be told stays unknown, nothing is learned from itself."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.lifestyle import infer_demographics
from retail_insight.lifestyle.demographics import (
    OutOfFold,
    band_probabilities,
    fit_bands,
    join_bands,
    judge_bands,
    known_demographics,
    learn_attribute,
    out_of_fold,
    reason_not,
    shopping_features,
    taste_components,
    temper_folds,
)
from retail_insight.lifestyle.taste import taste_index

DATA = os.environ.get("RETAIL_INSIGHT_DATA")


@pytest.fixture(scope="module")
def journey():
    return load_shop("complete_journey")


@pytest.fixture(scope="module")
def told(journey):
    return infer_demographics(journey, attributes=["income_band", "children"])


@pytest.fixture(scope="module")
def online():
    if not DATA or not (Path(DATA) / "online_retail").is_dir():
        pytest.skip("Online Retail is not here")
    return load_shop(Path(DATA) / "online_retail" / "transactions.parquet", columns="online_retail")


def planted(n=400, seed=0, levels=3):
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(rng.normal(size=(n, 5)), pd.RangeIndex(n, name="customer_id"))
    code = pd.qcut(x[0] * 2 + rng.logistic(size=n), levels, labels=False)
    names = [f"band {i}" for i in range(levels)]
    return x, pd.Series(pd.Categorical.from_codes(code, names, ordered=True), x.index, name="band")


def corner(**changes):
    return load_shop({**corner_tables(), **changes}, timestamps="local")


def test_complete_journey_is_told_as_far_as_it_can_be(told, journey):
    table, frame = told.summary(), told.to_frame()
    households = journey.query("SELECT DISTINCT customer_id FROM transactions WHERE customer_id IS NOT NULL")
    customers = journey.query("FROM customers").set_index("customer_id")
    assert len(frame) == 2 * len(households) and (table["labelled"] + table["unknown"] == len(households)).all()
    income = table.loc["income_band"]
    assert income["gain_lower"] > 0 and income["ece"] <= income["ece_chance"] and income["verdict"] == "inferred"
    assert income["over_boosting_upper"] > 0  # boosting is not surely better
    known = frame[frame["status"] == "known"].set_index(["customer_id", "attribute"])["value"]
    given = customers[["income_band", "children"]].astype(object).melt(ignore_index=False, var_name="attribute").set_index("attribute", append=True)["value"].dropna()
    pd.testing.assert_series_equal(known.sort_index(), given.sort_index().astype(known.dtype), check_names=False)
    for name, part in frame.groupby("attribute"):
        silent = part[part["status"] != "known"]
        assert set(silent["status"]) == {"inferred" if table.loc[name, "verdict"] == "inferred" else "cannot tell"}
        if table.loc[name, "verdict"] != "inferred":
            assert silent["value"].isna().all() and silent["probability"].isna().all()
    p = told.probabilities("income_band")
    assert len(p) == len(households) and np.allclose(p.sum(axis=1), 1)


def test_the_figures_are_those_of_an_obvious_count(told):
    a = told.attributes["income_band"]
    p = pd.DataFrame(temper_folds(a.seen), a.bands.index, a.bands.cat.categories)
    likeliest = p.idxmax(axis=1)
    assert np.isclose(a.judged["accuracy"], np.mean([likeliest[c] == a.bands[c] for c in a.bands.index]))
    assert np.isclose(a.judged["majority"], a.bands.value_counts(normalize=True).iloc[0], atol=.005)
    shares = pd.DataFrame(a.seen.shares, a.bands.index, a.bands.cat.categories)
    nats = [np.log(p.loc[c, a.bands[c]]) - np.log(shares.loc[c, a.bands[c]]) for c in a.bands.index]
    assert np.isclose(a.judged["nats"], np.mean(nats))


def test_components_are_those_of_the_pandas_index(journey):
    ours = taste_components(journey, "2017-03-31")
    frame = taste_index(journey, "type", "2017-03-31")
    often = frame.items["buyers"].sort_values(ascending=False, kind="stable")
    often = often[often >= 50].index[:1000]
    counts = frame.to_frame().pivot_table("n", "customer_id", "type", fill_value=0)[sorted(often)]
    counts = counts[counts.sum(axis=1) > 0]
    expected = np.outer(counts.sum(axis=1), counts.sum()) / counts.to_numpy().sum()
    plain = np.log((counts + 1) / (expected + 1))
    first = np.linalg.svd((plain - plain.mean()) / plain.std(), full_matrices=False)[0][:, 0]
    assert list(ours.index) == list(counts.index) and np.allclose(ours.std(ddof=0), 1)
    assert abs(np.corrcoef(first, ours["taste_1"])[0, 1]) > .8  # another shape, the same direction
    assert np.abs(np.corrcoef(ours.to_numpy(), rowvar=False) - np.eye(15)).max() < 1e-6


def test_amounts_equal_pandas_on_complete_journey(journey):
    ours = shopping_features(journey)
    log = journey.query("SELECT customer_id, local_date, amount::DOUBLE AS amount FROM transactions WHERE customer_id IS NOT NULL")
    sums = log.groupby("customer_id").agg(spend=("amount", "sum"), lines=("amount", "size"), visits=("local_date", "nunique"))
    for name, values in {"visits": sums["visits"], "spend": sums["spend"], "spend_a_line": sums["spend"] / sums["lines"]}.items():
        logs = np.log(values)
        assert np.allclose(ours[name], (logs - logs.mean()) / logs.std(ddof=0))


def test_planted_bands_are_found_and_noise_is_not():
    x, bands = planted()
    silent = bands.index >= 300
    learned = learn_attribute(bands.where(~silent), x)
    assert learned.inferred and learned.judged["gain_lower"] > .1
    right = learned.probabilities[silent].idxmax(axis=1) == bands[silent].astype(str)
    assert abs(right.mean() - learned.judged["accuracy"]) < .12
    noise = pd.DataFrame(np.random.default_rng(9).normal(size=x.shape), x.index)
    nothing = learn_attribute(bands, noise)
    assert not nothing.inferred and "not surely righter" in nothing.reason


def test_no_band_is_foreseen_from_itself():
    x, bands = planted()
    code = bands.cat.codes.to_numpy().astype(int)
    seen = out_of_fold(x.to_numpy(), code, True)
    for i in range(5):
        ahead = seen.fold == i
        learn = x.to_numpy()[~ahead], code[~ahead]
        assert np.allclose(seen.ours[ahead], band_probabilities(fit_bands(*learn, True), x.to_numpy()[ahead]))
        assert np.allclose(seen.shares[ahead], np.bincount(learn[1]) / len(learn[1]))
        assert abs(np.bincount(code[ahead]) - np.bincount(code) / 5).max() <= 1
    assert (np.bincount(seen.fold) == 80).all()


def test_bold_probabilities_are_not_called_calibrated():
    x, bands = planted(800)
    code = bands.cat.codes.to_numpy().astype(int)
    seen = out_of_fold(x.to_numpy(), code, True)
    sure = np.full_like(seen.ours, .01)
    sure[np.arange(len(code)), seen.ours.argmax(axis=1)] = .98
    judged = judge_bands(OutOfFold(code, seen.fold, sure, seen.shares, seen.boosting))
    assert judged["gain_lower"] > 0 and judged["ece"] > judged["ece_chance"] and "not calibrated" in reason_not(judged)
    honest = judge_bands(seen)
    assert honest["ece"] <= honest["ece_chance"]


@pytest.mark.parametrize("share", [0, .1, .3])
def test_joined_bands_keep_everybody(share):
    counts = {"a": 5, "b": 40, "c": 2, "d": 90, "e": 7}
    column = pd.Series(pd.Categorical(np.repeat(list(counts), list(counts.values())), list(counts), ordered=True))
    joined = join_bands(column, share, folds=2)
    assert len(joined) == 144 and joined.notna().all()
    assert (joined.value_counts() >= share * 144).all() or joined.nunique() == 2
    assert (pd.Series(joined.cat.codes).diff().fillna(0) >= 0).all()  # neighbours only


def test_shops_that_cannot_say():
    tables = corner_tables()
    with pytest.raises(ContractError, match=r"customers: none of its 0 rows has one of age_band, .*nobody to learn from"):
        infer_demographics(load_shop({k: v for k, v in tables.items() if k != "customers"}, timestamps="local"))
    with pytest.raises(ContractError, match="customers: none of its 4 rows has one of age_band"):
        infer_demographics(corner(customers=tables["customers"][["customer_id"]]))
    with pytest.raises(ValueError, match="attributes: 1 of 2 are no columns of customers, first: 'shoe_size'"):
        infer_demographics(load_shop("corner"), attributes=["sex", "shoe_size"])
    with pytest.raises(ValueError, match="before the first line"):
        infer_demographics(load_shop("corner"), "2000-01-01")
    with pytest.raises(ValueError, match=r"no line up to|has a customer_id"):
        infer_demographics(corner(transactions=tables["transactions"].assign(customer_id=None)))
    few = infer_demographics(load_shop("corner"))
    assert few.summary().loc["region", "verdict"] == "cannot tell: said by 4 customers, 1 of them 'east': too few for 5 folds"
    assert set(few.of("eve")["status"]) == {"cannot tell"} and few.of("ana").loc["sex", "value"] == "F"
    same = infer_demographics(corner(customers=tables["customers"].assign(sex="F")), attributes=["sex"])
    assert same.summary().loc["sex", "verdict"].startswith("cannot tell: said by 4 customers, always as 'F'")
    with pytest.raises(KeyError, match="neither in the customer table nor in the log"):
        few.of("zoe")
    with pytest.raises(KeyError, match="was not asked for"):
        same.probabilities("age_band")


def test_somebody_in_the_table_who_never_bought_stays_unknown():
    tables = corner_tables()
    guest = tables["customers"].iloc[:1].assign(customer_id="zoe", sex=None)
    shop = corner(customers=pd.concat([tables["customers"], guest]))
    people = infer_demographics(shop, attributes=["sex", "age_band"])
    assert people.of("zoe").loc["sex", "status"] == "cannot tell" and people.of("zoe").loc["age_band", "status"] == "known"


def test_the_future_changes_nothing():
    log, day = corner_tables()["transactions"], "2024-02-10"
    before, later = log[log["timestamp"] < "2024-02-11"], log[log["timestamp"] >= "2024-02-11"]
    other = later.assign(product_id="beer", customer_id="ana", amount=99.0)
    worlds = [shopping_features(corner(transactions=t), day) for t in (log, before, pd.concat([before, other]))]
    for world in worlds[1:]:
        pd.testing.assert_frame_equal(world, worlds[0])


def test_online_retail_knows_countries_only(online):
    assert list(known_demographics(online)) == ["region"]
    people = infer_demographics(online)
    row = people.summary().loc["region"]
    assert row["bands"] == 2 and row["unknown"] == 0
    assert (people.to_frame()["status"] == "known").all()
    assert row["verdict"] == "inferred" or row["verdict"].startswith("cannot tell: ")
