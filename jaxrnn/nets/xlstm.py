"""The LSTM with exponential gates, sLSTM: equations in :func:`slstm`."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.errors import InputError, shown
from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import exp, sigmoid, tanh
from jaxrnn.nets.gated import GatedParams, gated
from jaxrnn.nets.products import join, split


class ExponentialState(NamedTuple):
    """State of :func:`slstm`; the paper's c and n are e^m times the values here."""

    hidden: jax.Array  # h [H]
    cell: jax.Array  # c [H]
    normalizer: jax.Array  # n [H]
    stabilizer: jax.Array  # m [H], -inf before the first step


def _zeros(hidden_size: int) -> ExponentialState:
    # There is nothing to keep: with m = -inf the first step has i' = 1 and f' = 0 whatever its
    # gates are, hence n = 1, and from then on n is at least 1, since i' or f' is.
    h, c, n = jnp.zeros((3, hidden_size))
    return ExponentialState(h, c, n, jnp.full(hidden_size, -jnp.inf))


def _log_sigmoid(a: jax.Array) -> jax.Array:
    return jnp.minimum(a, 0) - jnp.log1p(exp(-jnp.abs(a)))


def slstm(
    num_inputs: int, hidden_size: int, num_outputs: int, *, forget_gate: str = "sigmoid"
) -> Cell:
    """The sLSTM of xLSTM: an LSTM with an exponential input gate, its memory cell normalised.

    i = exp(a_i(t)), f = sigmoid(a_f(t)) or exp(a_f(t)), as ``forget_gate`` says, "sigmoid" or
    "exponential", o = sigmoid(a_o(t)), z = tanh(a_z(t)); c(t) = f c(t-1) + i z,
    n(t) = f n(t-1) + i, h(t) = o c(t) / n(t), in which c and n may overflow. So they are kept as
    multiples of e^m: m(t) = max(log f + m(t-1), log i), i' = exp(log i - m(t)),
    f' = exp(log f + m(t-1) - m(t)) instead of i and f. States are :class:`ExponentialState`.

    A bias of the input gate is a factor of c and of n, and cancels: no bias closes this gate.

    Raises InputError for any other ``forget_gate``.

    Source: Beck et al. 2024 (xLSTM), equations 8 to 17.

    Differs from it in that there is one head, so every unit sees all others.
    Differs from it in that the cell is not in a block: no convolution before the gates, no group
    normalisation, no projection up and down, no residual connection.
    """
    if forget_gate not in ("sigmoid", "exponential"):
        choices = "choose from exponential, sigmoid"
        raise InputError(f"unknown forget-gate {shown(forget_gate)}: {choices}")
    is_sigmoid = forget_gate == "sigmoid"

    def activate(own: Any, state: ExponentialState, a: jax.Array) -> list[jax.Array]:
        """Logarithms of i and f, which may be too large for a number; o and z."""
        a_i, a_f, a_o, a_z = split(a, 4)
        return [a_i, _log_sigmoid(a_f) if is_sigmoid else a_f, sigmoid(a_o), tanh(a_z)]

    def slope(gates: jax.Array) -> jax.Array:
        log_i, log_f, o, z = split(gates, 4)
        one = jnp.ones_like(log_i)
        return join(one, 1 - exp(log_f) if is_sigmoid else one, o * (1 - o), 1 - z * z)

    def update(
        own: Any,
        state: ExponentialState,
        log_i: jax.Array,
        log_f: jax.Array,
        o: jax.Array,
        z: jax.Array,
    ) -> ExponentialState:
        kept = log_f + state.stabilizer
        m = jnp.maximum(kept, log_i)
        i, f = exp(log_i - m), exp(kept - m)
        c = f * state.cell + i * z
        n = f * state.normalizer + i
        return ExponentialState(o * c / n, c, n, m)

    cell = gated(
        (num_inputs, hidden_size, num_outputs),
        gates=("input", "forget", "output", "candidate"),
        activate=activate,
        update=update,
        initial_state=_zeros,
        hidden=lambda state: state.hidden,
        slope=slope,
    )
    of_logarithms = cell.activations
    assert of_logarithms is not None

    def activations(
        params: GatedParams, state: ExponentialState, x: jax.Array
    ) -> dict[str, jax.Array]:
        gates = of_logarithms(params, state, x)
        return gates | {name: exp(gates[name]) for name in ("input", "forget")}

    return cell._replace(activations=activations)


CELLS = (slstm,)
