"""The coupled oscillatory net, coRNN: equations in :func:`co_rnn`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import tanh
from jaxrnn.nets.initializers import Initializer
from jaxrnn.nets.products import join, vector_product
from jaxrnn.nets.recurrent import recurrent, sums
from jaxrnn.options import NotNegative, Positive, checked


class OscillatorParams(NamedTuple):
    """Parameters of :func:`co_rnn`."""

    input_weights: jax.Array  # U [I, H]
    recurrent_weights: jax.Array  # W_y above W_z [2H, H]
    bias: jax.Array  # b [H]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


class OscillatorState(NamedTuple):
    """State of :func:`co_rnn`."""

    hidden: jax.Array  # y [H], where the oscillators are
    velocity: jax.Array  # z [H]


@checked
def co_rnn(
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    dt: Positive = 0.042,
    gamma: NotNegative = 2.7,
    epsilon: NotNegative = 4.7,
) -> Cell:
    """The coupled oscillatory net: damped oscillators that drive each other.

    z(t) = z(t-1) + dt (tanh(x(t) U + y(t-1) W_y + z(t-1) W_z + b) - gamma y(t-1) - epsilon z(t-1)),
    y(t) = y(t-1) + dt z(t), and the outputs y(t) V + output bias: gamma is the stiffness, epsilon
    the damping, dt the time of a step. States are :class:`OscillatorState`, 0 at first. Weights and
    biases start uniform in +-1 / sqrt(n), for any initializer; n is the number of inputs, I + 2H
    for an oscillator, H for an output. At the default settings an oscillator moves little in a few
    steps: at T = 5 a net of dt = 0.5 and gamma = epsilon = 1 learns ten times as fast.

    ``gated`` cannot build it: there the product and the outputs see the same hidden units, but here
    the product sees y and z, and the outputs see only y. The fast path does x U and y V for all
    time steps in one product each.

    Source: Rusch & Mishra 2021, equation 3 with the damping taken at t-1, as their program does;
    dt, gamma and epsilon are their program's for sequential MNIST; first weights of appendix A.
    """

    def init(key: jax.Array, initializer: Initializer) -> OscillatorParams:
        input_key, recurrent_key, output_key, bias_key = jax.random.split(key, 4)
        bias_key, output_bias_key = jax.random.split(bias_key)
        inner, outer = num_inputs + 2 * hidden_size, hidden_size
        return OscillatorParams(
            _uniform(input_key, inner, num_inputs, hidden_size),
            _uniform(recurrent_key, inner, 2 * hidden_size, hidden_size),
            _uniform(bias_key, inner, hidden_size),
            _uniform(output_key, outer, hidden_size, num_outputs),
            _uniform(output_bias_key, outer, num_outputs),
        )

    def initial_state(params: OscillatorParams) -> OscillatorState:
        zeros = jnp.zeros_like(params.bias)
        return OscillatorState(zeros, zeros)

    def advance(
        params: OscillatorParams, state: OscillatorState, summed: jax.Array
    ) -> tuple[OscillatorState, jax.Array]:
        y, z = state
        force = tanh(summed + vector_product(join(y, z), params.recurrent_weights))
        z = z + dt * (force - gamma * y - epsilon * z)
        y = y + dt * z
        return OscillatorState(y, z), y

    return recurrent(init, initial_state, sums, advance)


def _uniform(key: jax.Array, fan_in: int, *shape: int) -> jax.Array:
    limit = fan_in**-0.5
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


CELLS = (co_rnn,)
