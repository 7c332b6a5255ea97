"""The second tier: what a customer is like, in how they shop and what they choose."""

from retail_insight.lifestyle.axes import LifestyleAxes, lifestyle_axes
from retail_insight.lifestyle.demographics import Demographics, infer_demographics
from retail_insight.lifestyle.cards import (
    Cards,
    build_cards,
    demographics_index,
    means_index,
    profile_card,
    segment_card,
    segment_figures,
    segment_sizes,
)
from retail_insight.lifestyle.pattern import PatternResults, consumption_pattern
from retail_insight.lifestyle.segments import (
    Segments,
    lifestyle_segments,
    migration_table,
    stayed,
)
from retail_insight.lifestyle.space import TasteSpace, taste_space
from retail_insight.lifestyle.taste import TasteIndex, taste_index
from retail_insight.lifestyle.worth import Judged, judge_profiles

__all__ = [
    "Cards",
    "Demographics",
    "Judged",
    "LifestyleAxes",
    "PatternResults",
    "Segments",
    "TasteIndex",
    "TasteSpace",
    "build_cards",
    "consumption_pattern",
    "demographics_index",
    "infer_demographics",
    "judge_profiles",
    "lifestyle_axes",
    "lifestyle_segments",
    "means_index",
    "migration_table",
    "profile_card",
    "segment_card",
    "segment_figures",
    "segment_sizes",
    "stayed",
    "taste_index",
    "taste_space",
]
