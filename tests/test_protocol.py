"""The horizon's protocol by simulation: nets whose chances are known, none of them trained."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import betaincinv, expit, ndtri

from jaxrnn.yardstick.protocol import (
    FULL,
    QUICK,
    Found,
    Try,
    best_of,
    chain,
    counted,
    gap,
    median_of,
    places,
    points,
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
    far = [sum(w for mu, w in one[6].items() if mu != "never" and float(mu) >= 9.5) for one in every]
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


def replicates(plan, net, runs, seed):
    """In each of some runs the searches of two equal cells, with the same settings: what the first
    and what the second cell's have found, and what the first cell's have tried."""
    rng = np.random.default_rng(seed)
    num_lags = len(LOG) - net.first
    ours, theirs, logs = [], [], []
    for run in range(runs):
        log = []
        for found in (ours, theirs):
            found.append([])
            for number in range(plan.searches):
                x = np.clip(points(1000 * seed + run, number, plan.settings), 1e-7, 1 - 1e-7)
                chances, speeds = net.chances(x)
                asking = search(plan, num_lags)
                some = chances.tolist(), speeds.tolist(), rng
                found[-1].append(simulated(asking, *some, log if found is ours else None))
        logs.append(log)
    return ours, theirs, logs


def shares(plan, kind, nets, runs):
    """Of some runs of some nets: how often the interval holds the median of what all searches would
    find, and how often two equal cells are told apart."""
    holds, differs, best = [], [], []
    for number, net in enumerate(nets_of(kind, nets)):
        num_lags = len(LOG) - net.first
        ours, theirs, logs = replicates(plan, net, runs, number + 1)
        every = np.array([one.place for found in (*ours, *theirs) for one in found])
        truth = max(at for at in np.arange(-1, num_lags, 0.5) if np.mean(every >= at) >= 0.5)
        for our, their in zip(ours, theirs, strict=True):
            one, other = (places(plan, found, num_lags) for found in (our, their))
            _, low, high = median_of(one)
            # Below the lag after the second bound: the truth is a whole lag or a half.
            holds.append(low <= truth <= high)
            differs.append(gap(one, other).differs)
    return np.mean(holds), np.mean(differs)
