"""Sequences that are taken together: what each gives alone, and the gradient of all."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FLOAT64, assert_trees_close, random_params

from jaxrnn import SUITES
from jaxrnn.nets import CELLS, stack, unroll
from jaxrnn.nets.base import unroll_together
from jaxrnn.training.lanes import together_from

I, H, O, T, B = 4, 3, 2, 7, 5  # noqa: E741


def net(name, layers=1):
    if layers == 1:
        return CELLS[name](I, H, O)
    return stack(CELLS[name](I, H, O), CELLS[name](O, H, O))


def inputs_of(kind):
    rng = np.random.default_rng(1)
    if kind == "vectors":
        return jnp.asarray(rng.standard_normal((B, T, I)))
    return jnp.asarray(rng.integers(I, size=(B, T)), jnp.int32)


FEW = ("lstm", "gru", "slstm")  # the others by name
HAVING = [name for name in SUITES["card-adding"].cells if net(name).together is not None]


def test_the_cells_of_gates_have_a_way_of_their_own():
    assert set(HAVING) >= {"lstm", "lstm_peephole", "gru", "simple_rnn", "slstm"}
    assert stack(net("lstm"), CELLS["lru"](O, H, O)).together is None
    assert (together_from("cpu", True), together_from("cpu", False)) == (4, 16)
    assert together_from("gpu", False) == together_from("gpu", True) == 2


def apart(cell, params, xs):
    return jax.vmap(lambda x: unroll(cell, params, x)[1])(xs)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "layers", "kind"),
    [
        *(
            pytest.param(name, 1, kind, marks=[pytest.mark.slow] * (name not in FEW))
            for kind in ("vectors", "symbols")
            for name in HAVING
        ),
        ("lstm", 2, "vectors"),
    ],
)
def test_outputs_and_gradients_are_those_of_each_sequence_alone(name, layers, kind):
    cell, xs = net(name, layers), inputs_of(kind)
    assert cell.together is not None
    params = random_params(cell)
    weights = np.random.default_rng(5).standard_normal((B, T, O))

    def results(outputs):
        def summed(params, xs):
            ys = outputs(cell, params, xs)
            return jnp.sum(weights * ys), ys

        by = (0, 1) if kind == "vectors" else 0
        return jax.jit(jax.grad(summed, by, has_aux=True))(params, xs)

    ours, theirs = results(unroll_together), results(apart)
    assert ours[1].shape == (B, T, O)
    assert_trees_close(ours, theirs, **FLOAT64)


@pytest.mark.usefixtures("x64")
def test_a_cell_without_one_is_taken_sequence_by_sequence():
    cell, xs = net("lru"), inputs_of("vectors")
    assert cell.together is None
    params = random_params(cell)
    ours, alone = (jax.jit(partial(ys, cell))(params, xs) for ys in (unroll_together, apart))
    np.testing.assert_allclose(ours, alone, **FLOAT64)
