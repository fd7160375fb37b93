"""How far back a net remembers: its horizon, from the trials that were solved at each length.

The horizon H is the longest length at which at least half of all trials would be solved within the
given number of training sequences. The share of solved trials is taken not to rise with the length.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from jaxrnn.errors import InputError, shown, whole_number
from jaxrnn.report.compare import holm
from jaxrnn.report.render import Part, Table, TableRow, html_of
from jaxrnn.report.summary import Rows, Study, by_net, net_name
from jaxrnn.store.rows import Row

ERROR = 0.025
"""The most that each side of an interval errs."""

CONTRADICTION = 0.005
"""The same of the intervals that contradict a share that does not rise."""

MOST = 2**31 - 1
"""The greatest length, and number of trials."""

DRAWS = 10_000
"""Of the shares, for the intervals of octaves."""


class Horizon(NamedTuple):
    """The horizon of a net: with at least 95 % confidence low <= H < high."""

    low: int | None  # None: H may be below the shortest length
    high: int | None  # None: H may be the longest length, or beyond
    point: float | None  # the best guess; None where the shares do not cross 1/2
    monotone: bool  # whether the data agree with a share that does not rise

    def _repr_html_(self) -> str:
        return html_of(self)


class Octaves(NamedTuple):
    """A number of octaves (doublings of the length) with its 95 % interval."""

    mean: float
    low: float
    high: float

    def _repr_html_(self) -> str:
        return html_of(self)


def horizon(lengths: Sequence[int], solved: Sequence[int], trials: Sequence[int]) -> Horizon:
    """A statistic, which trains nothing: the horizon from ``solved`` of ``trials`` at each of the
    ``lengths``, in any order, all under one setting.

    :func:`jaxrnn.run_horizon` measures the horizon of a cell.

    The interval is exact. It assumes that the trials are independent, also those of two lengths,
    and that the share of solved trials p_k does not rise with the length. With Y_k trials solved of
    n_k at the k-th of m lengths, and Y_k ~ Bin(n_k, 1/2):

        G_low(k) = P(Y_k > y_k) + P(Y_k = y_k) G_low(k+1), G_low(m) = P(Y_m >= y_m)
        G_high(k) = P(Y_k < y_k) + P(Y_k = y_k) G_high(k-1), G_high(1) = P(Y_1 <= y_1)

    G_low(k) is a p-value of p_k <= 1/2, G_high(k) one of p_k >= 1/2. ``low`` is the last length,
    from the shortest on, before the first G_low above 0.025; ``high`` is the last length, from the
    longest down, before the first G_high above 0.025. The hypotheses are nested and tested in a
    fixed order. So each bound errs with at most 2.5 %, and no correction is needed.

    Data contradict the assumption where the 99 % intervals of two lengths do not meet, and the
    longer one's lies above. Then ``monotone`` is False. H is the longest length up to which p is
    nowhere below 1/2, ``low`` is by each length's own binomial test in the same order, and ``high``
    the least length whose own test passes Holm's correction. Where p does not rise this adds less
    than 0.01 % to the errors, for six to ten trials at five lengths (enumerated at p = 1/2).

    The point is where the centred isotonic regression of the shares on log2(length) crosses 1/2.

    Raises InputError unless there is a length, each once, with more trials than none and no more
    solved than there are.

    Source: the interval is this package's own; Clopper & Pearson 1934; Holm 1979; centred isotonic
    regression: Oron & Flournoy 2017, Statistics in Biopharmaceutical Research 9(3).
    """
    from scipy.optimize import isotonic_regression

    at, y, n = _checked(lengths, solved, trials)
    monotone = is_monotone(y, n)
    low, high = (passed_low(y, n), passed_high(y, n)) if monotone else by_each(y, n)
    first_low = int(low.sum())  # the tests before the first that does not pass
    first_high = len(at) - int(high.sum())
    x, fit = np.log2(at), isotonic_regression(y / n, weights=n, increasing=False)
    places: list[float] = []
    values: list[float] = []
    for start, end in pairwise(fit.blocks):
        inside, value = slice(start, end), float(fit.x[start])
        # A block of shares that are all 0, or all 1, is no single place: its ends stay.
        kept = x[inside] if value in (0, 1) else [np.average(x[inside], weights=n[inside])]
        places += list(kept)
        values += [value] * len(kept)
    point = None
    if values[0] >= 0.5 > values[-1]:  # np.interp wants values that rise
        point = float(2 ** np.interp(-0.5, -np.array(values), np.array(places)))
    return Horizon(
        low=int(at[first_low - 1]) if first_low else None,
        high=int(at[first_high]) if first_high < len(at) else None,
        point=point,
        monotone=monotone,
    )


def _checked(lengths: Sequence[int], solved: Sequence[int], trials: Sequence[int]) -> np.ndarray:
    """Lengths in order, and the two counts of each: [3, m]."""
    if not len(lengths) == len(solved) == len(trials) or not len(lengths):
        raise InputError(
            f"a horizon needs solved and trials for each length: there are {len(lengths)} lengths, "
            f"{len(solved)} solved and {len(trials)} trials"
        )
    at = [_counted("length", one, 1) for one in lengths]
    y = [_counted("solved", one, 0) for one in solved]
    n = [_counted("trials", one, 1) for one in trials]
    if len(set(at)) < len(at):
        raise InputError(f"lengths {shown(at)} must differ")
    for one, of in zip(y, n, strict=True):
        if one > of:
            raise InputError(f"solved {one} must not be above trials {of}")
    return np.array(sorted(zip(at, y, n, strict=True))).T


def _counted(name: str, value: Any, least: int) -> int:
    """A whole number that NumPy can count with."""
    number = whole_number(name, value, least)
    if number > MOST:
        raise InputError(f"{name} {shown(number)} must be at most {MOST}")
    return number


def passed_low(solved: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """For each length of ``solved`` [..., m]: whether it and all shorter ones are tested to have a
    share of at least 1/2."""
    p = np.empty(solved.shape)
    after = np.ones(solved.shape[:-1])
    for k in reversed(range(solved.shape[-1])):
        up_to = _at_most(solved[..., k], trials[k])
        below = _at_most(solved[..., k] - 1, trials[k])
        after = p[..., k] = 1 - up_to + (up_to - below) * after
    return np.logical_and.accumulate(p <= ERROR, axis=-1)


def passed_high(solved: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """The same of a share below 1/2, for it and all longer ones: of the unsolved trials, from the
    longest length down."""
    return passed_low((trials - solved)[..., ::-1], trials[::-1])[..., ::-1]


def _at_most(y: np.ndarray, n: np.ndarray) -> np.ndarray:
    """P(Y <= y) of Y ~ Bin(n, 1/2)."""
    from scipy.special import bdtr

    return np.where(y < 0, 0.0, bdtr(np.maximum(y, 0), n, 0.5))


def is_monotone(y: np.ndarray, n: np.ndarray) -> bool:
    """Whether no longer length has a share that is surely above a shorter one's."""
    from scipy.special import betaincinv

    least = np.where(y > 0, betaincinv(np.maximum(y, 1), n - y + 1, CONTRADICTION), 0.0)
    most = np.where(y < n, betaincinv(y + 1, np.maximum(n - y, 1), 1 - CONTRADICTION), 1.0)
    return bool(np.all(least[1:] <= np.minimum.accumulate(most)[:-1]))


def by_each(y: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As the two functions above, by the tests of each length alone."""
    low = np.logical_and.accumulate(1 - _at_most(y - 1, n) <= ERROR)
    is_below = np.less_equal(holm(_at_most(y, n).tolist()), ERROR)
    return low, np.logical_or.accumulate(is_below)


def octaves(lengths: Sequence[int], solved: Sequence[int], trials: Sequence[int]) -> Octaves:
    """How many octaves of the lengths are solved: the sum of the shares of solved trials, each
    times half the distance of its neighbours on log2(length).

    It needs no share that falls, and no 1/2. The interval is that of ``DRAWS`` draws of each share
    from Beta(y + 1/2, n - y + 1/2), always the same ones. It is widened to hold the sum itself,
    which may lie beyond all draws where all trials are solved, or none. Raises what :func:`horizon`
    raises, and InputError for a single length.

    Source: Spearman 1908 and Kaerber 1931, whose estimate of a mean this is; Jeffreys' prior.
    """
    return _with_interval(_octaves(_checked(lengths, solved, trials), 0))


def octaves_between(first: Any, second: Any) -> Octaves:
    """How many more octaves the first net solves, on the lengths that both have.

    Each net is given as (lengths, solved, trials), of trials under one setting. They differ where
    the interval leaves out 0. Raises what :func:`octaves` raises of the lengths that both have.
    """
    nets = [_checked(*net) for net in (first, second)]
    common = np.intersect1d(nets[0][0], nets[1][0])
    if not len(common):
        raise InputError("two nets can be compared only at lengths that both have: there are none")
    nets = [net[:, np.isin(net[0], common)] for net in nets]
    ours, theirs = (_octaves(net, stream) for stream, net in enumerate(nets))
    return _with_interval(ours - theirs)


def _octaves(net: np.ndarray, stream: int) -> np.ndarray:
    """The sum of the shares, and after it ``DRAWS`` of it."""
    at, y, n = net
    if len(at) < 2:
        raise InputError(f"octaves need at least two lengths: there are {at.tolist()}")
    steps = np.diff(np.log2(at))
    # At the ends there is only one neighbour.
    widths = (np.append(steps[0], steps) + np.append(steps, steps[-1])) / 2
    drawn = np.random.default_rng([0, stream]).beta(y + 0.5, n - y + 0.5, (DRAWS, len(y)))
    return np.append((y / n) @ widths, drawn @ widths)


def _with_interval(sums: np.ndarray) -> Octaves:
    mean = sums[0]
    low, high = np.quantile(sums[1:], [ERROR, 1 - ERROR])
    # No draw is 0 or 1; the shares themselves may be, and would lie beyond all draws.
    return Octaves(float(mean), float(min(low, mean)), float(max(high, mean)))


def horizons(
    times: dict[int, Sequence[float]], sequences: Sequence[int]
) -> list[tuple[int, Horizon]]:
    """The horizon within each number of training sequences, from the ``times`` of the trials at
    each length: the sequences until a trial was solved, infinite where it was not.

    All numbers have to be within the cap of the trials. Raises what :func:`horizon` raises.
    """
    trials = [len(of_length) for of_length in times.values()]
    curve = []
    for number in sequences:
        solved = [sum(time <= number for time in of_length) for of_length in times.values()]
        curve.append((number, horizon(list(times), solved, trials)))
    return curve


HEADINGS = ("net", "lengths", "within", "at least", "below", "point")

LEGEND = (
    "Horizon: the longest length at which at least half of all trials would be solved within so "
    "many training sequences. At least, below: its exact 95 % interval; a dash: the data leave "
    "that end open. Point: a best guess. *: a longer length was surely solved more often than a "
    "shorter one."
)


def horizon_rows(rows: Sequence[Row]) -> list[TableRow]:
    """The horizon of every net of the rows that has several lengths."""
    nets: dict[tuple[str, str], dict[int, Rows]] = {}
    for (experiment, cell, length), of_length in by_net(rows).items():
        nets.setdefault((experiment, cell), {})[length] = of_length
    lines = []
    for net, by_length in nets.items():
        if len(by_length) < 2:
            continue
        at = sorted(by_length)
        solved, trials = zip(*((by_length[k].solved, len(by_length[k])) for k in at), strict=True)
        found = horizon(at, solved, trials)
        caps = {row.experiment.max_steps for of_length in by_length.values() for row in of_length}
        values = (
            net_name(*net) + "*" * (not found.monotone),
            f"{at[0]}-{at[-1]}",
            "-".join(f"{cap:,}" for cap in sorted({min(caps), max(caps)})),
            *("-" if bound is None else str(bound) for bound in found[:2]),
            "-" if found.point is None else f"{found.point:.0f}",
        )
        about = {"net": net_name(*net)}
        lines.append(TableRow(dict(zip(HEADINGS, values, strict=True)), None, about))
    return lines


def view(study: Study) -> list[Part]:
    """The horizons, if nets were trained at several lengths."""
    has_several = len({net[:2] for net in study.nets}) < len(study.nets)
    if "by_length" not in study.views or study.is_grid or not has_several:
        return []
    return [Table("Horizons", HEADINGS, horizon_rows(study.rows), LEGEND)]
