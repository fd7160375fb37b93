"""Losses and errors of each step against formulas by hand, and what stands in front of them all."""

from functools import partial

import jax
import jax.numpy as jnp
import notebook_numpy as notebook
import numpy as np
import pytest

from jaxrnn import InputError
from jaxrnn.problems import Sequence
from jaxrnn.training.objectives import (
    OBJECTIVES,
    REDUCTIONS,
    Goal,
    binary_cross_entropy,
    cross_entropy,
    half_squared_error,
    loss_and_error,
    ranking_error,
    squared_error,
)

NUM_STEPS, NUM_OUTPUTS = 9, 5
MASKS = {
    "all": np.ones(NUM_STEPS, bool),
    "one": np.arange(NUM_STEPS) == 3,
    "every_other": np.arange(NUM_STEPS) % 2 == 0,
    "first_four": np.arange(NUM_STEPS) < 4,
}


def random_case(seed: int = 0, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Outputs [T, O] and target symbols [T], float64."""
    rng = np.random.default_rng(seed)
    outputs = scale * rng.standard_normal((NUM_STEPS, NUM_OUTPUTS))
    return outputs, rng.integers(NUM_OUTPUTS, size=NUM_STEPS).astype(np.int32)


@partial(jax.jit, static_argnames=("name", "reduction"))
def of_sequence(name, outputs, targets, mask=None, reduction="mean"):
    """Loss and error of a sequence, and the gradient of the loss by the outputs."""
    goal = Goal(OBJECTIVES[name], REDUCTIONS[reduction], None)
    sequence = Sequence(jnp.zeros(NUM_STEPS), targets, mask)
    return jax.value_and_grad(lambda o: loss_and_error(goal, o, sequence), has_aux=True)(outputs)


def step_by_hand(name: str, outputs: np.ndarray, target) -> tuple[float, float]:
    """Loss and error of one step; the target is a symbol or a vector."""
    if name == "cross_entropy":
        p = notebook.softmax(outputs)
        return -np.log(p[target]), np.abs(p - np.eye(NUM_OUTPUTS)[target]).max()
    vector = np.eye(NUM_OUTPUTS)[target] if np.ndim(target) == 0 else target
    y = outputs if name.endswith("linear") else 1 / (1 + np.exp(-outputs))
    if name == "binary_cross_entropy":
        losses = vector * np.logaddexp(0, -outputs) + (1 - vector) * np.logaddexp(0, outputs)
        return losses.sum(), max(abs(vector - y))
    return sum((t - o) ** 2 for t, o in zip(vector, y, strict=True)) / 2, max(abs(vector - y))


def by_hand(name, outputs, targets, mask=None, reduction="mean") -> tuple[float, float]:
    counted = np.ones(NUM_STEPS, bool) if mask is None else mask
    steps = [step_by_hand(name, outputs[t], targets[t]) for t in np.nonzero(counted)[0]]
    losses, errors = zip(*steps, strict=True)
    return sum(losses) / (len(losses) if reduction == "mean" else 1), max(errors)


# What holds for every objective, with every mask and reduction.

KINDS = [(name, "symbols") for name in OBJECTIVES]
KINDS += [(name, "vectors") for name in OBJECTIVES if name != "cross_entropy"]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("name", "kind"), KINDS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("mask", [None, *MASKS.values()], ids=["no_mask", *MASKS])
def test_loss_and_error_are_their_formulas_and_the_gradient_the_difference(
    name, kind, reduction, mask
):
    outputs, targets = random_case()
    if kind == "vectors":
        targets = np.random.default_rng(1).uniform(size=outputs.shape)
    actual, gradient = of_sequence(name, outputs, targets, mask, reduction)
    np.testing.assert_allclose(actual, by_hand(name, outputs, targets, mask, reduction), rtol=1e-13)
    # Central differences of the formula by hand.
    size = 1e-6
    for position in np.ndindex(*outputs.shape):
        shift = np.zeros_like(outputs)
        shift[position] = size
        above, below = (
            by_hand(name, outputs + sign * shift, targets, mask, reduction)[0] for sign in (1, -1)
        )
        slope = (above - below) / (2 * size)
        np.testing.assert_allclose(gradient[position], slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize("column", ["target", "other"])
def test_an_output_that_is_not_finite_or_huge_matters_only_where_its_step_counts(name, bad, column):
    outputs, targets = random_case()
    mask = MASKS["every_other"]
    expected = by_hand(name, outputs, targets, mask, "sum")
    for step in (3, 4):  # masked, counted
        changed = outputs.astype(np.float32)
        place = targets[step] if column == "target" else (targets[step] + 1) % NUM_OUTPUTS
        changed[step, place] = bad
        (loss, error), gradient = of_sequence(name, changed, targets, mask, "sum")
        if step == 3:
            np.testing.assert_allclose((loss, error), expected, rtol=1e-6)
            np.testing.assert_array_equal(np.asarray(gradient)[~mask], 0.0)
            assert np.isfinite(gradient).all()
        # A logit of minus infinity is a probability of 0.
        elif not np.isfinite(bad) and (name, bad) != ("cross_entropy", -np.inf):
            assert not np.isfinite(loss)
            assert not np.isfinite(error)
            (loss, error), _ = of_sequence(name, changed, targets)  # without a mask, too
            assert not np.isfinite(loss)
            assert not np.isfinite(error)


@pytest.mark.usefixtures("x64")
def test_derivatives_of_cross_entropy_and_its_error_are_those_of_the_formulas_in_both_modes():
    logits, targets = random_case()

    def formulas(logits):
        p = jax.nn.softmax(logits, axis=1)[np.arange(NUM_STEPS), targets]
        return -jnp.log(p), 1 - p

    ours = lambda logits: cross_entropy(logits, jnp.asarray(targets))  # noqa: E731
    expected = jax.jit(jax.jacrev(formulas))(logits)
    for jacobian in (jax.jacfwd, jax.jacrev):
        for some, right in zip(jax.jit(jacobian(ours))(logits), expected, strict=True):
            np.testing.assert_allclose(some, right, atol=1e-14)


@partial(jax.jit, static_argnums=0)
def of_step(objective, outputs, targets):
    """Loss and error of a sequence of one step, and the gradient of the loss by the outputs."""
    return jax.value_and_grad(
        lambda o: tuple(one[0] for one in objective(o, targets)), has_aux=True
    )(outputs)


def test_a_small_error_and_its_gradient_keep_their_digits():
    (_, actual), gradient = of_step(cross_entropy, np.float32([[30, 0, 2]]), np.int32([0]))
    error = np.exp(-30.0) + np.exp(-28.0)
    np.testing.assert_allclose(actual, error, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-error, np.exp(-30.0), np.exp(-28.0)]], rtol=1e-6)


@pytest.mark.parametrize(
    ("objective", "loss", "slopes"),
    [
        (cross_entropy, 2000.0, [1.0, -1.0]),
        (half_squared_error, 1.0, [0.0, 0.0]),
        (binary_cross_entropy, 2000.0, [1.0, -1.0]),
    ],
)
def test_outputs_of_a_thousand_give_finite_numbers(objective, loss, slopes):
    outputs = np.float32([[1000, -1000]])
    for target, *expected in ((0, 0.0, 0.0, [0.0, 0.0]), (1, loss, 1.0, slopes)):
        actual, gradient = of_step(objective, outputs, np.int32([target]))
        assert actual == tuple(expected[:2])
        np.testing.assert_array_equal(gradient, [expected[2]])


# What a net is judged by, where that is not what it is trained on


def test_ranking_error_is_above_a_half_when_a_wrong_symbol_is_above_a_right_one():
    rng = np.random.default_rng(0)
    outputs, is_right = rng.normal(size=(1000, 4)), rng.random((1000, 4)) < 0.4
    is_right[:, 0], is_right[:, 1] = True, False
    outputs[2, 2] = np.nan
    errors = np.asarray(jax.jit(ranking_error)(outputs, is_right))
    np.testing.assert_array_equal(np.isnan(errors), np.arange(1000) == 2)
    for t in np.flatnonzero(np.arange(1000) != 2):
        above = outputs[t][~is_right[t]].max() > outputs[t][is_right[t]].min()
        assert (errors[t] > 0.5) == above
        assert 0 <= errors[t] <= 1


def test_squared_error_is_the_sum_of_the_squares():
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=(2, 5, 3)).astype(np.float32)
    errors = squared_error(jnp.asarray(outputs), jnp.asarray(targets))
    np.testing.assert_allclose(errors, ((outputs - targets) ** 2).sum(1), rtol=1e-5)
    with pytest.raises(InputError, match="as many as there are outputs"):
        squared_error(jnp.asarray(outputs), jnp.asarray(targets[:, :2]))


def judged(objective, measure, outputs, targets, **optional):
    """Loss and error of what is trained at every other step."""
    sequence = Sequence(np.zeros(NUM_STEPS), targets, MASKS["every_other"], **optional)
    goal = Goal(objective, REDUCTIONS["mean"], measure)
    return jax.jit(partial(loss_and_error, goal))(np.float32(outputs), sequence)


@pytest.mark.parametrize("name", ["cross_entropy", "half_squared_error"])
def test_other_steps_and_targets_may_be_judged_than_are_trained(name):
    outputs, targets = random_case()
    others = ((targets + 1) % NUM_OUTPUTS).astype(np.int32)
    trained, first_four = MASKS["every_other"], MASKS["first_four"]
    loss, _ = by_hand(name, outputs, targets, trained)
    for mask in (None, first_four):
        for answers in (None, others):
            actual = judged(
                OBJECTIVES[name], None, outputs, targets, judged_mask=mask, judged_targets=answers
            )
            _, error = by_hand(
                name,
                outputs,
                targets if answers is None else answers,
                trained if mask is None else mask,
            )
            np.testing.assert_allclose(actual, (loss, error), rtol=1e-5)


def test_a_measure_takes_the_place_of_the_objectives_errors():
    outputs, targets = random_case()
    is_right = np.eye(NUM_OUTPUTS, dtype=bool)[targets]
    loss, error = judged(cross_entropy, ranking_error, outputs, targets, judged_targets=is_right)
    mask = MASKS["every_other"]
    assert loss == pytest.approx(by_hand("cross_entropy", outputs, targets, mask)[0], rel=1e-5)
    errors = jax.jit(ranking_error)(np.float32(outputs), is_right)
    assert error == errors[mask].max()
