"""Stage the notebooks as pages for Sphinx, or write README.md from the first of them.

    python docs/stage.py            notebooks and how-to pages -> docs/_src
    python docs/stage.py FOLDER     the same, into another folder
    python docs/stage.py readme     nbs/index.ipynb -> README.md

nbdev's own processors apply its directives (`hide`, `hide_line`, `filter_stream`, ...). What they leave
for Quarto (`echo`, `output`, `code-fold`, `fig-cap`, `fig-alt`) is turned into MyST-NB's terms here. Every
chapter ends in an "API" section: an entry for each public definition it exports, its docments as parameters.
"""

import ast
import base64
import importlib
import inspect
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from posixpath import join, normpath, relpath

from execnb.nbio import read_nb
from fastcore.docments import docments
from nbdev import processors as nbdev
from nbdev.process import NBProcessor

root = Path(__file__).resolve().parents[1]
ini = ConfigParser(delimiters=["="])
ini.read(root / "settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
package, nbs = cfg["lib_path"], cfg["nbs_path"]
STEPS = ["populate_language", "strip_ansi", "hide_line", "filter_stream_", "rm_header_dash", "clean_magics", "hide_"]


def text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


# Pages ------------------------------------------------------------------------------------------------------------


def page_name(path: str) -> str:
    "`nbs/00b_scoring.ipynb` -> `scoring`, `nbs/studies/02_panel.ipynb` -> `studies/panel`, `docs/howto/x.md` -> `howto/x`."
    folder, _, name = path.removeprefix(f"{nbs}/").removeprefix("docs/").rpartition("/")
    return join(folder, re.sub(r"^\d+[a-z]?_", "", name).rpartition(".")[0].lower())


def sections() -> dict[str, list[str]]:
    "What the site holds, by heading of its side bar: paths from the top of the repository, in reading order."
    def found(pattern: str) -> list[str]:
        return [p.relative_to(root).as_posix() for p in sorted(root.glob(pattern)) if not p.name.startswith(("_", "."))]

    top = found(f"{nbs}/*.ipynb")
    return {
        "Start": [p for p in top if page_name(p) == "index"],
        "Story": [p for p in top if not re.match(r"\d", Path(p).name) and page_name(p) != "index"],
        "Chapters": [p for p in top if re.match(r"\d", Path(p).name)],
        "Studies": found(f"{nbs}/studies/*.ipynb"),
        "How to": found("docs/howto/*.md"),
        "Project": found("CONTRIBUTING.md") + found("CHANGELOG.md"),
    }


# Links ------------------------------------------------------------------------------------------------------------


def outside_fences(md: str, change: Callable[[str], str]) -> str:
    "Apply `change` to the prose in `md`, not to its fenced code."
    parts = re.split(r"(^(?:```|~~~).*?^(?:```|~~~)[^\n]*$)", md, flags=re.M | re.S)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def relink(md: str, folder: str, target: Callable[[str], str | None]) -> str:
    "Send each relative link in `md`, which stands in `folder`, to `target(its path)`; None leaves only its words."
    def send(m: re.Match) -> str:
        path, _, anchor = m[3].partition("#")
        here = normpath(join(folder, path))
        to = target(here if (root / here).exists() else normpath(path))
        return f"{m[1]}[{m[2]}]({to}{'#' + anchor if anchor else ''})" if to else m[2]

    link = r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#|/)([^)\s]+)\)"
    return outside_fences(md, lambda prose: re.sub(link, send, prose))


def label(module: str, name: str) -> str:
    kind = "data" if name.isupper() else "class" if name[:1].isupper() else "api"  # labels do not see case
    return f"{kind}-{module}-{name}".lower().replace(".", "-").replace("_", "-")


def name_links(md: str, module: str | None, names: dict[str, list[str]]) -> str:
    "Link `names` in backticks to their API entries: this chapter's own, or the only one so called."
    def send(m: re.Match) -> str:
        homes = names.get(m[1].partition("(")[0], [])
        home = module if module in homes else homes[0] if len(homes) == 1 else None
        return f"[{m[0]}](#{label(home, m[1].partition('(')[0])})" if home else m[0]

    def prose(part: str) -> str:
        lines = part.split("\n")
        return "\n".join(x if x.startswith("#") else re.sub(r"(?<![\[`])`([\w.]+(?:\(\))?)`(?![\]`])", send, x) for x in lines)

    return outside_fences(md, prose)


# API entries ------------------------------------------------------------------------------------------------------


def chapter_module(cells: list) -> str | None:
    found = re.search(r"^#\|\s*default_exp\s+(\S+)", "\n".join(text(c.source) for c in cells if c.cell_type == "code"), re.M)
    return found[1] if found else None


def public(module: str) -> dict[str, object]:
    "What a chapter exports, in order of definition."
    mod = importlib.import_module(f"{package}.{module}")
    held = {name: getattr(mod, name) for name in getattr(mod, "__all__", []) if not name.startswith("_")}
    return {n: o for n, o in held.items() if getattr(o, "__module__", mod.__name__) == mod.__name__ or not callable(o)}


def members(cls: type) -> Iterator[tuple[str, object]]:
    "The public methods and properties that a class defines itself and says something about."
    for name, held in vars(cls).items():
        plain = getattr(held, "__func__", getattr(held, "fget", getattr(held, "func", held)))
        if not name.startswith("_") and inspect.isfunction(plain) and plain.__doc__:
            yield name, held


def signature(func: object) -> str:
    "A function's parameters as they are written in its notebook."
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(func))).body[0]  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):
        return ""
    if not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    if tree.args.args and tree.args.args[0].arg in ("self", "cls"):
        tree.args.args.pop(0)
    for arg in ast.walk(tree.args):  # "Shop" -> Shop
        if isinstance(arg, ast.arg) and isinstance(arg.annotation, ast.Constant) and isinstance(arg.annotation.value, str):
            arg.annotation = ast.Name(arg.annotation.value)
    returns = f" -> {ast.unparse(tree.returns).strip(chr(39))}" if tree.returns else ""
    return f"({ast.unparse(tree.args)}){returns}"


def prose_of(docstring: str) -> str:
    "A docstring as Markdown; sections of numpy's form get bold titles."
    titled = re.sub(r"^(\w[\w ]*)\n-{3,}\n", r"\n**\1**\n\n", docstring, flags=re.M)
    return titled if titled == docstring else re.sub(r"^(\*?\w+) : (.+)$", r"\n`\1`: \2.", titled, flags=re.M)


def notes(held: object, field: str) -> list[str]:
    "The docments of a function, or of a dataclass's fields, as a field list."
    out = []
    for name, note in docments(held, full=True).items():
        said = " ".join(text(note.get("docment") or "").split()) if isinstance(note, dict) else ""
        if said and name not in ("self", "cls"):
            out.append(f":returns: {said}" if name == "return" else f":{field} {name}: {said}")
    return out


def entry(module: str, name: str, held: object, within: bool = False) -> str:
    "One definition: signature, docstring, parameters; for a class its methods too."
    func = getattr(held, "__func__", getattr(held, "fget", getattr(held, "func", held))) if within else held
    isclass = inspect.isclass(held)
    if isclass:
        fields = hasattr(held, "__dataclass_fields__")
        kind, sig = "class", "" if fields or "__init__" not in vars(held) else signature(held.__init__)  # type: ignore[misc]
        body = notes(held, "ivar" if fields else "param") if fields or "__init__" in vars(held) else []
    elif not callable(func):
        kind, sig, body = "data", "", [f":type: {type(held).__name__}"]
    elif within and func is not held and not isinstance(held, staticmethod | classmethod):
        kind, sig, body = "property", "", []
    else:
        kind, sig, body = ("method" if within else "function"), signature(func), notes(func, "param")
    fence = "`" * (6 if isclass else 4)
    doc = inspect.getdoc(func) if isclass or callable(func) else ""
    if isclass and (held.__doc__ or "").startswith(f"{name}("):  # type: ignore[union-attr]
        doc = ""  # the text that dataclasses make up
    head = f"{fence}{{py:{kind}}} {name}{sig}\n:module: {package}.{module}\n"
    if kind == "data":
        return f"({label(module, name)})=\n{head}{body[0]}\n{fence}"
    parts = [head, prose_of(doc or ""), "\n".join(body)]
    parts += [entry(module, f"{name}.{n}", m, within=True) for n, m in members(held)] if isclass else []
    return (f"({label(module, name)})=\n" if not within else "") + "\n\n".join(parts) + f"\n{fence}"


def api(module: str) -> list[dict]:
    held = public(module)
    if not held:
        return []
    intro = f"## API\n\nEverything that this chapter exports, as `{package}.{module}`."
    return [markdown(intro), *(markdown(entry(module, name, what)) for name, what in held.items())]


# Cells ------------------------------------------------------------------------------------------------------------


def markdown(source: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def options(source: str) -> tuple[dict[str, str], str]:
    "Quarto's cell options, and the code without them."
    found = dict(re.findall(r"^\s*#\|\s*([\w-]+)\s*:\s*(.*?)\s*$", source, flags=re.M))
    code = "\n".join(line for line in source.splitlines() if not re.match(r"\s*#\|", line))
    return {k: v.strip("\"'") for k, v in found.items()}, code.strip("\n")


def question(md: str) -> str:
    "The last sentence before a figure: what it answers, which is its alternative text unless `fig-alt` says it better."
    prose = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*_$>#]", r"\1", md.strip().split("\n\n")[-1])
    return re.split(r"(?<=[.?!:])\s+", " ".join(prose.split()))[-1].rstrip(":")


def code_cell(cell: dict, before: str) -> dict | None:
    "A code cell in MyST-NB's terms; None when it shows nothing."
    opts, code = options(text(cell["source"]))
    if not code.strip() or opts.get("include") == "false":
        return None
    tags = [t for t in cell.get("metadata", {}).get("tags", []) if t.startswith(("hide-", "remove-"))]
    tags += ["remove-input"] * (opts.get("echo") == "false") + ["remove-output"] * (opts.get("output") == "false")
    tags += ["hide-input"] * (opts.get("code-fold") in ("true", "show"))
    show: dict = {"image": {"alt": opts.get("fig-alt") or opts.get("fig-cap") or question(before) or "Figure"}}
    if "fig-cap" in opts:
        show["figure"] = {"caption": opts["fig-cap"]}
    outputs = json.loads(json.dumps(cell.get("outputs", [])))
    for out in outputs:
        out.get("data", {}).pop("text/latex", None)
    return {"cell_type": "code", "metadata": {"tags": tags, "mystnb": show}, "source": code, "outputs": outputs, "execution_count": None}


def processed(path: str) -> tuple[list, str | None]:
    "A notebook's cells after nbdev's processors, and the module that it makes."
    nb = read_nb(root / path)
    module = chapter_module(nb.cells)
    for cell in nb.cells:
        cell.source = text(cell.source)
    NBProcessor(nb=nb, procs=[getattr(nbdev, step) for step in STEPS], process=True)
    return nb.cells, module


def stage_notebook(path: str, prose: Callable[[str, str | None], str]) -> list[dict]:
    cells, module = processed(path)
    out, before = [], ""
    for cell in cells:
        if cell.cell_type == "markdown":
            before = text(cell.source)
            out.append(markdown(prose(before, module)))
        elif cell.cell_type == "code":
            out += filter(None, [code_cell(cell, before)])
    return out + (api(module) if module else [])


def contents(pages: dict[str, list[str]]) -> dict:
    "The side bar: one hidden table of contents for each section."
    trees = [
        f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(map(page_name, paths)) + "\n```"
        for title, paths in pages.items()
        if paths and title != "Start"
    ]
    return markdown("\n\n".join(trees))


def write_page(to: Path, cells: list[dict]) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}
    numbered = [{"id": f"c{i}", **c} for i, c in enumerate(cells)]
    page = {"nbformat": 4, "nbformat_minor": 5, "cells": numbered, "metadata": kernel}
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(json.dumps(page, indent=1), encoding="utf-8")


def stage(out: Path) -> list[str]:
    "Write the site's sources into `out`, which is emptied first; return the names of its pages."
    shutil.rmtree(out, ignore_errors=True)
    pages = sections()
    staged = {path: page_name(path) for paths in pages.values() for path in paths}
    modules = filter(None, (chapter_module(read_nb(root / p).cells) for p in staged if p.endswith(".ipynb")))
    names: dict[str, list[str]] = {}
    for module in modules:
        for name in public(module):
            names.setdefault(name, []).append(module)
    for path, name in staged.items():
        here, folder = name.rpartition("/")[0], path.rpartition("/")[0]

        def target(to: str, here: str = here) -> str | None:
            if to in staged:
                return relpath(staged[to] + Path(to).suffix, here or ".")
            if (root / to).is_file() and Path(to).suffix in (".png", ".svg", ".jpg"):
                copy = out / "images" / Path(to).name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / to, copy)
                return relpath(f"images/{copy.name}", here or ".")
            return None

        def prose(md: str, module: str | None, folder: str = folder, target: Callable = target) -> str:
            return name_links(relink(md, folder, target), module, names)

        if path.endswith(".ipynb"):
            cells = stage_notebook(path, prose)
            write_page(out / f"{name}.ipynb", cells + [contents(pages)] * (name == "index"))
        else:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / f"{name}.md").write_text(prose((root / path).read_text(encoding="utf-8"), None), encoding="utf-8")
    if "index" not in staged.values():
        write_page(out / "index.ipynb", [markdown(f"# {cfg['title']}\n\n{cfg['description']}."), contents(pages)])
    return list(staged.values())


# README -----------------------------------------------------------------------------------------------------------


def readme_output(out: dict, alt: str, pictures: Path, number: int) -> str:
    "An output as GitHub and package indexes can show it: a picture, Markdown, or indented text."
    data = out.get("data", {})
    if "image/png" in data:
        pictures.mkdir(parents=True, exist_ok=True)
        picture = pictures / f"readme_{number}.png"
        picture.write_bytes(base64.b64decode(text(data["image/png"])))
        return f"![{alt}]({picture.relative_to(root).as_posix()})"
    if "text/markdown" in data:
        return text(data["text/markdown"])
    return textwrap.indent(text(out.get("text") or data.get("text/plain") or "").rstrip(), "    ")


def readme(pictures: Path = root / "docs" / "images") -> str:
    "README.md, from the first notebook; pictures among its outputs are written beside the documentation."
    cells, _ = processed(f"{nbs}/{cfg['readme_nb']}")
    out, before = ["<!-- Made from nbs/index.ipynb by docs/stage.py: edit that. -->"], ""
    for cell in cells:
        if cell.cell_type == "markdown":
            before = text(cell.source)
            out.append(relink(before, nbs, lambda path: path).strip())
        elif cell.cell_type == "code" and (shown := code_cell(cell, before)):
            hidden, alt = shown["metadata"]["tags"], shown["metadata"]["mystnb"]["image"]["alt"]
            out += [f"```python\n{shown['source'].strip()}\n```"] * ("remove-input" not in hidden)
            for output in shown["outputs"] * ("remove-output" not in hidden):
                out.append(readme_output(output, alt, pictures, len(out)))
    return "\n\n".join(part for part in out if part.strip()) + "\n"


def main(args: list[str]) -> None:
    if args == ["readme"]:
        (root / "README.md").write_text(readme(), encoding="utf-8")
    else:
        print("staged:", *stage(Path(args[0]) if args else root / "docs" / "_src"))


if __name__ == "__main__":
    main(sys.argv[1:])
