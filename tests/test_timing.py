"""How long training takes, by a short try."""

import itertools
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from helpers import STREAK

from jaxrnn.training.parts import parts_of
from jaxrnn.training.runner import seconds_a_time_step

NUM_STEPS = parts_of(STREAK).task.num_steps


def test_a_time_step_takes_as_long_as_it_is_timed():
    net = replace(STREAK, trials=2)
    start = time.monotonic()
    seconds = seconds_a_time_step(net)
    assert 0 < seconds * NUM_STEPS * 80 * net.trials < time.monotonic() - start


@pytest.mark.parametrize(("chunks", "expected"), [((9, 4, 0.01, 2), 6.01 / 30), ((9,), 9 / 10)])
def test_a_chunk_that_is_read_late_makes_no_step_faster(chunks, expected, monkeypatch):
    ends = itertools.accumulate(chunks, initial=0)
    clock = SimpleNamespace(monotonic=lambda: next(ends))
    monkeypatch.setattr("jaxrnn.training.runner.time", clock)

    def run(experiment, *, on_chunk, **_):
        for number in range(1, len(chunks) + 1):
            on_chunk(SimpleNamespace(trial_steps=10 * number))

    monkeypatch.setattr("jaxrnn.training.runner.run_trials", run)
    assert seconds_a_time_step(STREAK) == pytest.approx(expected / NUM_STEPS)
