"""What a reader sees: the report, the documentation and a notebook in JupyterLab, in headless Chromium."""

import functools
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docs_site import ROOT, build_site

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def leave_out(missing: str) -> None:
    "Skip where a reader may lack something; fail where everything has to run."
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{missing} is not installed")


@pytest.fixture(scope="session")
def chromium():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        leave_out("the Python package `playwright`")
    if not (path := shutil.which("chromium")):
        leave_out("Debian's package `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def outside(url: str) -> bool:
    return not url.startswith(("file://", "data:", "blob:", "about:", "http://127.0.0.1:", "ws://127.0.0.1:"))


@contextmanager
def opened(chromium, size: str = "desktop") -> Iterator:
    "A page; when it closes, it must not have complained or asked for anything outside."
    context = chromium.new_context(viewport=SIZES[size])
    page, trouble = context.new_page(), []
    page.on("console", lambda m: trouble.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda e: trouble.append(f"page error: {e}"))
    page.on("request", lambda r: trouble.append(f"request outside: {r.url}") if outside(r.url) else None)
    page.on("requestfailed", lambda r: trouble.append(f"failed: {r.url}") if r.failure != "net::ERR_ABORTED" else None)
    yield page
    context.close()
    assert not trouble, trouble


def overflow(page) -> list[str]:
    "What reaches beyond the right edge, if the page scrolls sideways."
    return page.evaluate(
        """() => document.scrollingElement.scrollWidth <= innerWidth ? [] :
        [`${document.scrollingElement.scrollWidth} > ${innerWidth}`,
         ...[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .slice(0, 5).map(e => e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 60))]"""
    )


# The report -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Path:
    "The report on the corner shop, as the command writes it."
    if not (ROOT / "retail_insight" / "report.py").exists():
        pytest.skip("retail_insight/report.py is not there")
    out = tmp_path_factory.mktemp("report")
    command = [Path(sys.executable).with_name("retail-insight"), "run", "--data", "corner", "--out", out]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return out / "report.html"


@pytest.mark.parametrize("size", SIZES)
def test_report_opens(chromium, report, size):
    with opened(chromium, size) as page:
        page.goto(report.as_uri(), wait_until="load")
        assert page.locator("h1").first.is_visible()
        assert page.title()
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert page.evaluate("[...document.images].filter(i => !i.alt).length") == 0
        assert not overflow(page)


# The documentation ------------------------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    "The address of the documentation, served from this machine."
    for needed in ("sphinx", "myst_nb", "furo"):
        try:
            __import__(needed)
        except ImportError:
            leave_out(f"the Python package `{needed}` (extra `docs`)")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=build_site()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("size", SIZES)
def test_every_page_of_the_documentation_opens(chromium, site, size):
    pages = sorted(p.relative_to(build_site()).as_posix() for p in build_site().rglob("*.html"))
    wide = {}
    with opened(chromium, size) as page:
        for name in (p for p in pages if not p.startswith(("_", "genindex", "py-modindex", "search"))):
            page.goto(f"{site}/{name}", wait_until="load")
            assert page.locator("h1").count(), name
            if found := overflow(page):
                wide[name] = found
    assert not wide, wide


def test_the_documentation_opens_from_a_folder(chromium, site):
    with opened(chromium) as page:
        page.goto((build_site() / "index.html").as_uri(), wait_until="load")
        assert page.locator("h1").first.is_visible()


def test_search_finds_a_definition(chromium, site):
    with opened(chromium) as page:
        page.goto(f"{site}/index.html")
        page.locator("input[name=q]:visible").first.fill("load_shop")
        page.keyboard.press("Enter")
        page.locator("#search-results li a").first.wait_for(timeout=20_000)
        page.locator("#search-results li a", has_text="load_shop").first.click()
        page.wait_for_load_state()
        assert "load_shop" in page.url


# JupyterLab -------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(done, seconds: float, what: str, every: float = 0.5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := done():
                return found
        except (OSError, ValueError):
            pass
        time.sleep(every)
    pytest.fail(f"{what}: not after {seconds:.0f} s")


@pytest.fixture(scope="session")
def lab(tmp_path_factory, chromium) -> Iterator[tuple[Path, str, str]]:
    "A JupyterLab with a home of its own on a copy of the notebooks: their folder, its address and its token."
    try:
        import jupyterlab  # noqa: F401
    except ImportError:
        leave_out("the Python package `jupyterlab` (extra `workbook`)")
    home, port, token = tmp_path_factory.mktemp("lab"), free_port(), "retail-insight-test"
    shutil.copytree(ROOT / "nbs", home / "nbs", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    own = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    own |= {"IPYTHONDIR": str(home / "ipython"), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    command += ["--LabApp.extension_manager=readonly", "--LabApp.news_url=None", str(home / "nbs")]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=home / "nbs")
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: urllib.request.urlopen(f"{url}/api/status?token={token}").status == 200, 90, "JupyterLab starts")
            yield home / "nbs", url, token
        finally:
            server.terminate()
            server.wait(30)


def code_cells(path: Path) -> list[dict]:
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code" and "".join(c["source"]).strip()]


def test_jupyterlab_runs_a_chapter(chromium, lab):
    folder, url, token = lab
    notebook = folder / "01_describe.ipynb"
    if not notebook.exists():
        pytest.skip("nbs/01_describe.ipynb is not there")
    committed = [c["execution_count"] for c in code_cells(notebook)]
    assert not any(committed), "the committed notebook has counts, so a run could not be told from none"
    with opened(chromium) as page:
        page.goto(f"{url}/lab/workspaces/test/tree/{notebook.name}?reset&token={token}", timeout=120_000)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=120_000)
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(state="attached", timeout=120_000)
        asked = [0.0]

        def run_all():
            "Ask for it again where nothing has begun: a click can come before the page listens, or a dialog take it."
            if time.monotonic() - asked[0] > 30:
                asked[0] = time.monotonic()
                for accept in page.locator(".jp-Dialog .jp-mod-accept").all():
                    accept.click()
                page.get_by_role("menuitem", name="Run", exact=True).click()
                page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

        def ran() -> list[dict] | None:
            page.keyboard.press("Control+s")
            page.wait_for_timeout(1000)
            cells = code_cells(notebook)
            if not any(c["execution_count"] for c in cells) and not page.locator(".jp-InputPrompt", has_text="*").count():
                run_all()
            wrong = [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
            return cells if wrong or all(c["execution_count"] for c in cells) else None

        cells = wait_for(ran, 480, "every cell has run")
        wrong = [f"{o['ename']}: {o['evalue']}" for c in cells for o in c["outputs"] if o["output_type"] == "error"]
        assert not wrong, wrong
        assert page.locator(".jp-OutputArea-output[data-mime-type*='error']").count() == 0
