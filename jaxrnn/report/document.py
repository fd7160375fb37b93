"""The report of a run: its views as one document, as files and on the terminal."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import RenderableType

from jaxrnn.errors import InputError
from jaxrnn.report import (
    by_length,
    by_sequence,
    claims,
    compare,
    grid,
    horizon,
    table,
)
from jaxrnn.report.page import page, svg
from jaxrnn.report.render import Document, Part, Picture, Words, console, markdown, terminal
from jaxrnn.report.summary import Line, Study, View
from jaxrnn.store.config import read_config
from jaxrnn.store.files import path_of, suffixes, write_figure, write_whole
from jaxrnn.store.rows import ROWS, Row, rows_beside, typed_rows

REPORT = "report.md"
PAGE = "report.html"
NOTES = "notes.md"
"""What a run's report says after its tables, in Markdown."""

"""Of a picture's further files."""

VIEWS: tuple[View, ...] = (
    *(claims.VIEW, table.VIEW, horizon.VIEW, grid.VIEW, by_length.VIEW),
    *(by_sequence.VIEW, compare.VIEW, by_sequence.BY_STEP, by_length.OTHER_LENGTHS),
)
"""In the order in which a report shows them."""


def views_of(study: Study, more: Sequence[View] = ()) -> list[View]:
    """The views that suit these rows, ``more`` of them first; one that is whole stands alone."""
    views = [view for view in (*more, *VIEWS) if view.suits(study)]
    return next(([view] for view in views if view.is_whole), views)


def parts_of(study: Study, more: Sequence[View] = ()) -> list[Part]:
    """The tables and words for these rows, and at the end what solved means."""
    views = views_of(study, more)
    is_brief = not any(view.is_whole for view in views)
    rules = [Words(line, is_brief) for line in table.rules(study.rows)]
    return [*(part for view in views for part in view.parts(study)), *rules]


def pictures_of(study: Study, more: Sequence[View] = ()) -> list[Picture]:
    """The pictures for these rows."""
    return [one for view in views_of(study, more) for one in view.pictures(study)]


def write_report(
    directory: Path | str,
    formats: Iterable[str] = (),
    views: Sequence[View] = (),
    rows: Sequence[Row] | None = None,
) -> list[Line]:
    """Write ``report.md``, ``report.html`` and the pictures of a run directory. They use only its
    content: its rows, after those in its ``beside``, its configuration and its :data:`NOTES`.

    Each picture is written as a PNG file, and in each of the ``formats``, svg or pdf. Further
    ``views`` come before the package's own. Who has read the directory's ``rows`` gives them, so
    that they are not read again. Raises InputError for other formats, for damaged rows or a damaged
    configuration, and if there are no rows.
    """
    study, _ = _write(path_of(directory), formats, views, rows)
    return study.lines


def show_report(
    directory: Path,
    *more: RenderableType,
    formats: Iterable[str] = (),
    views: Sequence[View] = (),
    rows: Sequence[Row] | None = None,
    beside: Sequence[Row] | None = None,
) -> None:
    """:func:`write_report`; then print its tables, ``more``, and the paths of the files."""
    _, document = _write(directory, formats, views, rows, beside)
    console.print(terminal(document.parts, console.width))
    for one in more:
        console.print(one)
    words = "Report, plots and what the columns mean"
    console.print(f"{words}: {directory / REPORT}", highlight=False, soft_wrap=True)
    console.print(f"As a web page: {directory / PAGE}", highlight=False, soft_wrap=True)


def _write(
    directory: Path,
    formats: Iterable[str],
    views: Sequence[View],
    rows: Sequence[Row] | None = None,
    beside: Sequence[Row] | None = None,
) -> tuple[Study, Document]:
    endings = suffixes(formats)
    own = typed_rows(directory) if rows is None else rows
    if not own:
        raise InputError(f"{directory / ROWS} holds no rows yet: run its sweep first")
    if beside is None:
        beside = rows_beside(directory, own)
    study = Study([*beside, *own], own)
    settings, made, notes = {}, [], directory / NOTES
    if (config := read_config(directory)) is not None:
        settings = config["settings"]
        every = [("Made", config), *(("Gone on", one) for one in config.get("resumed", []))]
        for verb, one in every:
            versions = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
            made.append(f"{verb} with {versions} on {one['device']}.")
    document = Document(
        settings=settings,
        made=made,
        parts=parts_of(study, views),
        notes=notes.read_text("utf-8", errors="replace") if notes.exists() else "",
        pictures=pictures_of(study, views),
    )
    drawings = []
    for picture in document.pictures:
        figure = picture.draw()
        for ending in endings:
            write_figure(directory / f"{picture.stem}.{ending}", figure)
        drawings.append(svg(figure, picture.stem))
    write_whole(directory / REPORT, markdown(document).encode())
    write_whole(directory / PAGE, page(document, study, drawings).encode())
    return study, document
