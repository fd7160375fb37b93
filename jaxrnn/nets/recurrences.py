"""Elementwise recurrences, which have no matrix, and the cells with a linear one."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxrnn.nets.base import Cell, Mask, after_step
from jaxrnn.nets.initializers import Initializer
from jaxrnn.nets.recurrent import recurrent


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
