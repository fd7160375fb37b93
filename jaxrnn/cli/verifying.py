"""The command `jaxrnn verify`."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.report.render import TableRow, console, terminal_table
from jaxrnn.store.rows import Row
from jaxrnn.sweeps.verify import CHANGED, OF, SAMPLE, Again, Verification, named, verify as verified
from jaxrnn.sweeps.watch import duration

HEADINGS = ("net", "trial", "in the directory", "here")


def verify(
    directory: Path,
    *,
    rows: int = SAMPLE,
    all: bool = False,
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
    compared. The exit status is 1 if the rows are contradicted, or none could be trained. Give the
    same command again after an interruption.
    """
    set_up_jax(compile_cache)
    start = time.monotonic()
    result = verified(
        directory,
        out,
        rows=None if all else rows,
        cells=cells,
        tasks=tasks,
        longest_lag=longest_lag,
        code=code,
        seed=seed,
        lanes=lanes,
        dask=dask,
        progress=True,
    )
    if result.other:
        console.print(terminal_table([*map(_table_row, result.other)], HEADINGS))
    for sentence in in_words(result):
        console.print(Text(sentence))
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")
    if not result.holds:
        sys.exit(1)


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
        ours, theirs = one.here.results(), one.row.results()
        what = next(name for name in ours if ours[name] != theirs[name])
        ends = f"another {what}", ends[1]
    values = (named(one.row), str(one.row.outcome.trial), *ends)
    return TableRow(dict(zip(HEADINGS, values, strict=True)), None)


def ending(row: Row) -> str:
    """How a trial ended, in words."""
    outcome = row.outcome
    if outcome.solved_at is not None:
        return f"solved at {outcome.solved_at:,}"
    return f"{outcome.status} after {outcome.steps:,}"
