"""One row a customer: when they came, what they bought, where, who they are, and what they are worth."""

from retail_insight.profile.customers import PERIOD_DAYS, ask, customer_rows, main_choice, when_and_how_much
from retail_insight.profile.growth import (
    ChurnCurve,
    Cohorts,
    CustomerDistribution,
    GainLoss,
    RevenueTree,
    build_cohorts,
    churn_curve,
    days_between_purchases,
    gain_loss,
    purchases_per_customer,
    revenue_tree,
    revenue_tree_by,
)
from retail_insight.profile.privacy import merge_small_groups, pseudonymise
from retail_insight.profile.profiles import ASPECTS, Profiles, build_profiles, columns_of
from retail_insight.profile.segments import (
    SegmentIndex,
    SegmentStats,
    ThresholdSegments,
    segment_index,
    segment_stats,
    threshold_segments,
)
from retail_insight.profile.worth import SEGMENTS, cut_points, rfm_scores, rfm_segment, spend_scores, wallet_share

__all__ = [
    "ASPECTS",
    "ChurnCurve",
    "Cohorts",
    "CustomerDistribution",
    "GainLoss",
    "PERIOD_DAYS",
    "Profiles",
    "RevenueTree",
    "SEGMENTS",
    "SegmentIndex",
    "SegmentStats",
    "ThresholdSegments",
    "ask",
    "build_cohorts",
    "build_profiles",
    "churn_curve",
    "columns_of",
    "customer_rows",
    "cut_points",
    "days_between_purchases",
    "gain_loss",
    "main_choice",
    "merge_small_groups",
    "pseudonymise",
    "purchases_per_customer",
    "revenue_tree",
    "revenue_tree_by",
    "rfm_scores",
    "rfm_segment",
    "segment_index",
    "segment_stats",
    "spend_scores",
    "threshold_segments",
    "wallet_share",
    "when_and_how_much",
]
