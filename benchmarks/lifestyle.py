"""How well each taste foresees the next month on Complete Journey, and what the chapter's models cost.

    python benchmarks/lifestyle.py         every row
    python benchmarks/lifestyle.py chapter the time of the chapter only, the other rows as an earlier run left them

A row is a kind of item and a month: the loss of the shrunken index in nats a choice (mean over customers) beside its
best rival; `goal` holds the 95% interval of the difference, bootstrapped over customers. Rivals: popularity, raw shares
(with one choice spread like the shop, or a half added to every item), the raw index (nothing chosen counts as 1), and
one Dirichlet strength for all items. The row "space" sets the index against the space of tastes with history."""

import os
import sys
import time

import numpy as np
import pandas as pd
from _table import publish, published, row
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from retail_insight.contract import load_shop
from retail_insight.lifestyle import (
    consumption_pattern,
    infer_demographics,
    judge_profiles,
    lifestyle_segments,
    taste_index,
    taste_space,
)
from retail_insight.lifestyle.taste import choice_loss, count_choices
from retail_insight.scoring import paired_bootstrap

MONTHS = (("2017-09-30", "2017-10-31"), ("2017-10-31", "2017-11-30"), ("2017-11-30", "2017-12-31"))
ITEMS = ("category", "department", "own_brand", "price_band", "label")


def rivals(taste):
    "Customers by items, not yet adding up to one."
    table, counts = taste.table, taste.dense()

    def loss(log_strength):
        ahead, strength = np.exp(log_strength) * table.share[table.col], np.exp(log_strength)
        return -(gammaln(strength) - gammaln(strength + table.total)).sum() - (gammaln(ahead + table.n) - gammaln(ahead)).sum()

    strength = np.exp(minimize_scalar(loss, bounds=(0, 9), method="bounded").x)
    index = 100 * counts / np.outer(table.total, table.share)
    return {"popularity": 0 * counts + table.share, "raw shares": counts + table.share, "raw shares, a half each": counts + .5,
            "raw index": np.maximum(index, 1) * table.share, "one shape for all": counts + strength * table.share}


def held_out(shop, by, as_of, until):
    "A row of the table for each kind of item and month."
    taste = taste_index(shop, by, as_of)
    later = count_choices(shop, by, until, since=pd.Timestamp(as_of) + pd.Timedelta(days=1))
    ours = choice_loss(taste.shares(), later, by)["loss"]
    others = {name: choice_loss(pd.DataFrame(x / x.sum(axis=1, keepdims=True), taste.table.customers, taste.table.items), later, by)["loss"]
              for name, x in rivals(taste).items()}
    for name, theirs in sorted(others.items(), key=lambda item: item[1].mean()):
        d = paired_bootstrap(ours, theirs)
        yield row(f"{by}, {until[:7]}", ours.mean(), "nats a choice", f"below 0: {d['lower']:.4f} to {d['upper']:.4f}", theirs.mean(), name)
    if by == "category":
        theirs = choice_loss(taste_space(shop, by, as_of=as_of).shares_with_history(taste), later, by)["loss"]
        d = paired_bootstrap(theirs, ours)
        yield row(f"space with history, {until[:7]}", theirs.mean(), "nats a choice", f"below 0: {d['lower']:.4f} to {d['upper']:.4f}", ours.mean(), "index")


def cost(shop):
    "CPU seconds of every model of the chapter on the whole year, and of all together, beside a minute."
    calls = {"consumption_pattern": lambda: consumption_pattern(shop), "taste_index": lambda: taste_index(shop).frame,
             "taste_space": lambda: taste_space(shop),
             "lifestyle_segments": lambda: lifestyle_segments(shop), "infer_demographics": lambda: infer_demographics(shop).to_frame(),
             "judge_profiles": lambda: judge_profiles(shop)}
    spent, elapsed, load = {}, time.perf_counter(), os.getloadavg()[0]
    for name, call in calls.items():
        began = time.process_time()
        call()
        spent[name] = time.process_time() - began
        yield row(name, spent[name], "CPU s", "")
    yield row("whole chapter", sum(spent.values()), "CPU s", "60")
    yield row("whole chapter, wall", time.perf_counter() - elapsed, "s", f"60; {load:.0f} processes waited for {os.cpu_count()} cores")


def products(shop):
    "CPU seconds of the largest index."
    began = time.process_time()
    tastes = len(taste_index(shop, "product_id").frame)
    yield row(f"taste_index by product, {tastes} tastes", time.process_time() - began, "CPU s", "")


if __name__ == "__main__":
    journey = load_shop("complete_journey")
    chapter = list(cost(journey))
    if sys.argv[1:] == ["chapter"]:
        publish([*chapter, *published("lifestyle")[len(chapter):]], "lifestyle")
    else:
        publish([*chapter, *products(journey), *(r for by in ITEMS for month in MONTHS for r in held_out(journey, by, *month))], "lifestyle")
