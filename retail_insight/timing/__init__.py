"""When customers come back, whether they still are customers, and what they will be worth."""

from retail_insight.timing.discrete import BGBB, ShiftedBetaGeometric, derl, retention, simulate_occasions, survivors
from retail_insight.timing.fitting import NBD, TimingModel, TimingResults, check_summary
from retail_insight.timing.geometric import BGCNBD, BGNBD, MBGNBD, alive_history, simulate_leaving
from retail_insight.timing.holdout import (
    HoldoutResults,
    Recalibrated,
    evaluate_holdout,
    frequency_table,
    plot_alive,
    plot_frequency,
    plot_recency_frequency,
    plot_tracking,
    recalibrate,
    recency_frequency,
    track_visits,
)
from retail_insight.timing.outlook import CustomerOutlook, predict_customers
from retail_insight.timing.pareto import GGomNBD, ParetoNBD, simulate_lifetimes
from retail_insight.timing.periods import customer_visits
from retail_insight.timing.predictive import VisitDistribution, new_customer, next_visit, predict_visits
from retail_insight.timing.saved import load_model, save_model
from retail_insight.timing.spend import GammaGamma, LifetimeValue, SpendResults, clv, dert
from retail_insight.timing.summary import customer_summary
from retail_insight.timing.varying import VaryingParetoNBD, VaryingResults
from retail_insight.timing.varying_crowds import simulate_varying

__all__ = ["BGBB", "BGCNBD", "BGNBD", "MBGNBD", "NBD", "CustomerOutlook", "GGomNBD", "GammaGamma", "HoldoutResults",
           "LifetimeValue", "ParetoNBD", "Recalibrated", "ShiftedBetaGeometric", "SpendResults", "TimingModel", "TimingResults",
           "VaryingParetoNBD", "VaryingResults", "VisitDistribution", "alive_history", "check_summary", "clv", "customer_summary",
           "customer_visits", "derl", "dert", "evaluate_holdout", "frequency_table", "load_model", "new_customer", "next_visit",
           "plot_alive", "plot_frequency", "plot_recency_frequency", "plot_tracking", "predict_customers", "predict_visits",
           "recalibrate", "recency_frequency", "retention", "save_model", "simulate_leaving", "simulate_lifetimes",
           "simulate_occasions", "simulate_varying", "survivors", "track_visits"]
