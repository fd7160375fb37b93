"""The protocol of a horizon as processes and numbers: what a search asks for, and what it finds.

Somebody who needs a net tries some settings, keeps the best and trains it again. How far this comes
depends on the settings that happen to be tried, and on the seeds. So several searches are made,
independent of each other, and each counts as one observation: its result is one number, whatever
happened inside it. The horizon is the median of what all such searches would find.

A search is a generator that asks for trials, and is sent how these ended. So the same code trains
nets, reads rows and is simulated (``tests/test_protocol.py``). Nothing here needs JAX.

Lags are given by their place among the net's lags, which double: 0 is the shortest one. A result is
a place, too, in octaves; -1 stands for nothing, and counts as half of the shortest lag.
"""

import hashlib
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple, TypeVar

import numpy as np

LEVEL = 0.05
"""Intervals hold with 95 %, and a test shows a difference between equal cells in at most 5 %."""


class Plan(NamedTuple):
    """How many searches a net gets, and how far each goes. In ``tried`` and ``enough`` the last
    number is that of all longer lags."""

    name: str
    searches: int
    settings: int  # that a search may try at the shortest lag
    wave: int  # of them at a time
    tried: tuple[int, ...]  # the most settings at each lag
    enough: tuple[int, ...]  # a lag is over once so many settings are solved there
    confirmed: int  # how often the choice is trained again
    chains: int  # of the declared default
    if_nothing: int  # after so many searches that solve no trial there are no more
    if_everything: int  # the same if all of them find the longest lag


FULL = Plan("full", 9, 54, 9, (54, 9, 6, 3), (9, 6, 3, 1), 2, 6, 6, 7)
QUICK = Plan("quick", 6, 12, 12, (12, 4, 2), (12, 4, 1), 1, 0, 6, 6)


class Try(NamedTuple):
    """A trial that a search asks for."""

    setting: int  # from 1 on; 0 is the declared default
    lag: int
    repeat: int = 0  # 0 while it searches; from 1 on it trains its choice again


Times = Mapping[Try, float]
Result = TypeVar("Result")

Asking = Generator[list[Try], Sequence[float], "Found"]
"""Is sent the number of training sequences after which each trial was solved, infinity if never."""


class Found(NamedTuple):
    """The result of a search."""

    setting: int = 0  # its choice, 0 if no setting was solved
    lag: int = -1  # the longest that this was solved at
    place: float = -1.0  # the mean of the longest lags at which it was solved again


def search(plan: Plan, num_lags: int) -> Asking:
    """A search over the settings 1, 2, ... at so many lags.

    At the shortest lag a wave of settings gets a trial each, then the next wave, until enough are
    solved. Those go to the next lag, the fastest first, until enough are solved there, and so on. A
    setting's speed is the mean of its last two numbers of sequences, where the first of these is
    its speed before. The search ends at the first lag at which none is solved. It chooses the
    setting that was solved at the longest lag, of several the fastest, and trains it again: at that
    lag, at the one before if this fails, and so on.
    """
    setting, longest = 0, -1
    speed: dict[int, float] = {}
    order: Sequence[int] = range(1, plan.settings + 1)
    for lag in range(num_lags):
        most, enough = (of[min(lag, len(of) - 1)] for of in (plan.tried, plan.enough))
        left, wave = order[:most], enough if lag else plan.wave
        solved: dict[int, float] = {}
        while left and len(solved) < enough:
            now, left = left[:wave], left[wave:]
            times = yield [Try(one, lag) for one in now]
            for one, time in zip(now, times, strict=True):
                if math.isfinite(time):
                    solved[one] = (speed.get(one, time) + time) / 2
        if not solved:
            break
        speed, order = solved, sorted(solved, key=lambda one: (solved[one], one))
        setting, longest = order[0], lag
    at = {repeat: longest for repeat in range(1, 1 + plan.confirmed)}
    going = list(at)
    while going := [repeat for repeat in going if at[repeat] >= 0]:
        times = yield [Try(setting, at[repeat], repeat) for repeat in going]
        failed = [r for r, time in zip(going, times, strict=True) if not math.isfinite(time)]
        at |= {repeat: at[repeat] - 1 for repeat in failed}
        going = failed
    return Found(setting, longest, sum(at.values()) / len(at))


def chains(plan: Plan, num_lags: int) -> Generator[list[Try], Sequence[float], list[float]]:
    """The declared default at each lag until it fails, several times: how far each came."""
    came: dict[int, float] = dict.fromkeys(range(1, 1 + plan.chains), -1.0)
    going = list(came)
    for lag in range(num_lags):
        if not going:
            break
        times = yield [Try(0, lag, repeat) for repeat in going]
        going = [one for one, time in zip(going, times, strict=True) if math.isfinite(time)]
        came |= dict.fromkeys(going, float(lag))
    return list(came.values())


def is_made(plan: Plan, number: int, found: Mapping[int, Found], num_lags: int) -> bool | None:
    """Whether there is a search of this number, by what others have ``found``; None as long as
    these do not tell. There are no more if the first ones have all found nothing, or all the
    longest lag."""
    ends: list[tuple[int, Callable[[Found], bool]]] = [
        (plan.if_nothing, lambda one: one.lag < 0),
        (plan.if_everything, lambda one: one.place == num_lags - 1),
    ]
    for first, is_so in ends:
        known = [is_so(found[k]) for k in range(1, 1 + first) if k in found]
        if number > first and all(known):
            return None if len(known) < first else False
    return True


def lacking(plan: Plan, found: Mapping[int, Found], num_lags: int) -> list[int]:
    """The numbers of the searches that are still to end."""
    numbers = range(1, 1 + plan.searches)
    left = (number for number in numbers if number not in found)
    return [number for number in left if is_made(plan, number, found, num_lags) is not False]


def farthest(found: Mapping[int, Found]) -> tuple[int, int]:
    """The number of the search that came farthest, and the place of the lag that it came to; of
    several the one that solved the longest lag. A mean of two lags counts as the shorter one."""
    number = max(found, key=lambda k: (found[k].place, found[k].lag, -k))
    return number, max(0, math.floor(found[number].place))


def replayed(asking: Generator[list[Try], Sequence[float], Result], times: Times) -> Result | None:
    """What a search, or the chains, have found by these times; None if one is lacking."""
    asked = next(asking)
    while all(one in times for one in asked):
        try:
            asked = asking.send([times[one] for one in asked])
        except StopIteration as end:
            result: Result = end.value
            return result
    return None


def places(plan: Plan, found: Mapping[int, Found]) -> list[float]:
    """What the searches of a net have found, in their order. Those that were not made count as the
    first: all before them have found the same."""
    return [found.get(number, found[1]).place for number in range(1, 1 + plan.searches)]


def rank_of_bounds(number: int) -> int:
    """k, so that the k-th smallest and the k-th largest of so many observations bound their median
    with at least 95 %: 2 of 9, 1 of 6."""
    at_most = np.cumsum([math.comb(number, k) for k in range(number)]) / 2**number
    return int(np.sum(2 * at_most <= LEVEL))


def median_of(found: Sequence[float]) -> tuple[float, float, float]:
    """The median, and two of the places: the horizon is at least the first with 97.5 %, and below
    the one after the second."""
    ordered, k = sorted(found), rank_of_bounds(len(found))
    return float(np.median(ordered)), ordered[k - 1], ordered[-k]


class Gap(NamedTuple):
    """How many octaves more one net's searches find than another's."""

    mean: float
    low: float  # more than this
    high: float  # and fewer than this
    differs: bool


@cache
def _signs(number: int) -> np.ndarray:
    """All ways to turn the signs of so many differences but for a common turn [2^(n-1), n]."""
    bits = np.arange(2 ** (number - 1))[:, None] >> np.arange(number) & 1
    return 1.0 - 2.0 * bits


def gap(ours: Sequence[float], theirs: Sequence[float]) -> Gap:
    """Compare what two nets have found, search by search, since search r has the same settings for
    both.

    A difference of d octaves is possible if more than 5 % of all ways to turn the signs of the
    differences less d give a sum as great. The interval reaches half an octave beyond the possible
    half octaves, since what is found is a whole number of octaves or a half. Its ends are rounded
    outwards to a tenth. Two equal nets differ in at most 5 % of all cases.
    """
    differences = np.subtract(ours, theirs)

    def p(d: float) -> float:
        sums = np.abs(_signs(len(differences)) @ (differences - d))
        return float(np.mean(sums >= abs(np.sum(differences - d)) - 1e-9))

    steps = np.arange(differences.min(), differences.max() + 0.25, 0.5)
    possible = [float(d) for d in steps if p(float(d)) > LEVEL]
    mean = float(differences.mean())
    low, high = min([*possible, mean]) - 0.5, max([*possible, mean]) + 0.5
    low, high = math.floor(round(10 * low, 6)) / 10, math.ceil(round(10 * high, 6)) / 10
    return Gap(mean, low, high, p(0.0) <= LEVEL)


class Best(NamedTuple):
    """How far the best of some settings comes, as places of lags; -1 if not to the shortest."""

    point: int
    low: int  # at least so far
    high: int  # and no farther; the longest lag may be no bound


DRAWS = 4000


def best_of(number: int, tried: Sequence[int], solved: Sequence[int]) -> Best:
    """How far the best of so many settings comes in half of all cases, each tried once at each lag
    as long as it is solved, from the settings ``tried`` and ``solved`` at each lag.

    The share S of settings that are solved up to a lag is the product of the shares of those lags.
    The best of k comes there with 1 - (1 - S)^k. The interval is that of a product of shares whose
    bounds are beta variables (Fay, Brittain & Proschan 2013, "Pointwise confidence intervals for a
    survival distribution with small samples or heavy censoring").
    """
    m, d = np.array(tried), np.array(solved)
    rng, shape = np.random.default_rng(0), (DRAWS, len(m))
    # Draws of Beta(0, n) are 0 and of Beta(n, 0) are 1; where none was tried, all is possible.
    least = np.where(d > 0, rng.beta(np.maximum(d, 1), m - d + 1, shape), 0.0)
    most = np.where(m > d, rng.beta(d + 1, np.maximum(m - d, 1), shape), 1.0)
    low = np.quantile(least.cumprod(1), LEVEL / 2, axis=0)
    high = np.quantile(most.cumprod(1), 1 - LEVEL / 2, axis=0)
    point = np.cumprod(d / np.maximum(m, 1))
    needed = 1 - 0.5 ** (1 / number)
    # All three fall with the lag.
    return Best(*(int(np.sum(share >= needed)) - 1 for share in (point, low, high)))


# The settings

SOBOL = (
    (64, 32, 16, 8, 4, 2, 1),
    (64, 96, 80, 120, 68, 102, 85),
    (64, 96, 48, 72, 116, 46, 71),
    (64, 96, 16, 40, 124, 58, 81),
    (64, 32, 16, 88, 124, 110, 61),
)
"""The first direction numbers of Sobol's sequence in each dimension, times 128. Source: Joe & Kuo
2008, file new-joe-kuo-6.21201."""

BITS = 24


@lru_cache(maxsize=64)
def points(seed: int, number: int, count: int) -> tuple[tuple[float, ...], ...]:
    """The first points of Sobol's sequence in five dimensions, shifted for search ``number``:
    coordinates from 0 to below 1.

    Point n is point n - 1 with the bits of one direction number turned, that of the lowest bit of n
    (Antonov & Saleev 1979). The shift turns bits of each coordinate, the same ones for all points
    of a search: a digital shift (L'Ecuyer & Lemieux 2002). They are those of a SHA-256, so each
    point is as if drawn evenly, and searches are independent.
    """
    digest = hashlib.sha256(f"{seed} {number}".encode()).digest()
    shift = [int.from_bytes(digest[3 * k : 3 * k + 3], "big") for k in range(len(SOBOL))]
    made, place = [], [0] * len(SOBOL)
    for n in range(count):
        if n:
            lowest = (n & -n).bit_length() - 1
            place = [one ^ numbers[lowest] for one, numbers in zip(place, SOBOL, strict=True)]
        both = zip(place, shift, strict=True)
        made.append(tuple((one << BITS - 7 ^ turned) / 2**BITS for one, turned in both))
    return tuple(made)


def counted(asked: Iterable[tuple[Try, float]], num_lags: int) -> tuple[list[int], list[int]]:
    """How many settings searches have tried and solved at each lag, for :func:`best_of`."""
    tried, solved = [0] * num_lags, [0] * num_lags
    for one, time in asked:
        if one.setting and not one.repeat:
            tried[one.lag] += 1
            solved[one.lag] += math.isfinite(time)
    return tried, solved
