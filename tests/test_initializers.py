import subprocess
import sys
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import GATED, net_of
from scipy.stats import kstest

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.nets import INITIALIZERS, Cell
from jaxrnn.nets.initializers import Initializer, chrono, orthogonal, xavier
from jaxrnn.training.trial import build, settings_of, trial_key


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


@pytest.mark.parametrize("initializer", ["notebook_xavier", "xavier"])
@pytest.mark.parametrize(("cell", "num_gates"), [("simple_rnn", 1), ("lstm", 4)])
def test_every_gate_is_uniform_within_the_limit_of_its_own_fans(cell, num_gates, initializer):
    """The notebook's limit is that of TensorFlow for a stacked tensor, 4 n by 4 m."""
    num_inputs, hidden_size, num_outputs = 64, 24, 9
    # A stack of two: its first layer is a single net's, its second reads logits.
    net = net_of(cell, (num_inputs, hidden_size, num_outputs), layers=2)
    params = net.init(jax.random.key(3), INITIALIZERS[initializer](9))
    for layer, fan_in in zip(params, (num_inputs, num_outputs), strict=True):
        for weights, n, m, gates in (
            (layer.input_weights, fan_in, hidden_size, num_gates),
            (layer.recurrent_weights, hidden_size, hidden_size, num_gates),
            (layer.output_weights, hidden_size, num_outputs, 1),
        ):
            assert weights.shape == (n, gates * m)
            limit = np.sqrt(6 / (n + m)) / (np.sqrt(gates) if initializer != "xavier" else 1)
            for gate in np.split(np.asarray(weights), gates, axis=1):
                assert_uniform(gate, limit)
            assert len(np.unique(weights)) > 0.99 * weights.size  # no gate repeats another


# Those whose papers leave the first weights open.
OF_GATES = [*(cell for cell in GATED if cell != "irnn"), "mgu"]
FEW = ("simple_rnn", "lstm", "lstm_layer_norm", "gru")
over_gated = pytest.mark.parametrize(
    "cell", [pytest.param(one, marks=[pytest.mark.slow] * (one not in FEW)) for one in OF_GATES]
)


@over_gated
def test_no_two_matrices_share_their_random_numbers(cell):
    size = 12  # inputs, hidden units and outputs, so that the same key would give the same numbers
    params = net_of(cell, (size, size, size), layers=3).init(jax.random.key(5), xavier())
    weights = [np.ravel(leaf) for leaf in jax.tree.leaves(params) if jnp.ndim(leaf) == 2]
    everything = np.concatenate(weights)
    assert len(np.unique(everything)) > 0.99 * everything.size


# The other initializers.


def first_params(*experiments: Experiment) -> list[Any]:
    """Every trial's first weights, of experiments that differ in per-trial settings alone."""
    first = experiments[0]
    keys = jax.vmap(lambda trial: trial_key(first.seed, trial))(np.arange(first.trials))
    init = jax.jit(jax.vmap(build(first).init))  # one program for all
    return [jax.device_get(init(keys, settings_of(one)).params) for one in experiments]


def init(net: Cell, initializer: Initializer, seed: int) -> Any:
    """The first weights of one net, as one program."""
    return jax.jit(lambda key: net.init(key, initializer))(jax.random.key(seed))


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm"])
def test_each_gates_recurrent_matrix_is_orthogonal_and_its_own(cell):
    num_inputs, hidden_size, num_outputs = 64, 24, 9
    net = net_of(cell, (num_inputs, hidden_size, num_outputs))
    params = init(net, orthogonal(), seed=6)
    gates = np.split(np.asarray(params.recurrent_weights, np.float64), len(net.gates), axis=1)
    for k, gate in enumerate(gates):
        np.testing.assert_allclose(gate.T @ gate, np.eye(hidden_size), atol=1e-5)
        # The inner product of independent ones has standard deviation 1, of a repeated one it is H.
        for other in gates[:k]:
            assert abs(np.sum(gate * other)) < 5
        # Haar's distribution, which a QR decomposition alone does not give: the mean is 0.
        assert abs(gate.mean()) < 5 / hidden_size**1.5
    assert_uniform(np.asarray(params.input_weights), np.sqrt(6 / (num_inputs + hidden_size)))
    assert_uniform(np.asarray(params.output_weights), np.sqrt(6 / (hidden_size + num_outputs)))


def gates_of(cell: str) -> tuple[str, ...]:
    return net_of(cell, (1, 1, 1)).gates


def by_gate(cell: str, bias: np.ndarray) -> dict[str, np.ndarray]:
    names = gates_of(cell)
    return dict(zip(names, np.split(bias, len(names), axis=-1), strict=True))


def assert_chrono(forget: np.ndarray, num_steps: int) -> None:
    """exp of the biases can be uniform on [1, num_steps - 1] and on no other interval.

    Bounds that a right sample breaks once in ten thousand times or less.
    """
    longest = num_steps - 1
    u = np.exp(np.float64(forget))
    assert u.min() >= 1 - 1e-6
    assert u.max() <= longest * (1 + 1e-6)
    width, tail = longest - 1, 10 / u.size  # the tail is missed with probability exp(-10)
    assert u.min() <= 1 + tail * width
    assert u.max() >= longest - tail * width
    # Of the Kolmogorov-Smirnov distance by Dvoretzky, Kiefer, Wolfowitz and Massart.
    bound = np.sqrt(np.log(2 / 1e-4) / (2 * u.size))
    assert kstest(u, "uniform", args=(1, width)).statistic < bound


@pytest.mark.parametrize("num_steps", [4, 20, 1000])
def test_chrono_biases_are_logarithms_of_uniform_times(num_steps):
    gates = ("input", "forget", "output", "candidate")
    biases = np.split(np.asarray(chrono(num_steps).biases(jax.random.key(7), gates, 3000)), 4)
    assert_chrono(biases[1], num_steps)
    np.testing.assert_array_equal(biases[0], -biases[1])
    assert not np.any(biases[2:])
    # A sequence of two steps is too short to forget.
    assert not np.any(chrono(2).biases(jax.random.key(7), gates, 9))


@over_gated
def test_chrono_biases_lie_in_the_forget_and_the_input_gate_of_every_cell(cell):
    params = init(net_of(cell, (3, 400, 3), layers=2), INITIALIZERS["chrono"](10), seed=8)
    drawn = []
    for layer in params:
        biases = by_gate(cell, np.asarray(layer.bias))
        forget = biases.pop("forget", biases.pop("update", None))  # the latter is the GRU's
        into = biases.pop("input", None)
        if forget is not None:
            assert_chrono(forget, 10)
            drawn.append(forget)
        if into is not None:
            assert_chrono(-into, 10)
        if forget is not None and into is not None:
            np.testing.assert_array_equal(into, -forget)
        assert not np.any([*biases.values()])
        assert not np.any(layer.output_bias)
    assert len(np.unique(drawn)) >= 0.99 * np.size(drawn)  # each layer draws its own


def test_chrono_in_a_trial_knows_the_number_of_steps_of_the_task():
    # Length 6 has 5 steps, so the times lie in [1, 4].
    (params,) = first_params(
        Experiment(length=6, hidden_size=200, initializer="chrono", initial_scale=0.5, trials=4)
    )
    biases = by_gate("lstm", params.bias)
    for forget in biases["forget"]:
        assert_chrono(forget, 5)
    assert len(np.unique(biases["forget"])) > 0.99 * biases["forget"].size  # trials differ


# Constant biases and the scale, each trial's own.


@pytest.mark.parametrize("initializer", ["notebook_xavier", "chrono"])
@over_gated
def test_each_trial_has_its_own_scale_and_its_biases_in_the_gates_of_that_name(cell, initializer):
    hidden_size, scales = 5, (0.5, 1.0, 4.0)
    setting = {gate: f"{gate}_bias" for gate in gates_of(cell)} | {"update": "forget_bias"}
    constants = {
        "input_bias": (-2.0, 0.5, 0.0),
        "forget_bias": (1.0, -3.0, 4.0),
        "output_bias": (0.25, 7.0, -5.0),
    }
    has = {setting[gate] for gate in gates_of(cell)}
    constants = {name: values for name, values in constants.items() if name in has}
    usual = Experiment(
        cell=cell, length=6, hidden_size=hidden_size, layers=2, initializer=initializer, trials=3
    )
    varied = replace(usual, initial_scale=scales, **constants)
    for layer, as_usual in zip(*first_params(varied, usual), strict=True):
        before = by_gate(cell, as_usual.bias)
        for gate, bias in by_gate(cell, layer.bias).items():
            added = np.repeat(np.float32(constants.get(setting[gate], (0.0,) * 3)), hidden_size)
            np.testing.assert_array_equal(bias, before[gate] + added.reshape(3, hidden_size))
            if initializer == "notebook_xavier":
                np.testing.assert_array_equal(before[gate], np.zeros((3, hidden_size)))
        for name in ("input_weights", "recurrent_weights", "output_weights"):
            weights = getattr(as_usual, name)
            assert np.ptp(weights[:, 0, 0]) > 0  # the trials differ without the scale, too
            scaled = np.float32(scales)[:, None, None] * weights
            np.testing.assert_allclose(getattr(layer, name), scaled, rtol=1e-6)
        np.testing.assert_array_equal(layer.output_bias, np.zeros_like(as_usual.output_bias))
        # What a cell has besides is neither scaled nor shifted.
        jax.tree.map(np.testing.assert_array_equal, layer.own, as_usual.own)


@pytest.mark.parametrize(
    ("cell", "gate", "has"),
    [
        ("lstm_coupled", "input", "forget, output, candidate"),
        ("gru", "output", "reset, update, candidate"),
    ],
)
def test_bias_of_a_gate_that_the_cell_lacks_is_refused_in_one_sentence(cell, gate, has):
    experiment = Experiment(cell=cell, trials=3)
    for bias, named in ((1.0, 1.0), ((0.0, -2.0, 0.5), -2.0)):
        with pytest.raises(InputError) as refusal:
            build(replace(experiment, **{f"{gate}_bias": bias}))
        sentence = f"{gate}-bias {named} needs a cell with that gate: {cell} has {has}"
        assert str(refusal.value) == sentence
    build(replace(experiment, **{f"{gate}_bias": (0.0, 0.0, 0.0)}))  # no bias needs no gate


def test_a_gate_whose_bias_is_drawn_by_its_name_can_have_a_first_bias(tmp_path):
    """Cell.gates only names gates for those who look at them."""
    own = tmp_path / "own.py"
    own.write_text(
        "from jaxrnn import gru\ndef nameless(i, h, o):\n    return gru(i, h, o)._replace(gates=())"
    )
    experiment = Experiment(cell=f"{own}:nameless", forget_bias=1.0, trials=1)
    build(experiment)
    with pytest.raises(InputError, match=r"output-bias 1\.0 needs a cell with that gate: .* none"):
        build(replace(experiment, output_bias=1.0))


@pytest.mark.parametrize("num_steps", [9, 999])
def test_long_memory_keeps_nine_tenths_to_the_end_of_any_sequence(num_steps):
    initializer = INITIALIZERS["long_memory"](num_steps)
    gates = ("input", "forget", "output", "candidate")
    biases = np.asarray(initializer.biases(jax.random.key(0), gates, 3)).reshape(4, 3)
    into, forget, out, candidate = (1 / (1 + np.exp(-biases.astype(np.float64)))).mean(axis=1)
    assert forget**num_steps == pytest.approx(np.exp(-0.1), rel=1e-2)
    assert (into, out) == (pytest.approx(0.119, abs=1e-3), pytest.approx(0.881, abs=1e-3))
    assert candidate == 0.5
    of_gru = initializer.biases(jax.random.key(0), ("reset", "update", "candidate"), 3)
    np.testing.assert_array_equal(of_gru, [0] * 3 + list(biases[1]) + [0] * 3)


@pytest.mark.parametrize("fans", [(40, 24), (3, 300)])
def test_uniform_has_a_limit_of_1_whatever_the_fans_and_long_memory_is_recurrent_by_it(fans):
    for draw in (INITIALIZERS["uniform"](9).weights, INITIALIZERS["long_memory"](9).recurrent):
        assert_uniform(np.asarray(draw(jax.random.key(1), 1, *fans)), 1)


@pytest.mark.integration
@pytest.mark.parametrize("net", ["initializer='orthogonal'", "cell='sco_rnn'"])
def test_many_orthogonal_nets_on_several_devices_do_not_wait_for_each_other(net):
    program = "from jaxrnn import *; print(len(run_trials(Experiment(length=4, trials=30, "
    program += f"{net}, window=20, max_steps=20))))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == "30"
