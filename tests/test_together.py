"""Sequences that are taken together: what each gives alone, and the gradient of all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FLOAT64, assert_trees_close, net_of, random_params

from jaxrnn.nets import CELLS, stack, unroll
from jaxrnn.nets.base import unroll_together
from jaxrnn.training.lanes import together_from
from jaxrnn.yardstick import CELLS as RECURRENT

I, H, O, T, B = SIZES = 4, 3, 2, 7, 5  # noqa: E741
FEW = ("lstm", "gru", "slstm", "lru")  # the others by name
OTHERS = [name for name in RECURRENT if name not in FEW]


def test_the_cells_of_gates_have_a_way_of_their_own():
    for name in ("lstm", "lstm_peephole", "gru", "simple_rnn", "slstm", "lru"):
        assert (CELLS[name](I, H, O).together is None) == (name == "lru")
    assert stack(CELLS["lstm"](I, H, O), CELLS["lru"](O, H, O)).together is None
    assert (together_from("cpu", True), together_from("cpu", False)) == (4, 16)
    assert together_from("gpu", False) == together_from("gpu", True) == 2


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "layers", "kind"),
    [
        *(pytest.param(name, 1, "vectors", marks=pytest.mark.slow) for name in OTHERS),
        *((name, 1, "vectors") for name in FEW),
        ("gru", 1, "symbols"),
        ("lstm", 2, "vectors"),
    ],
)
def test_outputs_and_gradients_are_those_of_each_sequence_alone(name, layers, kind):
    cell, rng = net_of(name, SIZES[:3], layers), np.random.default_rng(1)
    xs = jnp.asarray(rng.standard_normal((B, T, I)))
    if kind == "symbols":
        xs = jnp.asarray(rng.integers(I, size=(B, T)), jnp.int32)
    params, weights = random_params(cell), rng.standard_normal((B, T, O))

    def apart(cell, params, xs):
        return jax.vmap(lambda x: unroll(cell, params, x)[1])(xs)

    def results(outputs):
        def summed(params, xs):
            ys = outputs(cell, params, xs)
            return jnp.sum(weights * ys), ys

        by = (0, 1) if kind == "vectors" else 0
        return jax.jit(jax.grad(summed, by, has_aux=True))(params, xs)

    ours, theirs = results(unroll_together), results(apart)
    assert ours[1].shape == (B, T, O)
    assert_trees_close(ours, theirs, **FLOAT64)
