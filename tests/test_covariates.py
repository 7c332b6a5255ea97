"""Covariates: what is known ahead uses nothing later, units and shares agree with the tables, promotions double nothing."""

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import ContractError, corner_tables, load_shop
from retail_insight.demand import UNIT_GOODS, add_covariates, build_demand, holiday_table


def shop_with(promotions, **tables):
    columns = ["product_id", "store_id", "start_date", "end_date", "display", "mailer"]
    return load_shop(corner_tables() | {"promotions": pd.DataFrame(promotions, columns=columns)} | tables, timestamps="local")


COFFEE = ("coffee", "corner", "2024-01-29", "2024-02-04", "window", None)


def column(demand, name, product):
    return demand.covariates.loc[demand.covariates["product_id"] == product, name].to_numpy()


def test_a_promotion_entered_twice_counts_once():
    once, twice = (add_covariates(build_demand(s, "product_id"), s, steps=2) for s in (shop_with([COFFEE]), shop_with([COFFEE, COFFEE])))
    pd.testing.assert_frame_equal(once.covariates, twice.covariates)
    assert column(once, "display_window", "coffee").max() == pytest.approx(1)


def test_overlapping_promotions_share_their_days_and_keep_their_codes():
    shop = shop_with([("milk", "corner", "2024-01-29", "2024-01-31", "end", None), ("milk", None, "2024-01-31", "2024-02-01", "window", "A")])
    found = add_covariates(build_demand(shop, "product_id"), shop, steps=2)
    week = 4
    assert column(found, "promotion", "milk")[week] == pytest.approx(4 / 7)
    assert column(found, "display_end", "milk")[week] > 0 and column(found, "display_window", "milk")[week] > 0 and column(found, "mailer_A", "milk")[week] > 0
    assert column(found, "promotion", "milk").sum() == pytest.approx(4 / 7)


@pytest.mark.parametrize("by, freq", [("product_id", "W"), (["store_id", "category"], "W"), ("category", "D"), ("all", "W")])
def test_the_future_changes_nothing_that_is_known(by, freq):
    tables, cut = corner_tables(), "2024-01-28" if freq == "W" else "2024-01-31"
    other = {k: t.copy() for k, t in tables.items()}
    late = other["transactions"]["timestamp"] >= pd.Timestamp(cut) + pd.Timedelta(days=1)
    other["transactions"].loc[late, ["quantity", "amount"]] = 40., 1.
    other["transactions"].loc[late, "discount"] = 3.
    a, b = (add_covariates(build_demand(s, by, freq=freq), s, steps=2, holidays="US") for s in (load_shop(t, timestamps="local") for t in (tables, other)))
    ahead = a.covariates["period"] <= pd.Timestamp(cut) + pd.Timedelta(days=14 if freq == "W" else 2)
    pd.testing.assert_frame_equal(a.covariates.loc[ahead, list(a.known)], b.covariates.loc[ahead, list(b.known)])
    past = a.covariates["period"] <= pd.Timestamp(cut)
    pd.testing.assert_frame_equal(a.covariates[past], b.covariates[past])
    seen = a.covariates["period"] <= a.periods[-1]
    assert not np.allclose(a.covariates.loc[seen, "price"].fillna(0), b.covariates.loc[seen, "price"].fillna(0))


def test_an_absent_future_changes_nothing_either():
    tables = corner_tables()
    short = tables | {"transactions": tables["transactions"][tables["transactions"]["timestamp"] < "2024-02-05"]}
    then = build_demand(load_shop("corner"), "category", as_of="2024-02-04")
    whole, cut = add_covariates(then, load_shop("corner"), steps=2), None
    shop = load_shop(short, timestamps="local")
    cut = add_covariates(build_demand(shop, "category"), shop, steps=2)
    pd.testing.assert_frame_equal(whole.covariates, cut.covariates)


def test_prices_are_amounts_over_units_and_never_from_the_future():
    shop = load_shop("corner")
    found = add_covariates(build_demand(shop, ["store_id", "product_id"]), shop)
    log = shop.query("SELECT product_id, date_trunc('week', local_date) AS period, sum(amount)::DOUBLE / sum(quantity) AS price, "
                     "sum(discount)::DOUBLE / sum(amount + discount)::DOUBLE AS depth FROM transactions WHERE quantity > 0 GROUP BY ALL")
    both = log.merge(found.covariates, on=["product_id", "period"], suffixes=("", "_ours"))
    assert len(both) == len(log) and np.allclose(both["price"], both["price_ours"]) and np.allclose(both["depth"], both["depth_ours"])
    first = log.groupby("product_id")["period"].min()
    early = found.covariates[found.covariates["period"] < found.covariates["product_id"].map(first)]
    assert early["price"].isna().all()
    with pytest.raises(ValueError, match="'price' is observed only"):
        found.until("2024-01-22").ahead(["price"], 1)
    assert found.ahead(["planned_depth", "month"], 4).shape == (len(found.series), 4, 2)


def test_segments_and_channels_share_what_their_goods_have():
    shop = load_shop("corner")
    plain = add_covariates(build_demand(shop, "product_id"), shop)
    parts = add_covariates(build_demand(shop, "product_id", segments=pd.Series({"ana": "a", "ben": "b", "cleo": "b", "dan": "b"}), rest="c"), shop)
    both = parts.covariates.merge(plain.covariates, on=["product_id", "period"], suffixes=("", "_plain"))
    assert len(both) == len(parts.covariates) and np.allclose(both["display"], both["display_plain"])


def test_holidays_are_asked_for_and_dates_are_right():
    table = holiday_table("US", pd.Timestamp("2024-01-01").date(), pd.Timestamp("2024-12-31").date())
    assert table.set_index("event").loc["Thanksgiving Day", "start_date"] == pd.Timestamp("2024-11-28")
    shop = load_shop("corner")
    daily = add_covariates(build_demand(shop, "all", freq="D"), shop, holidays="US")
    days = daily.covariates.set_index("period")
    assert days.index[days["holiday"] == 1].strftime("%m-%d").tolist() == ["01-01", "01-15", "02-19"]
    assert (days["weekday"] == days.index.day_of_week + 1).all() and days.loc["2024-02-17", "days_to_holiday"] == 2
    assert "holiday" not in add_covariates(build_demand(shop, "all"), shop).covariates


def test_bad_input_is_named():
    shop = load_shop("corner")
    demand = build_demand(shop, "category")
    with pytest.raises(ValueError, match="ISO 3166"):
        add_covariates(demand, shop, holidays="Atlantis")
    with pytest.raises(ValueError, match="steps=0"):
        add_covariates(demand, shop, steps=0)
    with pytest.raises(ContractError, match="events: column \\['end_date'\\] is missing"):
        add_covariates(demand, shop, events=pd.DataFrame({"event": ["x"], "start_date": ["2024-01-01"]}))
    with pytest.raises(ContractError, match="1 of 1 rows have no name or end before they start"):
        add_covariates(demand, shop, events=pd.DataFrame({"event": ["x"], "start_date": ["2024-01-02"], "end_date": ["2024-01-01"]}))
    with pytest.raises(ContractError, match="none of its 8 series is in the shop"):
        add_covariates(demand, load_shop(corner_tables()["transactions"], timestamps="local"))


def test_a_shop_with_nothing_but_a_log_has_prices_and_a_calendar():
    plain = load_shop(corner_tables()["transactions"], timestamps="local")
    found = add_covariates(build_demand(plain, "product_id"), plain)
    assert found.known == ("month",) and {"price", "depth"} <= set(found.covariates)


def test_units_and_shares_of_the_large_shop():
    shop = load_shop("complete_journey")
    demand = build_demand(shop, ["store_id", "category"], where=UNIT_GOODS + " AND category IN ('BEERS/ALES', 'COFFEE') AND store_id IN (367, 406)", cap=48)
    found = add_covariates(demand, shop)
    assert len(found.covariates) == len(demand.series) * (len(demand.periods) + 4)
    shares = found.covariates[["promotion", "display", "mailer", "planned_depth", "coupon"]]
    assert ((shares >= 0) & (shares <= 1)).all(axis=None) and (shares.max() > 0).all()
    log = shop.query("SELECT store_id, category, date_trunc('week', local_date) AS period, (sum(amount) / sum(quantity))::DOUBLE AS paid FROM transactions "
                     "JOIN products USING (product_id) WHERE quantity > 0 AND category IN ('BEERS/ALES', 'COFFEE') AND store_id IN (367, 406) GROUP BY ALL")
    both = log.merge(found.covariates, on=["store_id", "category", "period"])
    assert len(both) == len(log) and np.allclose(both["paid"], both["price"])


def test_products_and_stores_that_come_later_change_nothing():
    tables, day = corner_tables(), "2024-02-04"
    late = tables["transactions"]["timestamp"] >= "2024-02-05"
    new = {k: t.copy() for k, t in tables.items()}
    new["transactions"].loc[late, ["product_id", "store_id"]] = "ale", "rival"
    new["products"] = pd.concat([new["products"], new["products"].iloc[:1].assign(product_id="ale")])
    new["stores"] = pd.DataFrame({"store_id": ["corner", "rival"]})
    a, b = (add_covariates(build_demand(s, "category", as_of=day), s, steps=2) for s in (load_shop(t, timestamps="local") for t in (tables, new)))
    pd.testing.assert_frame_equal(a.covariates, b.covariates)
