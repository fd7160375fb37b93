"""View: how far back each cell remembers on each task; its tables.

It suits rows of the horizon's protocol. It does not rank cells: it says how far each remembers, how
sure that is, and whether it can be told apart from the first cell.
"""

import math
from collections.abc import Container, Iterable
from pathlib import Path

from jaxrnn.report import document
from jaxrnn.report.compare import compare, restricted_mean
from jaxrnn.report.horizon import horizon, octaves_between
from jaxrnn.report.render import (
    Part,
    Picture,
    Table,
    TableRow,
    Words,
    bounds_in_percent,
    short,
    steps_in_words,
)
from jaxrnn.report.summary import Line, Rows, Study, median
from jaxrnn.yardstick import SEARCH, has_role
from jaxrnn.yardstick.pictures import growth_picture, horizon_picture, shares_picture
from jaxrnn.yardstick.results import Card, Remembered, best_guess, bounds, card_of, counts
from jaxrnn.yardstick.search import FIRST_RUNG

HEADINGS = (
    *("task", "net", "horizon", "95%", "against the first", "its 95%"),
    *("default", "default's 95%", "tuning gains", "rate", "clip", "initializer"),
    *("forget bias", "input bias", "diverged"),
)
_DISPENSABLE = (
    *("diverged", "input bias", "forget bias", "clip", "initializer", "rate", "default's 95%"),
    *("tuning gains", "its 95%"),
)

LEGEND = (
    "Horizon: the longest lag, in time steps, at which at least half of all trials would be solved "
    "within the budget, as a best guess. < and ≥: it lies beyond the lags that were tried. 95%: "
    "its exact interval, at least - below, widened where another search might have chosen another "
    "finalist. ≥ and <: the data bound it on one side only; -: on neither. Against the first: how "
    "many more octaves (doublings of the lag) it solves than the task's first net. This adds up "
    "the shares of solved trials at all lags, so its sign may differ from that of the best "
    "guesses. Lags that were not tried are filled in: at each longer lag the share halves, at each "
    "shorter one the share of failures halves. If 0 is in the interval, the two cannot be told "
    "apart. Default: the horizon under the settings that are declared for all cells. Tuning gains: "
    "how many more octaves the chosen setting solves. Rate, clip, initializer, biases: the chosen "
    "setting. The gates' first biases grow with the lag: these are of the longest lag with fresh "
    "trials; chrono adds them to its own. Diverged: fresh trials that did."
)


def horizon_rows(card: Card) -> list[TableRow]:
    """A row for each cell on each task."""
    lines = []
    for task in card.tasks:
        nets = dict(card.of_task(task))
        first, lags = next(iter(nets.values())), lags_of(nets.values())
        for cell, net in nets.items():
            shown = {"horizon": best_guess(net.horizon, *counts(net.chosen))[0]}
            shown["95%"] = bounds(net.horizon)
            if net is not first and len(lags) > 1:
                gap = octaves_between(counts(net.chosen), counts(first.chosen), lags)
                shown["against the first"] = f"{gap.mean:+.1f}"
                shown["its 95%"] = f"{gap.low:+.1f} to {gap.high:+.1f}"
            if net.default:
                by_default = horizon(*counts(net.default))
                shown["default"] = best_guess(by_default, *counts(net.default))[0]
                shown["default's 95%"] = bounds(by_default)
                if len(lags) > 1:
                    gap = octaves_between(counts(net.chosen), counts(net.default), lags)
                    shown["tuning gains"] = f"{gap.mean:+.1f}"
            fresh = [row for _, rows in sorted(net.chosen.items()) for row in rows]
            made = fresh[-1].experiment
            shown["rate"], shown["clip"] = short(made.learning_rate), short(made.clip)
            shown["initializer"] = made.initializer
            shown["forget bias"] = f"{made.forget_bias:.1f}"
            shown["input bias"] = f"{made.input_bias:.1f}"
            shown["diverged"] = str(sum(row.outcome.status == "diverged" for row in fresh))
            lines.append(_row(task, cell, shown))
    return lines


def _row(task: str, cell: str, shown: dict[str, str]) -> TableRow:
    return TableRow({"task": task, "net": cell} | shown, task, {"task": task, "cell": cell})


def lags_of(nets: Iterable[Remembered]) -> list[int]:
    """All lags at which any of these nets was tried, in any role."""
    return sorted({lag for net in nets for by_lag in net.by_role.values() for lag in by_lag})


SOLVED_LEGEND = (
    "Fresh trials of the chosen settings that were solved, of how many, at each lag. A dash: none "
    "was tried."
)


def solved_table(card: Card, cells: Container[str]) -> Table:
    """Of each cell on each task the fresh trials that were solved at each lag. A terminal shows
    only these cells."""
    lines, lags = [], lags_of(card.nets.values())
    for task in card.tasks:
        for cell, net in card.of_task(task):
            shown = {f"{lag:,}": f"{rows.solved}/{len(rows)}" for lag, rows in net.chosen.items()}
            lines.append(_row(task, cell, shown))
    headings = ("task", "net", *(f"{lag:,}" for lag in lags))
    brief = [line for line in lines if line.cells["net"] in cells]
    return Table(headings, lines, SOLVED_LEGEND, brief=brief)


TIMES_HEADINGS = (
    *("task", "net", "lag", "solved", "95%", "median", "restricted mean", "sooner", "its 95%"),
)
TIMES_LEGEND = (
    "95%: Clopper-Pearson interval of the percentage solved. Median: of the training sequences "
    "until success, by Kaplan and Meier, with unsolved trials censored at the cap; never if no "
    "more than half are solved. Restricted mean: mean of these sequences or the cap, whichever is "
    "less. Sooner: probability that a trial is solved before a trial of the first net of its task, "
    "where a tie counts half, and its interval (Newcombe). If 50% is in it, the two cannot be told "
    "apart."
)


def times_table(card: Card, cells: Container[str]) -> Table | None:
    """How soon fresh trials are solved, where all nets of each task have them at one and the same
    lag. A terminal shows only these cells, or all if there are none of these."""
    lines: list[TableRow] = []
    for task in card.tasks:
        nets = card.of_task(task)
        if len({lag for _, net in nets for lag in net.chosen}) > 1:
            return None
        (first,) = nets[0][1].chosen.values()
        for cell, net in nets:
            ((lag, rows),) = net.chosen.items()
            shown = {
                "lag": f"{lag:,}",
                "solved": f"{rows.solved}/{len(rows)}",
                "95%": bounds_in_percent(rows.interval),
                "median": steps_in_words(median(rows.times)),
                "restricted mean": steps_in_words(restricted_mean(rows)),
            }
            if rows is not first:
                result = compare(rows, first)
                shown["sooner"] = f"{100 * result.sooner:.0f}%"
                shown["its 95%"] = bounds_in_percent(result.interval)
            lines.append(_row(task, cell, shown))
    brief = [line for line in lines if line.cells["net"] in cells] or lines
    return Table(TIMES_HEADINGS, lines, TIMES_LEGEND, ("restricted mean",), brief=brief)


NUMBERS_OF_SETTINGS = (1, 3, 9, 27)

LUCK_HEADINGS = ("net", *(f"best of {number}" for number in NUMBERS_OF_SETTINGS))

LUCK_LEGEND = (
    "How much luck a setting is: the chance that, of so many random settings, at least one solves "
    "the shortest lag, in percent, as a mean over the tasks. For this every setting of the search "
    "was tried once."
)


def luck_rows(card: Card) -> list[TableRow]:
    """The expected best of some settings of the search's first rung, for each cell."""
    lines = []
    for cell in card.cells:
        rungs = []
        for (_, of), net in card.nets.items():
            if of == cell and (search := net.by_role.get(SEARCH)):
                notes = ((row, row.experiment.note) for rows in search.values() for row in rows)
                # All of the first rung but the default.
                first = (
                    row for row, note in notes if note["rung"] == FIRST_RUNG and note["setting"]
                )
                rungs.append(Rows(first))
        if rungs:
            shown = {"net": cell}
            for number in NUMBERS_OF_SETTINGS:
                chances = [expected_best(rows.solved, len(rows), number) for rows in rungs]
                shown[f"best of {number}"] = f"{100 * sum(chances) / len(chances):.0f}"
            lines.append(TableRow(shown, None))
    return lines


def expected_best(solved: int, tried: int, number: int) -> float:
    """The chance that of ``number`` settings, drawn from those that were tried, one is solved.

    It is the unbiased estimate sum_i v_i C(i-1, k-1) / C(N, k) of the expected best of k values v,
    here 0 or 1. Source: Tang et al. 2020; Dodge et al. 2021 (2110.00613) compare it with others.
    """
    number = min(number, tried)
    return 1 - math.comb(tried - solved, number) / math.comb(tried, number)


def view(study: Study) -> list[Part]:
    """The tables and pictures of rows of the horizon's protocol."""
    if not all(has_role(row.experiment) for row in study.rows):
        return []
    card, rows = card_of(study.rows), study.rows
    if not card.nets:
        return [Words("There are no fresh trials yet: the search has not come to its end.")]
    parts: list[Part] = [
        Table(HEADINGS, horizon_rows(card), LEGEND, _DISPENSABLE),
        solved_table(card, study.own_cells),
    ]
    if times := times_table(card, study.own_cells):
        parts.append(times)
    if luck := luck_rows(card):
        parts.append(Table(LUCK_HEADINGS, luck, LUCK_LEGEND))
    return [
        *parts,
        Picture(
            "How far back each cell remembers on each task",
            "horizon_by_task",
            lambda: horizon_picture(card, rows),
        ),
        Picture("Solved against lag", "solved_by_lag", lambda: shares_picture(card, rows)),
        Picture(
            "Horizon against training sequences",
            "horizon_by_sequences",
            lambda: growth_picture(card, rows),
        ),
    ]


def write_report(directory: Path | str, formats: Iterable[str] = ()) -> list[Line]:
    """Write ``report.md``, ``report.html`` and the pictures of a run directory. They use only its
    content: its rows, after those in its ``beside``, its configuration and its notes.md.

    Each picture is written as a PNG file, and in each of the ``formats``, svg or pdf. Raises
    InputError for other formats, for damaged rows or a damaged configuration, and if there are no
    rows.
    """
    study, _ = document.write_report(directory, formats, view)
    return study.lines
