"""Tests on sequences that are never trained on, with the weights that they are meant for."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ADAM, BY_TEST, WINDOW, of_trial, params_after, promotion

from jaxrnn import run_trials, unroll
from jaxrnn.training.parts import parts_of
from jaxrnn.training.trial import build, trial_key


def errors_on(stream, count):
    """Function of (trial, params): errors on sequences 0, 1, ... of a stream of its keys."""
    draw, cell = build(WINDOW).draw, parts_of(WINDOW).cell

    def error(key, params, number):
        sequence = draw(key, number)
        _, outputs = unroll(cell, params, sequence.inputs)
        y = jax.nn.sigmoid(outputs)
        return jnp.max(jnp.abs(y - sequence.targets), where=sequence.mask[:, None], initial=0.0)

    many = jax.jit(jax.vmap(error, (None, None, 0)))

    def errors(trial, params):
        key = jax.random.fold_in(trial_key(WINDOW.seed, trial), np.uint32(2**32 - stream))
        return np.asarray(many(key, params, jnp.arange(count)), np.float64)

    return errors


@pytest.fixture(params=[WINDOW, BY_TEST, ADAM], ids=["window", "test", "adam"])
def experiment(request):
    """The test runs for each rule with a final test, and for an optimizer that has a state."""
    with promotion(request.param):
        yield request.param


def test_the_final_test_is_taken_with_the_weights_a_trial_ended_with(experiment):
    outcomes = run_trials(experiment)
    solved = [outcome for outcome in outcomes if outcome.status == "solved"]
    assert len(solved) >= 4
    assert len({outcome.steps for outcome in solved}) > 1
    params = params_after(experiment, {outcome.steps for outcome in outcomes})
    final_errors = errors_on(stream=3, count=40)
    for outcome in outcomes:
        own = of_trial(params[outcome.steps], outcome.trial)
        errors = final_errors(outcome.trial, own)
        assert outcome.final_wrong == (errors > 0.2).sum()
        assert outcome.final_error == pytest.approx(errors.mean(), abs=1e-5)


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


def test_a_diverged_trial_has_no_final_test_and_disturbs_no_other():
    rates = (1.0, 1.0, 3e38, 1.0, 1.0)
    base = replace(WINDOW, clipping="none", objective="half_squared_error_linear", max_steps=60)
    exploded = run_trials(replace(base, learning_rate=rates))
    assert exploded[2].status == "diverged"
    assert exploded[2].final_wrong is None
    calm = run_trials(base)
    assert exploded[:2] + exploded[3:] == calm[:2] + calm[3:]
