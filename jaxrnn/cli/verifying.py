"""The command `jaxrnn verify`."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.text import Text

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.errors import InputError, shown
from jaxrnn.experiment import flag_name
from jaxrnn.report.render import TableRow, console, markdown_table, terminal_table
from jaxrnn.store.files import write_whole
from jaxrnn.store.rows import Row
from jaxrnn.sweeps.verify import CHANGED, OF, SAMPLE, Again, Verification, named, verify as again
from jaxrnn.sweeps.watch import duration
from jaxrnn.yardstick.held_out import HeldOut, held_out as fresh
from jaxrnn.yardstick.submission import FILE, Submission, check_submission, read_submission

HEADINGS = ("net", "trial", "there", "here")


SHOWN = 20
"""Rows of the table on the terminal; all are in :data:`TABLE`."""

TABLE = "verify.md"


def verify(
    directory: Path,
    *,
    rows: int = SAMPLE,
    all: bool = False,
    held_out: Sequence[str] = (),
    cells: Sequence[str] = (),
    tasks: Sequence[str] = (),
    longest_lag: int | None = None,
    code: Sequence[str] = (),
    seed: int | None = None,
    out: Path | None = None,
    lanes: int | None = None,
    dask: str | None = None,
    compile_cache: bool = True,
) -> None:
    """Train rows of a directory again, and say whether they are the same.

    A row has all settings of its trial, and its outcome follows from them to the last bit. So
    nobody has to trust a table: a sample of its rows is trained again here. If this machine rounds
    in another way than the one that made them, this is said, and only what must hold anyway is
    compared. With --held-out, the horizons of a directory are tried by fresh trials instead. The
    exit status is 1 if the directory is contradicted, or nothing could be trained. Give the same
    command again after an interruption.
    """
    set_up_jax(compile_cache)
    start = time.monotonic()
    if held_out:
        for name, value in (("longest_lag", longest_lag), ("seed", seed), ("all", all or None)):
            if value is not None:
                raise InputError(
                    f"--{flag_name(name)} has no meaning beside --held-out: give one of the two"
                )
    submission = read_submission(directory) if (directory / FILE).exists() else None
    faults = [] if submission is None else check_submission(submission, code)
    of: dict[str, Any] = {"cells": cells, "tasks": tasks, "code": code}
    how: dict[str, Any] = {"lanes": lanes, "dask": dask, "progress": True}
    with nullcontext() if submission is None else submission.code():
        if held_out:
            tried = fresh(directory, " ".join(held_out), out, **of, **how)
            sentences, holds = fresh_in_words(tried), tried.holds
        else:
            some: dict[str, Any] = {
                "rows": None if all else rows,
                "longest_lag": longest_lag,
                "seed": seed,
            }
            result = again(directory, out, **some, **of, **how)
            sentences, holds = in_words(result), result.holds
            show_others(result)
    if submission is not None:
        sentences += submission_in_words(submission, faults)
    for sentence in sentences:
        console.print(Text(sentence))
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")
    if faults or not holds:
        sys.exit(1)


def show_others(result: Verification) -> None:
    """Show the rows that are not the same, and write what was found."""
    table = [*map(_table_row, result.other)]
    text = "\n\n".join(in_words(result)) + "\n"
    if table:
        console.print(terminal_table(table[:SHOWN], HEADINGS))
        text = f"{markdown_table(table, HEADINGS)}\n{text}"
    if len(table) > SHOWN:
        console.print(f"{len(table) - SHOWN:,} more are in {result.out / TABLE}.")
    write_whole(result.out / TABLE, text.encode())


def submission_in_words(submission: Submission, faults: Sequence[str]) -> list[str]:
    """What was found of a submission's cell, a paragraph each."""
    if not faults:
        return [
            f"{submission.cell} keeps its contract: it does not look ahead, its state is all that "
            "it carries, its gradient is right, and weights, state and horizons are as "
            f"{submission.directory / FILE} says."
        ]
    return [f"Not as it should be: {fault}." for fault in faults]


def fresh_in_words(tried: HeldOut) -> list[str]:
    """What fresh trials said, a paragraph each."""
    seeds = f"by seeds that follow from {tried.directory} and the phrase {shown(tried.phrase)}"
    words = [
        f"{len(tried.nets):,} nets, {seeds}. Fresh trials of what their searches chose: "
        f"{tried.found} were solved at the lags that the searches found, {tried.next} at the next "
        "ones."
    ]
    if tried.left:
        cells = ", ".join(dict.fromkeys(cell for _, cell in tried.left))
        words.append(f"Left out, since it is run only if you name it: {cells}.")
    least, most = tried.rules
    if least is None:
        return [*words, "These are too few to say anything: the searches found too little."]
    words.append(
        f"Of honest horizons at least {100 * least.least:.0f} % would be solved at the lags found, "
        f"in 99.9 % of all cases. If these were an octave too long, that would be caught in "
        f"{100 * least.too_long:.0f} %."
    )
    if most is not None:
        words.append(
            f"At most {100 * most.most:.0f} % would be solved at the next lags. If they were an "
            f"octave too short, that would be caught in {100 * most.too_short:.0f} %."
        )
    if tried.too_long:
        words.append("So these are contradicted: they are longer than that.")
    if tried.too_short:
        words.append("So these are contradicted: they are shorter than that.")
    if tried.holds:
        words.append("So nothing contradicts these.")
    return words


def in_words(result: Verification) -> list[str]:
    """What was found, a paragraph each."""
    n, rounded = len(result.again), len(result.rounded)
    words = [
        f"{n:,} of the {result.of:,} rows of {result.directory}, drawn by seed {result.seed}, were "
        f"trained again. {result.same:,} are the same to the bit, {len(result.other):,} are not."
    ]
    for why, number in Counter(result.left.values()).items():
        words.append(f"{number:,} more could not be trained: {why}.")
    if any(not one.rounds_alike for one in result.other):
        words.append(
            f"{rounded:,} of them may end here as if they had another seed: "
            f"{'; '.join(result.differs)}. {result.changed:,} of these {rounded:,} were solved in "
            f"one place only. Under two roundings of one processor it was {CHANGED} of {OF}."
        )
        explains = "More than that explains: so the directory is contradicted."
        if result.changed <= result.most_changed:
            explains = "That explains it: nothing contradicts the directory."
        words.append(explains)
    if result.false:
        words.append(
            f"{len(result.false):,} should be the same to the bit, and are not. So these rows are "
            "not what their settings give: they were changed, or made by other code."
        )
    if not n:
        words.append("Nothing was trained again, so nothing is verified.")
    elif n == result.of and not result.other:
        words.append("So no row is false.")
    elif not result.other:
        words.append(
            f"If {100 * result.excluded:.1f} % of the rows were false, or more, 95 % of all such "
            "samples would have shown it."
        )
    return words


def _table_row(one: Again) -> TableRow:
    ends = ending(one.row), ending(one.here)
    if ends[0] == ends[1]:  # the end is the same, and something else is not
        ends = ends[0], "by other errors"
    values = (named(one.row), str(one.row.outcome.trial), *ends)
    return TableRow(dict(zip(HEADINGS, values, strict=True)), None)


def ending(row: Row) -> str:
    """How a trial ended, in words."""
    outcome = row.outcome
    if outcome.solved_at is not None:
        return f"solved at {outcome.solved_at:,}"
    return f"{outcome.status} after {outcome.steps:,}"
