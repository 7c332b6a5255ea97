"""The second tier: what a customer is like, in how they shop and what they choose."""

from retail_insight.lifestyle.pattern import PatternResults, consumption_pattern
from retail_insight.lifestyle.space import TasteSpace, taste_space
from retail_insight.lifestyle.taste import TasteIndex, taste_index

__all__ = ["PatternResults", "TasteIndex", "TasteSpace", "consumption_pattern", "taste_index", "taste_space"]
