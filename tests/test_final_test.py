"""Tests on sequences that are never trained on, with the weights that they are meant for."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    ADAM,
    BY_TEST,
    ONE_DEVICE,
    WINDOW,
    first_params,
    of_trial,
    params_after,
    promotion,
)

from jaxrnn import SUITES, Experiment, InputError, Outcome, run_trials, unroll
from jaxrnn.training.engine import lanes_of, make_program
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


@pytest.fixture(
    params=[
        pytest.param(WINDOW, id="window"),
        pytest.param(BY_TEST, id="test"),
        pytest.param(ADAM, id="adam", marks=pytest.mark.slow),
    ]
)
def experiment(request):
    """The test runs for each rule with a final test, and for an optimizer that has a state."""
    with promotion(request.param):
        yield request.param


def test_the_final_test_is_taken_with_the_weights_a_trial_ended_with(experiment):
    experiment = replace(experiment, trials=8)
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
        assert experiment.test_size or outcome.correct_at is None  # one criterion, not two
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


def test_other_lengths_are_tested_with_the_weights_a_trial_ended_with():
    base = replace(WINDOW, threshold=0.05)  # which errors lie around
    experiment = replace(base, test_lengths=(15, 9), final_test=0)
    outcomes = run_trials(experiment)
    assert len({outcome.wrong_at_lengths for outcome in outcomes}) > 1
    params = params_after(experiment, {outcome.steps for outcome in outcomes})
    for outcome in outcomes:
        own = of_trial(params[outcome.steps], outcome.trial)
        for length, wrong in zip((15, 9), outcome.wrong_at_lengths, strict=True):
            errors = errors_on(stream=4, count=1000, length=length)(outcome.trial, own)
            assert wrong == (errors > 0.05).sum()
        assert (outcome.final_wrong, outcome.final_error) == (None, None)
    # They change nothing else, nor does the order, and a length that stands twice counts once.
    plain = run_trials(base)
    again = run_trials(replace(base, test_lengths=[9, 15, 9]))
    for one, other, old in zip(outcomes, again, plain, strict=True):
        assert other.wrong_at_lengths == one.wrong_at_lengths[::-1]
        assert replace(other, wrong_at_lengths=None) == old


def test_lengths_of_a_task_whose_inputs_or_outputs_change_with_it_are_refused():
    base = Experiment(length=6, trials=2, window=20, max_steps=20)
    sentence = (
        "^test-lengths 9 needs a task with as many inputs and outputs there: noise_free has 6 and "
        "6 at length 6, 9 and 9 at 9; see its task_options$"
    )
    with pytest.raises(InputError, match=sentence):
        run_trials(replace(base, test_lengths=(6, 9)))
    with pytest.raises(InputError, match=r"^length 2 is too short for task noise_free:"):
        run_trials(replace(base, test_lengths=(6, 2), task_options={"num_symbols": 5}))
    fixed = run_trials(replace(base, test_lengths=(6, 9), task_options={"num_symbols": 5}))
    assert all(len(outcome.wrong_at_lengths) == 2 for outcome in fixed)


def test_a_diverged_trial_has_no_final_test_and_disturbs_no_other():
    # A linear output with a rate that is small enough, but for one trial.
    base = replace(WINDOW, objective="half_squared_error_linear", max_steps=60, learning_rate=0.05)
    base = replace(base, test_lengths=(8,))
    exploded = run_trials(replace(base, learning_rate=(0.05, 0.05, 3e38, 0.05, 0.05)))
    assert (exploded[2].status, exploded[2].final_wrong) == ("diverged", None)
    assert exploded[2].wrong_at_lengths is None
    calm = run_trials(base)
    assert len({outcome.final_error for outcome in calm} - {None}) == 5  # none diverged
    assert exploded[:2] + exploded[3:] == calm[:2] + calm[3:]


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


def test_no_more_trials_are_tested_at_once_than_were_trained():
    experiment, widths = replace(WINDOW, trials=8), []
    program = make_program(build(experiment), 1, ONE_DEVICE, replayable=True)

    def final_test(params, lanes):
        widths.append(len(lanes.trial))
        return np.asarray(lanes.trial, float)[:, None] / 10

    program = program._replace(tests={FINAL: final_test})
    kept = LastParams(program.zeros(lanes_of(experiment)).params, np.arange(8))
    ends = ["solved", "diverged", *["unsolved"] * 6]
    outcomes = [Outcome(trial, end, None, 0, 9, ()) for trial, end in enumerate(ends)]
    errors = errors_at_end(experiment, program, kept, outcomes, 4, 1)
    tested = with_tests(experiment, outcomes, errors)
    assert widths == [4, 4]
    assert [one.final_error for one in tested] == [0, None, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_an_error_at_the_threshold_is_right_and_a_nan_wrong():
    experiment = replace(WINDOW, trials=2, threshold=0.25)
    errors = np.array([[0.25, 0.1, 0.1, 0.3], [np.nan, 0.25, 0.2, 0.3]], np.float32)
    program = make_program(build(experiment), 1, ONE_DEVICE, replayable=True)
    program = program._replace(tests={FINAL: lambda params, lanes: errors[lanes.trial]})
    kept = LastParams(program.zeros(lanes_of(experiment)).params, np.arange(2))
    solved = [Outcome(trial, "solved", 8, 0, 9, ()) for trial in range(2)]
    tested = errors_at_end(experiment, program, kept, solved, 3, 1)
    first, second = with_tests(experiment, solved, tested)
    assert (first.final_wrong, second.final_wrong) == (1, 2)
    assert first.final_error == pytest.approx(0.1875)
    assert second.final_error is None  # so that its row can be read back
