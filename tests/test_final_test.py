"""What trials end with: their weights, and tests by these on sequences never trained on."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import BY_TEST, STREAK, WINDOW, Memory, first_params, of_trial, params_after

from jaxrnn import SUITES, InputError, Outcome, run_trials, unroll
from jaxrnn.training import host_loop
from jaxrnn.training.last_params import LastParams, errors_at_end, with_tests
from jaxrnn.training.objectives import ranking_error
from jaxrnn.training.parts import parts_of
from jaxrnn.training.tests import DECIDING, FINAL
from jaxrnn.training.trial import build, trial_key


def errors_on(stream, count, length=None):
    """Function of (trial, params): errors on sequences 0, 1, ... of a stream of its keys, those of
    a length of a stream of the stream's own."""
    at_length = WINDOW if length is None else replace(WINDOW, length=length)
    draw, cell = build(at_length).draw, parts_of(WINDOW).cell

    def error(key, params, number):
        sequence = draw(key, number)
        _, outputs = unroll(cell, params, sequence.inputs)
        y = jax.nn.sigmoid(outputs)
        return jnp.max(jnp.abs(y - sequence.targets), where=sequence.mask[:, None], initial=0.0)

    many = jax.jit(jax.vmap(error, (None, None, 0)))

    def errors(trial, params):
        key = jax.random.fold_in(trial_key(WINDOW.seed, trial), np.uint32(2**32 - stream))
        if length is not None:
            key = jax.random.fold_in(key, np.uint32(length))
        return np.asarray(many(key, params, jnp.arange(count)), np.float64)

    return errors


@pytest.mark.parametrize("experiment", [WINDOW, BY_TEST], ids=["window", "test"])
def test_the_final_test_is_taken_with_the_weights_that_a_trials_last_update_left(experiment):
    experiment = replace(experiment, trials=8)
    outcomes = run_trials(experiment, keep_params=True)
    solved = [outcome for outcome in outcomes if outcome.status == "solved"]
    assert len(solved) >= 4
    assert len({outcome.steps for outcome in solved}) > 1
    params = params_after(experiment, {outcome.steps for outcome in outcomes})
    final_errors = errors_on(stream=3, count=40)
    for outcome in outcomes:
        own = of_trial(params[outcome.steps], outcome.trial)
        jax.tree.map(np.testing.assert_array_equal, outcome.params, own)
        assert "params" not in repr(outcome)
        errors = final_errors(outcome.trial, own)
        assert outcome.final_wrong == (errors > 0.2).sum()
        assert experiment.test_size or outcome.correct_at is None  # one criterion, not two
        assert outcome.final_error == pytest.approx(errors.mean(), abs=1e-5)


def test_a_run_begun_without_keeping_may_keep_until_a_trial_has_ended(monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    memory, first = Memory(), Memory()
    run_trials(STREAK, checkpoint=memory, chunk_steps=20)
    with pytest.raises(InputError, match="trials have ended whose weights were not kept"):
        run_trials(STREAK, checkpoint=memory, chunk_steps=20, keep_params=True)
    first.saves = memory.saves[:1]
    kept = run_trials(STREAK, checkpoint=first, chunk_steps=20, keep_params=True)
    assert all(np.any(outcome.params.output_weights) for outcome in kept)


def test_a_test_set_of_its_own_decides_each_trial_at_fixed_steps():
    looks = range(20, BY_TEST.max_steps + 1, 20)
    params, test_errors = params_after(BY_TEST, set(looks)), errors_on(stream=2, count=24)
    for outcome in run_trials(BY_TEST):
        correct_at = solved_at = None
        for steps in looks:
            errors = test_errors(outcome.trial, of_trial(params[steps], outcome.trial))
            if (errors > 0.2).sum() <= 1:
                correct_at = steps - 1 if correct_at is None else correct_at
                if errors.mean() < 0.05:
                    solved_at = steps - 1
                    break
        assert (outcome.correct_at, outcome.solved_at) == (correct_at, solved_at)


def test_other_lengths_are_tested_with_the_weights_a_trial_ended_with():
    base = replace(WINDOW, threshold=0.05, final_test=0)  # which errors lie around
    outcomes = run_trials(replace(base, test_lengths=[15, 9, 15]))
    assert len({outcome.wrong_at_lengths for outcome in outcomes}) > 1
    params = params_after(base, {outcome.steps for outcome in outcomes})
    for k, length in enumerate((15, 9)):
        errors_at = errors_on(stream=4, count=1000, length=length)
        for outcome in outcomes:
            errors = errors_at(outcome.trial, of_trial(params[outcome.steps], outcome.trial))
            assert outcome.wrong_at_lengths[k] == (errors > 0.05).sum()
    # They change nothing else, and a length that stands twice counts once.
    assert [replace(one, wrong_at_lengths=None) for one in outcomes] == run_trials(base)
    assert {len(outcome.wrong_at_lengths) for outcome in outcomes} == {2}


def test_the_tests_have_sequences_that_no_step_has():
    trial, key = build(BY_TEST), trial_key(WINDOW.seed, 1)
    params = first_params(BY_TEST, 1)
    for test, stream, count in ((DECIDING, 2, 24), (FINAL, 3, 40)):
        errors = jax.jit(dict(trial.tests)[test])(key, params)
        np.testing.assert_allclose(errors, errors_on(stream, count)(1, params), rtol=1e-5)


def test_a_test_set_of_the_task_is_the_one_that_a_net_is_tested_on():
    experiment = SUITES["1"].at(length=17, trials=1)
    params, parts = first_params(experiment), parts_of(experiment)

    def error(sequence):
        _, outputs = unroll(parts.cell, params, sequence.inputs)
        errors = ranking_error(outputs, sequence.judged_targets)
        return jnp.max(errors, where=sequence.mask, initial=0.0)

    errors = jax.jit(dict(build(experiment).tests)[DECIDING])(trial_key(0, 0), params)
    assert errors.shape == (512,)
    np.testing.assert_allclose(errors, jax.jit(jax.vmap(error))(parts.task.test_set()), rtol=1e-5)


def with_final_tests(statuses, errors_of, lanes, **settings):
    """Outcomes with their final tests: trials of these statuses, whose errors are a function of
    their numbers."""
    trials = np.arange(len(statuses))
    experiment = replace(WINDOW, trials=len(statuses), **settings)
    program = SimpleNamespace(
        tests={FINAL: lambda params, lanes: errors_of(lanes.trial)}, put=lambda params: params
    )
    ended = [Outcome(trial, end, None, 0, 9, ()) for trial, end in enumerate(statuses)]
    kept = LastParams(np.zeros((len(statuses), 1)), trials)
    return with_tests(experiment, ended, errors_at_end(experiment, program, kept, ended, lanes, 1))


def test_no_more_trials_are_tested_at_once_than_were_trained():
    widths = []

    def errors_of(trials):
        widths.append(len(trials))
        return np.asarray(trials, float)[:, None] / 10

    ends = with_final_tests(["solved", "diverged", *["unsolved"] * 6], errors_of, lanes=4)
    assert widths == [4, 4]
    assert [one.final_error for one in ends] == [0, None, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_an_error_at_the_threshold_is_right_and_a_nan_wrong():
    errors = np.array([[0.25, 0.1, 0.1, 0.3], [np.nan, 0.25, 0.2, 0.3]], np.float32)
    first, second = with_final_tests(
        ["solved"] * 2, lambda trials: errors[trials], 3, threshold=0.25
    )
    assert (first.final_wrong, second.final_wrong) == (1, 2)
    assert first.final_error == pytest.approx(0.1875)
    assert second.final_error is None  # so that its row can be read back
