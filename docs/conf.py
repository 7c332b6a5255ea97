"""Sphinx settings. Names and versions come from settings.ini; the pages are staged by stage.py."""

import sys
from configparser import ConfigParser
from pathlib import Path

ini = ConfigParser(delimiters=["="])
ini.read(Path(__file__).parents[1] / "settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
sys.setrecursionlimit(10_000)  # long notebooks make deep trees

project, author, copyright = cfg["title"], cfg["author"], cfg["copyright"]
version = release = cfg["version"]
language = "en"
extensions = ["myst_nb", "sphinx_copybutton", "sphinx-mathjax-offline"]
source_suffix = {".ipynb": "myst-nb", ".md": "myst-nb"}

nb_execution_mode = "off"  # the outputs are the committed ones
nb_merge_streams = True
nb_ipywidgets_js = {}  # these scripts would come from a CDN
myst_enable_extensions = ["alert", "amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4

add_module_names = False
python_display_short_literal_types = True
maximum_signature_line_length = 70
toc_object_entries_show_parents = "hide"
suppress_warnings = ["ref.python"]  # two chapters may give a method the same name

html_theme = "furo"
html_title = cfg["title"]
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {"navigation_with_keys": True}
html_show_sourcelink = html_copy_source = False
pygments_style = "friendly"
