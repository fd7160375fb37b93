"""The cells that the notebook lacks against their transcription, and every cell's activations."""

from functools import cache, partial
from typing import Any

import cells_numpy
import jax
import notebook_numpy as notebook
import numpy as np
import pytest
from jax import lax
from test_cells import jit, params_of, random_like, random_vectors

from jaxrnn.nets import CELLS
from jaxrnn.nets.base import unroll
from jaxrnn.nets.cells import LSTMState

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


@partial(jit, static_argnums=0)
def run_both_ways(kind: str, params: Any, state: Any, xs: jax.Array) -> tuple:
    """(Last state, outputs) of the fast path, the same step by step, and the gates [T, H]."""
    cell = CELLS[kind]

    def step(state: Any, x: jax.Array) -> tuple:
        gates = cell.activations(params, state, x)
        state, y = cell.step(params, state, x)
        return state, (y, gates)

    last, (ys, gates) = lax.scan(step, state, xs)
    return unroll(cell, params, xs, state), (last, ys), gates


@cache
def results(kind: str, from_zero: bool) -> tuple[Any, np.ndarray, np.ndarray, tuple]:
    """(Parameters, inputs, first state, jaxrnn's results), all float64 and random."""
    with jax.enable_x64(True):
        params, xs = params_of(CELLS[kind]), random_vectors()
        assert all(np.all(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(params))
        state = CELLS[kind].initial_state(params)
        if not from_zero:
            state = random_like(state, seed=4)
        return params, np.asarray(xs), state, run_both_ways(kind, params, state, xs)


def hidden_and_memory(state: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(state, LSTMState):
        return np.asarray(state.hidden), np.asarray(state.cell)
    return np.asarray(state), np.zeros_like(state)


@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_another_state"])
@pytest.mark.parametrize("kind", cells_numpy.CELLS)
def test_outputs_and_last_state_are_the_transcriptions(kind, from_zero):
    params, xs, state, (fast, stepped, _) = results(kind, from_zero)
    # The transcription has zeros of its own to start from.
    start = () if from_zero else hidden_and_memory(state)
    expected = cells_numpy.run(kind, cells_numpy.from_jaxrnn(kind, params), xs, *start)
    for last, ys in (fast, stepped):
        assert ys.dtype == np.float64
        np.testing.assert_allclose(ys, expected.outputs, **TOLERANCE)
        hidden, memory = hidden_and_memory(last)
        np.testing.assert_allclose(hidden, expected.hidden, **TOLERANCE)
        np.testing.assert_allclose(memory, expected.memory, **TOLERANCE)


def expected_gates(kind: str, params: Any, xs: np.ndarray) -> dict[str, np.ndarray]:
    if kind in cells_numpy.CELLS:
        return cells_numpy.run(kind, cells_numpy.from_jaxrnn(kind, params), xs).gates
    (layer,) = notebook.from_jaxrnn(params)
    _, tape = notebook.BUILDERS[kind].forward(layer, xs)
    if kind == "simple_rnn":
        return {"candidate": np.array([h for _, _, h in tape])}
    columns = {"input": 3, "forget": 4, "output": 5, "candidate": 6}
    return {gate: np.array([step[k] for step in tape]) for gate, k in columns.items()}


@pytest.mark.parametrize("kind", CELLS)
def test_activations_are_the_gates_of_every_step(kind):
    params, xs, _, (_, _, gates) = results(kind, True)
    expected = expected_gates(kind, params, xs)
    assert set(gates) == set(expected)
    assert set(CELLS[kind].gates) == set(expected)
    for gate, values in expected.items():
        np.testing.assert_allclose(gates[gate], values, **TOLERANCE, err_msg=gate)
