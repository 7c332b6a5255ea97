"""What the how-to pages tell a reader to type works, page by page, top to bottom."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from retail_insight.contract import read_mapping
from retail_insight.report import build_parser

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs" / "howto").glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_code_of_a_page_runs(page, tmp_path):
    code = "\n".join(blocks(page, "python"))
    assert code
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_commands_of_a_page_exist(page):
    for line in "".join(blocks(page, "sh")).splitlines():
        program, *arguments = line.split()
        assert program == "retail-insight" and build_parser().parse_args(arguments)


def test_the_mapping_files_can_be_read():
    found = [block for page in PAGES for block in blocks(page, "toml")]
    assert found and all(read_mapping(tomllib.loads(block))["transactions"] for block in found)
