"""A hundred payloads in every text column, in column names, in file names: none acts, anywhere."""

import csv
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from retail_insight.contract import TABLES, ContractError, corner_tables, load_shop
from retail_insight.report import OBEYED, main, write_table

SQL = ["'; DROP TABLE transactions; --", '"; DROP TABLE products; --', "1 OR 1=1", "') OR ('1'='1", "x'); DELETE FROM transactions; --", "$1", "$name", "?", "{}", "{0}", "%s", "%(x)s",
       "'; COPY (SELECT 1) TO 'OUTSIDE'; --", "'; ATTACH 'OUTSIDE' AS x; --", "read_csv('/etc/passwd')", "'; INSTALL httpfs; --", "/* */ SELECT 1", "-- comment", "\\'; SELECT 1; --", "''''", '""""',
       "'||(SELECT 1)||'", "NULL", "TRUE", "nan"]
HTML = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", '"><script>alert(1)</script>', "javascript:alert(1)", "<a href='javascript:alert(1)'>x</a>",
        "<iframe src=//evil.example>", "</td></table><script>alert(1)</script>", "&lt;script&gt;", "<style>*{display:none}</style>", "<meta http-equiv=refresh content=0>", "<!-- ", "]]>",
        "[x](javascript:alert(1))", "![x](http://evil.example/a.png)", "`code`", "$x^{$", "$$\\input{/etc/passwd}$$", "\\[ \\href{javascript:alert(1)}{x} \\]", "<object data=x>", "<embed src=x>",
        "<base href=//evil.example>", "<form action=//evil.example>", "{{7*7}}", "{% import os %}"]
SHEET = ["=1+1", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "=HYPERLINK(\"http://evil.example\")", "\t=1+1", "\r=1+1", "=IMPORTXML(\"http://evil.example\")", "=DDE(\"cmd\")",
         "+cmd|' /C calc'!A0", "-cmd|' /C calc'!A0", "@cmd", "\n=1+1", "=-1", "=\"x\"", "+", "-", "@", "="]
PATHS = ["../../outside", "/etc/passwd", "..\\..\\outside", "~/.ssh/id_rsa", "file:///etc/passwd", "C:\\Windows", "con", "a/../../b", "%2e%2e%2foutside", "${HOME}", "$(touch OUTSIDE)", "`touch OUTSIDE`",
         "; touch OUTSIDE", "| touch OUTSIDE", "& touch OUTSIDE"]
TERMINAL = ["\x1b[31mred", "\x1b]0;owned\x07", "\x1b[2J", "\x1b[1A\x1b[2K", "\x07", "\x08\x08\x08", "\x9b31m", "\u202egnp.exe", "\u2066x\u2069", "a\rb", "\x1bP+q\x1b\\", "\x7f", "\u2028x", "\x1b[?1049h", "\x0c"]
PAYLOADS = [*SQL, *HTML, *SHEET, *PATHS, *TERMINAL]
NUMBER = re.compile(r"-\d+(\.\d+)?(e[-+]?\d+)?|-inf")
COMMAND = [sys.executable, "-c", "import sys; from retail_insight.report import main; sys.exit(main())"]


def hostile() -> dict[str, pd.DataFrame]:
    "The corner shop with a payload in every text column of every table, and a hundred products, customers and column names made of them."
    tables, count = corner_tables(), len(PAYLOADS)
    products = pd.DataFrame({c: PAYLOADS for c in ("product_id", "product_name", "type", "category", "department", "brand", "manufacturer", "pack_size")})
    customers = pd.DataFrame({c: PAYLOADS for c in ("customer_id", "sex", "region", "age_band", "income_band", "household_size", "children")})
    stores = pd.DataFrame({c: PAYLOADS for c in ("store_id", "store_name", "region", "channel")})
    log = pd.concat([tables["transactions"]] * 4, ignore_index=True)
    log["transaction_id"] = log["transaction_id"] + "-" + (log.index // len(tables["transactions"])).astype(str)
    for column in ("product_id", "customer_id", "store_id", "channel"):
        log[column] = [PAYLOADS[(7 * n) % count] for n in range(len(log))]
    extra = pd.DataFrame({name: "x" for name in dict.fromkeys(PAYLOADS)}, index=log.index)
    promotions = tables["promotions"].assign(product_id=PAYLOADS[0], display=PAYLOADS[1], mailer=PAYLOADS[2])
    campaigns = pd.DataFrame({"campaign_id": PAYLOADS, "kind": PAYLOADS, "customer_id": PAYLOADS, "start_date": pd.Timestamp("2024-01-01"), "end_date": pd.Timestamp("2024-01-08")})
    return {"transactions": log.join(extra), "products": products, "customers": customers, "stores": stores, "promotions": promotions, "campaigns": campaigns}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A hostile shop on disk, a cache, and the files that exist before anything ran."
    home = tmp_path_factory.mktemp("injection")
    (home / "shop").mkdir()
    for name, frame in hostile().items():
        frame.to_parquet(home / "shop" / f"{name}.parquet")
    (home / "shop" / "map.toml").write_text('[shop]\nname = "<b>\\u001b[31m../../x</b>"\nsource = "=1+1"\nlicence = "<script>alert(1)</script>"\ntimestamps = "local"\n', encoding="utf-8")
    return home


def call(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    (home / "empty").mkdir(exist_ok=True)
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=600, cwd=home / "empty",
                          env=os.environ | {"RETAIL_INSIGHT_CACHE": str(home / "cache")})


def test_there_are_a_hundred():
    assert len(PAYLOADS) == len(set(PAYLOADS)) == 100


def test_the_database_holds_them_as_text(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path))
    tables = hostile()
    shop = load_shop(tables, timestamps="local")
    counts = shop.tables().set_index("table")
    assert (counts["rows_in"] == counts["rows"] + counts["rejected"]).all() and counts["rejected"].sum() == 0
    for name in ("products", "customers", "stores", "campaigns"):
        for column in (c for c in tables[name] if c not in ("start_date", "end_date")):
            assert set(shop.query(f"SELECT {column}::VARCHAR AS x FROM {name}")["x"]) == set(PAYLOADS), (name, column)
    assert set(PAYLOADS) - {"nan"} <= {*shop.columns("transactions"), "nan"}
    for payload in PAYLOADS:
        assert shop.query("SELECT count(*) AS n FROM products WHERE product_name = $name", name=payload)["n"][0] == 1


def test_a_run_shows_them_and_obeys_none(place):
    done = call(place, "run", "--data", place / "shop", "--steps", 1, "--out", place / "out")
    assert done.returncode == 0, done.stderr[-3000:]
    assert not OBEYED.search(done.stdout + done.stderr)
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))
    Tags().feed((place / "out" / "report.html").read_text(encoding="utf-8"))
    assert not {t for t, _ in tags} & {"script", "iframe", "object", "embed", "form", "base"}
    assert not [a for _, attrs in tags for a in attrs if a.startswith("on")]
    assert all(str(a.get("src", "data:")).startswith("data:") and str(a.get("href", "#")).startswith(("#", "data:")) for _, a in tags)
    assert "evil.example" not in "".join(str(v) for _, attrs in tags for v in attrs.values())
    assert sorted(p.name for p in place.iterdir()) == ["cache", "empty", "out", "shop"] and not list((place / "empty").iterdir())
    for path in (place / "out").rglob("*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            assert not [v for row in csv.reader(file) for v in row if v.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and not NUMBER.fullmatch(v)], path


def test_no_exported_cell_starts_a_formula(place, tmp_path):
    frame = pd.DataFrame({p: PAYLOADS for p in dict.fromkeys(PAYLOADS)})
    write_table(frame, "payloads", tmp_path)
    with open(tmp_path / "payloads.csv", newline="", encoding="utf-8") as file:
        read = list(csv.reader(file))
    assert {len(row) for row in read} == {100} and len(read) == 101
    assert not [v for row in read for v in row if v.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    assert pd.read_parquet(tmp_path / "payloads.parquet").iloc[:, 0].tolist() == PAYLOADS


@pytest.mark.parametrize("command", ["describe", "profile"])
def test_the_terminal_obeys_none(place, command):
    done = call(place, command, "--data", place / "shop")
    assert done.returncode == 0, done.stderr[-2000:]
    assert not OBEYED.search(done.stdout + done.stderr)


def test_errors_quote_them_without_obeying(place):
    for number, payload in enumerate(PAYLOADS):
        folder = place / "shop" / "none" / str(number)
        folder.mkdir(parents=True)
        corner_tables()["transactions"].head(3).assign(amount=payload, product_id=payload, **{payload: "x"}).to_csv(folder / "log.csv", index=False)
    seen = []
    for number in range(0, len(PAYLOADS), 15):
        done = call(place, "describe", "--data", place / "shop" / "none" / str(number))
        seen.append(done.returncode)
        assert not OBEYED.search(done.stdout + done.stderr), PAYLOADS[number]
        assert "Traceback" not in done.stderr
    assert set(seen) <= {0, 1} and 1 in seen


def test_names_of_files_lead_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))
    for number, payload in enumerate(PAYLOADS):
        folder = tmp_path / str(number)
        folder.mkdir()
        name = payload.replace("/", "_")[:80]
        corner_tables()["transactions"].head(6).to_csv(folder / f"{name}.csv", index=False)
        try:
            shop = load_shop(folder / f"{name}.csv", timestamps="local")
        except ContractError as error:  # a backslash is no part of a name to everybody
            assert "\\" in payload and name in str(error), payload
            continue
        assert len(shop.query("FROM transactions")) == 6 and shop.path.parent == tmp_path / "cache"
    assert {p.name for p in tmp_path.iterdir()} == {"cache", *map(str, range(len(PAYLOADS)))}


def everywhere() -> dict[str, pd.DataFrame]:
    "A table of each kind with a payload a row in every column that holds text or an identifier."
    plain = {"TIMESTAMP": pd.Timestamp("2024-01-06 09:10"), "DATE": pd.Timestamp("2024-01-06").date(), "BOOLEAN": True}
    return {table: pd.DataFrame({c: PAYLOADS if kind in ("id", "band", "VARCHAR") else plain.get(kind, 1) for c, kind in columns.items() if c not in ("hour", "iso_weekday", "local_date")
                                 or table == "redemptions"}, index=range(len(PAYLOADS))) for table, columns in TABLES.items()}


def test_every_text_column_of_every_table_holds_them(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path))
    tables = everywhere()
    shop = load_shop(tables, timestamps="local")
    assert shop.tables()["rows"].tolist() == [len(PAYLOADS)] * len(TABLES) and shop.rejected.empty
    for table, columns in TABLES.items():
        for column in (c for c, kind in columns.items() if kind in ("id", "band", "VARCHAR")):
            assert set(shop.query(f"SELECT {column}::VARCHAR AS x FROM {table}")["x"]) == set(PAYLOADS), (table, column)


def test_check_shows_them_and_obeys_none(tmp_path, monkeypatch, capsys):
    "As values, as names of columns and as names of files."
    monkeypatch.setenv("RETAIL_INSIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    for name, frame in everywhere().items():
        frame.to_parquet(tmp_path / "shop" / f"{name}.parquet")
    hostile()["transactions"].to_parquet(tmp_path / "log.parquet")
    places = [tmp_path / "shop", tmp_path / "log.parquet"]
    for number, payload in enumerate(PAYLOADS[::9]):
        (tmp_path / str(number)).mkdir()
        places.append(tmp_path / str(number) / f"{payload.replace('/', '_')[:80]}.csv")
        corner_tables()["transactions"].head(30).to_csv(places[-1], index=False)
    before = sorted(p.name for p in tmp_path.iterdir() if p.name != "cache")
    codes = [main(["check", str(place)]) for place in places]
    said = capsys.readouterr()
    assert not OBEYED.search(said.out + said.err) and "Traceback" not in said.err
    assert codes[1:].count(0) >= len(places) - 3 and sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == before
