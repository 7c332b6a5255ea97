"""Scores against independent implementations, closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from retail_insight import scoring

RNG = np.random.default_rng(0)
P = np.round(RNG.beta(2, 3, 500), 2)  # with ties
Y = (RNG.random(500) < P).astype(int)


def test_events_equal_scikit_learn():
    assert np.isclose(scoring.log_loss(Y, P.clip(0.01, 0.99)), metrics.log_loss(Y, P.clip(0.01, 0.99)))
    assert np.isclose(scoring.brier_score(Y, P), metrics.brier_score_loss(Y, P))
    assert np.isclose(scoring.roc_auc(Y, P), metrics.roc_auc_score(Y, P))
    assert np.isclose(scoring.pr_auc(Y, P), metrics.average_precision_score(Y, P))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_equals_scikit_learn(level):
    actual, forecast = RNG.gamma(3, 2, 200), RNG.gamma(3, 2, 200)
    assert np.isclose(scoring.pinball_loss(actual, forecast, level), metrics.mean_pinball_loss(actual, forecast, alpha=level))


def test_crps_of_a_normal_has_its_closed_form():
    y, levels = 0.7, (np.arange(2000) + 0.5) / 2000
    closed = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    assert np.isclose(scoring.crps_quantiles([y], [stats.norm.ppf(levels)], levels), closed, atol=1e-3)
    assert np.isclose(scoring.crps_samples([y], [stats.norm.ppf(levels)]), closed, atol=1e-3)


def test_ndcg_equals_scikit_learn_list_by_list():
    actual, score = (RNG.random((30, 25)) < 0.2).astype(int), RNG.random((30, 25))
    actual[:, 0] = 1
    group = np.repeat(np.arange(30), 25)
    ours = scoring.ndcg_at(actual.ravel(), score.ravel(), group, k=10, ideal="min")
    theirs = [metrics.ndcg_score(a[None], s[None], k=10) for a, s in zip(actual, score, strict=True)]
    assert np.allclose(ours, theirs)


def test_recall_by_the_obvious_way():
    actual, score = (RNG.random((30, 25)) < 0.2).astype(int), RNG.random((30, 25))
    actual[:, 0] = 1
    obvious = [a[np.argsort(-s)[:5]].sum() / a.sum() for a, s in zip(actual, score, strict=True)]
    assert np.allclose(scoring.recall_at(actual.ravel(), score.ravel(), np.repeat(np.arange(30), 25), k=5), obvious)


def test_the_floor_is_what_calibrated_outcomes_show():
    floor = scoring.ece_floor(P, repeats=1500, seed=1)
    rng = np.random.default_rng(2)
    errors = [scoring.expected_calibration_error(rng.random(len(P)) < P, P) for _ in range(1500)]
    assert np.isclose(floor["mean"], np.mean(errors), rtol=0.05)
    assert 0.93 < np.mean(np.array(errors) < floor["upper"]) < 0.97


def test_bootstrap_by_group_covers_as_often_as_it_says():
    rng, covered = np.random.default_rng(3), 0
    group = np.repeat(np.arange(40), 5)
    for n in range(200):
        loss = rng.normal(size=200)
        other = loss - 0.1 - rng.normal(0, 0.3, 40)[group]
        found = scoring.paired_bootstrap(loss, other, group=group, repeats=300, seed=n)
        covered += found["lower"] <= 0.1 <= found["upper"]
    assert 0.88 <= covered / 200 <= 0.99


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="0 values for 0 outcomes"):
        scoring.log_loss([], [])
    with pytest.raises(ValueError, match="must lie in"):
        scoring.brier_score([1], [1.5])
    with pytest.raises(ValueError, match="1 of 2 values are missing"):
        scoring.crps_samples([1, 2], [[1, 2], [np.nan, 1]])
    with pytest.raises(ValueError, match="for 2 levels"):
        scoring.crps_quantiles([1], [[1]], [0.1, 0.9])
    assert np.isnan(scoring.pr_auc([0, 0], [0.1, 0.2]))
