"""Matrix memories in chunks of time steps: what a step after the other gives."""

import jax
import numpy as np
import pytest
from helpers import (
    assert_trees_close,
    random_like,
    random_params,
    random_symbols,
    results_and_gradients,
)

from jaxrnn import CELLS, unroll, xavier
from jaxrnn.nets import chunks

I, H, O = 4, chunks.FROM, 2  # noqa: E741
CASES = {
    "mlstm": {},
    "delta_net": {"negative": True},
    "gated_delta_net": {},
    "delta_product": {"num_updates": 3, "decays": True},
}
over_cells = pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(*case, marks=[pytest.mark.slow] * (case[0] not in ("mlstm", "delta_product")))
        for case in CASES.items()
    ],
)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("num_steps", [pytest.param(16, marks=pytest.mark.slow), 37])
@over_cells
def test_results_and_gradients_are_those_of_the_plain_scan(name, options, num_steps):
    """Also of steps that forget all, which is less than the exponential of a chunk can tell."""
    cell = CELLS[name](I, H, O, **options)
    params = random_params(cell, seed=1)
    xs = random_symbols((num_steps, I))
    state = random_like(jax.eval_shape(cell.initial_state, params), seed=2)
    forgetting = []
    if name != "delta_net":
        bias = np.array(params.gate_bias)
        bias[-1] = -300.0 if name == "mlstm" else 300.0
        forgetting = [params._replace(gate_bias=bias)]
    for each in [params, *forgetting]:
        ours = results_and_gradients(cell, each, state, xs)
        expected = results_and_gradients(cell._replace(unroll=None), each, state, xs)
        assert_trees_close(ours, expected, rtol=1e-10, atol=1e-11)


@over_cells
def test_from_so_many_units_on_there_is_an_iteration_a_chunk(name, options):
    def num_iterations(units: int) -> int:
        cell = CELLS[name](I, units, O, **options)
        params = jax.eval_shape(lambda: cell.init(jax.random.key(0), xavier()))
        xs = jax.ShapeDtypeStruct((96,), np.int32)
        jaxpr = jax.make_jaxpr(lambda params, xs: unroll(cell, params, xs))(params, xs)
        return max(e.params["length"] for e in jaxpr.eqns if e.primitive.name == "scan")

    per_step = options.get("num_updates", 1)
    assert num_iterations(H) == -(-96 // (chunks.STEPS // per_step))
    assert num_iterations(H - 1) == 96


@pytest.mark.parametrize("size", [1, 5, 16])
def test_the_inverse_of_a_triangle_keeps_its_digits_where_keys_repeat(size):
    lower = 2 * np.tril(np.ones((3, size, size), np.float32), -1)  # as parity has it: beta 2
    ours = jax.jit(chunks.inverse)(lower)
    np.testing.assert_allclose(ours, np.linalg.inv(np.eye(size) + lower), rtol=1e-6, atol=1e-6)
