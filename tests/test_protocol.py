"""The horizon's protocol: what searches ask for and find, and by simulation, whether its intervals
hold. No net is trained: their chances are known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import betaincinv, expit, ndtri

from jaxrnn.yardstick.protocol import (
    BITS,
    FULL,
    QUICK,
    SOBOL,
    Best,
    Found,
    Try,
    best_of,
    chains,
    counted,
    farthest,
    gap,
    is_made,
    median_of,
    places,
    points,
    replayed,
    search,
)

LOG = np.arange(3, 11)  # log2 of the lags
GRID = [None, *np.arange(2, 12.01, 0.5)]
SYNTHETIC = ("smooth", "iid", "few", "shallow", "crossing", "equal")
FITTED = ("few learn", "short", "long", "never")


class Net:
    """Chances and speeds of settings, as functions of their five coordinates."""

    first = 0

    def __init__(self, settings, pace=0.0):
        # x [n, 5] -> mu, steepness, ceiling, and the logarithm of the speed in deviations
        self.settings, self.pace = settings, pace

    def chances(self, x):
        """Chances [n, lags] and speeds [n] of some settings."""
        mu, k, a, z = self.settings(x)
        of_lag = k[:, None] * (mu[:, None] - LOG[None, self.first :])
        return a[:, None] * expit(of_lag), z + self.pace


def synthetic(kind, rng):
    """A net of one of six kinds."""
    u = rng.random(8)
    ones = np.ones_like

    def smooth(x):  # a bowl around an optimum
        width = np.array([2.5, 1.5, 0.5, 1, 0.3]) * (1 + 3 * u[5])
        far = ((x - u[:5]) ** 2 * width * 4).sum(1)
        noise, z = (ndtri(np.modf(by * x.sum(1) + 1e-9)[0]) for by in (7919, 104729))
        return 5 + 6 * u[6] - far + 0.4 * noise, (1.5 + 3.5 * u[7]) * ones(far), ones(far), z

    def iid(x):
        a = betaincinv(6, 1, x[:, 2])
        return 3 + 4 * u[0] + 2 * ndtri(x[:, 0]), 1 + 4 * x[:, 1], a, ndtri(x[:, 3])

    def few(x):  # few settings learn at all
        mu = np.where(x[:, 0] < 0.08, 3.5 + 5.5 * x[:, 1], 3 * x[:, 1])
        return mu, 3 * ones(mu), betaincinv(8, 2, x[:, 2]), ndtri(x[:, 3])

    def shallow(x):  # chances about one half over many lags
        mu = 4 + 4 * u[0] + 1.5 * ndtri(x[:, 0])
        return mu, 0.4 + 0.5 * x[:, 1], 0.55 + 0.45 * x[:, 2], ndtri(x[:, 3])

    def crossing(x):  # what is sure at a short lag fails at long ones
        q = x[:, 0]
        return 3 + 7 * q * (0.5 + u[0] / 2), 4 * ones(q), 1 - 0.55 * q, ndtri(x[:, 3])

    def equal(x):
        of_all = (3 + 7.5 * u[0], 1 + 3 * u[1], 0.8 + 0.2 * u[2])
        return *(one * ones(x[:, 0]) for one in of_all), ndtri(x[:, 3])

    kinds = dict(zip(SYNTHETIC, (smooth, iid, few, shallow, crossing, equal), strict=True))
    return Net(kinds[kind])


def fitted(kind, number, rng):
    """Nets whose chances were fitted to trained ones."""
    every = json.loads((Path(__file__).parent / "horizon_truths.json").read_text())["nets"]
    far = [
        sum(w for mu, w in one[6].items() if mu != "never" and float(mu) >= 9.5) for one in every
    ]
    groups = {
        "few learn": [one for one in every if 0 < one[5] < 0.25],
        "short": [one for one, f in zip(every, far, strict=True) if one[5] >= 0.25 and f < 1e-3],
        "long": [one for one, f in zip(every, far, strict=True) if one[5] >= 0.25 and f >= 1e-3],
        "never": [one for one in every if one[5] == 0],
    }
    some = groups[kind]

    def made(one):
        _, first, k, a, pace, _, weights = one
        mus = np.array([-5.0 if mu == "never" else float(mu) for mu in weights])
        w = np.array(list(weights.values())) / sum(weights.values())
        mean = w @ mus
        spread = max(0.5, np.sqrt(w @ (mus - mean) ** 2))

        def settings(x):
            at = np.searchsorted(w.cumsum()[:-1], x[:, 0], side="right")
            mu = mus[at] + np.where(mus[at] > 0, (x[:, 1] - 0.5) / 2, 0)
            # Settings that are fast go a little farther.
            z = -0.3 * np.clip((mu - mean) / spread, -2, 2) + 0.95 * ndtri(x[:, 3])
            return mu, np.full(len(x), k), np.full(len(x), a), z

        net = Net(settings, math.log(pace / 0.2) / 0.9)
        net.first = first
        return net

    return [made(some[k]) for k in np.resize(rng.permutation(len(some)), number)]


def simulated(asking, chances, speeds, rng, log=None):
    """Run a search; a trial is solved by chance, after a share of its budget that has a spread."""
    times = None
    while True:
        try:
            asked = asking.send(times)
        except StopIteration as end:
            return end.value
        draws = rng.random(len(asked))
        noise = rng.normal(size=len(asked))
        times = []
        for one, u, n in zip(asked, draws.tolist(), noise.tolist(), strict=True):
            is_solved = u < chances[one.setting - 1][one.lag]
            share = min(1.0, max(0.05, 0.2 * math.exp(0.9 * speeds[one.setting - 1] + 0.36 * n)))
            times.append(share if is_solved else math.inf)
        if log is not None:
            log += zip(asked, times, strict=True)


def nets_of(kind, number):
    rng = np.random.default_rng([number, *kind.encode()])
    if kind in SYNTHETIC:
        return [synthetic(kind, rng) for _ in range(number)]
    return fitted(kind, number, rng)


def searched(plan, net, seed, rng, log=None):
    """What the searches of a net find that are made."""
    found, num_lags = {}, len(LOG) - net.first
    for number in range(1, 1 + plan.searches):
        if is_made(plan, number, found, num_lags):
            x = np.clip(points(seed, number, plan.settings), 1e-7, 1 - 1e-7)
            chances, speeds = (some.tolist() for some in net.chances(x))
            found[number] = simulated(search(plan, num_lags), chances, speeds, rng, log)
    return found


def replicates(plan, kind, nets, runs):
    """Of each of some nets: its number of lags, and in each of some runs the searches of two equal
    cells, with the same settings, and what the first one's have tried."""
    for number, net in enumerate(nets_of(kind, nets), 1):
        rng, every = np.random.default_rng(number), []
        for run in range(runs):
            log = []
            ours = searched(plan, net, 1000 * number + run, rng, log)
            every.append((ours, searched(plan, net, 1000 * number + run, rng), log))
        yield len(LOG) - net.first, every


def median_of_all(plan, every, num_lags):
    """The longest place that half of all searches come to."""
    found = [
        place for ours, theirs, _ in every for f in (ours, theirs) for place in places(plan, f)
    ]
    return max(at for at in np.arange(-1, num_lags, 0.5) if np.mean(np.array(found) >= at) >= 0.5)


def shares(plan, kind, nets, runs):
    """How often the interval holds the median of what all searches would find, and how often two
    equal cells are told apart."""
    holds, differs = [], []
    for num_lags, every in replicates(plan, kind, nets, runs):
        truth = median_of_all(plan, every, num_lags)
        for ours, theirs, _ in every:
            _, low, high = median_of(places(plan, ours))
            # It is below the lag after the second bound: the truth is a lag or between two.
            holds.append(low <= truth <= high)
            both = [number for number in ours if number in theirs]
            gaps = gap(*([f[number].place for number in both] for f in (ours, theirs)))
            differs.append(gaps.differs)
    return np.mean(holds), np.mean(differs)


@pytest.mark.parametrize("plan", [FULL, QUICK], ids=lambda plan: plan.name)
@pytest.mark.parametrize("kind", [*SYNTHETIC, *FITTED])
def test_the_interval_holds_and_equal_cells_are_rarely_told_apart(kind, plan):
    holds, differs = shares(plan, kind, 4, 25)
    # Of 100; the simulation by name has 2,000, and leaves less to chance.
    assert holds >= 0.93
    assert differs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)


@pytest.mark.slow
@pytest.mark.parametrize("plan", [FULL, QUICK], ids=lambda plan: plan.name)
@pytest.mark.parametrize("kind", [*SYNTHETIC, *FITTED])
def test_by_simulation_the_interval_holds_in_95_percent_and_5_percent_of_equal_cells_differ(
    kind, plan
):
    holds, differs = shares(plan, kind, 40, 50)
    print(f"{plan.name} {kind}: held {holds:.3f}, told apart {differs:.3f}")
    assert holds >= 0.95
    assert differs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("kind", ["smooth", "short", "few learn"])
def test_how_far_the_best_of_some_settings_comes_lies_in_its_interval(kind):
    """Against the truth by the chances of many settings, each tried once at each lag."""
    holds = []
    for number, net in enumerate(nets_of(kind, 6), 1):
        num_lags = len(LOG) - net.first
        chances, _ = net.chances(np.clip(np.random.default_rng(1).random((20_000, 5)), 1e-7, 1))
        reach = np.cumprod(chances, axis=1).mean(0)
        for run in range(6):
            log = []
            searched(FULL, net, 100 * number + run, np.random.default_rng(run), log)
            tried, solved = counted(log, num_lags)
            for k in (1, 3, 9):
                best = best_of(k, tried, solved)
                assert best.low <= best.point <= best.high
                truth = int(np.sum(reach >= 1 - 0.5 ** (1 / k))) - 1
                holds.append(best.low <= truth <= best.high)
    assert np.mean(holds) >= 0.93


def test_by_hand_how_far_the_best_of_some_settings_comes():
    # Nine of ten at the first lag and one of nine at the next: a tenth reaches it.
    point, low, high = best_of(1, [10, 9, 1], [9, 1, 0])
    assert (point, low) == (0, 0)
    assert high >= 0
    assert best_of(9, [10, 9, 1], [9, 1, 0]).point == 1  # 1 - 0.9^9 = 0.61
    assert best_of(3, [10, 9, 1], [9, 1, 0]).point == 0  # 0.27
    assert best_of(54, [54, 0], [0, 0]) == Best(-1, -1, best_of(54, [54, 0], [0, 0]).high)
    assert best_of(1, [9, 9], [9, 9]) == Best(1, 1, 1)


# The rules


def asked(plan, num_lags, solved, speed=lambda setting: setting):
    """What a search asks for and finds, if a setting is solved at a lag, or when it is trained
    again, as ``solved`` says."""
    asking, rounds, times = search(plan, num_lags), [], None
    while True:
        try:
            some = asking.send(times)
        except StopIteration as end:
            return rounds, end.value
        rounds.append([tuple(one) for one in some])
        times = [speed(one.setting) if solved(*one) else math.inf for one in some]


def test_a_search_tries_waves_until_enough_are_solved_and_the_fastest_go_on():
    good = {3, 5, 7, 12, 14, 16, 18, 20, 22, 25, 27}
    rounds, found = asked(
        FULL, 5, lambda setting, lag, repeat: setting in good and lag < 4, lambda s: 100 - s
    )
    # Of nine settings three are solved, of the next nine four, of the third all others.
    for wave in range(3):
        assert rounds[wave] == [(setting, 0, 0) for setting in range(9 * wave + 1, 9 * wave + 10)]
    fastest = sorted(good, reverse=True)
    assert rounds[3] == [(setting, 1, 0) for setting in fastest[:6]]  # of nine, enough of them
    assert rounds[4] == [(setting, 2, 0) for setting in fastest[:3]]
    assert rounds[5] == [(fastest[0], 3, 0)]
    assert rounds[6] == [(fastest[0], 4, 0)]  # which alone was solved before, and fails
    assert rounds[7] == [(fastest[0], 3, 1), (fastest[0], 3, 2)]
    assert found == Found(fastest[0], 3, 3.0)


def test_a_lag_takes_more_settings_only_as_long_as_too_few_are_solved():
    late = {1, 2, 3, 4, 5, 6, 7}
    rounds, _ = asked(FULL, 2, lambda setting, lag, repeat: lag == 0 or setting not in late)
    first, second = (some for some in rounds if some[0][1] == 1 and not some[0][2])
    assert first == [(setting, 1, 0) for setting in range(1, 7)]
    assert second == [(setting, 1, 0) for setting in range(7, 10)]
    # Of 14 that were solved nine are tried at most.
    rounds, _ = asked(
        FULL, 2, lambda setting, lag, repeat: lag == 0 and setting not in (1, 2, 3, 4)
    )
    assert [len(some) for some in rounds[:4]] == [9, 9, 6, 3]
    rounds, found = asked(FULL, 4, lambda setting, lag, repeat: lag < 3)
    # From the fourth lag on they are tried one by one, three at most.
    assert [some for some in rounds if some[0][1] == 3] == [[(k, 3, 0)] for k in (1, 2, 3)]
    assert found.lag == 2
    # The speed is the mean of a setting's last two times, so that one lucky trial does not decide.
    times = {(1, 0): 60, (2, 0): 10, (1, 1): 30, (2, 1): 40}
    asking = search(FULL._replace(settings=2, wave=2), 3)
    some = next(asking)
    for _ in range(2):
        some = asking.send([times[one.setting, one.lag] for one in some])
    assert some[0] == Try(2, 2)  # 25 against 45


def test_what_is_not_solved_again_is_tried_at_the_lag_before():
    def solved(setting, lag, repeat):
        return not repeat or (repeat == 1 and lag <= 2) or (repeat == 2 and lag < 0)

    rounds, found = asked(FULL, 4, solved)
    again = [some for some in rounds if some[0][2]]
    assert again == [
        [(1, 3, 1), (1, 3, 2)],
        [(1, 2, 1), (1, 2, 2)],
        [(1, 1, 2)],
        [(1, 0, 2)],
    ]
    assert found == Found(1, 3, (2 - 1) / 2)  # the second failed at every lag
    rounds, found = asked(FULL, 4, lambda *_: False)
    assert [len(some) for some in rounds] == [9] * 6
    assert found == Found()
    rounds, found = asked(QUICK, 3, lambda *_: True)
    assert [len(some) for some in rounds] == [12, 4, 1, 1]
    assert found == Found(1, 2, 2.0)


def test_the_default_goes_on_until_it_fails_each_time():
    asking = chains(FULL, 3)
    assert next(asking) == [Try(0, 0, repeat) for repeat in range(1, 7)]
    assert asking.send([5, 5, math.inf, 5, 5, 5]) == [Try(0, 1, r) for r in (1, 2, 4, 5, 6)]
    assert asking.send([math.inf, 5, 5, math.inf, math.inf]) == [Try(0, 2, r) for r in (2, 4)]
    with pytest.raises(StopIteration) as end:
        asking.send([5, math.inf])
    assert end.value.value == [0, 2, -1, 1, 0, 0]
    asking = chains(FULL, 3)
    next(asking)
    with pytest.raises(StopIteration) as end:
        asking.send([math.inf] * 6)
    assert end.value.value == [-1] * 6


def test_searches_end_early_where_all_find_nothing_or_the_longest_lag():
    nothing, short, longest = Found(), Found(1, 1, 1.0), Found(1, 2, 2.0)

    def made(*found):
        return [is_made(FULL, k, dict(enumerate(found, 1)), 3) for k in range(1, 10)]

    assert made() == [True] * 6 + [None] * 3
    assert made(*[nothing] * 5) == [True] * 6 + [None] * 3
    assert made(*[nothing] * 6) == [True] * 6 + [False] * 3
    assert made(nothing, longest) == [True] * 9  # the one is enough, whatever the others find
    assert made(longest) == [True] * 7 + [None] * 2
    assert made(*[longest] * 6) == [True] * 7 + [None] * 2
    assert made(*[longest] * 7) == [True] * 7 + [False] * 2
    assert made(*[longest] * 6, short) == [True] * 9
    # A search that solved the longest lag, but not again, ends no others.
    assert made(*[longest] * 6, Found(1, 2, 1.5)) == [True] * 9
    assert places(FULL, dict.fromkeys(range(1, 7), nothing)) == [-1.0] * 9
    assert places(FULL, dict.fromkeys(range(1, 8), longest)) == [2.0] * 9
    assert [is_made(QUICK, k, {}, 3) for k in range(1, 7)] == [True] * 6


def test_what_is_read_again_is_what_was_found():
    net, log = nets_of("smooth", 1)[0], []
    chances, speeds = (some.tolist() for some in net.chances(np.array(points(1, 1, 54))))
    found = simulated(search(FULL, 8), chances, speeds, np.random.default_rng(1), log)
    times = dict(log)
    assert replayed(search(FULL, 8), times) == found
    last = log[-1][0]
    assert replayed(search(FULL, 8), {one: at for one, at in log if one != last}) is None
    assert replayed(search(FULL, 8), {}) is None


def test_the_farthest_is_who_came_farthest_again():
    found = {1: Found(4, 3, 1.0), 2: Found(5, 2, 2.0), 3: Found(6, 3, 2.0), 4: Found(7, 3, 2.0)}
    assert farthest(found) == (3, 2)
    assert farthest({1: Found(), 2: Found(5, 0, -0.5)}) == (2, 0)
    assert farthest({1: Found(5, 3, 2.5)}) == (1, 2)


def test_the_bounds_of_a_median_are_those_of_the_binomial():
    found = [3, 1, 2, 0, 4, 5, 5, 6, 7]
    assert median_of(found) == (4, 1, 6)
    assert median_of([3, 1, 2, 0, 4, 5]) == (2.5, 0, 5)
    # The chance that eight or nine of nine lie on one side, or six of six.
    assert 2 * (1 + 9) / 2**9 <= 0.05 < 2 * (1 + 9 + 36) / 2**9
    assert 2 / 2**6 <= 0.05 < 2 / 2**5


def test_a_difference_is_by_all_ways_to_turn_the_signs():
    ours, theirs = [5, 4, 6, 3, 5, 4, 6, 5, 4], [3, 3, 3, 3, 3, 3, 3, 3, 3]
    found = gap(ours, theirs)
    differences = np.subtract(ours, theirs)

    def p(d):
        signs = np.array(np.meshgrid(*[[-1, 1]] * 9)).reshape(9, -1)
        return np.mean(np.abs((differences - d) @ signs) >= abs(sum(differences - d)) - 1e-9)

    assert found.differs == (p(0) <= 0.05)
    assert found.mean == np.mean(differences)
    possible = [d for d in np.arange(-2, 5, 0.5) if p(d) > 0.05]
    assert (found.low, found.high) == (min(possible) - 0.5, max(possible) + 0.5)
    equal = gap([3] * 9, [3] * 9)
    assert (equal.mean, equal.low, equal.high, equal.differs) == (0, -0.5, 0.5, False)
    # Six have to be of one sign.
    assert gap([1] * 6, [0] * 6).differs
    assert not gap([1] * 5 + [0], [0] * 5 + [0.5]).differs
    # Ends are rounded outwards: here the lower one is 0.5 below a mean of -1/14.
    assert gap([1] * 6 + [0.5], [1] * 7)[1:3] == (-0.6, 0.5)


def test_the_settings_are_sobols_points_with_bits_turned():
    from scipy.stats.qmc import Sobol

    known = Sobol(5, scramble=False, bits=BITS).random(64)
    for seed, number in ((1, 1), (1, 2), (2, 1)):
        ours = np.array(points(seed, number, 64))
        turned = (ours * 2**BITS).astype(int) ^ (known * 2**BITS).astype(int)
        assert (turned == turned[0]).all()  # the same bits of every point
    assert len({points(seed, number, 4) for seed in (1, 2) for number in (1, 2, 3)}) == 6
    # A coordinate of a search's first point is as if drawn evenly.
    first = np.array([points(1, number, 1)[0] for number in range(1, 2001)])
    assert (np.abs(first.mean(0) - 0.5) < 0.03).all()
    assert (np.abs(np.corrcoef(first.T) - np.eye(5)) < 0.1).all()
    # In each coordinate the first 64 points stand one in each 64th.
    for number in (1, 2, 3):
        places = np.sort((np.array(points(1, number, 64)) * 64).astype(int), axis=0)
        assert (places == np.arange(64)[:, None]).all()
    assert len(SOBOL) == 5
