"""A report as one page of HTML, which needs no network.

Its pictures are matplotlib's own, as SVG, so each is drawn once for every form of the report. The
script in ``page.html`` adds to them, and makes tables that sort and filter. A library of charts
would be as large as the page or larger (minified: vega and vega-lite 0.77 MB, plotly.js 4.8 MB),
and a library of tables is larger than this script (simple-datatables 0.10 MB).
"""

import base64
import io
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.figure import Figure

from jaxrnn.experiment import SETTINGS, Experiment
from jaxrnn.problems import settled
from jaxrnn.report.render import (
    NAME_WIDTH,
    NAMES,
    PLURAL,
    Document,
    Map,
    Table,
    Words,
    all_shortened,
    settings_in_words,
    spaced,
)
from jaxrnn.report.summary import Study, net_name, steps_to_solution
from jaxrnn.store.config import spelled

MOST = 800_000
"""The most letters of a drawing as matplotlib writes it. A larger drawing is shown as pixels, and
its points cannot say what they are."""

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG for a page on which nothing else has this name; a point says its trial, where
    :func:`drawing.tell` told it."""
    drawn = io.BytesIO()
    # Text stays text, which is shorter.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    if len(drawn.getvalue()) > MOST:
        pixels = io.BytesIO()
        figure.savefig(pixels, format="png", dpi=100)
        data = base64.b64encode(pixels.getvalue()).decode()
        return f'<img alt="" src="data:image/png;base64,{data}">'
    root = ElementTree.fromstring(drawn.getvalue())
    for found in root.findall(f"{{{SVG}}}metadata"):
        root.remove(found)
    for one in root.iter():
        if one.attrib.get("id", "").startswith("{"):  # a line whose points have words, or itself
            words, group = json.loads(one.attrib.pop("id")).values()
            if group:
                one.set("data-group", group)
            points = [*one.iter(f"{{{SVG}}}use")]
            told = points if len(points) == len(words) else [one] if len(words) == 1 else []
            for place, text in zip(told, words, strict=False):
                ElementTree.SubElement(place, f"{{{SVG}}}title").text = text
        for where in ("d", "x", "y"):  # in points, of which no eye sees a hundredth
            if where in one.attrib:
                one.attrib[where] = re.sub(r"(\.\d\d)\d+", r"\1", one.attrib[where])
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def page(document: Document, study: Study, drawings: Sequence[str]) -> str:
    """The report as HTML, with ``drawings`` of its pictures: first the verdict beside the map of
    nets, or beside the first picture if there is no map; then tables, other pictures, notes,
    trials, and folded the settings. The trials have a table of their own, and every row of the
    other tables leads there."""
    maps = [part for part in document.parts if isinstance(part, Map)]
    shown = [_map(one, study.own_cells) for one in maps if len(one.tasks) > 1]
    figures = [
        (picture.caption, _figure(picture.caption, drawing))
        for picture, drawing in zip(document.pictures, drawings, strict=True)
        if not (shown and picture.is_map)
    ]
    words = "".join(f"<p class=verdict>{escape(paragraph)}</p>" for paragraph in document.verdict)
    beside = figures[: bool(words and not shown)]
    first = "".join([*shown, *(figure for _, figure in beside)])
    two = " two" * bool(words and first)
    answer = f"<div class=words>{words}</div><div>{first}</div>"
    body = [f'<section id="answer" class="answer{two}">{answer}</section>'] * bool(words or first)
    contents = ["Answer"] * len(body)
    body.append('<div id="net" aria-live="polite" hidden></div>' * bool(maps))
    sections = defaultdict[str, str](str)  # a picture stands below the table of its title
    for part in document.parts:
        if isinstance(part, Words):
            paragraph = f"<p>{escape(part.text)}</p>"
            if sections:
                sections[[*sections][-1]] += paragraph
            else:
                body.append(paragraph)
        elif isinstance(part, Table):
            sections[part.title] += _table(part)
    for caption, figure in figures[len(beside) :]:
        sections[caption] += figure
    if document.notes:
        sections["Notes"] = f"<div class=notes>{_notes(document.notes)}</div>"
    for title, html in sections.items():
        body.append(f'<section id="{_anchor(title)}"><h2>{escape(title)}</h2>{html}</section>')
    # Within a script "</" would end it.
    data = {"trials": _trials(study, maps), "map": _data(maps[0]) if maps else None}
    text = (files("jaxrnn.report") / "page.html").read_text("utf-8")
    contents += [*sections, "Trials", "Settings"]
    links = (f'<a href="#{_anchor(one)}">{escape(one)}</a>' for one in contents)
    return Template(text).substitute(
        body="\n".join(body),
        contents="".join(links),
        settings=_settings(document),
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _anchor(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower())


def _figure(caption: str, drawing: str) -> str:
    # A picture of a few inches would be blown up: its letters are to be those of the text.
    wide = re.match(r'<svg[^>]* width="([\d.]+)pt"', drawing)
    limit = f' style="max-width: {1.6 * float(wide[1]):.0f}px"' if wide else ""
    return f"<figure><figcaption>{escape(caption)}</figcaption><div{limit}>{drawing}</div></figure>"


def _settings(document: Document) -> str:
    """Settings and versions, folded. A setting stands first if it is not the default, or not the
    same for all trials."""
    usual = settings_in_words([settled(Experiment())])
    own, others = list[str](), list[str]()
    for name, words in document.settings.items():
        row = f"<tr><th>{escape(name)}</th><td>{escape(words)}</td></tr>"
        (own if name in PLURAL.values() or words != usual[name] else others).append(row)
    made = "".join(f"<p class=dim>{escape(line)}</p>" for line in document.made)
    return (
        f'<h2 id="settings">Settings</h2><details><summary>Settings and versions</summary>{made}'
        f"<table class=settings>{''.join(own)}</table><p>These have their default:</p>"
        f"<table class=settings>{''.join(others)}</table></details>"
    )


def _map(one: Map, own: Collection[str]) -> str:
    """Cells by tasks; a click on a field shows its net, and what is not wanted is switched off."""
    switches = [
        f'<label><input type="checkbox" name="{kind}" value="{escape(name)}" checked> '
        f"{escape(name)}</label>"
        for kind, names in (("cell", one.cells), ("task", one.tasks.values()))
        for name in names
    ]
    short = all_shortened(one.cells, NAME_WIDTH)
    head = "".join(
        f'<th data-task="{escape(task)}">{_broken(task)}</th>' for task in one.tasks.values()
    )
    lines = []
    for cell in one.cells:
        name = f"<th{' class=own' * (cell in own)}>{_broken(short[cell])}</th>"
        fields = "".join(_field(one, task, cell) for task in one.tasks.values())
        lines.append(f'<tr data-cell="{escape(cell)}">{name}{fields}</tr>')
    return (
        f"<figure><figcaption>{escape(one.title)}. {escape(one.legend)} Click a field to see its "
        f'net.</figcaption><details id="choice" class="switches"><summary>Cells and tasks</summary>'
        f'{"".join(switches)}</details><table class="map"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></figure>"
    )


def _broken(name: str) -> str:
    """A name that may go on in the next line after an underscore."""
    return escape(name).replace("_", "_<wbr>")


def _field(one: Map, task: str, cell: str) -> str:
    about = f'data-task="{escape(task)}" data-cell="{escape(cell)}"'
    if (field := one.fields.get((task, cell))) is None:
        return f'<td {about} class="dim">-</td>'
    look = ""
    if field.color:
        red, green, blue = bytes.fromhex(field.color[1:])
        ink = "#000" if 0.3 * red + 0.59 * green + 0.11 * blue > 130 else "#fff"
        look = f' style="background: {field.color}; color: {ink}"'
    small = f"<small>{escape(field.small)}</small>" if field.small else ""
    return f'<td tabindex="0" {about}{look}>{escape(field.large)}{small}</td>'


def _data(one: Map) -> dict[str, Any]:
    """What the script needs of a map."""
    nets = [
        {"task": task, "cell": cell} | dict(field.details)
        for (task, cell), field in one.fields.items()
        if field.details
    ]
    return {"nets": nets, "roles": one.roles, "fresh": one.fresh}


_BESIDE = re.compile(r"[\w.][\w./%-]*")
"""An address that can only be of a file beside the page, or in a folder there."""


def _notes(text: str) -> str:
    """Markdown as HTML, and nothing in it is taken for HTML. The page needs no network, so an image
    that is not a file beside it is shown as its words or its address."""
    from markdown_it import MarkdownIt  # which rich needs, too
    from markdown_it.renderer import RendererHTML

    parser = MarkdownIt("js-default")
    renderer, blocks = RendererHTML(parser), parser.parse(text)
    for token in (one for block in blocks for one in block.children or ()):
        address = str(token.attrs.get("src", ""))
        if token.type == "image" and not _BESIDE.fullmatch(address):
            token.type = "text"
            token.content = renderer.renderInlineAsText(token.children, parser.options, {})
            token.content = token.content or address
    return renderer.render(blocks, parser.options, {})


def _table(table: Table) -> str:
    head, columns = "", []
    for heading in table.headings:
        kind = " class=name" if heading in NAMES else ""
        head += f"<th{kind}>{escape(spaced(heading))}</th>"
        texts = [row.cells.get(heading, "-") for row in table.rows]
        places = {text: f" data-place={k}" for k, text in enumerate(in_order(heading, texts))}
        columns.append([f"<td{kind}{places.get(text, '')}>{escape(text)}</td>" for text in texts])
    rows = []
    for row, cells in zip(table.rows, zip(*columns, strict=True), strict=True):
        about = f' data-about="{escape(json.dumps(row.about))}"' if row.about else ""
        rows.append(f"<tr{about}>{''.join(cells)}</tr>")
    legend = f"<p class=dim>{escape(table.legend)}</p>" if table.legend else ""
    return (
        f"<div class=table><table class=data><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>{legend}"
    )


_NUMBER = r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"
_BEGINS = re.compile(rf"([<≤>≥]?)=?{_NUMBER}(?:/(\d+))?(?!\.?\w)")
_SIDES = {"<": -1, "≤": -1, "": 0, "≥": 1, ">": 1}


def in_order(heading: str, texts: Iterable[str]) -> list[str]:
    """The texts of a column, each once, as a click on its heading sorts them. A text that stands
    for nothing is left out: it comes last both ways.

    Names are sorted by their letters, others by the numbers in them: n/m counts as a share, and <8
    comes before 8, ≥8 after it. A text that begins with no number follows those that do.
    """

    def key(text: str) -> tuple[Any, ...]:
        begins = None if heading in NAMES else _BEGINS.match(text)
        if begins is None:
            return 1, text.casefold(), text
        side, of = begins.groups()
        value, *others = (
            float(one.replace(",", "")) for one in re.findall(rf"(?<!\d){_NUMBER}", text)
        )
        return 0, value / float(of) if of and float(of) else value, _SIDES[side], others, text

    return sorted({*texts} - {"", "-", "never", "none"}, key=key)


def _trials(study: Study, maps: Sequence[Map]) -> dict[str, Any]:
    """Every trial as a row of the page's last table, without what all have in common; and the texts
    of each column :func:`in_order`. With a map, a column says why they were run."""
    roles = {role: words for one in maps for role, words in one.roles.items()}
    tasks = {name: task for one in maps for name, task in one.tasks.items()}
    made = list(dict.fromkeys(row.experiment for row in study.rows))
    names = [name for name in SETTINGS if name not in ("name", "trials")]
    differ = [name for name in names if len({getattr(one, name) for one in made}) > 1]
    columns = {"cell": "cell", "task": "task", "length": "T"}
    columns |= {name: spaced(name) for name in differ if name not in columns}
    experiments = []
    for one in made:
        values = one.as_row() | {"task": tasks.get(one.name, one.task)}
        told = [net_name(one.name, one.cell), *(spelled(values[name]) for name in columns)]
        experiments.append(told + [roles.get(one.note.get("role", ""), "-")] * bool(roles))
    number = {one: k for k, one in enumerate(made)}
    trials: list[list[Any]] = []
    for row in study.rows:
        end, at = row.outcome, int(steps_to_solution(row)) if row.solved else None
        trials.append([number[row.experiment], end.trial, end.status, at, end.steps])
    headings = ["net", *columns.values(), *["run for"] * bool(roles)]
    headings += ["trial", "ended", "at", "trained for"]
    texts = [list(column) for column in zip(*experiments, strict=True)]
    for column in [*zip(*trials, strict=True)][1:]:
        texts.append([str(one) for one in column if one is not None])
    orders = [in_order(*column) for column in zip(headings, texts, strict=True)]
    return {"headings": headings, "orders": orders, "experiments": experiments, "trials": trials}
