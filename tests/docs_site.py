"""The documentation site, built once for the tests that look at it."""

import functools
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


@functools.cache
def staging() -> ModuleType:
    "docs/stage.py as a module."
    spec = importlib.util.spec_from_file_location("stage", ROOT / "docs" / "stage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def build_site() -> Path:
    "Stage the notebooks and build the site in a folder of its own; warnings are errors."
    keep = tempfile.TemporaryDirectory(prefix="retail-insight-docs-")
    build_site.keep = keep  # until the tests end
    src, html = Path(keep.name, "src"), Path(keep.name, "html")
    for command in (
        [ROOT / "docs" / "stage.py", src],
        ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", ROOT / "docs", src, html],
    ):
        done = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return html
