"""The report of a run: its views as one document, as files and on the terminal."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from jaxrnn.errors import InputError
from jaxrnn.report import (
    by_length,
    by_sequence,
    compare,
    final_test,
    grid,
    horizon,
    table,
    verdict,
)
from jaxrnn.report.page import page, svg
from jaxrnn.report.render import (
    Document,
    Part,
    Verdict,
    Words,
    console,
    listed,
    markdown,
    settings_in_words,
    terminal,
)
from jaxrnn.report.summary import Study, net_name
from jaxrnn.store.config import ASKED, read_config
from jaxrnn.store.files import path_of, suffixes, write_figure, write_whole
from jaxrnn.store.rows import ROWS, Row, rows_beside, typed_rows

REPORT = "report.md"
PAGE = "report.html"
NOTES = "notes.md"
"""What a run's report says after its tables, in Markdown."""

MOST_NAMED = 12
"""Of a run that goes on, the most nets and lengths that a report names as missing."""

View = Callable[[Study], list[Part]]
"""One way to show rows: its tables, words and pictures, none for rows that it does not suit."""

VIEWS: tuple[View, ...] = (
    *(verdict.view, final_test.view, table.claims, table.view, horizon.view, grid.view),
    *(
        by_length.view,
        by_sequence.view,
        compare.view,
        by_sequence.solved_by_step,
        by_length.other_lengths,
    ),
)
"""In the order in which a report shows them."""


def parts_of(study: Study, own: View | None = None) -> list[Part]:
    """All that shows these rows, and at the end the rules for solved. If the caller's ``own`` view
    suits them, no other one shows them."""
    parts = own(study) if own else []
    rules = [Words(line, brief=not parts) for line in table.rules(study.rows)]
    if not parts:
        every = (part for view in VIEWS for part in view(study))
        # The verdict comes first.
        parts = sorted((*_missing(study), *every), key=lambda part: not isinstance(part, Verdict))
    return [*parts, *rules]


def _missing(study: Study) -> list[Part]:
    """What a run that goes on lacks."""
    if not study.missing:
        return []
    lacking = [
        f"{lacks} of {of} trials of {net_name(name, cell)} at T = {length:,}"
        for (name, cell, length), (lacks, of) in study.missing.items()
    ]
    shown, left_out = lacking[:MOST_NAMED], len(lacking) - MOST_NAMED
    shown += [f"trials of {left_out} other nets or lengths"] * (left_out > 0)
    return [Words(f"Still to be run: {listed(shown)}.")]


def write_report(
    directory: Path | str,
    formats: Iterable[str] = (),
    view: View | None = None,
    rows: Sequence[Row] | None = None,
    beside: Sequence[Row] | None = None,
) -> tuple[Study, Document]:
    """Write ``report.md``, ``report.html`` and the pictures of a run directory. They use only its
    content: its rows, after those in its ``beside``, its configuration and its :data:`NOTES`.

    Each picture is written as a PNG file, and in each of the ``formats``, svg or pdf. ``view`` is
    the caller's own, see :func:`parts_of`. Who has read the directory's ``rows``, or the rows
    ``beside`` them, gives them, so that they are not read again. Raises InputError for other
    formats, for damaged rows or a damaged configuration, and if there are no rows.
    """
    directory, endings = path_of(directory), suffixes(formats)
    own = typed_rows(directory) if rows is None else rows
    if not own:
        raise InputError(f"{directory / ROWS} holds no rows yet: run its sweep first")
    if beside is None:
        beside = rows_beside(directory, own)
    made, notes = [], directory / NOTES
    config = read_config(directory)
    study = Study([*beside, *own], own, (config or {}).get(ASKED, []))
    if config is not None:
        every = [("Made", config), *(("Gone on", one) for one in config.get("resumed", []))]
        for verb, one in every:
            versions = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
            made.append(f"{verb} with {versions} on {one['device']}.")
    document = Document(
        settings=settings_in_words(row.experiment for row in own),
        made=made,
        parts=parts_of(study, view),
        notes=notes.read_text("utf-8", errors="replace") if notes.exists() else "",
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


def show_report(directory: Path, *more: RenderableType, **options: Any) -> None:
    """:func:`write_report` with its options; then print its tables, ``more``, and the paths of the
    files."""
    _, document = write_report(directory, **options)
    console.print(terminal(document.parts, console.width))
    for one in more:
        console.print(one)
    words = "Report, plots and what the columns mean"
    console.print(f"{words}: {directory / REPORT}", highlight=False, soft_wrap=True)
    console.print(f"As a web page: {directory / PAGE}", highlight=False, soft_wrap=True)
