"""The objectives: loss and error of each time step. Add one and a line to ``OBJECTIVES``.

For all objectives :func:`loss_and_error` selects the time steps that count, and makes one number of
them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.nets.elementary import exp, sigmoid
from jaxrnn.problems.task import Measure, Sequence, are_symbols

Objective = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
"""``objective(outputs [T, O], targets) -> (losses [T], errors [T])``; raises InputError for targets
that it does not take, by their dtype and shape, since it is traced."""

REDUCTIONS: dict[str, Callable[..., jax.Array]] = {"mean": jnp.mean, "sum": jnp.sum}
"""How the losses of the time steps that count become the sequence's loss."""


def cross_entropy(logits: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Softmax cross-entropy, and absolute error of the predicted probabilities.

    With p = softmax(logits) of shape [T, O] and targets k [T]: losses -log p[t, k(t)] and
    errors max_j |p[t, j] - (j = k(t))| = 1 - p[t, k(t)], since the other symbols' probabilities
    add up to that; [T] each. Raises InputError for targets that are no symbols.

    Source: the notebook's ``RNN_loss`` and ``RNN_abs_error``.
    """
    if not (are_symbols(targets) and targets.ndim == 1):
        raise InputError(f"cross_entropy takes symbols [T] as targets, not {_described(targets)}")
    return _cross_entropy(logits, targets)


@jax.custom_jvp
def _cross_entropy(logits: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _softmax(logits, targets)[:2]


def _softmax(
    logits: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Losses [T] and errors [T], and the derivatives p - (j = k) [T, O] of each loss by its step's
    logits, and p(k) [T] of each error by its step's loss."""
    greatest = _greatest(logits)
    exponentials = exp(logits - greatest[:, None])
    is_target = targets[:, None] == jnp.arange(logits.shape[1], dtype=targets.dtype)[None]
    # The errors come from the other symbols only, since 1 - p(k) has no digits left if it is small.
    # This is a product with ones, since sums of rows take XLA's CPU back end five times as long.
    # Each trial has its own ones: with one vector for all trials XLA would make one product of all
    # their rows, and the last rows would be rounded in another way.
    one = np.array(1, logits.dtype)
    ones = jnp.where(is_target[0], one, one)
    others = jnp.where(is_target, jnp.zeros_like(exponentials), exponentials) @ ones
    target = jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0] - greatest
    of_target = jnp.take_along_axis(exponentials, targets[:, None], axis=1)[:, 0]
    total = others + of_target
    errors = others / total
    by_logits = jnp.where(is_target, -errors[:, None], exponentials * (1 / total)[:, None])
    return jnp.log(total) - target, errors, by_logits, of_target / total


@_cross_entropy.defjvp
def _cross_entropy_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    losses, errors, by_logits, by_loss = _softmax(*primals)
    d_losses = jnp.sum(by_logits * tangents[0], axis=1)
    return (losses, errors), (d_losses, by_loss * d_losses)


def _greatest(logits: jax.Array) -> jax.Array:
    """Greatest of each row, as jnp.max but for NaN: its handling makes jnp.max slow on XLA's
    CPU."""

    def greater(a: jax.Array, b: jax.Array) -> jax.Array:
        return jax.lax.select(a > b, a, b)

    # By halves, which may overlap: XLA's CPU back end takes four times as long for all at once.
    while (num := logits.shape[1]) > 8:
        half = (num + 1) // 2
        logits = greater(logits[:, :half], logits[:, num - half :])
    return jax.lax.reduce(logits, np.array(-np.inf, logits.dtype), greater, (1,))


def half_squared_error(outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Half the squared error of logistic output units, and their greatest absolute error.

    With y = sigmoid(outputs) of shape [T, O] and targets t [T, O], or [T] symbols that stand for
    one-hot vectors: losses 1/2 sum_j (t[j] - y[j])^2 and errors max_j |t[j] - y[j]|, [T] each. The
    loss's derivative by an output is then (y - t) y (1 - y). An output that is not finite makes
    both NaN, although its sigmoid may be finite. Raises InputError for targets of another shape.

    Source: Hochreiter & Schmidhuber 1997, whose learning rates belong to this loss and the sum.
    """
    return half_squared_error_linear(_logistic(outputs), targets)


def _logistic(outputs: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(outputs), sigmoid(outputs), jnp.nan)


def half_squared_error_linear(
    outputs: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Half the squared error of linear output units: as half_squared_error, with y = outputs.

    Source: the usual regression loss.
    """
    difference = _vectors("half the squared error", targets, outputs) - outputs
    return 0.5 * jnp.sum(jnp.square(difference), axis=1), jnp.max(jnp.abs(difference), axis=1)


def _vectors(objective: str, targets: jax.Array, outputs: jax.Array) -> jax.Array:
    """The targets as vectors [T, O] of the outputs' type; symbols [T] as one-hot vectors."""
    if are_symbols(targets) and targets.ndim == 1:
        targets = jax.nn.one_hot(targets, outputs.shape[1], dtype=outputs.dtype)
    if targets.shape != outputs.shape:
        raise InputError(
            f"{objective} takes symbols [T] or real vectors {list(outputs.shape)}, as many as "
            f"there are outputs, as targets, not {_described(targets)}"
        )
    return targets.astype(outputs.dtype)


def binary_cross_entropy(outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of logistic output units, and their greatest absolute error.

    With y = sigmoid(outputs) of shape [T, O] and targets t [T, O] in [0, 1], or [T] symbols that
    stand for one-hot vectors: losses -sum_j (t[j] log y[j] + (1 - t[j]) log(1 - y[j])) and errors
    max_j |t[j] - y[j]|, [T] each. The loss's derivative by an output is y - t, without the factor
    y (1 - y) of :func:`half_squared_error`. An output that is not finite makes both NaN. Raises
    InputError for targets of another shape.

    Source: Bishop 2006, Pattern Recognition and Machine Learning, equation 5.23.
    """
    y, t = _logistic(outputs), _vectors("binary cross-entropy", targets, outputs)
    losses = jnp.sum(_cross_entropy_of_logistic(outputs, t), axis=1)
    return losses, jnp.max(jnp.abs(t - y), axis=1)


# Its derivative is written out, so that it has the same sigmoid as the error.
@jax.custom_jvp
def _cross_entropy_of_logistic(outputs: jax.Array, t: jax.Array) -> jax.Array:
    finite = jnp.isfinite(outputs)
    return jnp.where(finite, jax.nn.softplus(outputs) - t * outputs, jnp.nan)


@_cross_entropy_of_logistic.defjvp
def _cross_entropy_of_logistic_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    outputs, t = primals
    d_outputs, d_t = tangents
    change = (_logistic(outputs) - t) * d_outputs - outputs * d_t
    return _cross_entropy_of_logistic(outputs, t), change


def _described(targets: jax.Array) -> str:
    return f"{targets.dtype} {list(targets.shape)}"


def ranking_error(outputs: jax.Array, is_right: jax.Array) -> jax.Array:
    """How far a wrong symbol is ranked above a right one, from 0 to 1; above 1/2 if any is.

    With R(t) the symbols that are right at step t, ``is_right`` [T, O]: errors [T]
    sigmoid(max_{j not in R} outputs[t, j] - min_{j in R} outputs[t, j]), for outputs [T, O] before
    any squashing. NaN where an output is not finite.

    Source: the criterion of Hochreiter & Schmidhuber 1997, experiment 1, as a number.
    """
    wrong = jnp.max(outputs, axis=1, where=~is_right, initial=-jnp.inf)
    right = jnp.min(outputs, axis=1, where=is_right, initial=jnp.inf)
    finite = jnp.all(jnp.isfinite(outputs), axis=1)
    return jnp.where(finite, sigmoid(wrong - right), jnp.nan)


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error of linear output units: errors [T] sum_j (t[j] - y[j])^2.

    Outputs y and targets t are real vectors [T, O]. The mean of the sequences' errors is then their
    mean squared error. Raises InputError for targets of another shape.

    Source: the usual measure of regression.
    """
    losses, _ = half_squared_error_linear(outputs, targets)
    return 2 * losses


def mean_squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The mean of all steps' :func:`squared_error`, as the error [T] of each step.

    Steps whose targets are NaN do not count: so a task marks those that are not judged. Raises
    InputError for targets of another shape.

    Source: the usual measure of regression.
    """
    counts = ~jnp.isnan(targets).any(1)
    errors = squared_error(outputs, jnp.where(counts[:, None], targets, 0.0))
    return jnp.full_like(errors, jnp.mean(errors, where=counts))


def mean_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """The mean of all steps' :func:`cross_entropy`, as the error [T] of each step.

    So the greatest error of a sequence is its mean loss. Raises InputError for targets that are no
    symbols.

    Source: what papers plot of the copying task, beside what guessing reaches.
    """
    losses, _ = cross_entropy(logits, targets)
    return jnp.full_like(losses, jnp.mean(losses))


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "half_squared_error": half_squared_error,
    "half_squared_error_linear": half_squared_error_linear,
}

MEASURES: dict[str, Measure] = {
    "mean_cross_entropy": mean_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "ranking_error": ranking_error,
    "squared_error": squared_error,
}
"""What a task may be judged by instead of its objective's errors."""


class Goal(NamedTuple):
    """What a net is trained on, and what it is judged by."""

    objective: Objective
    reduction: Callable[..., jax.Array]
    measure: Measure | None  # None: the objective's errors


def loss_and_error(
    goal: Goal, outputs: jax.Array, sequence: Sequence
) -> tuple[jax.Array, jax.Array]:
    """The loss and the error of one sequence, a number each, of a net's outputs [T, O].

    The loss is the mean or the sum of the steps' losses, the error the greatest of their errors,
    over the steps that count: those of ``mask`` for the loss, of ``judged_mask`` for the error
    where the sequence has one. No other step gives anything to either, nor to a gradient.
    """
    _, targets, mask, judged_mask, judged_targets = sequence
    trained = outputs
    if mask is not None:
        # At the steps that do not count, the objective's derivative would be 0 times NaN if an
        # output is not finite. The values do not change, and this costs nothing.
        trained = jnp.where(mask[:, None], outputs, jax.lax.stop_gradient(outputs))
    losses, errors = goal.objective(trained, targets)
    loss = goal.reduction(losses) if mask is None else goal.reduction(losses, where=mask)
    if goal.measure is not None or judged_mask is not None or judged_targets is not None:
        mask = mask if judged_mask is None else judged_mask
        targets = targets if judged_targets is None else judged_targets
        measure = goal.measure or (lambda *arguments: goal.objective(*arguments)[1])
        errors = measure(outputs, targets)
    return loss, jnp.max(errors) if mask is None else jnp.max(errors, where=mask, initial=0.0)
