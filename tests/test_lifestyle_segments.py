"Segments, demographics and worth: what was planted is found, noise has nothing, and the future does not reach back."

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from retail_insight.contract import ContractError, load_shop
from retail_insight.contract.tables import corner_tables
from retail_insight.lifestyle import consumption_pattern, lifestyle_axes, lifestyle_segments
from retail_insight.lifestyle.names import name_segments


def planted(n: int = 600, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = np.array([[2.0, -0.5, 1.5, 0], [-0.5, 2.2, 0, 1.5], [-0.5, -0.5, -0.5, -0.5]])
    kind = rng.choice(3, n, p=[0.2, 0.3, 0.5])
    ids = pd.Index(np.arange(n), name="customer_id")
    return pd.DataFrame(centres[kind] + rng.normal(0, 0.7, (n, 4)), ids, list("abcd")), kind


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_planted_segments_are_recovered(seed):
    scores, kind = planted(seed=seed)
    found = lifestyle_segments(scores, repeats=7)
    assert found.stable and len(found.names) == 3
    assert adjusted_rand_score(kind, found.to_frame()["segment"]) > 0.9
    assert np.allclose(found.probabilities(scores).sum(axis=1), 1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_has_no_segments(seed):
    noise = pd.DataFrame(np.random.default_rng(seed).normal(size=(500, 5)), columns=list("abcde"))
    found = lifestyle_segments(noise, repeats=7)
    assert not found.stable and found.names == ["everybody"] and found.reason
    assert (found.to_frame()["segment"] == "everybody").all()


def test_a_cut_is_made_and_not_called_stable():
    noise = pd.DataFrame(np.random.default_rng(4).normal(size=(500, 4)), columns=list("abcd"))
    cut = lifestyle_segments(noise, cut=4, repeats=5)
    assert len(cut.names) == 4 and not cut.stable and "not to be taken" in cut.reason


@pytest.mark.parametrize("seed", range(20))
def test_names_are_different_and_say_what_is_there(seed):
    rng = np.random.default_rng(seed)
    axes = ["big trolley", "evening", "promotion hunter", "weekend", "seldom, uneven rhythm", "dear items, many offers", "BEEF + CORN", "CAT FOOD + PIZZA", "Tea"]
    apart = pd.DataFrame([(s, a, d, d - 0.1, d + 0.1) for s in range(7) for a, d in zip(axes, rng.choice([-1.2, -0.6, 0.1, 0.6, 1.2], 9), strict=True)],
                         columns=["segment", "axis", "difference", "lower", "upper"])
    names = name_segments(apart, list(range(7)))
    assert len(set(names)) == 7 and all(2 <= len(name.split()) <= 12 for name in names)
    for segment, name in enumerate(names):
        mine = apart[apart["segment"] == segment].set_index("axis")["difference"]
        words = name.lower()
        assert "less" not in words and ("little" not in words or (mine[:6].abs() < 0.2).all())
        for word, axis, sign in (("big trolleys", "big trolley", 1), ("small baskets", "big trolley", -1), ("evening", "evening", 1), ("daytime", "evening", -1), ("frequent", axes[4], -1),
                                 ("occasional", axes[4], 1), ("full-price", "promotion hunter", -1), ("with beef", "BEEF + CORN", 1), ("cheap items", axes[5], -1)):
            assert word not in words or sign * mine[axis] > 0.2


def test_two_runs_are_one():
    scores, _ = planted()
    first, second = (lifestyle_segments(scores, repeats=5).to_frame() for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_few_customers_and_alike_customers_are_said():
    scores, _ = planted(40)
    assert "too few" in lifestyle_segments(scores).reason
    assert "alike" in lifestyle_segments(pd.DataFrame(1.0, index=range(100), columns=["a"])).reason
    with pytest.raises(ValueError, match="missing or infinite"):
        lifestyle_segments(planted()[0].replace(planted()[0].iloc[0, 0], np.nan))
    with pytest.raises(ValueError, match="at least 1"):
        lifestyle_segments(scores, numbers=[0, 3])


def test_the_future_changes_no_score():
    tables = corner_tables()
    log = tables["transactions"]
    early = log[pd.to_datetime(log["timestamp"]).dt.date < pd.Timestamp("2024-02-01").date()]
    whole, cut = (load_shop(tables | {"transactions": t}, timestamps="local") for t in (log, early))
    first, second = (lifestyle_axes(s, "2024-01-31", n_tastes=2) for s in (whole, cut))
    pd.testing.assert_frame_equal(first.score(whole, "2024-01-31"), second.score(cut, "2024-01-31"))
    pd.testing.assert_frame_equal(first.score(whole, "2024-01-20"), second.score(cut, "2024-01-20"))


def test_axes_are_the_pattern_of_the_day_on_complete_journey():
    journey = load_shop("complete_journey")
    axes = lifestyle_axes(journey, "2017-03-31")
    scores = axes.score(journey, "2017-03-31")
    pd.testing.assert_frame_equal(scores[axes.weights.columns], consumption_pattern(journey, "2017-03-31").scores, atol=1e-8)
    later = axes.score(journey, "2017-04-30", since="2017-04-01")
    sql = "SELECT count(DISTINCT transaction_id) AS n FROM transactions WHERE quantity > 0 AND customer_id IS NOT NULL AND local_date BETWEEN '2017-04-01' AND '2017-04-30'"
    assert later["baskets"].sum() == journey.query(sql)["n"].iloc[0]


def test_shops_that_lack_something():
    tables = corner_tables()
    nobody = load_shop(tables["transactions"].assign(customer_id=None), timestamps="local")
    with pytest.raises(ContractError, match="customer_id"):
        lifestyle_segments(nobody)
    log = load_shop(tables["transactions"], timestamps="local")
    assert lifestyle_segments(log).axes.space.by == "product_id"
    with pytest.raises(ValueError, match="before the first line"):
        lifestyle_segments(log, as_of="2020-01-01")
    one = load_shop(tables | {"transactions": tables["transactions"].head(1)}, timestamps="local")
    assert "too few" in lifestyle_segments(one).reason


@pytest.fixture(scope="module")
def online():
    data = os.environ.get("RETAIL_INSIGHT_DATA")
    if not data or not (Path(data) / "online_retail").is_dir():
        pytest.skip("Online Retail is not here")
    return load_shop(Path(data) / "online_retail" / "transactions.parquet", columns="online_retail")


def test_everybody_with_a_basket_is_placed_by_pattern_and_products(online):
    found = lifestyle_segments(online, numbers=[1, 2, 3], repeats=5)
    assert found.axes.space.by == "product_id" and set(found.axes.space.names) < set(found.scores)
    placed, baskets = found.to_frame(), found.axes.score(online)["baskets"]
    assert set(placed.index) == set(baskets.index) and len(found.scores) == (baskets >= found.min_baskets).sum()
    assert "3,948 of 4,339 customers made fewer than 10 baskets: they were left out of the search" in found.reason
    if found.stable:
        sure = placed["probability"].groupby(baskets.clip(upper=10)).mean()
        assert sure[1] < sure[10] and len(set(found.names)) == len(found.names)
        assert not any("less" in name or "more" in name for name in found.names)


def test_few_baskets_promise_no_more_than_they_keep(online):
    "Three months place those who can be placed by the rest of the year; by the pattern alone, few baskets taken for exact promise far too much."
    axes = lifestyle_axes(online)
    few, rest = axes.see(online, "2011-02-28"), axes.see(online, since="2011-03-01")
    rest = rest.of(rest.baskets >= 10)
    few = few.of(few.scores.index.isin(rest.scores.index) & (few.baskets <= 4))
    whole = axes.see(online)
    for names, boasts in ((list(axes.weights.columns), True), (list(whole.scores), False)):
        found = lifestyle_segments(whole.scores.loc[whole.baskets >= 10, names], cut=3, covariances=["spherical"], repeats=3)
        there = found.assign(rest.scores.loc[few.scores.index])["segment"]
        exact, blurred = found.probabilities(few.scores), found.probabilities(few.scores, few.blur)
        loss = [-np.log(p.to_numpy()[range(len(p)), there.cat.codes].clip(1e-9)).mean() for p in (exact, blurred)]
        shares = found.to_frame()["segment"].value_counts(normalize=True)
        assert len(there) > 100 and loss[1] < loss[0] and loss[1] < -np.log(shares[there].to_numpy()).mean()
        assert blurred.max(axis=1).mean() < (blurred.idxmax(axis=1) == there).mean() + 0.05
        if boasts:
            assert exact.max(axis=1).mean() > (exact.idxmax(axis=1) == there).mean() + 0.1
