"""The host loop: its programs, devices, lanes, checkpoints and tallies. That nothing about how a
run is cut changes its outcomes stands in test_ways_to_run.py."""

import gc
import os
import subprocess
import sys
from dataclasses import replace

import chex
import jax
import pytest
from helpers import BY_TEST, ONE_DEVICE, STREAK, Memory, narrow_at_once

from jaxrnn import run_trials
from jaxrnn.errors import InputError
from jaxrnn.training import host_loop
from jaxrnn.training.engine import Chunk
from jaxrnn.training.objectives import OBJECTIVES
from jaxrnn.training.programs import forget_programs
from jaxrnn.training.trial import build


@pytest.fixture(scope="module")
def outcomes():
    """What STREAK comes to."""
    return run_trials(STREAK)


@pytest.mark.usefixtures("fresh_programs")
def test_each_program_is_traced_once_for_each_width(monkeypatch):
    launched = Chunk.__call__
    widths, seen = {8, 6}, set()

    def watched(chunk, state, lanes):
        seen.add(len(lanes.trial))
        return launched(chunk, state, lanes)

    def build_counting(experiment, platform):
        trial = build(experiment, platform)
        counted = {
            name: chex.assert_max_traces(getattr(trial, name), n=len(widths))
            for name in ("draw", "update")
        }

        def counting(function):
            # All tests together: the one that decides for each width, the final one once.
            @chex.assert_max_traces(n=len(widths) + 1)
            def test(key, params):
                return function(key, params)

            return test

        tests = tuple((name, counting(function)) for name, function in trial.tests)
        return trial._replace(**counted, tests=tests)

    chex.clear_trace_counter()
    narrow_at_once(monkeypatch)
    monkeypatch.setattr(Chunk, "__call__", watched)
    monkeypatch.setattr(host_loop, "build", build_counting)
    chunks = []
    run_trials(replace(BY_TEST, trials=12), lanes=8, on_chunk=chunks.append)
    assert len(chunks) > len(widths) + 3
    assert seen == widths


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(0.0, 20, 60), (0.3, 3, 6)])
def test_checkpoints_that_take_long_are_rare(seconds, fewest, most, monkeypatch):
    class Clock(Memory):
        now = 0.0

        def save(self, arrays):
            super().save(arrays)
            self.now += seconds

    memory, chunks = Clock(), []
    monkeypatch.setattr(host_loop.time, "monotonic", lambda: memory.now)

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

    monkeypatch.setattr(host_loop, "program_for", make_noted)
    with pytest.raises(InterruptedError):
        run_trials(replace(STREAK, trials=trials), devices=jax.devices()[:2])
    assert made == [jax.devices()[:used]]


def test_a_trial_that_explodes_is_diverged_and_disturbs_no_other(outcomes):
    rates, clips, tallies = (1.0, 1.0, 3e38, 1.0, 1.0), (5.0, 5.0, 1e30, 5.0, 5.0), []
    exploded = run_trials(replace(STREAK, learning_rate=rates, clip=clips), on_chunk=tallies.append)
    assert (tallies[-1].solved, tallies[-1].unsolved, tallies[-1].diverged) == (4, 0, 1)
    assert exploded[2].status == "diverged"
    assert exploded[2].solved_at is None
    assert exploded[2].steps < 10
    assert exploded[2].last_above == exploded[2].steps - 1
    others = [outcome for outcome in exploded if outcome.trial != 2]
    assert others == [outcome for outcome in outcomes if outcome.trial != 2]


def test_settings_of_a_trial_are_its_own():
    rates = (0.3, 1.0, 0.6, 0.1, 2.0)
    # In fewer lanes than trials, so that not every trial rides in the lane of its number.
    together = run_trials(replace(STREAK, learning_rate=rates), lanes=3)
    for trial, rate in enumerate(rates):
        alone = run_trials(replace(STREAK, learning_rate=rate))
        assert together[trial] == alone[trial]
    assert len({outcome.steps for outcome in together}) == 5


def test_the_cap_is_exact_and_the_tally_counts_every_trial_and_step():
    hopeless, tallies = replace(STREAK, length=20, max_steps=101), []
    outcomes = run_trials(hopeless, lanes=2, chunk_steps=25, on_chunk=tallies.append)
    for outcome in outcomes:
        assert (outcome.status, outcome.steps, outcome.solved_at) == ("unsolved", 101, None)
    for tally in tallies:
        assert tally.solved + tally.unsolved + tally.diverged + tally.running == 5
    assert tallies[-1].running == 0
    assert tallies[-1].trial_steps == sum(outcome.steps for outcome in outcomes)


@pytest.mark.slow
def test_four_devices_give_the_same_outcomes():
    # As many as four devices can use.
    program = "from jaxrnn import *; print(run_trials(Experiment(length=5, trials=10, window=60, "
    program += "max_steps=900)))"
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "4"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(run_trials(replace(STREAK, trials=10), devices=ONE_DEVICE))


def test_a_checkpoint_of_another_precision_is_refused(monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    memory = Memory()
    run_trials(STREAK, checkpoint=memory)
    first = Memory()
    first.saves = [
        {k: v.astype(float) if k == "state_0" else v for k, v in memory.saves[0].items()}
    ]
    with pytest.raises(
        InputError, match=r"^the checkpoint of lstm at length 5 has a state of other"
    ):
        run_trials(STREAK, checkpoint=first)


def test_errors_below_zero_are_no_distances(monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "signed", lambda outputs, targets: (outputs[:, 0],) * 2)
    rule = "objectives and measures must give errors that are not negative"
    with pytest.raises(InputError, match=rf"^an error of lstm on noise_free is -.*: {rule}$"):
        run_trials(replace(STREAK, objective="signed"))


def test_lanes_are_refilled_so_that_a_long_run_keeps_them_busy():
    tallies = []
    experiment = replace(STREAK, length=6, trials=24, max_steps=5000)
    run_trials(experiment, lanes=4, chunk_steps=10, on_chunk=tallies.append)
    assert tallies[-1].trial_steps / tallies[-1].lane_steps > 0.8


@pytest.mark.parametrize("sizes", [{"lanes": 0}, {"chunk_steps": 0}], ids=str)
def test_no_trials_are_none_run_but_wrong_sizes_are_refused(sizes):
    assert run_trials(STREAK, only=[]) == []
    with pytest.raises(InputError, match="0"):
        run_trials(STREAK, only=[], **sizes)


@pytest.mark.usefixtures("fresh_programs")
def test_a_run_leaves_no_compiled_program_behind_but_those_that_are_held():
    def programs():
        gc.collect()
        return sum(type(one) is jax.stages.Compiled for one in gc.get_objects())

    before = programs()
    assert run_trials(BY_TEST)
    held = programs()
    assert run_trials(replace(BY_TEST, seed=1))
    assert programs() == held
    forget_programs()
    assert programs() == before
