"""From a log to a panel: regular series of units, what is beside them, and what kind of series they are."""

from retail_insight.demand.covariates import add_covariates, holiday_table
from retail_insight.demand.panel import DAYS, UNIT_GOODS, Demand, build_demand, calendar, check_keys, date_axis, demand_from_frame, period_start, series_label

__all__ = [
    "DAYS",
    "UNIT_GOODS",
    "Demand",
    "add_covariates",
    "build_demand",
    "calendar",
    "check_keys",
    "date_axis",
    "demand_from_frame",
    "holiday_table",
    "period_start",
    "series_label",
]
