"""One direction: a chapter never imports a later one."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "retail_insight"
FREE = {"contract", "scoring"}  # every later chapter may import these


def chapters() -> dict[str, str]:
    "Module -> number, such as `contract` -> `00`, `scoring` -> `00b`, `timing.gaps` -> `05a`."
    found = {}
    for path in sorted((ROOT / "nbs").glob("[0-9]*.ipynb")):
        text = "\n".join("".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"])
        if module := re.search(r"^#\|\s*default_exp\s+(\S+)", text, re.M):
            found[module[1]] = re.match(r"\d+[a-z]?", path.name)[0]
    return found


CHAPTERS = chapters()


def stage(module: str) -> str:
    "`timing.gaps` and `timing` are one stage."
    return module.partition(".")[0]


def numbers(name: str) -> list[str]:
    return [n for m, n in CHAPTERS.items() if m == name or m.startswith(f"{name}.")]


def imported(module: str) -> set[str]:
    "The chapters that a module imports, anywhere in it."
    path = PACKAGE / f"{module.replace('.', '/')}.py"
    package = ["retail_insight", *module.split(".")[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, [base, node.module]))
            found |= {base} | {f"{base}.{a.name}" for a in node.names}
    names = {f.removeprefix("retail_insight.") for f in found if f.startswith("retail_insight.")}
    known = set(CHAPTERS) | {stage(m) for m in CHAPTERS}
    return {n for n in names if n in known}


def test_every_module_has_its_chapter():
    held = {p.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".") for p in PACKAGE.rglob("*.py")}
    assert {m for m in held if not m.endswith("__init__") and m != "_modidx"} == set(CHAPTERS)


@pytest.mark.parametrize("module", CHAPTERS)
def test_a_lower_number_never_imports_a_higher_one(module):
    late = {m for m in imported(module) if max(numbers(m)) > CHAPTERS[module] and stage(m) != stage(module)}
    late |= {m for m in imported(module) if m in CHAPTERS and CHAPTERS[m] >= CHAPTERS[module]}
    assert not late, f"{CHAPTERS[module]}_{module} imports {sorted(late)}"


@pytest.mark.parametrize("module", [m for m in CHAPTERS if stage(m) != "report"])
def test_a_stage_imports_at_most_two_earlier_stages(module):
    stages = {stage(m) for m in imported(module)} - FREE - {stage(module)}
    assert len(stages) <= 2, f"{module} imports {sorted(stages)}"


def test_nothing_imports_with_a_star():
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").glob("*.py"), *(ROOT / "docs").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.names[0].name != "*", path
