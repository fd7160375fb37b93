"""The objectives: loss and error measure of one sequence. Add one and a line to ``OBJECTIVES``."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import look_up

Objective = Callable[[jax.Array, jax.Array, jax.Array | None, str], tuple[jax.Array, jax.Array]]
"""``objective(outputs [T, O], targets, mask, reduction) -> (loss, error)``, two numbers."""

REDUCTIONS: dict[str, Callable[..., jax.Array]] = {"mean": jnp.mean, "sum": jnp.sum}
"""How the losses of the steps that count become the sequence's loss."""


def cross_entropy(
    logits: jax.Array,
    targets: jax.Array,
    mask: jax.Array | None = None,
    reduction: str = "mean",
) -> tuple[jax.Array, jax.Array]:
    """Softmax cross-entropy and greatest absolute error of the predicted probabilities.

    With p = softmax(logits) of shape [T, O], targets k [T] and the mean and maximum taken over
    the T steps that count: loss = mean(-log p[t, k(t)]),
    error = max |p[t, j] - (j = k(t))| over t and j = max(1 - p[t, k(t)]) over t,
    since the other symbols' probabilities add up to 1 - p[t, k(t)]. With ``reduction`` "sum" the
    loss is the sum; another word is an InputError.

    Source: the notebook's ``RNN_loss`` and ``RNN_abs_error``.
    """
    # The target's logit by a sum over a mask, since a gather's gradient would be a scatter.
    is_target = targets[:, None] == jnp.arange(logits.shape[1], dtype=targets.dtype)[None]
    shifted = logits - jax.lax.stop_gradient(_greatest(logits))[:, None]
    shifted_target = jnp.sum(jnp.where(is_target, shifted, jnp.zeros_like(shifted)), axis=1)
    log_p_target = shifted_target - jnp.log(jnp.sum(jnp.exp(shifted), axis=1))
    error = -jnp.expm1(log_p_target)
    reduce = look_up(REDUCTIONS, "loss-reduction", reduction)
    if mask is None:
        return -reduce(log_p_target), jnp.max(error)
    return -reduce(log_p_target, where=mask), jnp.max(error, where=mask, initial=0.0)


def _greatest(logits: jax.Array) -> jax.Array:
    """Greatest of each row, as jnp.max but for NaN, whose bookkeeping costs XLA's CPU its speed."""
    lowest = np.array(-np.inf, logits.dtype)
    return jax.lax.reduce(logits, lowest, lambda a, b: jax.lax.select(a > b, a, b), (1,))


def half_squared_error(
    outputs: jax.Array,
    targets: jax.Array,
    mask: jax.Array | None = None,
    reduction: str = "mean",
) -> tuple[jax.Array, jax.Array]:
    """Half the squared error of logistic output units and their greatest absolute error.

    With y = sigmoid(outputs) of shape [T, O], targets t [T, O], or [T] symbols that stand for
    one-hot vectors, and the mean (with ``reduction`` "sum" the sum) and the maximum taken over the
    T steps that count: loss = mean(1/2 sum_j (t[j] - y[j])^2), error = max |t[j] - y[j]| over
    steps and j. The loss's derivative by an output is then (y - t) y (1 - y). An output that is
    not finite makes both NaN, where its step counts, although its sigmoid may be. Another word for
    the reduction is an InputError.

    Source: Hochreiter & Schmidhuber 1997, whose learning rates belong to this loss and the sum.
    """
    if mask is not None:
        # Before the sigmoid, whose derivative would hand a NaN on.
        outputs = jnp.where(mask[:, None], outputs, jnp.zeros_like(outputs))
    y = jnp.where(jnp.isfinite(outputs), jax.nn.sigmoid(outputs), jnp.nan)
    return half_squared_error_linear(y, targets, mask, reduction)


def half_squared_error_linear(
    outputs: jax.Array,
    targets: jax.Array,
    mask: jax.Array | None = None,
    reduction: str = "mean",
) -> tuple[jax.Array, jax.Array]:
    """As half_squared_error, with linear output units: y = outputs.

    Source: the usual regression loss.
    """
    reduce = look_up(REDUCTIONS, "loss-reduction", reduction)
    if jnp.issubdtype(targets.dtype, jnp.integer):
        targets = jax.nn.one_hot(targets, outputs.shape[1], dtype=outputs.dtype)
    difference = targets.astype(outputs.dtype) - outputs
    if mask is not None:
        # Before anything is squared, so that no step that does not count gives NaN to a gradient.
        difference = jnp.where(mask[:, None], difference, jnp.zeros_like(difference))
    losses = 0.5 * jnp.sum(jnp.square(difference), axis=1)
    loss = reduce(losses) if mask is None else reduce(losses, where=mask)
    return loss, jnp.max(jnp.abs(difference))


def ranking_error(
    outputs: jax.Array, is_right: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """How far a wrong symbol is ranked above a right one, from 0 to 1; above 1/2 if any is.

    With R(t) the symbols that are right at step t, ``is_right`` [T, O]: error = max over the steps
    that count of sigmoid(max_{j not in R} outputs[t, j] - min_{j in R} outputs[t, j]), for outputs
    [T, O] before any squashing. NaN where an output is not finite.

    Source: the criterion of Hochreiter & Schmidhuber 1997, experiment 1, as a number.
    """
    wrong = jnp.max(outputs, axis=1, where=~is_right, initial=-jnp.inf)
    right = jnp.min(outputs, axis=1, where=is_right, initial=jnp.inf)
    finite = jnp.all(jnp.isfinite(outputs), axis=1)
    errors = jnp.where(finite, jax.nn.sigmoid(wrong - right), jnp.nan)
    return jnp.max(errors, where=mask, initial=0.0)


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": cross_entropy,
    "half_squared_error": half_squared_error,
    "half_squared_error_linear": half_squared_error_linear,
}
