"""The 1997 net against its paper: activations and the truncated gradient; test_suites.py counts
its weights."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_trees_close

from jaxrnn import InputError
from jaxrnn.nets.base import unroll
from jaxrnn.nets.initializers import uniform
from jaxrnn.nets.paper_1997 import BlockParams, memory_blocks

B, S, NUM_INPUTS, NUM_OUTPUTS, T = 2, 3, 4, 2, 7
SIZES = NUM_INPUTS, B, NUM_OUTPUTS
blocks = cache(partial(memory_blocks, *SIZES, block_size=S))


def random_case(hidden_bias: str) -> tuple[BlockParams, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    cell = blocks(hidden_bias=hidden_bias)
    shapes = jax.eval_shape(lambda key: cell.init(key, uniform()), jax.random.key(0))
    params = jax.tree.map(lambda leaf: 0.7 * rng.standard_normal(leaf.shape), shapes)
    return params, rng.standard_normal((T, NUM_INPUTS)), rng.uniform(size=(T, NUM_OUTPUTS))


def logistic(a):
    return 1 / (1 + np.exp(-a))


def paper_step_by_step(
    params: BlockParams, xs: np.ndarray, targets: np.ndarray, g_bound: float, h_bound: float
) -> tuple:
    """Net outputs and the truncated gradient of 1/2 sum (y - t)^2, unit by unit as in the paper.

    What a cell's state owes to each weight into the cell and into its input gate is carried forward
    through time; the errors at the outputs of a step are multiplied in as they occur.
    """
    U, W, bias, V, c = (np.array(leaf, np.float64) for leaf in params)
    b = np.concatenate([bias, np.zeros(len(W) - len(bias))])
    grads = [np.zeros_like(leaf) for leaf in (U, W, b, V, c)]
    y, s = np.zeros(len(W)), np.zeros((B, S))
    num_sources = NUM_INPUTS + len(W) + 1
    owes_cell = np.zeros((B, S, num_sources))  # d s / d (weights into the cell)
    owes_in = np.zeros((B, S, num_sources))  # d s / d (weights into its block's input gate)
    into = np.zeros((num_sources, len(W)))  # gradient of all weights into hidden units
    outputs = []
    for x, target in zip(xs, targets, strict=True):
        sources = np.concatenate([x, y, [1.0]])
        a = x @ U + y @ W + b
        new = np.zeros(len(W))
        for j in range(B):
            new[j], new[B + j] = logistic(a[j]), logistic(a[B + j])
            for v in range(S):
                unit = 2 * B + j * S + v
                g = g_bound * (2 * logistic(a[unit]) - 1)
                slope = g_bound * 2 * logistic(a[unit]) * (1 - logistic(a[unit]))
                owes_cell[j, v] += new[j] * slope * sources
                owes_in[j, v] += new[j] * (1 - new[j]) * g * sources
                s[j, v] += new[j] * g
                new[unit] = new[B + j] * h_bound * (2 * logistic(s[j, v]) - 1)
        cells = new[2 * B :]
        net = cells @ V + c
        outputs.append(net)
        z = logistic(net)
        delta = (z - target) * z * (1 - z)
        grads[3] += np.outer(cells, delta)
        grads[4] += delta
        for j in range(B):
            for v in range(S):
                unit = 2 * B + j * S + v
                error = V[j * S + v] @ delta
                h = h_bound * (2 * logistic(s[j, v]) - 1)
                out = new[B + j]
                into[:, B + j] += out * (1 - out) * h * error * sources
                slope = h_bound * 2 * logistic(s[j, v]) * (1 - logistic(s[j, v]))
                to_state = out * slope * error
                into[:, unit] += to_state * owes_cell[j, v]
                into[:, j] += to_state * owes_in[j, v]
        y = new
    bias_gradient = into[-1][: len(bias)]
    gradient = BlockParams(
        into[:NUM_INPUTS], into[NUM_INPUTS:-1], bias_gradient, grads[3], grads[4]
    )
    return np.stack(outputs), gradient


@partial(jax.jit, static_argnums=0)
def run(cell, params, xs, targets):
    """(Last state, outputs), and the gradient of the loss."""

    def loss(params):
        last, outputs = unroll(cell, params, xs)
        return 0.5 * jnp.sum((jax.nn.sigmoid(outputs) - targets) ** 2), (last, outputs)

    gradient, results = jax.grad(loss, has_aux=True)(params)
    return results, gradient


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("fast", "hidden_bias", "bounds"),
    [
        (True, "all", (1, 2)),
        (True, "gates", (2, 1)),
        (True, "none", (2, 1)),
        (False, "all", (1, 2)),
    ],
)
def test_outputs_and_truncated_gradient_are_the_papers(fast, hidden_bias, bounds):
    cell = blocks(hidden_bias=hidden_bias, g_bound=bounds[0], h_bound=bounds[1])
    cell = cell if fast else cell._replace(unroll=None)
    case = random_case(hidden_bias)
    expected, gradient = paper_step_by_step(*case, *bounds)
    (_, outputs), ours = run(cell, *case)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-13)
    assert_trees_close(ours, gradient, 1e-11, 1e-13)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("truncated", "fast"), [(True, True), (False, False)])
@pytest.mark.parametrize(
    ("option", "seen"), [("recurrent", np.s_[:0, :0]), ("gates_seen", np.s_[2 * B :])]
)
def test_weights_that_an_option_leaves_out_are_weights_of_0(option, seen, truncated, fast):
    """Those of all units into the next step, or those of the gates."""
    params, *rest = random_case("all")
    there = params._replace(recurrent_weights=params.recurrent_weights[seen])
    weights = np.zeros_like(params.recurrent_weights)
    weights[seen] = there.recurrent_weights
    cell = blocks(truncated=truncated, **{option: False})
    shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), uniform()))
    assert shapes.recurrent_weights.shape == there.recurrent_weights.shape
    results, ours = run(cell if fast else cell._replace(unroll=None), there, *rest)
    of_zeros = params._replace(recurrent_weights=weights)
    expected, gradient = run(blocks(truncated=truncated), of_zeros, *rest)
    assert_trees_close(results, expected, 1e-12, 1e-15)
    gradient = gradient._replace(recurrent_weights=gradient.recurrent_weights[seen])
    assert_trees_close(ours, gradient, 1e-9, 1e-13)


def test_gate_biases_stand_where_they_are_asked_for():
    biases = {"input_biases": (-1.0, -3.0), "output_biases": (-2.0, -4.0)}
    bias = memory_blocks(3, 2, 1, block_size=2, **biases).init(jax.random.key(0), uniform()).bias
    np.testing.assert_array_equal(bias[:4], [-1, -3, -2, -4])
    assert abs(bias[4:]).max() <= 1
    for arguments, sentence in (
        (biases | {"hidden_size": 3, "block_size": 2}, "must be one for each of 3"),
        ({"block_size": 1, "hidden_bias": "some"}, "unknown hidden_bias 'some': choose from all,"),
        (
            {"block_size": 1, "hidden_bias": "none", "input_biases": (-1.0,)},
            "gate biases .* need a hidden_bias: choose from all, gates",
        ),
    ):
        with pytest.raises(InputError, match=sentence):
            memory_blocks(**{"num_inputs": 3, "hidden_size": 1, "num_outputs": 1} | arguments)
