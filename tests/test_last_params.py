"""The parameters that trials end with: those of their last step, however the run was cut."""

from dataclasses import replace

import chex
import jax
import numpy as np
import pytest
from helpers import ONE_DEVICE, Memory, of_trial, params_after

from jaxrnn import Experiment, InputError, run_trials
from jaxrnn.training import host_loop
from jaxrnn.training.lanes import LaneTable
from jaxrnn.training.trial import build

# So many that lanes are handed on, and that 1, 3 and 10 lanes are two widths on two devices.
TESTED = Experiment(
    length=5, cell="simple_rnn", hidden_size=6, trials=10, window=60, max_steps=400, final_test=20
)
PLAIN = replace(TESTED, final_test=0)
CUT = {"lanes": 3, "chunk_steps": 12, "keep_params": True}


def assert_same_params(outcomes, expected):
    for one, other in zip(outcomes, expected, strict=True):
        assert jax.tree.structure(one.params) == jax.tree.structure(other.params)
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


@pytest.fixture(scope="module")
def kept():
    """What PLAIN comes to."""
    return run_trials(PLAIN, keep_params=True)


def test_each_trial_keeps_what_its_last_step_left_and_ends_as_without_keeping(kept):
    outcomes = run_trials(PLAIN)
    assert kept == outcomes
    assert {outcome.params for outcome in outcomes} == {None}
    assert len({outcome.steps for outcome in kept}) > 2
    after = params_after(PLAIN, {outcome.steps for outcome in kept})
    for outcome in kept:
        own = of_trial(after[outcome.steps], outcome.trial)
        jax.tree.map(np.testing.assert_array_equal, outcome.params, own)
        assert "params" not in repr(outcome)


def test_a_final_test_keeps_the_same_ones_with_the_same_program(kept, monkeypatch):
    def build_counting(experiment, platform):
        trial = build(experiment, platform)
        return trial._replace(update=chex.assert_max_traces(trial.update, n=1))

    chex.clear_trace_counter()
    monkeypatch.setattr(host_loop, "build", build_counting)
    monkeypatch.setattr(LaneTable, "narrower", lambda *arguments: None)
    tested = run_trials(TESTED, keep_params=True)
    assert_same_params(tested, kept)
    assert all(outcome.final_wrong is not None for outcome in tested)


@pytest.mark.parametrize(("lanes", "chunk_steps"), [(1, 60), (3, 97)])
def test_parameters_depend_neither_on_lanes_nor_on_chunks(lanes, chunk_steps, kept):
    assert_same_params(
        run_trials(PLAIN, lanes=lanes, chunk_steps=chunk_steps, keep_params=True), kept
    )


def test_a_killed_run_goes_on_to_the_same_parameters_on_fewer_devices(kept, monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    memory = Memory()

    def kill(tally):
        if tally.solved and tally.step > 30:  # of those in later lanes, too
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(PLAIN, on_chunk=kill, checkpoint=memory, **CUT)
    monkeypatch.setattr(host_loop.jax, "devices", lambda: ONE_DEVICE)
    assert_same_params(run_trials(PLAIN, checkpoint=memory, **CUT), kept)


def test_a_run_begun_without_keeping_may_keep_until_a_trial_has_ended(kept, monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    memory = Memory()
    run_trials(PLAIN, checkpoint=memory, **CUT | {"keep_params": False})
    with pytest.raises(InputError, match="trials have ended whose weights were not kept"):
        run_trials(PLAIN, checkpoint=memory, **CUT)
    first = Memory()
    first.saves = memory.saves[:1]
    assert_same_params(run_trials(PLAIN, checkpoint=first, **CUT), kept)


def test_a_diverged_trial_keeps_what_exploded_and_disturbs_no_other(kept):
    rates, clips = [1.0] * 10, [5.0] * 10
    rates[2], clips[2] = 3e38, 1e30
    exploded = run_trials(replace(PLAIN, learning_rate=rates, clip=clips), keep_params=True)
    assert exploded[2].status == "diverged"
    assert not np.isfinite(exploded[2].params.output_weights).all()
    assert_same_params(exploded[:2] + exploded[3:], kept[:2] + kept[3:])
