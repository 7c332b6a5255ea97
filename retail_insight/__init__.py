"""From a retailer's log to profiles of people and forecasts of demand. Chapters load on first use."""

import logging
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

CHAPTERS = {
    "contract": ["Shop", "ContractError", "load_shop", "check_shop", "contract_rules", "resolve_as_of", "open_shop", "append", "erase", "propose_mapping", "Proposal", "map_shards", "ShardError"],
    "scoring": [],
    "describe": ["describe_shop", "FourVs"],
    "profile": ["build_profiles", "Profiles", "publish", "Published", "group_table", "segment_index", "segment_stats", "threshold_segments", "build_cohorts", "revenue_tree",
                "revenue_tree_by", "gain_loss", "churn_curve", "purchases_per_customer", "days_between_purchases", "penetration", "decision_hierarchy",
                "product_association", "price_bands", "cross_shop", "purchase_path", "composite_rank", "nearest_store"],
    "lifestyle": ["consumption_pattern", "PatternResults", "taste_index", "TasteIndex", "taste_space", "TasteSpace", "lifestyle_segments", "Segments", "infer_demographics", "Demographics",
                  "judge_profiles", "Judged", "build_cards", "Cards", "profile_card", "segment_card"],
    "timing": ["customer_summary", "NBD", "BGNBD", "MBGNBD", "BGCNBD", "ParetoNBD", "GGomNBD", "GammaGamma", "clv", "dert",
               "predict_visits", "next_visit", "new_customer", "predict_customers", "evaluate_holdout", "recalibrate", "track_visits", "BGBB", "ShiftedBetaGeometric", "save_model", "load_model",
               "VaryingParetoNBD", "customer_visits"],
    "demand": ["build_demand", "demand_from_frame", "Demand", "add_covariates", "mark_availability", "flag_outliers", "describe_demand"],
    "forecast": ["forecast_demand", "choose_model", "backtest", "Choice", "Forecasts", "BacktestResults", "LastValue", "MovingAverage", "SES", "ETS", "Naive", "SeasonalNaive", "Average", "Croston", "TSB", "ADIDA", "IMAPA", "LiftModel", "GlobalGLM", "Theta", "MultiplicativeETS", "AnyETS", "SARIMAX", "Components", "Boost", "Combined", "Conformal"],
    "report": ["run_workbook", "StageError"],
}
_HOME = {name: chapter for chapter, names in CHAPTERS.items() for name in names}
__all__ = ["__version__", *CHAPTERS, *_HOME]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    "A chapter, or a public name of one, imported when it is first asked for."
    if name in CHAPTERS:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
