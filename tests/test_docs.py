"""The documentation: what is staged from the notebooks, and what the built site holds."""

import re
from html import unescape
from pathlib import Path

import pytest
from docs_site import ROOT, build_site, staging

pytest.importorskip("sphinx", reason="Sphinx is not installed (extra `docs`)")
pytest.importorskip("myst_nb", reason="MyST-NB is not installed (extra `docs`)")


@pytest.fixture(scope="module")
def site() -> Path:
    return build_site()


def chapters() -> dict[str, str]:
    "Page -> module, for every notebook that makes one."
    stage = staging()
    held = {p: stage.processed(p)[1] for ps in stage.sections().values() for p in ps if p.endswith(".ipynb")}
    return {stage.page_name(p): module for p, module in held.items() if module}


def test_every_page_is_in_the_side_bar(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    for paths in staging().sections().values():
        for path in paths:
            page = staging().page_name(path)
            assert (site / f"{page}.html").exists(), page
            assert page == "index" or f'href="{page}.html"' in index, page


def test_every_exported_public_definition_has_an_entry_with_its_parameters(site):
    stage, missing = staging(), []
    for page, module in chapters().items():
        html = unescape((site / f"{page}.html").read_text(encoding="utf-8"))
        for name, held in stage.public(module).items():
            if f'id="{stage.package}.{module}.{name}"' not in html:
                missing.append(f"{module}.{name}")
            elif callable(held):
                said = [re.sub(r"^:(param|ivar) (\w+):.*", r"\2", n) for n in stage.notes(held, "param") if "returns" not in n]
                missing += [f"{module}.{name}({p})" for p in said if f"<strong>{p}</strong>" not in html]
    assert not missing, missing


def test_figures_have_alternative_text(site):
    bare = []
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<img [^>]*>", page.read_text(encoding="utf-8")):
            alt = re.search(r'alt="([^"]*)"', tag)
            if not alt or len(alt[1]) < 4 or alt[1] == "Figure" or re.search(r"\.(png|svg)$", alt[1]):
                bare.append(f"{page.name}: {tag}")
    assert not bare, bare


def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//[^\"]+", html), page
        assert not re.findall(r"<link[^>]+rel=\"(?:stylesheet|preload|icon)\"[^>]+href=\"(?:https?:)?//[^\"]+", html), page


def test_readme_is_the_first_notebook(tmp_path):
    if not (ROOT / "nbs" / "index.ipynb").exists():
        pytest.skip("nbs/index.ipynb is not there")
    assert (ROOT / "README.md").read_text(encoding="utf-8") == staging().readme(), "run `python docs/stage.py readme`"


def test_cell_options_become_the_site_s_terms():
    def cell(source: str) -> dict | None:
        return staging().code_cell({"source": source, "outputs": []}, "Who comes on *Saturday*?\n\nIs it `ben`?")

    assert cell("#| default_exp waiting") is None
    assert cell("#| include: false\nx = 1") is None
    assert cell("#| echo: false\nplot()")["metadata"]["tags"] == ["remove-input"]
    assert cell("#| fig-alt: Bars by weekday\nplot()")["metadata"]["mystnb"]["image"]["alt"] == "Bars by weekday"
    assert cell("plot()")["metadata"]["mystnb"]["image"]["alt"] == "Is it ben?"
    assert cell("#| export\ndef f(): ...")["source"] == "def f(): ..."


def test_links_follow_pages_and_leave_code_alone():
    stage = staging()
    here = {"docs/stage.py": "stage.html"}.get
    assert stage.relink("[how](../docs/stage.py#x) and [gone](../docs/conf.py)", "nbs", here) == "[how](stage.html#x) and gone"
    assert stage.relink("```\n[how](../docs/stage.py)\n```", "nbs", here) == "```\n[how](../docs/stage.py)\n```"
    assert stage.relink("[out](https://example.org/a)", "nbs", here) == "[out](https://example.org/a)"
    linked = stage.name_links("# `Shop`\n`Shop`, `other`, [`Shop`](x)", None, {"Shop": ["contract"]})
    assert linked == "# `Shop`\n[`Shop`](#class-contract-shop), `other`, [`Shop`](x)"
    assert stage.name_links("`f`", None, {"f": ["a", "b"]}) == "`f`"
