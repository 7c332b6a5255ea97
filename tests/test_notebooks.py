"""The notebooks as they are committed: clean, with their outputs, and in step with the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
SILENT = r"^#\|\s*(export|exporti|exports|hide|default_exp|test|slow)\b"
every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[p.name for p in NOTEBOOKS])


def cells(notebook: Path, kind: str | None = None) -> list[dict]:
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [c for c in found if kind in (None, c["cell_type"])]


def source(cell: dict) -> str:
    return "".join(cell["source"])


@every_notebook
def test_metadata_is_stripped(notebook):
    held = json.loads(notebook.read_text(encoding="utf-8"))
    assert set(held["metadata"]) <= {"kernelspec"}
    for cell in held["cells"]:
        assert set(cell["metadata"]) <= {"tags"}, cell["metadata"]


@every_notebook
def test_outputs_have_no_counts_errors_or_warnings(notebook):
    for cell in cells(notebook, "code"):
        assert cell["execution_count"] is None, source(cell)
        for out in cell["outputs"]:
            assert out.get("execution_count") is None, source(cell)
            assert out["output_type"] != "error", source(cell)
            assert out.get("name") != "stderr", (source(cell), out["text"])


@every_notebook
def test_outputs_are_small(notebook):
    for cell in cells(notebook, "code"):
        for out in cell["outputs"]:
            assert len(json.dumps(out)) < 200_000, source(cell)


@every_notebook
def test_outputs_are_there(notebook):
    "A cell that ends on a value shows it."
    shown = [c for c in cells(notebook, "code") if source(c).strip() and not re.search(SILENT, source(c), re.M)]
    assert len(shown) < 2 or any(c["outputs"] for c in shown), "run the notebook from the top, and save it"


@every_notebook
def test_outputs_name_nothing_of_the_machine(notebook):
    "No address in memory, no folder of who ran it last."
    for cell in cells(notebook, "code"):
        for out in cell["outputs"]:
            words = json.dumps({k: v for k, v in out.get("data", out).items() if not k.startswith("image/")})
            assert not re.search(r"\bat 0x[0-9a-f]{6,}|/home/|/root/|/tmp/", words), source(cell)


@every_notebook
def test_imports_stand_apart(notebook):
    "The documentation runs cells that import, so they do nothing else; star imports are nowhere."
    for cell in cells(notebook, "code"):
        lines = [x for x in source(cell).splitlines() if x and not x.startswith(("#", " ", ")", "%", "!"))]
        imports = [x for x in lines if re.match(r"(from \S+ )?import ", x)]
        assert not any(re.match(r"from \S+ import \*", x) for x in imports), source(cell)
        assert not imports or imports == lines, source(cell)


@every_notebook
def test_cleaning_changes_nothing(notebook, tmp_path):
    copy = tmp_path / "nbs" / notebook.name
    copy.parent.mkdir()
    shutil.copy(notebook, copy)
    shutil.copy(ROOT / "settings.ini", tmp_path)
    run_nbdev(tmp_path, f"from nbdev.clean import nbdev_clean; nbdev_clean({str(copy)!r})")
    assert copy.read_bytes() == notebook.read_bytes(), "run nbdev_clean"


def test_exports_are_in_step(tmp_path):
    "A fresh export gives the committed modules, byte for byte, and no module is left over."
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "nbs", tmp_path / "nbs", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    package = tmp_path / "retail_insight"
    package.mkdir()
    shutil.copy(ROOT / "retail_insight" / "__init__.py", package)  # written by hand; the export sets its version
    run_nbdev(tmp_path, "from nbdev.export import nb_export; from nbdev.doclinks import nbdev_export; nbdev_export()")
    fresh = {p.relative_to(package): p.read_text(encoding="utf-8") for p in package.rglob("*.py")}
    committed = {p.relative_to(ROOT / "retail_insight"): p for p in (ROOT / "retail_insight").rglob("*.py")}
    by_hand = {p for p in committed if p.name == "__init__.py"}
    assert set(committed) - by_hand == set(fresh) - by_hand, "a module without a notebook, or the reverse"
    for name in sorted(set(fresh) - (by_hand - {Path("__init__.py")})):
        assert fresh[name] == committed[name].read_text(encoding="utf-8"), f"{name}: run nbdev_export"


def run_nbdev(folder: Path, code: str) -> None:
    env = {k: v for k, v in os.environ.items() if k != "IN_TEST"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
