"""The nets of a run compared, as tables."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from jaxrnn.results.compare import Comparison, compare, conditions_of
from jaxrnn.results.rows import Row, experiment_of
from jaxrnn.results.summary import by_net, net_name
from jaxrnn.results.tables import (
    TableRow,
    bounds_in_percent,
    markdown_table,
    p_in_words,
    terminal_table,
)

_HEADINGS = ("net", "T", "against", "sooner", "95%", "log-rank p", "Mann-Whitney p")


class Pair(NamedTuple):
    """Two nets of a run, (experiment, cell) each, under the same conditions."""

    net: tuple[str, str]
    against: tuple[str, str]
    length: int
    result: Comparison  # of the net with the one it is against


def rivals(rows: Iterable[Row]) -> list[list[list[Row]]]:
    """The rows of the nets that a run holds under the same ``CONDITIONS``, where it holds several.

    Lengths in order, nets as they come. A net whose rows have several settings is left out: a
    grid's combinations are chosen by these very trials, so that the best would seem better than
    it is.
    """
    alike: dict[tuple[Any, ...], list[list[Row]]] = {}
    for group in by_net(rows).values():
        if len({experiment_of(row) for row in group}) == 1:
            made = experiment_of(group[0])
            alike.setdefault(conditions_of(made), []).append(group)
    several = [nets for nets in alike.values() if len(nets) > 1]
    return sorted(several, key=lambda nets: nets[0][0]["length"])


def comparisons(rows: Iterable[Row]) -> list[Pair]:
    """Each net of a run against the first of its :func:`rivals`."""
    return [
        Pair(net_of(net), net_of(first), net[0]["length"], compare(net, first))
        for first, *others in rivals(rows)
        for net in others
    ]


def net_of(rows: Sequence[Row]) -> tuple[str, str]:
    """The experiment and the cell of a net's rows."""
    return rows[0]["experiment"], rows[0]["cell"]


def _pair_rows(pairs: Sequence[Pair]) -> list[TableRow]:
    """The rows of the table of comparisons."""
    rows = []
    for pair in pairs:
        values = (
            *(net_name(*pair.net), str(pair.length), net_name(*pair.against)),
            *(f"{100 * pair.result.sooner:.0f}%", bounds_in_percent(pair.result.interval)),
            *(p_in_words(pair.result.log_rank), p_in_words(pair.result.mann_whitney)),
        )
        rows.append(TableRow(dict(zip(_HEADINGS, values, strict=True)), pair.length))
    return rows


def comparison_table(pairs: Sequence[Pair]) -> Table:
    """Each net against the first one of its task and length, for the terminal."""
    return terminal_table(_pair_rows(pairs), _HEADINGS)


def comparison_markdown(pairs: Sequence[Pair]) -> str:
    """The same as a Markdown table."""
    return markdown_table(_pair_rows(pairs), _HEADINGS)


def comparison_legend(pairs: Sequence[Pair]) -> str:
    """What the columns of comparisons mean."""
    return (
        "Each net against the first one of the same task, length, stop rule and cap. Sooner: share "
        "of pairs of trials in which the net's is solved at an earlier step, a tie (two unsolved "
        "ones, too) counting half; 95%: confidence interval of that probability (Newcombe). Then "
        "two-sided p-values of the log-rank test, an unsolved trial being censored at the cap, and "
        "of Mann and Whitney's, where it is later than all. They are not adjusted: of comparisons "
        f"of nets that do not differ, about one in twenty has p below 0.05 ({len(pairs)} here)."
    )
