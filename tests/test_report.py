"""The main job from outside: what it writes, what it never writes, and what it says when it cannot."""

import contextlib
import functools
import http.server
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from retail_insight.contract import corner_tables, load_shop
from retail_insight.profile import Profiles, build_profiles, group_table
from retail_insight.report import (
    choose_demand,
    defuse,
    main,
    publish_profiles,
    say,
    what_was_lost,
    whole_path,
    write_table,
)

COMMAND = [sys.executable, "-c", "import sys; from retail_insight.report import main; sys.exit(main())"]


def call(*arguments: object, timeout: int = 600, **env: str) -> subprocess.CompletedProcess:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=os.environ | env)


def write_shop(folder: Path, **tables: pd.DataFrame) -> Path:
    folder.mkdir()
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet")
    (folder / "map.toml").write_text('[shop]\nname = "market"\ntime_zone = "America/New_York"\ntimestamps = "local"\nlicence = "<b>ours</b>"\n')
    return folder


def hostile() -> dict[str, pd.DataFrame]:
    "Two hundred customers with names that can be searched for, and products that are up to no good."
    tables = corner_tables()
    lines, people = tables["transactions"], tables["customers"]
    copies = [lines.assign(customer_id="PERSON-" + lines["customer_id"] + f"-{i}-X", transaction_id=lines["transaction_id"].astype(str) + f"-{i}") for i in range(40)]
    tables["transactions"] = pd.concat(copies, ignore_index=True)
    tables["customers"] = pd.concat([people.assign(customer_id="PERSON-" + people["customer_id"] + f"-{i}-X") for i in range(40)], ignore_index=True)
    tables["products"]["category"] = tables["products"]["category"].replace({"DAIRY": "=cmd|' /C calc'!A0", "BREAD": "<script>alert(1)</script>", "BEER": "$x^{$"})
    tables["customers"]["email"] = tables["customers"]["customer_id"] + "@example.org"
    return tables


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    "A run on the hostile shop."
    home = tmp_path_factory.mktemp("run")
    done = call("run", "--data", write_shop(home / "market", **hostile()), "--steps", 1, "--out", home / "out")
    assert done.returncode == 0, done.stderr[-4000:]
    return home / "out", done


def test_a_run_writes_all_that_it_promises(run):
    out, done = run
    assert {p.name for p in out.iterdir()} == {"report.html", "workbook.ipynb", "run.json", "tables"}
    names = {p.stem for p in (out / "tables").glob("*.parquet")}
    assert names == {p.stem for p in (out / "tables").glob("*.csv")} >= {"figures", "findings", "profiles", "segments", "demand", "forecasts"}
    assert str(out / "report.html") in done.stdout
    assert [x for x in done.stderr.splitlines() if x] == ["start", *re.findall(r"<h2[^>]*>([^<]+)", (out / "report.html").read_text())]


def test_the_record_says_what_ran(run):
    out, _ = run
    record = json.loads((out / "run.json").read_text())
    lines = hostile()["transactions"]
    assert record["tables"]["transactions"] == {"rows_in": len(lines), "rows": len(lines), "rejected": 0, "given": True}
    assert record["parameters"]["steps"] == 1 and record["shop"] == "market"
    assert set(record["seconds"]) >= {"The data", "What they will need"} and all(s >= 0 for s in record["seconds"].values())
    assert {"python", "retail_insight", "pandas", "duckdb"} <= set(record["versions"])


def test_no_customer_is_named(run):
    out, _ = run
    for path in (p for p in out.rglob("*") if p.is_file()):
        assert b"PERSON-" not in path.read_bytes(), path.name
    profiles = pd.read_parquet(out / "tables" / "profiles.parquet")
    assert len(profiles) and profiles["customer"].str.fullmatch("[0-9a-f]{16}").all() and profiles["customer"].is_unique
    for table in ("segments", "demographics"):
        assert (pd.read_parquet(out / "tables" / f"{table}.parquet")["customers"] >= 10).all()


def test_whoever_knows_a_customer_finds_ten_rows_of_the_report_or_none(run, tmp_path):
    out, _ = run
    rows = pd.read_parquet(out / "tables" / "profiles.parquet").drop(columns="customer")
    assert len(rows.columns) <= 5 and rows.value_counts().min() >= 10
    people = build_profiles(load_shop(write_shop(tmp_path / "market", **hostile()))).frame
    exact = {str(v) for c in ("spend", "spend_last", "mean_basket", "first_visit", "last_visit", "recency_days", "tenure_days") for v in people[c]}
    cells = {str(v) for t in ("profiles", "segments", "demographics") for row in pd.read_parquet(out / "tables" / f"{t}.parquet").itertuples(index=False) for v in row[:2]}
    assert not cells & {x for x in exact if not x.isdigit()}
    for table in ("segments", "demographics"):
        told = set(pd.read_parquet(out / "tables" / f"{table}.parquet"))
        assert told <= {"segment", "group", "of", "customers", "% of customers", "% of spend"}


def test_pseudonyms_need_the_key_and_cannot_be_followed(tmp_path):
    data = write_shop(tmp_path / "market", **hostile())
    made = {}
    for name, key, more in (("a", "k1", ()), ("b", "k1", ()), ("c", "k2", ()), ("d", "k1", ("--as-of", "2024-02-20"))):
        assert call("profile", "--data", data, "--out", tmp_path / name, *more, RETAIL_INSIGHT_KEY=key).returncode == 0
        made[name] = set(pd.read_parquet(tmp_path / name / "profiles.parquet")["customer"])
    assert made["a"] == made["b"] and made["a"] and made["c"] and made["d"]
    assert not made["a"] & made["c"] and not made["a"] & made["d"]


@pytest.fixture(scope="module")
def journey() -> Profiles:
    return build_profiles(load_shop("complete_journey"))


def without(profiles: Profiles, who: object) -> Profiles:
    return Profiles(profiles.frame.drop(index=who), profiles.cuts, profiles.as_of)


def drops(profiles: Profiles, targets, sample: float) -> float:
    "How often the group that lost most customers from one table to the next is that of the one who left."
    first = group_table(profiles, "segment", key="secret", sample=sample).set_index("segment")["customers"]
    seconds = {who: group_table(without(profiles, who), "segment", key="secret", sample=sample).set_index("segment")["customers"] for who in targets}
    return float(np.mean([first.sub(later, fill_value=0).idxmax() == profiles.frame["segment"][who] for who, later in seconds.items()]))


def test_subtracting_two_tables_of_groups_gives_nobody_away(journey):
    targets = journey.frame.index[::50]
    assert drops(journey, targets, 1.0) == 1 # the attack works where there is no sample
    luck = journey.frame["segment"].value_counts(normalize=True).max()
    assert drops(journey, targets, 0.5) <= luck + 3 * np.sqrt(luck / len(targets))


def test_a_table_of_groups_tells_no_sum_and_hides_one_persons_share(journey):
    rich = journey.frame.assign(spend=journey.frame["spend"].where(journey.frame.index != journey.frame.index[0], 1e9))
    told = [group_table(Profiles(rich, journey.cuts, journey.as_of), "segment", key=key) for key in "abcdefghijkl"]
    assert {"segment", "customers", "share_of_customers", "share_of_spend"} == set(told[0])
    hidden = [t["share_of_spend"].isna().sum() for t in told]
    assert set(hidden) == {0, 2} # drawn or not; where drawn, a second share keeps the first
    assert group_table(journey, "segment", key="a")["share_of_spend"].notna().all()


def test_what_was_lost_is_told_in_tens(journey):
    published = publish_profiles(journey, key="secret")
    lost = what_was_lost(published)
    assert len(lost) == len(published.frame.columns) - 1 <= 5 and lost["% kept"].between(0, 100).all() and (lost["% kept"] % 10 == 0).all()
    assert "spend" in set(lost["column"]) and lost["% kept"].sum() > 100


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_page_stands_alone_and_runs_nothing(run):
    out, _ = run
    page = (out / "report.html").read_text()
    tags = Tags()
    tags.feed(page)
    names = {tag for tag, _ in tags.found}
    assert not names & {"script", "iframe", "object", "embed", "link rel=stylesheet"}
    assert all(a.get("src", "data:").startswith("data:") and a.get("href", "#").startswith(("#", "data:")) for _, a in tags.found)
    assert all(a.get("alt") for tag, a in tags.found if tag == "img")
    assert "alert(1)" in page and "&lt;script&gt;" in page and "&lt;b&gt;ours&lt;/b&gt;" in page
    assert "Traceback" not in page and "Error" not in page


def test_no_cell_of_a_csv_starts_a_formula(run):
    out, _ = run
    text = (out / "tables" / "demand.csv").read_text()
    assert "'=cmd" in text
    for path in (out / "tables").glob("*.csv"):
        for row in pd.read_csv(path, dtype=str, keep_default_na=False).itertuples(index=False):
            assert not [v for v in row if v.startswith(("=", "@", "+", "\t"))], path.name
    assert set(pd.read_parquet(out / "tables" / "demand.parquet")["category"]) >= {"=cmd|' /C calc'!A0"}


def test_the_notebook_as_it_ran_is_whole(run):
    out, _ = run
    notebook = nbformat.read(out / "workbook.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(c.execution_count for c in notebook.cells if c.cell_type == "code" and c.source.strip())
    assert not [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "error" or o.get("name") == "stderr"]


def test_a_second_run_replaces_the_first_and_foreign_files_stop_it(tmp_path, run):
    out, _ = run
    (out / "left over").write_text("x")
    before = (out / "run.json").read_text()
    assert call("run", "--data", "corner", "--out", out).returncode == 0
    assert not (out / "left over").exists() and (out / "run.json").read_text() != before
    assert [p.name for p in out.parent.iterdir() if p.name.startswith(".")] == []
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("x")
    done = call("run", "--data", "corner", "--out", tmp_path / "letters")
    assert done.returncode == 2 and "holds files that no run wrote" in done.stderr
    assert (tmp_path / "letters" / "dear.txt").exists()


def test_a_failed_run_names_the_stage_and_leaves_the_old_results(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("old")
    data = write_shop(tmp_path / "market", **corner_tables())
    done = call("run", "--data", data, "--as-of", "2020-01-01", "--out", out)
    assert done.returncode == 1
    assert "stage 'The data'" in done.stderr and "set aside" in done.stderr and "Traceback" not in done.stderr
    assert (out / "run.json").read_text() == "old"
    assert (tmp_path / "out.failed" / "workbook.ipynb").exists() and str(tmp_path / "out.failed") in done.stderr
    assert "Traceback" in call("run", "--data", data, "--as-of", "2020-01-01", "--out", out, "--debug").stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_the_old_results(tmp_path, sign):
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("old")
    running = subprocess.Popen([*COMMAND, "run", "--data", "corner", "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if line.startswith("Volume"):
            break
    time.sleep(.2)
    running.send_signal(sign)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "stopped" in said and "Traceback" not in said
    assert (out / "run.json").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_log_and_nothing_else_gets_through(tmp_path):
    lines = corner_tables()["transactions"][["transaction_id", "timestamp", "product_id", "quantity", "amount"]]
    done = call("run", "--data", write_shop(tmp_path / "bare", transactions=lines), "--steps", 2, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "nobody to profile" in page and "series by product" in page and "nan" not in re.sub(r"<[^>]+>|base64[^\"]*", "", page).lower().split()


@pytest.mark.parametrize("arguments, said", [
    (["run", "--data", "no/such/folder"], "there is no such file or folder"),
    (["run", "--data", "postgresql://me:secret@shop/sales"], "carries a password"),
    (["run", "--as-of", "31/12/2017"], "use YYYY-MM-DD"),
    (["forecast", "--steps", "0"], "use 1 or more"),
    (["describe", "--columns", "nowhere.toml"], "Name a TOML file, or a recipe"),
    (["dance"], "invalid choice"), ([], "COMMAND")])
def test_wrong_usage_is_two_and_says_what_to_do(arguments, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and said in capsys.readouterr().err


def test_a_log_is_fetched_by_its_address(tmp_path, capsys):
    shop = tmp_path / "shop"
    shop.mkdir()
    corner_tables()["transactions"].to_parquet(shop / "sales log.parquet")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=shop)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert main(["describe", "--data", f"{address}/sales%20log.parquet"]) == 0
        assert "receipts" in capsys.readouterr().out
        assert main(["describe", "--data", f"{address}/none.parquet"]) == 1
        server.shutdown()
    said = capsys.readouterr().err
    assert "127.0.0.1: none.parquet cannot be fetched" in said and "404" in said


def test_a_password_in_an_address_is_not_repeated(capsys):
    with pytest.raises(SystemExit):
        main(["describe", "--data", "postgresql://me:secret@shop/sales"])
    assert "secret" not in capsys.readouterr().err


def test_a_broken_table_is_one_and_named(tmp_path, capsys):
    lines = corner_tables()["transactions"].drop(columns="quantity")
    assert main(["describe", "--data", str(write_shop(tmp_path / "odd", transactions=lines))]) == 1
    said = capsys.readouterr().err
    assert "transactions" in said and "quantity" in said and "Traceback" not in said


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "retail-insight run --data sales/" in said and "exit codes: 0 done, 1 the run failed, 2 wrong usage" in said


@pytest.mark.parametrize("command", ["describe", "profile", "forecast"])
def test_one_stage_prints_and_writes(command, tmp_path, capsys):
    assert main([command, "--data", "corner", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip()
    assert {p.suffix for p in (tmp_path / "out").iterdir()} == {".parquet", ".csv"}


def test_small_helpers_hold_at_their_edges(tmp_path):
    assert [defuse(v) for v in ("=1", "-x", "\tx", "a=1", -1, None)] == ["'=1", "'-x", "'\tx", "a=1", -1, None]
    odd = pd.DataFrame({"=head": ["+1"], "n": [-2.5], "when": pd.to_datetime(["2024-01-01"])}, index=pd.Index(["@x"], name="who"))
    write_table(odd, "t", tmp_path)
    assert (tmp_path / "t.csv").read_text().splitlines() == ["who,'=head,n,when", "'@x,'+1,-2.5,2024-01-01"]
    assert say("{a} {b} {c}", a="[x](javascript:alert(1))", b=float("nan"), c=1e6) == r"\[x\]\(javascript\:alert\(1\)\) unknown 1,000,000"


def test_a_log_of_returns_has_no_demand_and_categories_that_nobody_bought_do_not_count():
    tables = corner_tables()
    lines = tables["transactions"]
    back = lines.assign(quantity=-lines["quantity"].abs(), amount=-lines["amount"].abs(), discount=0)
    assert choose_demand(load_shop(back, timestamps="local")) is None
    once = choose_demand(load_shop(lines.drop_duplicates("customer_id"), timestamps="local")) # nothing is sold in half of the weeks
    assert once is not None and 1 <= once.matrix().shape[1] <= lines["customer_id"].nunique() + 1
    strangers = tables["products"].assign(product_id=tables["products"]["product_id"] + " of another shop")
    assert choose_demand(load_shop({"transactions": lines, "products": strangers}, timestamps="local")).keys == ("product_id",)


def test_only_columns_that_a_report_knows_leave_the_house(journey):
    frame = journey.frame.assign(email=[f"{who}@example.org" for who in journey.frame.index])
    published = publish_profiles(Profiles(frame, journey.cuts, journey.as_of), key="k")
    assert list(published.frame) == ["customer", "segment", "visits", "spend", "age_band", "household_size"]


def test_an_embedded_name_goes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corner").mkdir()
    (tmp_path / "sales").mkdir()
    assert [whole_path(x) for x in ("corner", "sales", None)] == ["corner", str(tmp_path / "sales"), None]


def test_the_cache_is_listed_and_cleared(tmp_path):
    home = {"RETAIL_INSIGHT_CACHE": str(tmp_path / "cache")}
    assert call("profile", "--data", "corner", **home).returncode == 0
    listed = call("cache", **home)
    assert listed.returncode == 0 and "1 files" in listed.stdout and "corner" in listed.stdout
    assert call("cache", "--clear", "market", **home).returncode == 1
    assert "removed from" in call("cache", "--clear", **home).stdout
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_a_database_is_read_by_its_address(tmp_path, monkeypatch, capsys):
    with contextlib.closing(sqlite3.connect(tmp_path / "till.db")) as till:
        for name, table in corner_tables().items():
            table.to_sql(name, till, index=False)
    (tmp_path / "map.toml").write_text('[shop]\ntimestamps = "local"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["describe", "--data", "sqlite:///till.db", "--columns", "map.toml"]) == 0
    assert "150" in capsys.readouterr().out
    assert main(["run", "--data", "sqlite:///till.db", "--columns", "map.toml", "--steps", "1"]) == 0
    assert (tmp_path / "report" / "report.html").exists()
    with pytest.raises(SystemExit):
        main(["describe", "--data", "sqlite:///no-such.db"])
    assert "no-such.db: no such file" in capsys.readouterr().err
