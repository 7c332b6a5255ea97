"""What is installed: small to import, whole without Jupyter, complete in the wheel, and true to its own papers."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
INI = ConfigParser(delimiters=["="])
INI.read(ROOT / "settings.ini", encoding="utf-8")
CFG = INI["DEFAULT"]
EXTRAS = [k.removesuffix("_requirements") for k in CFG if k.endswith("_requirements")]
CHAPTERS = [p.relative_to(ROOT / "retail_insight").with_suffix("").as_posix().replace("/", ".")
            for p in sorted((ROOT / "retail_insight").rglob("[a-z]*.py"))]
JUPYTER = ["jupyter_client", "jupyter_core", "jupyterlab", "nbclient", "nbconvert", "nbformat", "papermill", "ipykernel", "IPython"]
DEVELOPERS = ["nbdev", "fastcore", "execnb", "pytest", "hypothesis", "polars", "latex2mathml"]
HIDE = """
import importlib.machinery, os
hidden = set(os.environ.get("HIDDEN", "").split())
found = importlib.machinery.PathFinder.find_spec
def find_spec(fullname, path=None, target=None):
    return None if fullname.partition(".")[0] in hidden else found(fullname, path, target)
importlib.machinery.PathFinder.find_spec = staticmethod(find_spec)
"""


def requirements(extra: str | None = None) -> list[Requirement]:
    return [Requirement(r) for r in CFG[f"{extra}_requirements" if extra else "requirements"].split()]


def locked() -> dict[str, str]:
    lines = [x for x in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if x and not x.startswith("#")]
    return {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}


# The wheel --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def dist(tmp_path_factory, tracked) -> Path:
    "A folder with the wheel and the source distribution, built from a copy of the project's files."
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for path in tracked:
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out


@pytest.fixture(scope="session")
def installed(tmp_path_factory, dist) -> Path:
    "The wheel, installed into a folder of its own, beside a `sitecustomize` that hides the modules in $HIDDEN."
    to, (wheel,) = tmp_path_factory.mktemp("installed"), dist.glob("*.whl")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(to), str(wheel)], check=True)
    (to / "sitecustomize.py").write_text(HIDE)
    return to


@pytest.fixture
def outside(installed, tmp_path):
    "Run a command as a user of the wheel, in another folder, without the modules that are hidden."
    def run(command: list, hidden: list[str] = (), timeout: int = 120) -> subprocess.CompletedProcess:
        env = os.environ | {"PYTHONPATH": str(installed), "HIDDEN": " ".join(hidden), "RETAIL_INSIGHT_CACHE": str(tmp_path / "cache")}
        return subprocess.run([str(c) for c in command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=timeout)

    return run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_wheel_holds_the_package_and_the_workbook(dist):
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for notebook in (p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts):
        assert f"retail_insight/workbook/{notebook.relative_to(ROOT / 'nbs').as_posix()}" in names
    for module in ("__init__.py", "py.typed", *(f"{c.replace('.', '/')}.py" for c in CHAPTERS)):
        assert f"retail_insight/{module}" in names
    assert any(n.endswith("LICENSE") for n in names)
    assert not [n for n in names if n.startswith(("tests", "docs", "nbs", "benchmarks"))]


def test_the_source_distribution_can_be_built_again(dist):
    (sdist,) = dist.glob("*.tar.gz")
    names = {n.partition("/")[2] for n in tarfile.open(sdist).getnames()}
    assert {"settings.ini", "setup.py", "pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt"} <= names
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "nbs").glob("*.ipynb")} <= names


def test_the_wheel_declares_what_settings_say(dist):
    (wheel,) = dist.glob("*.whl")
    held = zipfile.ZipFile(wheel)
    (name,) = (n for n in held.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = held.read(name).decode()
    assert f"\nVersion: {CFG['version']}\n" in metadata
    assert re.search(r"^License(-Expression)?: Apache-2.0$", metadata, re.M)
    assert sorted(re.findall(r"^Provides-Extra: (.+)$", metadata, re.M)) == sorted(EXTRAS)
    needed = {Requirement(r).name for r in re.findall(r"^Requires-Dist: (.+)$", metadata, re.M) if "extra ==" not in r}
    assert {canonicalize_name(n) for n in needed} == {canonicalize_name(r.name) for r in requirements()}


# Importing --------------------------------------------------------------------------------------------------------


def test_the_package_imports_nothing_heavy(outside):
    heavy = ["pandas", "duckdb", "matplotlib", "numpy", "scipy", "statsmodels", "sklearn", "numba", "pyarrow", "narwhals"]
    code = f"import sys, retail_insight; print(retail_insight.__file__, [m for m in {heavy + JUPYTER} if m in sys.modules])"
    done = outside(python(code))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]"), done.stdout
    assert "installed" in done.stdout, "this was the checkout, not the wheel"


@pytest.mark.parametrize(("chapter", "spared"), [("demand", ["numba"]), ("forecast", ["lightgbm"])])
def test_the_path_of_goods_leaves_what_takes_long_to_import_to_the_functions_that_use_it(chapter, spared):
    heavy = ["scipy.stats", "scipy.optimize", "scipy.ndimage", "statsmodels", "sklearn", "dask", "distributed", "pyspark", *spared]
    code = f"import sys, retail_insight.{chapter}; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_imports_without_jupyter(outside, chapter):
    done = outside(python(f"import retail_insight.{chapter}"), hidden=JUPYTER + DEVELOPERS)
    assert done.returncode == 0, done.stderr


def test_public_names_lead_to_their_chapters(outside):
    code = """
import retail_insight
missing = [n for n in retail_insight.__all__ if getattr(retail_insight, n, None) is None]
assert not missing, missing
assert set(retail_insight.__all__) <= set(dir(retail_insight))
try: retail_insight.nothing_of_the_kind
except AttributeError as error: assert "nothing_of_the_kind" in str(error)
"""
    done = outside(python(code), hidden=JUPYTER + DEVELOPERS)
    assert done.returncode == 0, done.stderr


def test_the_package_is_silent(outside):
    code = "from retail_insight import load_shop; load_shop('corner')"
    done = outside(python(code), hidden=JUPYTER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# The command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(installed) -> list:
    path = installed / "bin" / "retail-insight"
    if not (ROOT / "retail_insight" / "report.py").exists():
        pytest.skip("retail_insight/report.py is not there")
    return [sys.executable, path]


def test_the_command_says_its_version_and_what_it_does(outside, command):
    done = outside([*command, "--help"], hidden=JUPYTER + DEVELOPERS)
    assert done.returncode == 0, done.stderr
    assert "retail-insight" in done.stdout and "run" in done.stdout


def test_without_the_extra_a_run_names_it(outside, command, tmp_path):
    done = outside([*command, "run", "--data", "corner", "--out", tmp_path / "out"], hidden=JUPYTER)
    assert done.returncode in (1, 2)
    assert "workbook" in done.stderr and "pip install" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "report.html").exists()


def test_the_wheel_runs_its_workbook_from_another_folder(outside, command, tmp_path):
    done = outside([*command, "run", "--data", "corner", "--out", tmp_path / "out"], timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert {"report.html", "workbook.ipynb", "run.json"} <= {p.name for p in (tmp_path / "out").iterdir()}


# Papers -----------------------------------------------------------------------------------------------------------


def test_the_lock_keeps_the_bounds():
    versions = locked()
    for extra in (None, *EXTRAS):
        for r in requirements(extra):
            assert canonicalize_name(r.name) in versions, f"{r.name} is not in constraints.txt"
            assert r.specifier.contains(versions[canonicalize_name(r.name)]), f"{r} but {versions[canonicalize_name(r.name)]}"


def test_the_lock_is_what_is_installed():
    "Where the tests run in the locked environment, that is; elsewhere there is nothing to compare."
    from importlib.metadata import PackageNotFoundError, version

    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("not the environment that `make test` makes")
    for r in [r for extra in (None, *EXTRAS) for r in requirements(extra)]:
        try:
            assert version(r.name) == locked()[canonicalize_name(r.name)], r.name
        except PackageNotFoundError:
            pytest.fail(f"{r.name} is not installed")


def test_what_is_needed_is_declared():
    "Every module that the package imports comes with a declared requirement, and no more than the extras say."
    homes, needed = packages_distributions(), set()
    for path in (ROOT / "retail_insight").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                needed |= {a.name.partition(".")[0] for a in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                needed.add(node.module.partition(".")[0])
    declared = {canonicalize_name(r.name) for extra in (None, "workbook") for r in requirements(extra)}
    needed -= set(sys.stdlib_module_names) | {"retail_insight"}
    missing = [m for m in needed if m in homes and not declared & {canonicalize_name(d) for d in homes[m]}]
    assert not missing, missing


def test_jupyter_is_not_needed_to_import():
    names = {canonicalize_name(r.name) for r in requirements()}
    assert not names & {canonicalize_name(n) for n in JUPYTER + DEVELOPERS}


def test_versions_agree():
    version = CFG["version"]
    assert f'__version__ = "{version}"' in (ROOT / "retail_insight" / "__init__.py").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert re.search(rf"^version: {re.escape(version)}$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)


def test_python_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == f">={CFG['min_python']}"
    assert project["tool"]["mypy"]["python_version"] == CFG["min_python"]


def test_files_mention_no_place_where_they_were_written(tracked):
    words = re.compile(rb"/(?:tmp|work)/|skele" rb"ton")
    own = {Path(__file__), ROOT / "tests" / "test_notebooks.py"}
    text = [p for p in tracked if p not in own and p.suffix not in (".png", ".parquet")]
    assert not {p.relative_to(ROOT).as_posix(): m[0] for p in text if (m := words.search(p.read_bytes()))}


def test_make_alone_lists_the_commands():
    done = subprocess.run(["make", "-s", "-C", str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"workbook", "test", "lab", "docs", "bench", "clean"} <= set(re.findall(r"^  (\w+)", done.stdout, re.M))


def test_make_says_which_python_is_missing(tmp_path):
    for name in ("Makefile", "settings.ini", "setup.py", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["make", "workbook", "PYTHON=no-such-python"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no-such-python" in done.stdout and "3.11" in done.stdout
