"""From a log to a panel: regular series of units, what is beside them, and what kind of series they are."""

from retail_insight.demand.availability import STATES, flag_outliers, mark_availability, plot_availability
from retail_insight.demand.covariates import add_covariates, holiday_table
from retail_insight.demand.describe import DemandDescription, describe_demand, intermittency
from retail_insight.demand.panel import DAYS, UNIT_GOODS, Demand, build_demand, calendar, check_keys, date_axis, demand_from_frame, period_start, series_label

__all__ = [
    "DAYS",
    "STATES",
    "UNIT_GOODS",
    "Demand",
    "DemandDescription",
    "add_covariates",
    "build_demand",
    "calendar",
    "check_keys",
    "date_axis",
    "demand_from_frame",
    "describe_demand",
    "flag_outliers",
    "holiday_table",
    "intermittency",
    "mark_availability",
    "period_start",
    "plot_availability",
    "series_label",
]
