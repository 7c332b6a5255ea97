"""When customers come back, whether they still are customers, and what they will be worth."""

from retail_insight.timing.summary import customer_summary

__all__ = ["customer_summary"]
