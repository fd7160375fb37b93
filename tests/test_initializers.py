import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrnn.cells import CELLS
from jaxrnn.initializers import INITIALIZERS, notebook_xavier, xavier
from jaxrnn.unroll import stack


def assert_uniform(sample: np.ndarray, limit: float) -> None:
    """The sample can come from the uniform distribution on [-limit, limit] and from no other's.

    Bounds that a right sample breaks once in ten thousand times or less.
    """
    n = sample.size
    size = np.abs(np.asarray(sample, np.float64))
    assert size.max() <= limit * (1 + 1e-6)
    assert size.max() >= limit * (1 - 10 / n)  # missed with probability exp(-10)
    variance = limit**2 / 3
    # The mean of n squares; the variance of one is limit^4 / 5 - variance^2 = 0.8 variance^2.
    assert np.mean(size**2) == pytest.approx(variance, abs=4 * variance * np.sqrt(0.8 / n))
    assert np.mean(sample) == pytest.approx(0, abs=4 * np.sqrt(variance / n))


@pytest.mark.parametrize(("fan_in", "fan_out"), [(100, 20), (10, 200)])
@pytest.mark.parametrize(
    ("initializer", "num_gates", "ratio"),
    [(xavier, 1, 1.0), (xavier, 4, 1.0), (notebook_xavier, 1, 1.0), (notebook_xavier, 4, 0.5)],
)
def test_every_gate_is_uniform_within_its_limit(initializer, num_gates, ratio, fan_in, fan_out):
    limit = ratio * np.sqrt(6 / (fan_in + fan_out))
    weights = np.asarray(initializer.weights(jax.random.key(1), num_gates, fan_in, fan_out))
    gates = np.split(weights, num_gates, axis=1)
    assert [gate.shape for gate in gates] == [(fan_in, fan_out)] * num_gates
    for gate in gates:
        assert_uniform(gate, limit)
    assert len(np.unique(weights)) > 0.99 * weights.size  # no gate repeats another


def test_notebook_limit_is_tensorflows_for_a_stacked_tensor():
    num_gates, n, m = 4, 30, 50
    fan_in, fan_out = num_gates * n, num_gates * m
    limit = np.sqrt(3 / ((fan_in + fan_out) / 2))
    assert_uniform(np.asarray(notebook_xavier.weights(jax.random.key(2), num_gates, n, m)), limit)


# A stack of two: its first layer is a single net's, its second reads logits.
over_cells = pytest.mark.parametrize(("cell", "num_gates"), [("simple_rnn", 1), ("lstm", 4)])


@pytest.mark.parametrize("initializer", ["notebook_xavier", "xavier"])
@over_cells
def test_first_weights_have_the_limits_of_their_own_fans(cell, num_gates, initializer):
    num_inputs, hidden_size, num_outputs = 64, 24, 9
    params = stack(CELLS[cell], 2).init(
        jax.random.key(3), num_inputs, hidden_size, num_outputs, INITIALIZERS[initializer](9)
    )
    halved = num_gates == 4 and initializer == "notebook_xavier"
    for layer, fan_in in zip(params, (num_inputs, num_outputs), strict=True):
        for weights, n, m, gates in (
            (layer.input_weights, fan_in, hidden_size, num_gates),
            (layer.recurrent_weights, hidden_size, hidden_size, num_gates),
            (layer.output_weights, hidden_size, num_outputs, 1),
        ):
            assert weights.shape == (n, gates * m)
            limit = np.sqrt(6 / (n + m)) * (0.5 if halved and gates == 4 else 1.0)
            assert_uniform(np.asarray(weights), limit)


@over_cells
def test_every_bias_starts_at_zero_the_forget_bias_too(cell, num_gates):
    for layer in stack(CELLS[cell], 2).init(jax.random.key(4), 8, 5, 7, notebook_xavier):
        np.testing.assert_array_equal(layer.bias, np.zeros(num_gates * 5))
        np.testing.assert_array_equal(layer.output_bias, np.zeros(7))


@pytest.mark.parametrize("cell", CELLS)
def test_no_two_matrices_share_their_random_numbers(cell):
    size = 12  # inputs, hidden units and outputs, so that the same key would give the same numbers
    params = stack(CELLS[cell], 3).init(jax.random.key(5), size, size, size, xavier)
    weights = [np.ravel(leaf) for leaf in jax.tree.leaves(params) if jnp.ndim(leaf) == 2]
    everything = np.concatenate(weights)
    assert len(np.unique(everything)) > 0.99 * everything.size
