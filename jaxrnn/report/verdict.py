"""View: the verdict on a sweep, in words.

It says what each net solves and up to which length, how sure that is, whether it differs from the
first net, what limits it, and what would tell more.

It never says that a net is better. It tells two nets apart only where the interval of their
difference leaves out an even chance, and Mann and Whitney's p-value, corrected by Holm, is below
0.05.
"""

from collections.abc import Sequence
from itertools import groupby

from jaxrnn.names import is_own
from jaxrnn.report.compare import compared, rivals
from jaxrnn.report.final_test import sentence, tested
from jaxrnn.report.horizon import horizon
from jaxrnn.report.render import (
    NAME_WIDTH,
    Part,
    Verdict,
    between,
    bounds_in_percent,
    listed,
    shortened,
    steps_in_words,
)
from jaxrnn.report.summary import Rows, Study, median, net_name

MOST = 8
"""If none of the nets is the user's own and there are more than this, only the tables answer."""

LEVEL = 0.05

Net = dict[int, Rows]
"""The rows of a net by length, from the shortest on."""


def view(study: Study) -> list[Part]:
    """The verdict on the user's own nets, or on all of a few if none is. A grid gets none, since
    the same trials have chosen its best combination."""
    nets: dict[tuple[str, str], Net] = {}
    for (name, cell, length), rows in sorted(study.nets.items(), key=lambda item: item[0][2]):
        nets.setdefault((name, cell), {})[length] = rows
    own = [net for net, of in nets.items() if _is_own(next(iter(of.values())))]
    if study.is_grid or (not own and len(nets) > MOST):
        return []
    differences = _differences(study)
    of_tests: dict[tuple[str, str], str] = {}  # at the longest length
    for group in tested(study):
        of_tests |= {one.rows[0].net: sentence(one, group[0]) for one in group}
    return [
        Verdict(
            [
                on_net(nets[one], differences.get(one, ""), of_tests.get(one, ""))
                for one in own or nets
            ]
        )
    ]


def _is_own(net: Rows) -> bool:
    """Whether its cell or its task is the user's own."""
    return is_own(net[0].experiment.cell) or is_own(net[0].experiment.task)


def on_net(net: Net, difference: str, of_test: str = "") -> str:
    """Everything on one net; its final test comes first."""
    at, last = list(net), net[max(net)]
    made = last[0].experiment
    name = shortened(net_name(made.name, made.cell), NAME_WIDTH)
    on = f"{name} on {shortened(made.task, NAME_WIDTH)}"
    sentences = [f"{on}: {of_test}"] * bool(of_test)
    sentences.append(_solved(net) if of_test else f"{on}: {_solved(net)}")
    diverged = sum(row.outcome.status == "diverged" for rows in net.values() for row in rows)
    if diverged:
        sentences.append(f"{diverged} trial{'s' * (diverged > 1)} diverged")
    is_any = any(rows.solved for rows in net.values())
    sentences += [f"It is {difference}"] * bool(difference and (is_any or not of_test))
    is_solved = 2 * last.solved >= len(last)
    if not is_any:
        more = (
            f"To know whether it is slow: the same command with --max-steps {10 * made.max_steps}"
        )
    elif len(at) > 1 and is_solved:
        more = f"To go farther: the same command with --lengths {2 * at[-1]} {4 * at[-1]}"
    else:
        more = f"To be surer: the same command with --trials {4 * len(last)}"
    return ". ".join([*sentences, more]) + "."


def _solved(net: Net) -> str:
    """At which lengths it is solved, and how sure that is."""
    at = list(net)
    if len(at) == 1:
        rows = net[at[0]]
        words = f"{rows.solved} of {len(rows)} trials solved at T = {at[0]}"
        words += f" (95%: {bounds_in_percent(rows.interval)} %)"
        if 2 * rows.solved > len(rows):
            return f"{words}, after {steps_in_words(median(rows.times))} sequences in the median"
        return f"{words}, within {rows[0].experiment.max_steps:,} sequences"
    ways: dict[str, list[int]] = {"at least half of the trials": [], "fewer": [], "none": []}
    for length, rows in net.items():
        half, fewer, none = ways.values()
        some = half if 2 * rows.solved >= len(rows) else fewer if rows.solved else none
        some.append(length)
    words = ", ".join(f"{way} at T = {_lengths(some, at)}" for way, some in ways.items() if some)
    found = horizon(at, [net[k].solved for k in at], [len(net[k]) for k in at])
    sure = between(found.low, found.high)
    return f"solved in {words}" + f" (95%: half are solved up to {sure})" * bool(sure)


def _lengths(some: Sequence[int], at: Sequence[int]) -> str:
    """Some of the lengths ``at`` which there are trials; neighbours are put together."""
    runs: list[str] = []
    for _, run in groupby(enumerate(some), lambda pair: at.index(pair[1]) - pair[0]):
        first, *others = [length for _, length in run]
        runs.append(f"{first:,} to {others[-1]:,}" if others else f"{first:,}")
    return listed(runs)


def _differences(study: Study) -> dict[tuple[str, str], str]:
    """How each net compares with the first one under the same conditions, in words; with the first
    that is not the user's own, if there is one."""
    pairs: list[tuple[Rows, Rows]] = []
    for group in rivals(study.rows):
        first = next((net for net in group if not _is_own(net)), group[0])
        pairs += [(net, first) for net in group if net is not first]
    ways: dict[tuple[str, str], dict[str, list[int]]] = {}
    for (net, first), one, _, p in compared(pairs):
        low, high = one.interval
        way = "not told apart from"
        if p < LEVEL and not low <= 0.5 <= high:
            way = "solved sooner than" if low > 0.5 else "solved later than"
        way += f" {shortened(net_name(*first[0].net), NAME_WIDTH)}"
        ways.setdefault(net[0].net, {}).setdefault(way, []).append(net[0].experiment.length)
    words: dict[tuple[str, str], str] = {}
    for which, of in ways.items():
        at = sorted(length for *one, length in study.nets if (*one,) == which)
        words[which] = listed([f"{way} at T = {_lengths(some, at)}" for way, some in of.items()])
    return words
