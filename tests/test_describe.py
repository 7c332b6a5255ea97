"""The four V's: equal to the obvious pandas version, blind to the future, and clear about what it cannot know."""

import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import Shop, corner_tables, load_shop
from retail_insight.describe import FourVs, describe_column, describe_shop


@pytest.fixture(scope="module", params=["corner", "complete_journey"])
def described(request) -> tuple[Shop, FourVs, pd.DataFrame]:
    "A shop, its description, and its log with products beside."
    shop = load_shop(request.param)
    log = shop.query("SELECT t.*, p.category FROM transactions t LEFT JOIN products p USING (product_id)")
    return shop, describe_shop(shop), log


def figure(vs: FourVs, name: str) -> float:
    return vs.figures.set_index("figure").loc[name, "value"]


def test_volume_is_what_pandas_counts(described):
    _, vs, log = described
    assert figure(vs, "lines") == len(log)
    assert figure(vs, "receipts") == log["transaction_id"].nunique()
    assert figure(vs, "customers") == log["customer_id"].nunique()
    assert figure(vs, "products") == log["product_id"].nunique()
    assert figure(vs, "spend") == pytest.approx(log["amount"].sum())
    assert figure(vs, "days") == (log["local_date"].max() - log["local_date"].min()).days + 1


def test_variety_is_what_pandas_counts(described):
    _, vs, log = described
    shares = log["product_id"].value_counts(normalize=True)
    assert figure(vs, "effective products") == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    bought = log.dropna(subset="customer_id").drop_duplicates(["customer_id", "product_id"])
    assert figure(vs, "customer-product pairs seen") == pytest.approx(
        100 * len(bought) / (log["customer_id"].nunique() * log["product_id"].nunique()))
    held = pd.crosstab(log["transaction_id"], log["category"]).clip(upper=1).astype("float32")
    together = held.T.to_numpy() @ held.to_numpy() > 0
    pairs = np.triu(together, 1).sum() / (together.shape[0] * (together.shape[0] - 1) / 2)
    assert figure(vs, "category pairs seen") == pytest.approx(100 * pairs)


def test_velocity_is_what_pandas_counts(described):
    _, vs, log = described
    visits = log.dropna(subset="customer_id").drop_duplicates(["customer_id", "local_date"]).sort_values(["customer_id", "local_date"])
    gaps = visits.groupby("customer_id")["local_date"].diff().dt.days.dropna()
    assert figure(vs, "wait between visits") == gaps.median()
    assert figure(vs, "burstiness") == pytest.approx((gaps.std(ddof=0) - gaps.mean()) / (gaps.std(ddof=0) + gaps.mean()))
    by_hour = log.drop_duplicates("transaction_id")["hour"].value_counts()
    assert figure(vs, "busiest hour") == by_hour.idxmax()
    assert vs.by_hour.to_numpy().sum() == log["transaction_id"].nunique()


def test_value_is_what_pandas_counts(described):
    _, vs, log = described
    spend = log.groupby("customer_id")["amount"].sum().sort_values(ascending=False)
    assert figure(vs, "best fifth of customers") == pytest.approx(100 * spend.iloc[: int(np.ceil(len(spend) / 5))].sum() / spend.sum())
    since = log["local_date"].max() - pd.Timedelta(days=28)
    recent, known = log[log["local_date"] > since], log.loc[log["local_date"] <= since, "customer_id"].dropna()
    assert figure(vs, "recent spend from known customers") == pytest.approx(
        100 * recent.loc[recent["customer_id"].isin(known), "amount"].sum() / recent["amount"].sum())
    assert figure(vs, "repeat rate") == pytest.approx(100 * log.groupby("customer_id")["local_date"].nunique().gt(1).mean())


def test_columns_are_what_pandas_counts(described):
    shop, vs, _ = described
    for table in ("products", "customers"):
        frame, said = shop.query(f"FROM {table}"), vs.columns[vs.columns["table"] == table].set_index("column")
        assert set(said.index) == set(shop.columns(table))
        for column in said.index:
            assert said.loc[column, "distinct"] == frame[column].nunique()
            assert said.loc[column, "known"] == pytest.approx(100 * frame[column].notna().mean())


def test_every_figure_has_unit_definition_and_source(described):
    _, vs, _ = described
    assert (vs.figures[["unit", "definition", "source"]] != "").all(axis=None)
    assert len(vs.summary()) == len(vs.to_frame()) == sum(len(getattr(vs, v)) for v in ("volume", "variety", "velocity", "value"))


def test_the_findings_of_complete_journey_are_its_known_traps():
    vs = describe_shop(load_shop("complete_journey"))
    found = vs.findings.set_index("finding")
    assert found.loc["day_without_sales", "first"] == "2017-12-25"
    assert found.loc["partial_week", "first"] == "week of 2017-01-01: 1 of 7 days"
    assert found.loc["customer_without_demographics", ["count", "total"]].tolist() == [2469 - 801, 2469]


def test_the_future_changes_nothing():
    tables = corner_tables()
    other = {k: t.copy() for k, t in tables.items()}
    late = other["transactions"]["timestamp"] >= "2024-02-01"
    other["transactions"].loc[late, ["quantity", "amount"]] *= 7
    other["transactions"].loc[late, "customer_id"] = "ana"
    a, b = (describe_shop(load_shop(t, timestamps="local"), "2024-01-31") for t in (tables, other))
    same = a.figures["figure"] != "size on disk"
    pd.testing.assert_frame_equal(a.figures[same], b.figures[same])
    pd.testing.assert_frame_equal(a.findings, b.findings)
    pd.testing.assert_frame_equal(a.by_day, b.by_day)


def test_an_hour_that_is_not_known_is_not_guessed():
    lines = corner_tables()["transactions"]
    vs = describe_shop(load_shop(lines.assign(timestamp=lines["timestamp"].dt.date), timestamps="local"))
    assert np.isnan(figure(vs, "busiest hour")) and list(vs.by_hour) == ["any"]
    assert len(vs.plot()) == 4


def test_a_day_of_anonymous_sales_can_be_described():
    lines = corner_tables()["transactions"].head(3).assign(customer_id=None)
    vs = describe_shop(load_shop(lines, timestamps="local"))
    assert figure(vs, "customers") == 0 and figure(vs, "anonymous spend") == 100
    assert np.isnan(figure(vs, "growth")) and vs.summary().loc[("value", "Gini of customers"), "value"] == "unknown"
    assert len(vs.plot()) == 4


def test_bad_arguments_say_what_to_choose():
    shop = load_shop("corner")
    with pytest.raises(ValueError, match="before the first line of the log"):
        describe_shop(shop, "2020-01-01")
    with pytest.raises(ValueError, match=r"products has no column 'prize'\. It has: product_id"):
        describe_column(shop, "products", "prize")
    with pytest.raises(AttributeError, match="no 'vloume'"):
        getattr(describe_shop(shop), "vloume")  # noqa: B009


def test_a_column_with_quotes_in_its_name_is_described():
    tables = corner_tables()
    tables["products"]['say "hi"; --'] = "x"
    shop = load_shop(tables, timestamps="local")
    assert describe_column(shop, "products", 'say "hi"; --').set_index("what").loc["common", "share"] == 100
    assert 'say "hi"; --' in set(describe_shop(shop).columns["column"])
