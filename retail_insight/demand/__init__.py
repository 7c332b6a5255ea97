"""From a log to a panel: regular series of units, what is beside them, and what kind of series they are."""

from retail_insight.demand.availability import STATES, flag_outliers, mark_availability, plot_availability
from retail_insight.demand.covariates import add_closures, add_covariates, holiday_table
from retail_insight.demand.describe import DemandDescription, describe_demand, intermittency, plot_kinds, typical_series
from retail_insight.demand.adding import DAYS, calendar, check_keys, period_start
from retail_insight.demand.panel import UNIT_GOODS, Demand, build_demand, date_axis, demand_from_frame, series_label

__all__ = [
    "DAYS",
    "STATES",
    "UNIT_GOODS",
    "Demand",
    "DemandDescription",
    "add_closures",
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
    "plot_kinds",
    "series_label",
    "typical_series",
]
