"""Cards: the same figures as the obvious version, every part missing in turn, and nothing that overlaps or is obeyed."""

from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from retail_insight.contract import corner_tables, load_shop
from retail_insight.lifestyle import (
    Cards,
    build_cards,
    consumption_pattern,
    demographics_index,
    lifestyle_segments,
    means_index,
    profile_card,
    segment_card,
    segment_figures,
    segment_sizes,
    taste_index,
)
from retail_insight.profile import build_profiles, segment_index


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def cards() -> Cards:
    "Both tiers of a real shop, with segments that were asked for."
    shop = load_shop("complete_journey")
    profiles, pattern = build_profiles(shop), consumption_pattern(shop)
    segments = lifestyle_segments(pattern.scores, cut=3, covariances=["diag"], repeats=3)
    labels = segments.to_frame()["segment"].astype(str)
    return Cards(profiles, pattern, taste_index(shop), segments, labels, segment_index(shop, labels, by="category").to_frame())


def said(page) -> list[str]:
    return [t.get_text() for t in page.findobj(Text) if t.get_text()]


def overlapping(page) -> list[tuple[str, str]]:
    "Texts whose boxes share more than a hair, and texts that leave the page."
    page.canvas.draw()
    ticks = [(axis, tick) for ax in page.axes for axis in (ax.xaxis, ax.yaxis) for tick in axis.get_major_ticks()]
    beyond = {id(tick.label1) for axis, tick in ticks if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())}
    texts = [t for t in page.findobj(Text) if id(t) not in beyond and t.get_text().strip() and t.get_visible() and (t.axes is None or t.axes.axison or t in t.axes.texts)]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts]
    out = [(a, "the edge of the page") for a, box in boxes if box.x0 < -1 or box.x1 > page.bbox.x1 + 1 or box.y0 < -1 or box.y1 > page.bbox.y1 + 1]
    pairs = [(a, b) for (a, one), (b, two) in combinations(boxes, 2) if min(one.x1, two.x1) - max(one.x0, two.x0) > 2 and min(one.y1, two.y1) - max(one.y0, two.y0) > 2]
    return out + pairs


@pytest.mark.parametrize("who", ["most", "fewest", "unknown"])
def test_nothing_overlaps_on_a_customers_page(cards, who):
    frame = cards.profiles.frame
    customer = {"most": frame["spend"].idxmax(), "fewest": frame["visits"].idxmin(), "unknown": frame.index[~frame["known"].astype(bool)][0]}[who]
    timing = pd.DataFrame({"p_alive": [.71], "expected_visits": [12.3], "next_visit": [pd.Timestamp("2018-01-03")]}, index=[customer])
    days = pd.date_range("2017-01-01", "2017-12-31")
    course = pd.DataFrame({"p_alive": np.linspace(1, .4, len(days)), "visit": np.arange(len(days)) % 30 == 0}, index=days)
    page = replace(cards, timing=timing).profile_card(customer, alive=course)
    assert {"When", "What", "Worth", "Where", "Who", "Will they come again?", "How they shop", "Tastes", "Lifestyle segment", "71%"} <= set(said(page))
    assert overlapping(page) == []


def test_nothing_overlaps_on_a_segments_page(cards):
    for segment in cards.segments.names:
        page = cards.segment_card(segment)
        assert {"Size and middle customer", "What they spend, and how", "Tastes: share of spend", "Who they are, of those who said"} <= set(said(page))
        assert overlapping(page) == []


def test_names_are_neither_obeyed_nor_too_long():
    tables = corner_tables()
    wild = {"DAIRY": "$x^{$ " * 12, "BREAD": "<script>alert(1)</script> and a very long tail of words", "BEER": "line\nbreak\x1b[31m"}
    tables["products"]["category"] = tables["products"]["category"].replace(wild)
    tables["products"]["department"] = tables["products"]["department"].astype(object).where(tables["products"]["category"] != "PASTA", "$$ \\frac{")
    tables["customers"]["region"] = "$y_{$ a region with a name that does not end"
    cards = build_cards(load_shop(tables, timestamps="local"))
    for customer in cards.profiles.frame.index:
        page = profile_card(cards, customer)
        assert overlapping(page) == [] and not [t for t in said(page) if "\x1b" in t]
        names = [t for t in page.findobj(Text) if "$" in t.get_text()]
        assert names and not any(t.get_parse_math() for t in names)


def test_figures_of_a_segment_are_the_obvious_ones(cards):
    frame, labels = cards.profiles.frame, cards.labels
    figures, sizes = segment_figures(cards.profiles, labels), segment_sizes(cards.profiles, labels)
    for name, mine in frame.loc[labels.index].groupby(labels):
        for column in ("spend", "visits", "own_brand_share"):
            expected = 100 * mine[column].astype(float).mean() / frame[column].astype(float).mean()
            np.testing.assert_allclose(figures.loc[(name, column), "index"], expected, rtol=1e-12)
        assert sizes.loc[name, "customers"] == len(mine)
        np.testing.assert_allclose(sizes.loc[name, "share_of_spend"], mine["spend"].astype(float).sum() / frame["spend"].astype(float).sum())
        assert figures.loc[(name, "spend"), "lower"] < figures.loc[(name, "spend"), "index"] < figures.loc[(name, "spend"), "upper"]


def test_demographics_are_indexed_among_those_who_said(cards):
    index, who = demographics_index(cards.profiles, cards.labels), cards.profiles.who()
    known = who["age_band"][~who["age_band"].isin(["unknown", "none"])].astype(str)
    for name in cards.labels.unique():
        mine = known[known.index.isin(cards.labels.index[cards.labels == name])]
        expected = 100 * mine.value_counts(normalize=True) / known.value_counts(normalize=True)
        for band, value in expected.dropna().items():
            np.testing.assert_allclose(index.loc[(name, f"age band: {band}"), "index"], value, rtol=1e-12)


def test_an_index_covers_what_is_true():
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.gamma(2, 1, (400, 300)))
    rows = means_index(values, pd.Series(np.where(rng.random(400) < .3, "a", "b"))).loc["a"]
    assert .91 <= ((rows["lower"] < 100) & (rows["upper"] > 100)).mean() <= .985


def test_without_anything_but_a_log_a_card_says_so():
    lines = corner_tables()["transactions"][["transaction_id", "timestamp", "customer_id", "product_id", "quantity", "amount"]]
    cards = build_cards(load_shop(lines, timestamps="local"))
    assert cards.taste.by == "product_id" and cards.names["milk"] == "milk"
    page = profile_card(cards, "ana")
    words = " ".join(said(page))
    assert "does not tell what kinds its products are" in words and "No model of return" in words and overlapping(page) == []
    page = segment_card(cards, cards.profiles.frame["segment"].iloc[0])
    assert "knows too little of who its customers are" in " ".join(said(page)) and overlapping(page) == []


def test_products_are_called_by_their_names_where_there_are_no_categories():
    tables = corner_tables()
    cards = build_cards(load_shop(tables | {"products": tables["products"][["product_id", "product_name"]]}, timestamps="local"))
    page = profile_card(cards, "ana")
    assert overlapping(page) == [] and {"Whole milk", "Rye bread"} & set(said(page))


def test_one_line_is_a_card_and_nobody_is_an_error():
    tables = corner_tables()
    one = load_shop(tables | {"transactions": tables["transactions"].query("customer_id == 'eve'").head(1)}, timestamps="local")
    assert overlapping(profile_card(one, "eve")) == []
    nobody = load_shop(tables | {"transactions": tables["transactions"].assign(customer_id=None)}, timestamps="local")
    with pytest.raises(ValueError, match="nobody to profile"):
        build_cards(nobody)
    with pytest.raises(ValueError, match="before the first line"):
        build_cards(one, "1999-01-01")
    with pytest.raises(KeyError, match="'zoe' is not among the 1"):
        profile_card(one, "zoe")
    with pytest.raises(KeyError, match="there is no segment 'dragons'"):
        segment_card(one, "dragons")
    with pytest.raises(ValueError, match="0 of 1 customers have one"):
        means_index(pd.DataFrame({"x": [1.]}), pd.Series({"somebody else": "a"}))
