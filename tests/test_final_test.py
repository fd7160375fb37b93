"""What trials end with: their weights, and tests by these on sequences never trained on."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import BY_TEST, STREAK, WINDOW, Memory, first_params, of_trial, params_after

from jaxrnn import SUITES, Outcome, run_trials, unroll
from jaxrnn.training import loop
from jaxrnn.training.engine import lanes_of
from jaxrnn.training.final_tests import with_tests
from jaxrnn.training.objectives import ranking_error
from jaxrnn.training.parts import DECIDING, FINAL, parts_of
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


def test_every_test_is_taken_with_the_weights_that_a_trials_last_update_left():
    # Errors lie around the threshold at the other lengths, too.
    base = replace(WINDOW, trials=8, threshold=0.07)
    outcomes = run_trials(replace(base, test_lengths=[15, 9, 15]), keep_params=True)
    solved = [outcome for outcome in outcomes if outcome.status == "solved"]
    assert len(solved) >= 4
    assert len({outcome.steps for outcome in solved}) > 1
    assert len({outcome.wrong_at_lengths for outcome in outcomes}) > 1
    # The tests change nothing of the training.
    alone = replace(base, final_test=0)
    params = params_after(alone, {outcome.steps for outcome in outcomes})
    final_errors = errors_on(stream=3, count=40)
    at_lengths = [errors_on(stream=4, count=1000, length=length) for length in (15, 9)]
    for outcome in outcomes:
        own = of_trial(params[outcome.steps], outcome.trial)
        jax.tree.map(np.testing.assert_array_equal, outcome.params, own)
        assert "params" not in repr(outcome)
        assert outcome.correct_at is None  # one criterion, not two
        errors = final_errors(outcome.trial, own)
        assert outcome.final_wrong == (errors > 0.07).sum()
        assert outcome.final_error == pytest.approx(errors.mean(), abs=1e-5)
        # A length that stands twice counts once.
        wrong = tuple((errors_at(outcome.trial, own) > 0.07).sum() for errors_at in at_lengths)
        assert outcome.wrong_at_lengths == wrong


def test_a_run_begun_without_keeping_may_keep_those_of_trials_that_have_not_ended(monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    memory, first = Memory(), Memory()
    run_trials(STREAK, checkpoint=memory, chunk_steps=20)
    first.saves = memory.saves[-1:]
    kept = run_trials(STREAK, checkpoint=first, chunk_steps=20, keep_params=True)
    whole = run_trials(STREAK, keep_params=True)
    for one, other in zip(kept, whole, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


def test_a_test_set_of_its_own_decides_each_trial_at_fixed_steps():
    experiment = replace(BY_TEST, batch_size=8)  # every 20 sequences: after 24, 3 updates
    looks = range(24, 601, 24)
    params = params_after(experiment, {steps // 8 for steps in looks})
    test_errors, final_errors = errors_on(stream=2, count=24), errors_on(stream=3, count=40)
    outcomes = run_trials(experiment)
    assert {outcome.status for outcome in outcomes} == {"solved", "unsolved"}
    for outcome in outcomes:
        correct_at = solved_at = None
        for steps in looks:
            errors = test_errors(outcome.trial, of_trial(params[steps // 8], outcome.trial))
            if (errors > 0.2).sum() <= 1:
                correct_at = steps - 1 if correct_at is None else correct_at
                if errors.mean() < 0.05:
                    solved_at = steps - 1
                    break
        assert (outcome.correct_at, outcome.solved_at) == (correct_at, solved_at)
        errors = final_errors(outcome.trial, of_trial(params[steps // 8], outcome.trial))
        assert outcome.final_wrong == (errors > 0.2).sum()


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


def test_few_are_tested_at_once_and_a_nan_is_wrong():
    errors, widths = np.repeat(np.float32([np.arange(8) / 8]).T, 4, axis=1), []
    errors[:2] = [[0.25, 0.125, 0.125, 0.5], [np.nan, 0.25, 0.2, 0.3]]  # one at the threshold

    def errors_of(params, lanes):
        widths.append(len(lanes.trial))
        np.testing.assert_array_equal(params, lanes.trial)
        return errors[lanes.trial]

    experiment = replace(WINDOW, trials=8, threshold=0.25)
    program = SimpleNamespace(tests={FINAL: errors_of}, put=lambda params: params)
    statuses = ["solved", "solved", "diverged", *["unsolved"] * 5]
    ended = [
        Outcome(trial, end, None, 0, 9, (), params=np.float32(trial))
        for trial, end in enumerate(statuses)
    ]
    ends = with_tests(experiment, program, lanes_of(experiment), ended, 1)
    assert widths == [3, 3, 3]
    assert [one.final_wrong for one in ends] == [1, 2, None, 4, 4, 4, 4, 4]
