"""The nets of experiments 2a and 2b: outputs that see the inputs, too."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.nets.base import Cell, product, split, without_outputs
from jaxrnn.nets.elementary import sigmoid, tanh
from jaxrnn.nets.initializers import Initializer, require_initializer


class OneCellParams(NamedTuple):
    """Parameters of :func:`one_cell`: input gates and cells side by side."""

    input_weights: jax.Array  # W [I, 2H]
    output_weights: jax.Array  # V [H, O]
    direct_weights: jax.Array  # D [I, O]


class SelfRecurrentParams(NamedTuple):
    """Parameters of :func:`self_recurrent`."""

    input_weights: jax.Array  # U [I, H]
    recurrent_weights: jax.Array  # W [H, H]
    output_weights: jax.Array  # V [H, O]
    direct_weights: jax.Array  # D [I, O]


def one_cell(num_inputs: int, hidden_size: int, num_outputs: int, *, bipolar: bool = False) -> Cell:
    """Memory cells with an input gate each that see the inputs alone, as the outputs do, too.

    (a_in, a_c)(t) = x(t) W, y_in = sigmoid(a_in), s(t) = s(t-1) + y_in g(a_c) from s(0) = 0, and
    the outputs x(t) D + s(t) V, before the squashing that belongs to the objective: no output
    gate, no squashing of s, no bias, no weight from one step to the next. g = sigmoid, so that s
    only grows, or with ``bipolar`` 2 sigmoid(a) - 1, in [-1, 1], so that it can stay. Nothing
    needs a scan: s is a cumulative sum. Before the cells join, V is 0.

    Source: Hochreiter & Schmidhuber 1997, experiments 2a and 2b, with H = 1.
    """

    def init(key: jax.Array, initializer: Initializer) -> OneCellParams:
        require_initializer(initializer)
        input_key, output_key, direct_key = jax.random.split(key, 3)
        return OneCellParams(
            initializer.weights(input_key, 1, num_inputs, 2 * hidden_size),
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            initializer.weights(direct_key, 1, num_inputs, num_outputs),
        )

    def initial_state(params: OneCellParams) -> jax.Array:
        return jnp.zeros_like(params.output_weights, shape=hidden_size)

    def write(params: OneCellParams, x: jax.Array) -> jax.Array:
        """What is added to s, [H] or [T, H]."""
        a_in, a_c = split(product(x, params.input_weights), 2)
        return sigmoid(a_in) * (tanh(a_c / 2) if bipolar else sigmoid(a_c))

    def readout(params: OneCellParams, x: jax.Array, s: jax.Array) -> jax.Array:
        return product(x, params.direct_weights) + s @ params.output_weights

    def step(params: OneCellParams, s: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        s = s + write(params, x)
        return s, readout(params, x, s)

    def unroll(params: OneCellParams, s: jax.Array, xs: jax.Array) -> tuple[jax.Array, jax.Array]:
        writes = write(params, xs)
        s_all = jnp.broadcast_to(s, writes.shape) + jnp.cumsum(writes, axis=0)
        return s_all[-1], readout(params, xs, s_all)

    return Cell(init, initial_state, step, unroll, before_joining=without_outputs)


def self_recurrent(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """Logistic units with full recurrence, the net of RTRL and BPTT; outputs see the inputs, too.

    h(t) = sigmoid(x(t) U + h(t-1) W) from h(0) = 0, and the outputs x(t) D + h(t) V, before the
    squashing that belongs to the objective; no biases. The gradient is the full one, which RTRL
    and BPTT compute alike.

    Source: Hochreiter & Schmidhuber 1997, experiment 2a, with H = 1.
    """

    def init(key: jax.Array, initializer: Initializer) -> SelfRecurrentParams:
        require_initializer(initializer)
        keys = jax.random.split(key, 4)
        return SelfRecurrentParams(
            initializer.weights(keys[0], 1, num_inputs, hidden_size),
            initializer.recurrent(keys[1], 1, hidden_size, hidden_size),
            initializer.weights(keys[2], 1, hidden_size, num_outputs),
            initializer.weights(keys[3], 1, num_inputs, num_outputs),
        )

    def initial_state(params: SelfRecurrentParams) -> jax.Array:
        return jnp.zeros_like(params.output_weights, shape=hidden_size)

    def readout(params: SelfRecurrentParams, x: jax.Array, h: jax.Array) -> jax.Array:
        return product(x, params.direct_weights) + h @ params.output_weights

    def step(
        params: SelfRecurrentParams, h: jax.Array, x: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        projected = product(x, params.input_weights)
        h = sigmoid(projected + h @ params.recurrent_weights)
        return h, readout(params, x, h)

    def unroll(
        params: SelfRecurrentParams, h: jax.Array, xs: jax.Array, steps_at_once: int = 1
    ) -> tuple[jax.Array, jax.Array]:
        def one(h: jax.Array, projected: jax.Array) -> tuple[jax.Array, jax.Array]:
            h = sigmoid(projected + h @ params.recurrent_weights)
            return h, h

        projected = product(xs, params.input_weights)
        last, h_all = lax.scan(one, h, projected, unroll=steps_at_once)
        return last, readout(params, xs, h_all)

    return Cell(init, initial_state, step, unroll, before_joining=without_outputs)
