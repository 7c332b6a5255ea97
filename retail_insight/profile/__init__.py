"""One row a customer: when they came, what they bought, where, who they are, and what they are worth."""

from retail_insight.profile.customers import (
    SEGMENTS,
    Profiles,
    build_profiles,
    cut_points,
    main_choice,
    merge_small_groups,
    pseudonymise,
    rfm_scores,
    rfm_segment,
    when_and_how_much,
)
from retail_insight.profile.segments import (
    SegmentIndex,
    SegmentStats,
    ThresholdSegments,
    segment_index,
    segment_stats,
    threshold_segments,
)

__all__ = [
    "Profiles",
    "SEGMENTS",
    "SegmentIndex",
    "SegmentStats",
    "ThresholdSegments",
    "build_profiles",
    "cut_points",
    "main_choice",
    "merge_small_groups",
    "pseudonymise",
    "rfm_scores",
    "rfm_segment",
    "segment_index",
    "segment_stats",
    "threshold_segments",
    "when_and_how_much",
]
