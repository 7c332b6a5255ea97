"""Patterns and tastes: the obvious pandas version, the future, and shops that cannot say."""

import pandas as pd
import pytest

from retail_insight.contract import load_shop
from retail_insight.lifestyle.taste import count_choices


@pytest.fixture(scope="module", params=["corner", "complete_journey"])
def shop(request):
    return load_shop(request.param)


@pytest.fixture(scope="module")
def journey():
    return load_shop("complete_journey")


def test_choices_equal_the_obvious_pandas_version(shop):
    log, products = (shop.query(f"SELECT * FROM {t}") for t in ("transactions", "products"))
    log = log[log["customer_id"].notna() & (log["quantity"] > 0)].merge(products[["product_id", "category"]], how="left", on="product_id")
    obvious = log.dropna(subset=["category"]).groupby(["customer_id", "category"])["transaction_id"].nunique()
    ours = count_choices(shop, "category").dropna().set_index(["customer_id", "category"])["n"]
    pd.testing.assert_series_equal(ours, obvious, check_names=False, check_dtype=False)
