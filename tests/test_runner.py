"""The host loop: its programs, devices, lanes, checkpoints and tallies. That nothing about how a
run is cut changes its outcomes stands in test_ways_to_run.py."""

from collections import Counter
from dataclasses import replace

import jax
import pytest
from helpers import BY_TEST, STREAK, Memory, narrow_at_once

from jaxrnn import InputError, run_trials
from jaxrnn.training import loop
from jaxrnn.training.engine import Chunk
from jaxrnn.training.objectives import OBJECTIVES
from jaxrnn.training.parts import DECIDING, FINAL
from jaxrnn.training.trial import build


@pytest.mark.usefixtures("fresh_programs")
def test_each_program_is_traced_once_for_each_width(monkeypatch):
    launched, widths, traces, chunks = Chunk.__call__, set(), Counter(), []

    def watched(chunk, state, lanes):
        widths.add(len(lanes.trial))
        return launched(chunk, state, lanes)

    def counted(name, function):
        def counting(*arguments):
            traces[name] += 1
            return function(*arguments)

        return counting

    def build_counting(experiment, platform):
        trial = build(experiment, platform)
        return trial._replace(
            draw=counted("draw", trial.draw),
            update=counted("update", trial.update),
            tests=tuple((name, counted(name, test)) for name, test in trial.tests),
        )

    narrow_at_once(monkeypatch)
    monkeypatch.setattr(Chunk, "__call__", watched)
    monkeypatch.setattr(loop, "build", build_counting)
    run_trials(replace(BY_TEST, trials=12), lanes=8, on_chunk=chunks.append)
    assert len(chunks) > len(widths) + 3
    assert widths == {8, 6}
    assert traces.pop("draw") <= 2
    assert traces == {"update": 2, DECIDING: 2, FINAL: 1}


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(0.0, 20, 60), (0.3, 3, 6)])
def test_checkpoints_that_take_long_are_rare(seconds, fewest, most, monkeypatch):
    class Clock(Memory):
        now = 0.0

        def save(self, arrays):
            super().save(arrays)
            self.now += seconds

    memory, chunks = Clock(), []
    monkeypatch.setattr(loop.time, "monotonic", lambda: memory.now)

    def on_chunk(tally):
        chunks.append(tally)
        memory.now += 0.5

    long = replace(STREAK, window=900)  # to its last step
    run_trials(long, chunk_steps=9, on_chunk=on_chunk, checkpoint=memory)
    assert len(chunks) > 90
    assert fewest < len(memory.saves) < most


@pytest.mark.parametrize(("trials", "used"), [(1, 1), (3, 1), (4, 2)])
def test_no_device_has_idle_lanes_alone(trials, used, monkeypatch):
    made = []

    def make_noted(*arguments):
        made.append(list(arguments[2]))
        raise InterruptedError

    monkeypatch.setattr(loop, "program_for", make_noted)
    with pytest.raises(InterruptedError):
        run_trials(replace(STREAK, trials=trials), devices=jax.devices()[:2])
    assert made == [jax.devices()[:used]]


def test_settings_are_a_trials_own_and_one_that_explodes_disturbs_no_other():
    rates, clips, tallies = (1.0, 0.3, 3e38, 1.0, 1.0), (5.0, 5.0, 1e30, 5.0, 5.0), []
    mixed = replace(STREAK, learning_rate=rates, clip=clips)
    # In fewer lanes than trials, so that not every trial rides in the lane of its number.
    ends = run_trials(mixed, lanes=3, on_chunk=tallies.append)
    assert (tallies[-1].solved, tallies[-1].unsolved, tallies[-1].diverged) == (4, 0, 1)
    assert (ends[2].status, ends[2].solved_at) == ("diverged", None)
    assert ends[2].last_above == ends[2].steps - 1 < 9
    usual, slow = (run_trials(replace(STREAK, learning_rate=rate), lanes=3) for rate in (1.0, 0.3))
    assert ends == [usual[0], slow[1], ends[2], usual[3], usual[4]]
    assert slow[1] != usual[1]


def test_the_cap_is_exact_and_the_tally_counts_every_trial_and_step():
    hopeless, tallies = replace(STREAK, length=20, max_steps=101), []
    outcomes = run_trials(hopeless, lanes=2, chunk_steps=25, on_chunk=tallies.append)
    for outcome in outcomes:
        assert (outcome.status, outcome.steps, outcome.solved_at) == ("unsolved", 101, None)
    for tally in tallies:
        assert tally.solved + tally.unsolved + tally.diverged + tally.running == 5
    assert tallies[-1].running == 0
    assert tallies[-1].trial_steps == sum(outcome.steps for outcome in outcomes)


def test_lanes_are_refilled_so_that_a_long_run_keeps_them_busy():
    tallies = []
    experiment = replace(STREAK, trials=36, max_steps=5000)
    run_trials(experiment, lanes=4, chunk_steps=10, on_chunk=tallies.append)
    assert tallies[-1].trial_steps / (4 * tallies[-1].steps_taken) > 0.8


def test_errors_below_zero_are_no_distances(monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "signed", lambda outputs, targets: (outputs[:, 0],) * 2)
    rule = "objectives and measures must give errors that are not negative"
    with pytest.raises(InputError, match=rf"^an error of lstm on noise_free is -.*: {rule}$"):
        run_trials(replace(STREAK, objective="signed"))


def test_until_needs_no_checkpoint():
    slow, whole = replace(STREAK, learning_rate=0.01), run_trials(STREAK)
    assert run_trials(slow, until=100) == []
    assert run_trials(STREAK, until=400) == [one for one in whole if one.steps <= 400]


def test_no_trials_are_none_run_but_wrong_sizes_are_refused():
    assert run_trials(STREAK, only=[]) == []
    with pytest.raises(InputError, match="0"):
        run_trials(STREAK, only=[], chunk_steps=0)
