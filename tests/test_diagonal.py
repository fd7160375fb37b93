"""The cells without a recurrent matrix over long sequences, in float32, and before they join."""

from functools import partial

import jax
import numpy as np
import pytest
from helpers import assert_trees_close, of_kind, plain, random_like, random_params, random_vectors
from scipy.special import expit

from jaxrnn import xavier
from jaxrnn.nets.base import unroll
from jaxrnn.nets.linear import Complex, linear_recurrence

I, H, O, T = 4, 3, 2, 9  # noqa: E741
over_kinds = pytest.mark.parametrize("kind", ["min_lstm", "lru"])


@pytest.mark.parametrize("is_complex", [False, True])
def test_a_long_recurrence_is_that_of_float64(is_complex):
    T, H, rng = 1000, 20, np.random.default_rng(0)
    a, b, h = rng.uniform(0.9, 1, (T, H)), rng.standard_normal((T, H)), rng.standard_normal(H)
    if is_complex:
        a = np.broadcast_to(a[0] * np.exp(1j * rng.uniform(0, 6.28, H)), (T, H))
        b, h = b + 1j * rng.standard_normal((T, H)), h + 1j

    def ours(array):
        if not is_complex:
            return np.float32(array)
        return Complex(np.float32(array.real), np.float32(array.imag))

    operands = ours(a[0] if is_complex else a), ours(b), ours(h)
    last, hs = jax.device_get(jax.jit(linear_recurrence)(*operands))
    for t in range(T):
        h = a[t] * h + b[t]
        at_t = hs.real[t] + 1j * hs.imag[t] if is_complex else hs[t]
        np.testing.assert_allclose(at_t, h, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(last, jax.tree.map(lambda leaf: leaf[-1], hs))


@over_kinds
def test_a_thousand_steps_stay_finite_and_equal_step_by_step(kind):
    cell = of_kind(kind, (I, 20, O))
    params = jax.jit(partial(cell.init, initializer=xavier()))(jax.random.key(0))
    xs = np.random.default_rng(0).integers(I, size=1000).astype(np.int32)

    def run(cell, params):
        results = unroll(cell, params, xs)
        return (results[1] ** 2).mean(), results

    run_both = jax.jit(jax.grad(run, argnums=1, has_aux=True), static_argnums=0)
    ours, stepped = run_both(cell, params), run_both(plain(cell), params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(ours))
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(stepped))
    assert_trees_close(ours, stepped, rtol=1e-3, atol=1e-5 * largest)


def test_gates_that_are_shut_as_good_as_still_share_one_out():
    cell = of_kind("min_lstm", (1, 2, 1))
    params = random_params(cell)

    def forget(bias):
        zeros = np.zeros(2, np.float32), np.zeros(1, np.float32)
        f, i, _ = cell.activations(params._replace(bias=bias), *zeros).values()
        return f.sum(), (f, i)

    run = jax.jit(jax.grad(forget, has_aux=True))
    for sums in ((-200.0, -200.0), (-200.0, -201.0), (200.0, -200.0), (-90.0, 90.0)):
        slopes, (f, i) = jax.device_get(run(np.repeat(np.float32([*sums, 0.0]), 2)))
        expected = expit(np.logaddexp(0, -sums[1]) - np.logaddexp(0, -sums[0]))
        np.testing.assert_allclose(f, expected, rtol=1e-5, atol=1e-30)
        np.testing.assert_allclose(f + i, 1, rtol=1e-6)
        assert np.isfinite(slopes).all()


@over_kinds
def test_before_joining_no_output_sees_the_units(kind):
    cell, xs = of_kind(kind, (I, H, O)), random_vectors((T, I))
    params = random_params(cell)
    state = random_like(jax.eval_shape(cell.initial_state, params), seed=4)
    run = jax.jit(partial(unroll, cell))
    last, outputs = run(jax.jit(cell.before_joining)(params), xs, state)
    np.testing.assert_allclose(outputs, np.tile(params.output_bias, (T, 1)), rtol=1e-5)
    assert_trees_close(last, run(params, xs, state)[0], 1e-6, 1e-6)
