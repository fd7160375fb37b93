"""The nets without gates. Letters as in :mod:`jaxrnn.nets.lstm`."""

from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.errors import InputError
from jaxrnn.nets.base import Cell
from jaxrnn.nets.elementary import tanh
from jaxrnn.nets.gated import GatedParams, gated
from jaxrnn.nets.initializers import Initializer, require_initializer, uniform_by
from jaxrnn.nets.linear import rectified_recurrence
from jaxrnn.nets.products import join, vector_product
from jaxrnn.nets.recurrent import recurrent, sums
from jaxrnn.options import NotNegative, Numbers, Positive, checked

_of_candidates = partial(
    gated,
    gates=("candidate",),
    update=lambda own, h, candidate: candidate,
    initial_state=jnp.zeros,
    hidden=lambda h: h,
)


def simple_rnn(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The simple (Elman) recurrent net: tanh units, fully recurrent.

    h(t) = tanh(a(t)); the state is h [H].

    Source: the notebook's ``simple_RNN``; Elman 1990.
    """
    return _of_candidates(
        (num_inputs, hidden_size, num_outputs),
        activate=lambda own, h, a: [tanh(a)],
        slope=lambda candidate: 1 - candidate * candidate,
    )


def irnn(num_inputs: int, hidden_size: int, num_outputs: int) -> Cell:
    """The identity net: rectified linear units, whose first recurrent weights keep their old
    values.

    h(t) = max(a(t), 0); the state is h [H]. At first W is the identity and the other weights are
    normal with standard deviation 0.001, whatever the initializer.

    Source: Le, Jaitly & Hinton 2015, sections 2 and 4.
    """
    cell = _of_candidates(
        (num_inputs, hidden_size, num_outputs),
        activate=lambda own, h, a: [jax.nn.relu(a)],
        slope=lambda candidate: (candidate > 0).astype(candidate.dtype),
    )

    def init(key: jax.Array, initializer: Initializer) -> GatedParams:
        require_initializer(initializer)
        return cell.init(key, initializer._replace(weights=_tiny, recurrent=_identity))

    return cell._replace(init=init)


def _tiny(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    return 0.001 * jax.random.normal(key, (fan_in, num_gates * fan_out))


def _identity(key: jax.Array, num_gates: int, fan_in: int, fan_out: int) -> jax.Array:
    return jnp.tile(jnp.eye(fan_in, fan_out), num_gates)


# The independently recurrent net


class IndependentParams(NamedTuple):
    """Parameters of :func:`ind_rnn`."""

    input_weights: jax.Array  # U [I, H]
    recurrent_weights: jax.Array  # u [H]
    bias: jax.Array  # b [H]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


@checked
def ind_rnn(
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    recurrent_range: Annotated[tuple[float, float], Numbers(2)] = (0.0, 1.0),
    recurrent_bound: Positive | None = None,
) -> Cell:
    """The independently recurrent net: rectified units, a recurrent weight u each.

    h(t) = relu(x(t) U + u h(t-1) + b); the state is h [H]. u is first uniform in
    ``recurrent_range``, whatever the initializer. If only the last output counts, as in adding, the
    authors take 2^(-1/T) to 2^(1/T) for the last of several layers. With a ``recurrent_bound`` c
    training keeps every u within [-c, c]: an update that leads out of it ends at its bound. The
    authors take 2^(1/T).

    Raises InputError for a range that does not begin below its end.

    Source: Li et al. 2018, section 3; the first u: their code, for rectified units.

    Differs from it in that u is not bounded unless ``recurrent_bound`` says so, and in that the
    bound holds after an update, not before it.
    """
    low, high = recurrent_range
    if not low < high:
        raise InputError(f"recurrent_range {recurrent_range} must begin below its end")

    def init(key: jax.Array, initializer: Initializer) -> IndependentParams:
        input_key, recurrent_key, output_key, bias_key = jax.random.split(key, 4)
        return IndependentParams(
            initializer.weights(input_key, 1, num_inputs, hidden_size),
            jax.random.uniform(recurrent_key, (hidden_size,), minval=low, maxval=high),
            initializer.biases(bias_key, ("candidate",), hidden_size),
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def advance(
        params: IndependentParams, h: jax.Array, summed: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        h = jax.nn.relu(summed + params.recurrent_weights * h)
        return h, h

    def scan(params: IndependentParams, h: jax.Array, sums: jax.Array, at_once: int) -> Any:
        return rectified_recurrence(at_once, params.recurrent_weights, sums, h)

    cell = recurrent(
        init,
        lambda params: jnp.zeros_like(params.bias),
        sums,
        advance,
        scan=scan,
        gates=("candidate",),
        look=lambda params, h, summed: advance(params, h, summed)[:1],
    )
    if recurrent_bound is None:
        return cell
    bound = recurrent_bound

    def bounded(params: IndependentParams) -> IndependentParams:
        return params._replace(recurrent_weights=jnp.clip(params.recurrent_weights, -bound, bound))

    return cell._replace(project=bounded)


# The coupled oscillatory net


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
            uniform_by(input_key, inner, num_inputs, hidden_size),
            uniform_by(recurrent_key, inner, 2 * hidden_size, hidden_size),
            uniform_by(bias_key, inner, hidden_size),
            uniform_by(output_key, outer, hidden_size, num_outputs),
            uniform_by(output_bias_key, outer, num_outputs),
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


CELLS = (simple_rnn, irnn, ind_rnn, co_rnn)
