"""The page for users of openretailscience names only functions that exist, and every peer that it should."""

import re
from pathlib import Path

from retail_insight import profile, timing

PAGE = Path(__file__).resolve().parents[1] / "docs" / "howto" / "openretailscience.md"
PEERS = ["SegTransactionStats", "ThresholdSegmentation", "HMLSegmentation", "RFMSegmentation", "NLRSegmentation", "CohortAnalysis", "RevenueTree", "GainLoss", "CrossShop",
         "ProductAssociation", "CustomerDecisionHierarchy", "PurchasesPerCustomer", "DaysBetweenPurchases", "TransactionChurn", "CompositeRank", "PurchasePath", "haversine_distance", "plots.index", "plots.price", "plots.cohort", "plots.tree_diagram", "plots.venn", "CLVStats", "find_overlapping_periods"]


def test_every_function_of_ours_that_the_page_names_exists():
    rows = [line.split("|")[2] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row.split(", column")[0].split(", in ")[0])]
    assert len(names) > 18
    for name in names:
        assert callable(getattr(profile, name, None) or getattr(timing, name)), name


def test_every_peer_has_a_row():
    firsts = " ".join(line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `"))
    assert [p for p in PEERS if p not in firsts] == []


def test_what_is_missing_is_said_by_name():
    page = PAGE.read_text(encoding="utf-8")
    missing = page[page.index("\nMissing:"):]
    for name in ("Acv", "PctOfStores", "label_by_condition", "filter_and_label_by_periods", "plots.area", "Ibis"):
        assert name in missing, name
