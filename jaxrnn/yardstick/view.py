"""View: how far back each cell remembers on each task; its tables.

It suits rows of the horizon's protocol. It does not rank cells: it says how far each remembers, how
sure that is, and whether it can be told apart from the first cell.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxrnn.report import document
from jaxrnn.report.render import (
    Field,
    Map,
    Part,
    Picture,
    Table,
    TableRow,
    Words,
    short,
    steps_in_words,
)
from jaxrnn.report.summary import Line, Study, median
from jaxrnn.yardstick import AGAIN, DEFAULT, PREFIX, RECIPE, SEARCH, SLOW, has_role
from jaxrnn.yardstick.pictures import dots_picture, field_of, horizon_picture, title_of
from jaxrnn.yardstick.protocol import Gap, best_of
from jaxrnn.yardstick.results import Card, Net, Remembered, card_of, command_of
from jaxrnn.yardstick.search import LONGER, lag_in_words
from jaxrnn.yardstick.verdict import on_net, verdict

HEADINGS = (
    *("task", "net", "horizon", "95%", "against the first", "its 95%", "farthest", "its setting"),
    *("default", "tuning gains", "gains 95%", "learns late"),
)
_DISPENSABLE = ("gains 95%", "tuning gains", "learns late", "its 95%", "default")


def legend_of(one: Remembered) -> str:
    """What the columns mean, for the plan of these nets."""
    plan = one.plan
    words = (
        f"Horizon: the longest lag, in time steps, that half of those come to who try up to "
        f"{plan.settings} settings on this task, choose one and train it again: the median of "
        f"{plan.searches} independent searches. 95%: at least - below; ≥ and <: bounded on one "
        "side only; -: on neither. Against the first: how many octaves (doublings of the lag) more "
        "the searches find than those of the task's first net, within the lags that were tried; "
        "where 0 is in its 95% (more than - fewer than) the two cannot be told apart. Farthest: "
        "how far the farthest of the searches came, and its setting: so many of fresh trials at "
        "that lag (between two lags at the shorter one) were solved under the setting that it "
        "chose. "
    )
    if plan.chains:
        words += (
            "Default: the median of the lags that the settings reach which are declared for all "
            "cells. Tuning gains: how many octaves more the searches find. "
        )
    return words + (
        "Learns late: where no search solved the shortest lag, how many settings were solved there "
        f"within {LONGER} times the budget, and the median of the training sequences. Many pairs "
        "are compared, and nothing is corrected for that."
    )


def quick_words(one: Remembered) -> str:
    """What stands before tables of the quick plan."""
    return (
        f"Quick: these are horizons of those who try {one.plan.settings} settings. They are lower "
        "than those of the full protocol, and cannot be compared with them."
    )


def _between(gap: Gap) -> str:
    return f"{gap.low:+g} to {gap.high:+g}"


def horizon_rows(card: Card) -> list[TableRow]:
    """A row for each cell on each task."""
    lines = []
    for task in card.tasks:
        first = None
        for cell, net in card.of_task(task):
            shown = {"horizon": net.horizon, "95%": net.bounds}
            if first is None:
                first = net
            else:
                more = net.more_than(first)
                shown["against the first"], shown["its 95%"] = f"{more.mean:+.1f}", _between(more)
            shown["farthest"] = lag_in_words(max(net.places), net.lags)
            if net.recipe:
                shown["its setting"] = f"{net.recipe.solved}/{len(net.recipe)}"
            if gains := net.tuning_gains:
                shown["default"] = lag_in_words(median(net.default), net.lags)
                shown["tuning gains"], shown["gains 95%"] = f"{gains.mean:+.1f}", _between(gains)
            if net.slow:
                shown["learns late"] = f"{net.slow.solved}/{len(net.slow)}"
                shown["learns late"] += f" after {net.learned_late}" * bool(net.learned_late)
            lines.append(_row(task, cell, shown))
    return lines


def _row(task: str, cell: str, shown: dict[str, str]) -> TableRow:
    return TableRow({"task": task, "net": cell} | shown, task, {"task": task, "cell": cell})


def _table(
    study: Study, title: str, headings: Sequence[str], legend: str, lines: list[TableRow]
) -> Table:
    """A table of which a terminal shows the run's own cells alone, if others stand beside them."""
    brief = [line for line in lines if line.cells["net"] in study.own_cells] or lines
    left_out = [one for one in headings if one.startswith("95% of") or one == "default"]
    return Table(title, ("task", "net", *headings), lines, legend, left_out, brief)


def _lags_in_words(places: Iterable[float], lags: Sequence[int]) -> str:
    """Places as lags, in order, each with how many there are. Two places may be shown as one."""
    numbers = Counter(lag_in_words(place, lags) for place in sorted(places))
    return ", ".join(lag + f" ×{number}" * (number > 1) for lag, number in numbers.items())


def searches_table(card: Card, study: Study) -> Table:
    """What every search of each cell on each task has found, and the chains of the default."""
    lines = []
    for task in card.tasks:
        for cell, net in card.of_task(task):
            found = ("searches", net.places), ("default", net.default)
            shown = {name: _lags_in_words(places, net.lags) for name, places in found if places}
            lines.append(_row(task, cell, shown))
    legend = (
        "The lag that each search has found, and that the default reached each time, in order; ×3: "
        "so three of them did. Searches that were not needed count as those before them, which all "
        "found the same."
    )
    headings = [one for one in ("searches", "default") if any(one in line.cells for line in lines)]
    return _table(study, "Lags of all searches", headings, legend, lines)


NUMBERS_OF_SETTINGS = (1, 3, 9, 54)


def settings_tables(card: Card, study: Study) -> list[Table]:
    """The settings that were solved at each lag, and how far the best of some comes."""
    lags = sorted({lag for net in card.nets.values() for lag in net.lags})
    shares, bests = list[TableRow](), list[TableRow]()
    most = max(net.plan.settings for net in card.nets.values())
    numbers_of_settings = [number for number in NUMBERS_OF_SETTINGS if number <= most]
    for task in card.tasks:
        for cell, net in card.of_task(task):
            tried, solved = net.counts
            numbers = zip(net.lags, solved, tried, strict=True)
            shown = {f"{lag:,}": f"{y}/{n}" for lag, y, n in numbers if n}
            shares.append(_row(task, cell, shown))
            shown = {}
            for number in numbers_of_settings:
                best = best_of(number, tried, solved)
                point, low, high = (lag_in_words(place, net.lags) for place in best)
                shown[f"best of {number}"] = point
                shown[f"95% of {number}"] = f"{low} to {high}"
            bests.append(_row(task, cell, shown))
    return [
        _table(
            study,
            "Settings by lag",
            [f"{lag:,}" for lag in lags],
            "Settings that were solved at each lag, of those that the searches tried there.",
            shares,
        ),
        _table(
            study,
            "Best of some settings",
            [f"{words} of {k}" for k in numbers_of_settings for words in ("best", "95%")],
            "How far the best of so many settings comes in half of all cases, each tried once at "
            "each lag; <: not to the shortest. Its 95 % interval: at least - at most, where the "
            "longest lag is no bound.",
            bests,
        ),
    ]


RECIPE_HEADINGS = (
    *("lag", "solved", "sequences", "rate", "clip", "initializer", "forget bias", "input bias"),
    "the same trials",
)


def recipes_table(card: Card, study: Study) -> Table:
    """The setting of each farthest search, and the command that trains it again."""
    lines = []
    for task in card.tasks:
        for cell, net in card.of_task(task):
            if not (recipe := net.recipe):
                continue
            made = recipe[0].experiment
            shown = {
                "lag": f"{made.length:,}",
                "solved": f"{recipe.solved}/{len(recipe)}",
                "sequences": steps_in_words(median(recipe.times)),
                "rate": short(made.learning_rate),
                "clip": short(made.clip),
                "initializer": made.initializer,
                "forget bias": f"{made.forget_bias:.1f}",
                "input bias": f"{made.input_bias:.1f}",
                "the same trials": command_of(made, len(recipe)),
            }
            lines.append(_row(task, cell, shown))
    legend = (
        "The setting of the search that came farthest, and how many fresh trials were solved under "
        "it. Sequences: the median until they were. Chrono adds the biases to its own. The same "
        "trials: a command that trains them again."
    )
    title = "Farthest settings"
    table = _table(study, title, RECIPE_HEADINGS, legend, lines)
    return table._replace(dispensable=("the same trials", "input bias", "forget bias", "clip"))


ROLE_WORDS = {
    RECIPE: "fresh trials",
    SEARCH: "search",
    AGAIN: "confirmation",
    DEFAULT: "default",
    SLOW: "longer budget",
}


def map_of(card: Card, missing: Mapping[Net, str]) -> Map:
    """The nets as fields of the page, and what a click on one shows."""
    fields = {net: Field(words, "", "") for net, words in missing.items()}
    legend = "Horizon in time steps, below it its 95 % interval."
    if any(net.slow.solved for net in card.nets.values()):
        legend += " Slow: no search learned the shortest lag, a longer budget does."
    for (task, cell), net in card.nets.items():
        tried, solved = net.counts
        low, high = (None if end is None else net.octave(end) for end in net.interval)
        details = {
            "words": on_net(card, task, cell),
            "lags": net.lags,
            "tried": tried,
            "solved": solved,
            "found": [net.octave(place) for place in net.places],
            "horizon": [net.octave(net.middle), low, high],
        }
        fields[task, cell] = Field(*field_of(net), details)
    tasks, cells = (
        list(dict.fromkeys([*names, *(net[k] for net in missing)]))
        for k, names in enumerate((card.tasks, card.cells))
    )
    title = f"How far back: {title_of(card)}"
    return Map(
        title, cells, {PREFIX + task: task for task in tasks}, fields, legend, ROLE_WORDS, RECIPE
    )


def _missing(card: Card, study: Study) -> dict[Net, str]:
    """The nets of a run that goes on which have no result yet, and why."""
    missing = dict.fromkeys(card.under_way, "not over")
    for name, cell, _ in study.missing:
        net = name.removeprefix(PREFIX), cell
        if net not in card.nets:
            missing.setdefault(net, "not begun")
    return missing


def view(study: Study) -> list[Part]:
    """The tables and pictures of rows of the horizon's protocol."""
    if not all(has_role(row.experiment) for row in study.rows):
        return []
    card, parts = card_of(study.rows), list[Part]()
    missing = _missing(card, study)
    for words in dict.fromkeys(missing.values()):
        names = (f"{cell} on {task}" for (task, cell), one in missing.items() if one == words)
        parts.append(Words(f"{words.capitalize()}, and not shown: {', '.join(names)}."))
    if not card.nets:
        return parts
    some = next(iter(card.nets.values()))
    if not some.plan.chains:
        parts.append(Words(quick_words(some)))
    lines = horizon_rows(card)
    headings = [one for one in HEADINGS if any(one in line.cells for line in lines)]
    caption = "How far back each cell remembers on each task"
    by_task = [Picture(caption, "horizon_by_task", lambda: horizon_picture(card), is_map=True)]
    return [
        verdict(card, study),
        map_of(card, missing),
        *parts,
        Table("Horizons", headings, lines, legend_of(some), _DISPENSABLE),
        searches_table(card, study),
        *settings_tables(card, study),
        recipes_table(card, study),
        *by_task * (len(card.tasks) > 1),  # colours in one column say less than bars
        Picture(
            "What each search has found",
            "horizon_by_search",
            lambda: dots_picture(card, study.own_cells),
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
