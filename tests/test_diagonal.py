"""The cells without a recurrent matrix: long sequences, first weights, options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    KINDS,
    assert_trees_close,
    first_params,
    name_of,
    of_kind,
    plain,
    random_like,
    random_params,
    random_vectors,
)
from scipy.special import expit

from jaxrnn import Experiment, InputError, xavier
from jaxrnn.nets.base import unroll
from jaxrnn.nets.initializers import chrono
from jaxrnn.nets.recurrences import Complex, linear_recurrence

I, H, O, T = 4, 3, 2, 9  # noqa: E741
OF_FAMILY = ("min_gru", "min_lstm", "ind_rnn", "lru")
over_kinds = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.slow] * (kind not in ("min_lstm", "lru")))
        for kind in KINDS
        if name_of(kind) in OF_FAMILY
    ],
)


# Long sequences, in float32


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
    params = cell.init(jax.random.key(0), xavier())
    xs = jnp.asarray(np.random.default_rng(0).integers(I, size=1000), jnp.int32)

    def run(cell, params):
        results = unroll(cell, params, xs)
        return (results[1] ** 2).mean(), results

    run_both = jax.jit(jax.grad(run, argnums=1, has_aux=True), static_argnums=0)
    ours, stepped = run_both(cell, params), run_both(plain(cell), params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(ours))
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(stepped))
    assert_trees_close(ours, stepped, rtol=1e-3, atol=1e-5 * largest)


@pytest.mark.parametrize(
    "sums", [(-200.0, -200.0), (-200.0, -201.0), (200.0, -200.0), (-90.0, 90.0)]
)
def test_gates_that_are_shut_as_good_as_still_share_one_out(sums):
    cell = of_kind("min_lstm", (1, 2, 1))
    params = cell.init(jax.random.key(0), xavier())

    def activations(bias):
        return cell.activations(params._replace(bias=bias), jnp.zeros(2), jnp.zeros(1))

    bias = jnp.repeat(jnp.array([*sums, 0.0]), 2)
    f, i, _ = activations(bias).values()
    expected = expit(np.logaddexp(0, -sums[1]) - np.logaddexp(0, -sums[0]))
    np.testing.assert_allclose(f, expected, rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(f + i, 1, rtol=1e-6)
    slopes = jax.grad(lambda bias: activations(bias)["forget"].sum())(bias)
    assert np.isfinite(slopes).all()


# First weights


def test_first_eigenvalues_fill_the_ring_evenly_and_inputs_are_normalised():
    H, r_min, r_max, max_phase = 4000, 0.8, 0.95, 1.5
    cell = of_kind("lru", (10, H, 3), r_min=r_min, r_max=r_max, max_phase=max_phase)
    p = cell.init(jax.random.key(0), xavier())
    radius, phase = np.exp(-np.exp(np.float64(p.nu_log))), np.exp(np.float64(p.theta_log))
    assert r_min < radius.min() < r_min + 0.001
    assert r_max > radius.max() > r_max - 0.001
    assert 0 < phase.min() < 0.01
    assert max_phase > phase.max() > max_phase - 0.01
    # Evenly by area: as many in each of ten rings of one area, four standard deviations.
    share = (radius**2 - r_min**2) / (r_max**2 - r_min**2)
    for uniform in (share, phase / max_phase):
        counts, _ = np.histogram(uniform, 10, (0, 1))
        assert abs(counts - H / 10).max() < 4 * (H * 0.09) ** 0.5
    np.testing.assert_allclose(np.exp(2 * p.gamma_log), 1 - radius**2, rtol=1e-4)
    for part, variance in ((p.B_re, 1 / 20), (p.B_im, 1 / 20), (p.C_re, 1 / H), (p.C_im, 1 / H)):
        np.testing.assert_allclose(np.var(part) / variance, 1, atol=0.06)
    assert not np.allclose(p.B_re, p.B_im)
    assert not np.allclose(p.C_re, p.C_im)


def test_a_ring_near_one_has_no_infinite_logarithm():
    for ring in ({}, {"r_min": 0.9999999}):
        p = of_kind("lru", (2, 10_000, 2), **ring).init(jax.random.key(1), xavier())
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(p))


def test_first_recurrent_weights_are_uniform_in_their_range():
    for options, low, high in (({}, 0, 1), ({"recurrent_range": (0.99, 1.01)}, 0.99, 1.01)):
        cell = of_kind("ind_rnn", (2, 4000, 1), **options)
        u = cell.init(jax.random.key(0), xavier()).recurrent_weights
        counts, _ = np.histogram(u, 10, (low, high))
        assert counts.sum() == 4000
        assert abs(counts - 400).max() < 4 * 360**0.5


def test_chrono_shuts_the_gate_that_lets_in():
    key, H = jax.random.key(0), 500
    z = of_kind("min_gru", (2, H, 1)).init(key, chrono(100)).bias[:H]
    assert -np.log(99) <= z.min() < -4
    assert z.max() <= 0
    f, i, k = np.split(of_kind("min_lstm", (2, H, 1)).init(key, chrono(100)).bias, 3)
    np.testing.assert_array_equal(f, -i)
    assert (k == 0).all()
    assert (f >= 0).all()


@pytest.mark.parametrize("kind", ["ind_rnn", "lru"])
def test_the_initial_scale_leaves_what_the_paper_prescribes(kind):
    def first(scale):
        return first_params(Experiment(cell=kind, length=5, initial_scale=scale, trials=1))

    scaled, unscaled = first(10.0), first(1.0)
    drawn = ("input_weights", "output_weights")
    for field in scaled._fields:
        factor = 10.0 if field in drawn else 1.0
        expected = factor * getattr(unscaled, field)
        np.testing.assert_allclose(getattr(scaled, field), expected, rtol=1e-6, err_msg=field)


@over_kinds
def test_before_joining_no_output_sees_the_units(kind):
    cell, xs = of_kind(kind, (I, H, O)), random_vectors((T, I))
    params = random_params(cell)
    state = random_like(cell.initial_state(params), seed=4)
    last, outputs = unroll(cell, cell.before_joining(params), xs, state)
    np.testing.assert_allclose(outputs, np.tile(params.output_bias, (T, 1)), rtol=1e-5)
    assert_trees_close(last, unroll(cell, params, xs, state)[0], 1e-6, 1e-6)


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("ind_rnn", {"recurrent_range": (1.0, 0.0)}, r"recurrent_range \(1.0, 0.0\) must begin"),
        ("lru", {"r_min": 1.0}, "r_min 1.0 and r_max 1.0 must be a ring"),
        ("lru", {"r_max": 1.1}, "r_max 1.1 must be a number from 0 to 1"),
        ("lru", {"r_min": -0.1}, "r_min -0.1 must be a number from 0 to 1"),
        ("lru", {"max_phase": 0.0}, "max_phase 0.0 must be a positive number"),
    ],
)
def test_an_option_out_of_its_bounds_is_refused(kind, options, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        of_kind(kind, (I, H, O), **options)
