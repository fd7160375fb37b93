"""How the site is built: python -m sphinx -W docs docs/_build

Sphinx, since the docstrings are reST with its roles. MyST-NB, so that pages are Markdown that a
code host shows, too, and a notebook is a page with its stored pictures. Furo, since it reads well
on a phone and in the dark, without a line of our own style.
"""

import os
import re
import shutil
from pathlib import Path

import jaxrnn

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "jaxrnn"
author = copyright = "the jaxrnn maintainers"
version = release = jaxrnn.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "jaxrnn"

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
copybutton_prompt_text = "$ "
myst_heading_anchors = 3
# A line that begins with % is a comment to MyST; on our pages it is a number of percent.
myst_disable_syntax = ["myst_line_comment"]
nb_execution_mode = "off"  # tests run the notebooks; the site shows what they have stored

NOTEBOOKS = list((ROOT / "examples").glob("*.ipynb"))
for notebook in NOTEBOOKS:
    shutil.copy(notebook, DOCS / "tutorials")

# Pages whose text stands elsewhere in the repository, and where.
ORIGINS = {
    "gallery": "examples/README.md",
    "notebook": "examples/notebook-run/README.md",
    "paper": "examples/paper-run/README.md",
    "horizon": "examples/horizon-run/README.md",
    "claims": "examples/claims-run/README.md",
    "state_tracking": "examples/state-tracking-run/README.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
}
PAGES = {origin: f"{page}.md" for page, origin in ORIGINS.items()} | {
    "README.md": "index.md",
    "benchmarks/README.md": "speed.md",
}
PAGES |= {f"examples/{one.name}": f"tutorials/{one.name}" for one in NOTEBOOKS}


def relinked(app, page, source):
    """Put the text of a page in its place that stands elsewhere; make links to what is no page of
    the site downloads, and those to the origin of a page links to the page."""
    file = ROOT / ORIGINS.get(page, f"docs/{page}.md")
    if not file.exists():  # a notebook
        return
    here = (DOCS / page).parent

    def target(link):
        inside = os.path.relpath(file.parent / link, ROOT)
        return os.path.relpath(DOCS / PAGES[inside] if inside in PAGES else ROOT / inside, here)

    def text_link(found):
        words, link, anchor = found.groups("")
        leads_out = link.endswith(".md") and not (here / target(link)).resolve().is_relative_to(
            DOCS
        )
        if leads_out:
            return f"{{download}}`{words} <{target(link)}>`"
        return f"[{words}]({target(link)}{anchor})"

    text = file.read_text("utf-8") if page in ORIGINS else source[0]
    text = re.sub(r"\[([^][]*)\]\(([^)#:\s]+)(#[^)]*)?\)", text_link, text)
    # Around a picture.
    text = re.sub(r"(?<=\)\]\()([^)#:\s]+)", lambda found: target(found[0]), text)
    source[0] = text


def as_plain_text(app, what, name, obj, options, lines):
    """Let the stars and bars of equations be stars and bars."""
    code = re.compile(r"(``.*?``|:\w+:`.*?`)")
    for number, line in enumerate(lines):
        parts = code.split(line)
        parts[::2] = [re.sub(r"[*|]", r"\\\g<0>", part) for part in parts[::2]]
        lines[number] = "".join(parts)


def setup(app):
    """Take part in the build."""
    app.connect("source-read", relinked)
    app.connect("autodoc-process-docstring", as_plain_text)
