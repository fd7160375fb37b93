"""The parameters that trials end with: those of their last step, however the run was cut."""

from dataclasses import replace

import chex
import jax
import numpy as np
import pytest
from helpers import ONE_DEVICE, WINDOW, Memory, of_trial, params_after

from jaxrnn import InputError, run_trials
from jaxrnn.training import runner
from jaxrnn.training.lanes import LaneTable
from jaxrnn.training.trial import build

PLAIN = replace(WINDOW, final_test=0)


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


def test_a_final_test_keeps_the_same_ones(kept):
    tested = run_trials(WINDOW, keep_params=True)
    assert_same_params(tested, kept)
    assert tested == run_trials(WINDOW)


@pytest.mark.parametrize(("lanes", "chunk_steps"), [(1, 6), (3, 97), (10, 250)])
def test_parameters_depend_neither_on_lanes_nor_on_chunks(lanes, chunk_steps, kept):
    assert_same_params(
        run_trials(PLAIN, lanes=lanes, chunk_steps=chunk_steps, keep_params=True), kept
    )


@pytest.mark.parametrize("kill_at", [3, 40])
def test_a_killed_run_goes_on_to_the_same_parameters_on_fewer_devices(kill_at, kept, monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    memory, seen = Memory(), []

    def kill(tally):
        seen.append(tally)
        if len(seen) == kill_at:
            raise KeyboardInterrupt

    ways = {"lanes": 3, "chunk_steps": 12, "keep_params": True, "checkpoint": memory}
    with pytest.raises(KeyboardInterrupt):
        run_trials(PLAIN, on_chunk=kill, **ways)
    assert (seen[-1].running < 5) == (kill_at == 40)  # some have ended by then
    monkeypatch.setattr(runner.jax, "devices", lambda: ONE_DEVICE)
    assert_same_params(run_trials(PLAIN, **ways), kept)


def test_a_run_begun_without_keeping_may_keep_until_a_trial_has_ended(kept, monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    memory = Memory()
    run_trials(PLAIN, lanes=3, chunk_steps=20, checkpoint=memory)
    with pytest.raises(InputError, match="trials have ended whose weights were not kept"):
        run_trials(PLAIN, lanes=3, chunk_steps=20, checkpoint=memory, keep_params=True)
    first = Memory()
    first.saves = memory.saves[:1]
    assert_same_params(run_trials(PLAIN, keep_params=True, checkpoint=first), kept)


def test_a_checkpoint_of_all_trials_is_read_where_only_some_run(kept, monkeypatch):
    """As version 0.1.0 wrote it, of an experiment with a final test that grew."""
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    memory, only = Memory(), [1, 3]
    ways = {"only": only, "chunk_steps": 20, "keep_params": True, "checkpoint": memory}
    run_trials(WINDOW, **ways)
    for name, array in memory.saves[-1].items():
        if name.startswith("final_"):
            of_all = np.zeros((WINDOW.trials, *array.shape[1:]), array.dtype)
            of_all[only] = array
            memory.saves[-1][name] = of_all
    assert_same_params(run_trials(WINDOW, **ways), [kept[1], kept[3]])


def test_a_diverged_trial_keeps_what_exploded_and_disturbs_no_other():
    base = replace(PLAIN, objective="half_squared_error_linear", max_steps=60, learning_rate=0.05)
    rates = (0.05, 0.05, 3e38, 0.05, 0.05)
    exploded = run_trials(replace(base, learning_rate=rates), keep_params=True)
    assert exploded[2].status == "diverged"
    assert not np.isfinite(exploded[2].params.output_weights).all()
    calm = run_trials(base, keep_params=True)
    del exploded[2], calm[2]
    assert_same_params(exploded, calm)


def test_keeping_is_one_program_with_the_final_test(monkeypatch):
    def build_counting(experiment):
        trial = build(experiment)
        return trial._replace(update=chex.assert_max_traces(trial.update, n=1))

    chex.clear_trace_counter()
    monkeypatch.setattr(runner, "build", build_counting)
    monkeypatch.setattr(LaneTable, "narrower", lambda *arguments: None)
    assert run_trials(WINDOW, keep_params=True)[0].final_wrong is not None
