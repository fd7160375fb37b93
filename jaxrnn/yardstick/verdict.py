"""The verdict on horizons, in words.

It says how far back a net remembers, how sure that is, whether it differs from the LSTM and the
GRU, what limits it, and what would tell more.

It never says that a net is better. It tells two nets apart only where 0 lies outside of the
interval of their difference.
"""

from jaxrnn.names import is_own
from jaxrnn.report.render import NAME_WIDTH, Verdict, between, listed, shortened
from jaxrnn.report.summary import Study
from jaxrnn.yardstick import LAGS
from jaxrnn.yardstick.protocol import Gap
from jaxrnn.yardstick.results import Card, Remembered, command_of
from jaxrnn.yardstick.search import lag_in_words

BESIDE = ("lstm", "gru")
"""A user's own nets are compared with these."""


def verdict(card: Card, study: Study) -> Verdict:
    """A few sentences on each net of the user's own; if there is none, one on each task."""
    own = [net for net in card.nets if net[1] in study.own_cells or any(map(is_own, net))]
    if own:
        return Verdict([on_net(card, *net) for net in own])
    return Verdict([on_task(card, task) for task in card.tasks])


def on_task(card: Card, task: str) -> str:
    """How far the first cell of a task comes, and which others are told apart from it."""
    (name, first), *others = card.of_task(task)
    ways: dict[str, list[str]] = {"farther": [], "not told apart": [], "less far": []}
    for cell, net in others:
        ways[_way(net.more_than(first))].append(_short(cell))
    words = [f"{way}: {listed(cells)}" for way, cells in ways.items() if cells]
    return "; ".join([f"{task}: {_short(name)} {first.horizon} ({_sure(first)})", *words]) + "."


def on_net(card: Card, task: str, cell: str) -> str:
    """Everything on one net."""
    net = card.nets[task, cell]
    if net.middle < 0:
        sentences = _dark(net, _short(cell), task)
    else:
        tried = f"if up to {net.plan.settings} settings are tried"
        steps = f"{lag_in_words(net.middle, net.lags)} time steps{' or more' * net.is_longest}"
        remembers = f"{_short(cell)} remembers {steps} on {task}, {tried}"
        sentences = [f"{remembers} ({_sure(net)})"]
        if net.recipe and max(net.places) < len(net.lags) - 1:
            farthest = lag_in_words(max(net.places), net.lags)
            solved = f"{net.recipe.solved} of {len(net.recipe)} new trials of its setting do, too"
            sentences.append(f"The farthest search comes to {farthest}; {solved}")
    differences = [
        _difference(net.more_than(card.nets[task, other]), other)
        for other in BESIDE
        if other != cell and (task, other) in card.nets
    ]
    if differences:
        sentences.append(f"It {listed(differences)}")
    return ". ".join([*sentences, _more(net, task)]) + "."


def _dark(net: Remembered, cell: str, task: str) -> list[str]:
    """What is known of a net most of whose searches do not find the shortest lag."""
    learned = sum(found.lag >= 0 for found in net.found.values())
    some = f"only {learned}" if learned else "none"
    budget = net.rows[0].experiment.max_steps
    sentences = [
        f"{cell} does not learn {task}: {some} of {len(net.found)} searches learned the shortest "
        f"lag, {net.lags[0]} time steps, within {budget:,} sequences"
    ]
    if net.slow.solved:
        budget = net.slow[0].experiment.max_steps
        sentences.append(
            f"It is slow: {net.slow.solved} of {len(net.slow)} settings learned that lag within "
            f"{budget:,}, after {net.learned_late} in the median"
        )
    elif net.slow:
        sentences.append(f"Nor did {len(net.slow)} settings within ten times as many")
    return sentences


def _more(net: Remembered, task: str) -> str:
    """What would tell more."""
    if not net.plan.chains:
        return "To be surer: the same command without --quick"
    if learned := [row.experiment for row in net.slow if row.solved]:
        return f"To see it learn: {command_of(learned[0], len(net.slow))}"
    if net.is_longest and not is_own(task):
        if net.lags[-1] < LAGS[-1]:
            return "To go farther: the same command without --longest-lag"
        lags = " ".join(str(net.lags[-1] * factor) for factor in (1, 2, 4))
        return f"To go farther: the same command with --lags {lags}"
    return "To be surer: the same command with --seed 2, which measures it anew"


def _way(gap: Gap) -> str:
    return "farther" if gap.low >= 0 else "less far" if gap.high <= 0 else "not told apart"


def _difference(gap: Gap, other: str) -> str:
    way = _way(gap)
    if way == "not told apart":
        sure = f"{gap.mean:+.1f} octaves, 95%: {gap.low:+g} to {gap.high:+g}"
        return f"is not told apart from {other} ({sure})"
    least, most = sorted((abs(gap.low), abs(gap.high)))
    sure = f"95%: by more than {least:g} and less than {most:g}"
    return f"comes {way} than {other} by {abs(gap.mean):.1f} octaves ({sure})"


def _sure(net: Remembered) -> str:
    low, high = (None if place is None else lag_in_words(place, net.lags) for place in net.interval)
    return f"95%: {between(low, high) or 'any lag'}"


def _short(cell: str) -> str:
    return shortened(cell, NAME_WIDTH)
