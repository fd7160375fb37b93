"""The written-out functions against NumPy's in float64, over all of their range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrnn.nets.elementary import SHORT, exp, sigmoid, tanh
from jaxrnn.training.compiling import CPU_OPTIONS

pytestmark = pytest.mark.usefixtures("as_users_have_it")

FUNCTIONS = {
    "tanh": (tanh, np.tanh, jnp.tanh, 5),
    "exp": (exp, np.exp, jnp.exp, 1),
    "sigmoid": (sigmoid, lambda x: 1 / (1 + np.exp(-x)), jax.nn.sigmoid, 3),
}
over_functions = pytest.mark.parametrize("name", FUNCTIONS)
EDGES = np.array([0, 4e-4, 7.9988, 9, 87.33, 87.34, 88.72, 88.73, 1e30], np.float32)


def numbers() -> np.ndarray:
    """Two million numbers of both signs and all sizes, in rows as long as a short axis is."""
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            rng.uniform(-100, 100, 1_000_000),
            rng.standard_normal(500_000),
            10 ** rng.uniform(-37, 2, 250_000),
            -(10 ** rng.uniform(-37, 2, 250_000)),
        ]
    )
    return x.astype(np.float32).reshape(-1, SHORT)


@over_functions
def test_as_exact_as_is_said_over_the_whole_range_and_no_worse_than_xlas(name):
    ours, right, xlas, units = FUNCTIONS[name]
    x = numbers()
    with np.errstate(over="ignore"):
        expected = right(x.astype(np.float64))
        nearest = expected.astype(np.float32)
    normal = np.isfinite(nearest) & (np.abs(nearest) >= np.finfo(np.float32).tiny)
    assert normal.mean() > 0.9
    unit = np.spacing(np.abs(nearest[normal])).astype(np.float64)

    def most(function):
        values = np.asarray(jax.jit(function, compiler_options=CPU_OPTIONS)(x)).astype(np.float64)
        return np.max(np.abs(values - expected)[normal] / unit)

    assert most(ours) <= min(units, most(xlas))


@over_functions
def test_infinities_nan_and_the_edges_of_the_formulas(name):
    ours, right, _, units = FUNCTIONS[name]
    x = np.concatenate([EDGES, -EDGES, np.float32([np.inf, -np.inf, np.nan])])
    assert x.shape[0] <= SHORT
    with np.errstate(over="ignore", under="ignore"):
        expected = right(x.astype(np.float64)).astype(np.float32)
    expected[np.abs(expected) < np.finfo(np.float32).tiny] = 0
    np.testing.assert_allclose(ours(jnp.asarray(x)), expected, rtol=units * 2.0**-23)


@over_functions
def test_the_derivative_is_that_of_jax(name):
    ours, _, xlas, _ = FUNCTIONS[name]
    x = jnp.linspace(-12, 12, SHORT, dtype=jnp.float32)
    for derivative in (jax.grad, jax.jacfwd):
        ours_at, xlas_at = (jax.vmap(derivative(one)) for one in (lambda x: ours(x[None])[0], xlas))
        np.testing.assert_allclose(ours_at(x), xlas_at(x), rtol=1e-6, atol=1e-6)


@over_functions
@pytest.mark.usefixtures("x64")
def test_float64_and_long_axes_are_xlas(name):
    ours, _, xlas, _ = FUNCTIONS[name]
    for x in (np.linspace(-3, 3, SHORT), np.linspace(-3, 3, SHORT + 1, dtype=np.float32)):
        jaxpr, expected = (str(jax.make_jaxpr(one)(x)) for one in (ours, xlas))
        assert jaxpr == expected
    short = jnp.ones(SHORT, jnp.float32)
    assert str(jax.make_jaxpr(ours)(short)) != str(jax.make_jaxpr(xlas)(short))
