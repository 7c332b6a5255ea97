"""The how-to pages: their Python runs in order, their mappings load, and their commands have the options they use."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "howto").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def script(page: Path) -> str:
    "A page's Python blocks in order; a TOML block that starts with the name of a file is written to it."
    parts = []
    for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            parts.append(body)
        elif kind == "toml" and (name := re.match(r"# (\S+\.toml)\n", body)):
            parts.append(f"Path({name[1]!r}).write_text({body!r}, encoding='utf-8')\n")
    return "\n".join(parts)


@pytest.mark.parametrize("page", PAGES, ids=[p.stem for p in PAGES])
def test_the_python_of_a_page_runs(page, tmp_path):
    env = os.environ | {"RETAIL_INSIGHT_CACHE": str(tmp_path / "cache"), "MPLBACKEND": "agg"}
    (tmp_path / "page.py").write_text(script(page), encoding="utf-8")
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=[p.stem for p in PAGES])
def test_the_commands_of_a_page_have_their_options(page):
    from retail_insight.report import build_parser

    for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in re.findall(r"retail-insight (.+?)(?: +(?:2?>|\|).*)?$", body, re.M) if kind in ("console", "sh", "text") else []:
            build_parser().parse_args(shlex.split(line))
