"""Elementwise recurrences, and the cells that have no more: minimal GRU and LSTM, and the LRU.

Products with weights are done for all time steps at once, before and after a recurrence that is
elementwise. The fast path of :func:`jaxrnn.nets.gated.gated` is built around the recurrent product.
These cells have none, so they do not use it. In every docstring y(t) = h(t) V + output bias unless
it says otherwise. States start at 0, and so do all biases unless the initializer or an experiment
says otherwise.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.errors import InputError
from jaxrnn.nets.base import Cell, Mask, after_step
from jaxrnn.nets.elementary import exp, sigmoid
from jaxrnn.nets.initializers import Initializer
from jaxrnn.nets.products import add_bias, product, split
from jaxrnn.nets.recurrent import recurrent, sums
from jaxrnn.options import FromZeroToOne, Positive, checked

# Elementwise recurrences


class Complex(NamedTuple):
    """Complex numbers by their parts, so that parameters, states and gradients stay real."""

    real: jax.Array
    imag: jax.Array


Numbers = jax.Array | Complex


def _plus(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)


def _times(a: Any, b: Any) -> Any:
    if not isinstance(a, Complex):
        return a * b
    return Complex(a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real)


def _scan(
    steps_at_once: int, a: Numbers, b: Numbers, h: Numbers, mask: Mask = None
) -> tuple[Any, Any]:
    """:func:`linear_recurrence`, as JAX itself differentiates it."""
    if _is_fixed(a):

        def step(h: Any, at: tuple[Any, Mask]) -> tuple[Any, Any]:
            h = after_step(at[1], _plus(_times(a, h), at[0]), h)
            return h, h

        return lax.scan(step, h, (b, mask), unroll=steps_at_once)

    def step_with(h: Any, at: tuple[Any, Any, Mask]) -> tuple[Any, Any]:
        h = after_step(at[2], _plus(_times(at[0], h), at[1]), h)
        return h, h

    return lax.scan(step_with, h, (a, b, mask), unroll=steps_at_once)


def _is_fixed(a: Numbers) -> bool:
    return jax.tree.leaves(a)[0].ndim == 1


# This is a scan, not lax.associative_scan, which makes an update on a CPU slower at every length,
# see benchmarks/linear_recurrence.py. With a derivative of its own, the backward scan writes only
# one array, the gradient of b. The gradient of a is computed for all time steps at once.
@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _varying_recurrence(
    steps_at_once: int, a: jax.Array, b: jax.Array, h: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return _scan(steps_at_once, a, b, h)


@_varying_recurrence.defjvp
def _varying_recurrence_jvp(steps_at_once: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (a, b, h), (d_a, d_b, d_h) = primals, tangents
    last, hs = _varying_recurrence(steps_at_once, a, b, h)
    return (last, hs), _scan(steps_at_once, a, d_a * _before(h, hs) + d_b, d_h)


def linear_recurrence(
    a: Numbers, b: Numbers, h: Numbers, steps_at_once: int = 1, mask: Mask = None
) -> tuple[Any, Any]:
    """h(t) = a(t) h(t-1) + b(t), a [T, H], or [H] if always the same: (last h, all h [T, H]).

    The steps that are False in ``mask`` [T] leave h as it is.
    """
    if isinstance(a, Complex) or isinstance(b, Complex) or _is_fixed(a):
        return _scan(steps_at_once, a, b, h, mask)
    if mask is not None:
        counts = mask[:, None]
        a, b = jnp.where(counts, a, 1), jnp.where(counts, b, 0)
    return _varying_recurrence(steps_at_once, a, b, h)


def _before(h: jax.Array, hs: jax.Array) -> jax.Array:
    """The states before each step [T, H]."""
    return jnp.concatenate([h[None], hs[:-1]])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def rectified_recurrence(
    steps_at_once: int, u: jax.Array, sums: jax.Array, h: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """h(t) = relu(sums(t) + u h(t-1)): (last h [H], all h [T, H])."""

    def step(h: jax.Array, summed: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = jnp.maximum(summed + u * h, 0)
        return h, h

    return lax.scan(step, h, sums, unroll=steps_at_once)


@rectified_recurrence.defjvp
def _rectified_recurrence_jvp(steps_at_once: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (u, sums, h), (d_u, d_sums, d_h) = primals, tangents
    last, hs = rectified_recurrence(steps_at_once, u, sums, h)
    slope = (hs > 0).astype(hs.dtype)
    u, d_u = (jnp.broadcast_to(of_unit, hs.shape) for of_unit in (u, d_u))
    d_sum = slope * (d_u * _before(h, hs) + d_sums)
    return (last, hs), _scan(steps_at_once, slope * u, d_sum, d_h)


def linear_cell(
    init: Callable[[jax.Array, Initializer], Any],
    initial_state: Callable[[Any], Any],
    coefficients: Callable[[Any, jax.Array], tuple[Any, Any]],
    **others: Any,
) -> Cell:
    """A cell h(t) = a(t) h(t-1) + b(t). ``coefficients(params, x)`` gives a and b, for one time
    step or for all of them; ``others`` are arguments of :func:`recurrent`."""

    def advance(params: Any, h: Any, at: tuple[Any, Any]) -> tuple[Any, Any]:
        h = _plus(_times(at[0], h), at[1])
        return h, h

    def scan(
        params: Any, h: Any, of_all: tuple[Any, Any], at_once: int, mask: Mask = None
    ) -> tuple[Any, Any]:
        return linear_recurrence(*of_all, h, at_once, mask)

    return recurrent(init, initial_state, coefficients, advance, scan=scan, **others)


# The minimal GRU and LSTM


class MinimalParams(NamedTuple):
    """Parameters of :func:`min_gru` and :func:`min_lstm`, their G gates side by side."""

    input_weights: jax.Array  # U [I, G H]
    bias: jax.Array  # b [G H]
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


def _minimal(
    sizes: tuple[int, int, int],
    gates: tuple[str, ...],
    activate: Callable[..., tuple[jax.Array, jax.Array]],
    positive: bool,
) -> Cell:
    """A cell of gates that see only the input. ``activate`` takes the sums [..., H] of all gates
    but the candidate, and gives two factors, that of h(t-1) and that of the candidate."""
    num_inputs, hidden_size, num_outputs = sizes

    def init(key: jax.Array, initializer: Initializer) -> MinimalParams:
        input_key, output_key, bias_key = jax.random.split(key, 3)
        return MinimalParams(
            initializer.weights(input_key, len(gates), num_inputs, hidden_size),
            initializer.biases(bias_key, gates, hidden_size),
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            jnp.zeros(num_outputs),
        )

    def initial_state(params: MinimalParams) -> jax.Array:
        return jnp.zeros_like(params.bias, shape=hidden_size)

    def activated(params: MinimalParams, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        *of_gates, k = split(sums(params, x), len(gates))
        return *activate(*of_gates), jnp.where(k >= 0, k + 0.5, sigmoid(k)) if positive else k

    def coefficients(params: MinimalParams, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        a, i, k = activated(params, x)
        return a, i * k

    def activations(params: MinimalParams, h: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        return dict(zip(gates, activated(params, x)[-len(gates) :], strict=True))

    cell = linear_cell(init, initial_state, coefficients, gates=gates)
    return cell._replace(activations=activations)


@checked
def min_gru(num_inputs: int, hidden_size: int, num_outputs: int, *, positive: bool = False) -> Cell:
    """The minimal gated recurrent unit, whose gate and candidate see the input alone.

    z = sigmoid(x(t) U + b), k = x(t) U + b of their slices, h(t) = (1 - z) h(t-1) + z k; the state
    is h [H]. With ``positive`` k is g(x(t) U + b), g(a) = a + 1/2 for a >= 0, else sigmoid(a). z
    lets in what is new, so it is the gate "input" here, which chrono closes.

    Source: Feng et al. 2024, section 3.1 and appendix A; ``positive``: appendix B and their code,
    which trains selective copying with it.

    Differs from it in that there is no scan in log space, for whose sake g is there.
    """

    def activate(a: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = sigmoid(a)
        return 1 - z, z

    sizes = (num_inputs, hidden_size, num_outputs)
    return _minimal(sizes, ("input", "candidate"), activate, positive)


@checked
def min_lstm(
    num_inputs: int, hidden_size: int, num_outputs: int, *, positive: bool = False
) -> Cell:
    """The minimal LSTM: its two gates see only the input and add up to 1; it has no output gate.

    f, i = sigmoid(x(t) U + b), k = x(t) U + b of their slices, f' = f / (f + i), i' = i / (f + i),
    h(t) = f' h(t-1) + i' k; the state is h [H]. The activations to look at are f', i' and k.
    ``positive`` as in :func:`min_gru`.

    Source: Feng et al. 2024, section 3.2 and appendix A; ``positive``: appendix B and their code,
    which trains selective copying with it.

    Differs from it in that there is no scan in log space, for whose sake g is there.
    """

    def activate(a_f: jax.Array, a_i: jax.Array) -> tuple[jax.Array, jax.Array]:
        # f : i is 1 + e^-a_i : 1 + e^-a_f. Here both are divided by their greatest summand, so that
        # none is infinite, and no sum is 0 when both gates are almost closed.
        least = lax.stop_gradient(jnp.minimum(jnp.minimum(a_f, a_i), 0))
        f, i = exp(least) + exp(least - a_i), exp(least) + exp(least - a_f)
        return f / (f + i), i / (f + i)

    sizes = (num_inputs, hidden_size, num_outputs)
    return _minimal(sizes, ("forget", "input", "candidate"), activate, positive)


# The linear recurrent unit


class LRUParams(NamedTuple):
    """Parameters of :func:`lru`, real numbers all of them."""

    nu_log: jax.Array  # [H]
    theta_log: jax.Array  # [H]
    gamma_log: jax.Array  # [H]
    B_re: jax.Array  # [I, H]
    B_im: jax.Array  # [I, H]
    C_re: jax.Array  # [H, O]
    C_im: jax.Array  # [H, O]
    output_bias: jax.Array  # [O]


@checked
def lru(
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    r_min: FromZeroToOne = 0.0,
    r_max: FromZeroToOne = 1.0,
    max_phase: Positive = 6.28,
) -> Cell:
    """The linear recurrent unit: H complex numbers that turn and decay, each by itself.

    h(t) = lambda h(t-1) + exp(gamma_log) (x(t) B), lambda = exp(-exp(nu_log) + i exp(theta_log)),
    y(t) = Re(h(t) C) + output bias; the state is h, a :class:`Complex` of [H] and [H]. At first
    lambda is uniform on the ring between ``r_min`` and ``r_max``, its phase is below ``max_phase``,
    exp(gamma_log) = sqrt(1 - |lambda|^2), and B and C are normal with variances 1 / I and 2 / H.
    The initializer changes none of this. Before the units join, C is 0.

    Raises InputError for an ``r_min`` that is not below ``r_max``.

    Source: Orvieto et al. 2023, section 3, lemma 3.2, and the listing of appendix A.

    Differs from it in that the outputs have a bias and no D x(t) (their D has one number per
    channel, so it needs as many outputs as inputs), and that there is one layer, with nothing
    before or after it.
    """
    if not r_min < r_max:
        raise InputError(f"r_min {r_min} and r_max {r_max} must be a ring: r_min below r_max")

    def init(key: jax.Array, initializer: Initializer) -> LRUParams:
        keys = jax.random.split(key, 6)
        # Inside of (0, 1), and 1 - |lambda|^2 in place of its square, so that no logarithm is
        # infinite.
        u_1, u_2 = (jax.random.uniform(k, (hidden_size,), minval=1e-6) for k in keys[:2])
        lost = 1 - r_max**2 + (1 - 1e-6) * u_1 * (r_max**2 - r_min**2)

        def normal(key: jax.Array, fan_in: int, fan_out: int, variance: float) -> jax.Array:
            return variance**0.5 * jax.random.normal(key, (fan_in, fan_out))

        return LRUParams(
            jnp.log(-0.5 * jnp.log1p(-lost)),
            jnp.log(max_phase * u_2),
            0.5 * jnp.log(lost),
            normal(keys[2], num_inputs, hidden_size, 0.5 / num_inputs),
            normal(keys[3], num_inputs, hidden_size, 0.5 / num_inputs),
            normal(keys[4], hidden_size, num_outputs, 1 / hidden_size),
            normal(keys[5], hidden_size, num_outputs, 1 / hidden_size),
            jnp.zeros(num_outputs),
        )

    def initial_state(params: LRUParams) -> Complex:
        return Complex(jnp.zeros_like(params.nu_log), jnp.zeros_like(params.nu_log))

    def coefficients(params: LRUParams, x: jax.Array) -> tuple[Complex, Complex]:
        radius, phase = jnp.exp(-jnp.exp(params.nu_log)), jnp.exp(params.theta_log)
        of_lambda = Complex(radius * jnp.cos(phase), radius * jnp.sin(phase))
        gamma = jnp.broadcast_to(jnp.exp(params.gamma_log), params.B_re.shape)
        return of_lambda, Complex(product(x, gamma * params.B_re), product(x, gamma * params.B_im))

    def readout(params: LRUParams, h: Complex, coefficients: Any) -> jax.Array:
        y = h.real @ params.C_re - h.imag @ params.C_im
        return add_bias(y, params.output_bias)

    def before_joining(params: LRUParams) -> LRUParams:
        no_outputs = jnp.zeros_like(params.C_re)
        return params._replace(C_re=no_outputs, C_im=no_outputs)

    cell = linear_cell(
        init, initial_state, coefficients, readout=readout, before_joining=before_joining
    )
    return cell._replace(hidden=None)  # they are complex numbers


CELLS = (min_gru, min_lstm, lru)
