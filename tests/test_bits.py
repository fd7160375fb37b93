"""What the documentation promises: a trial computes the same to the bit, whatever the lanes, the
length of the chunks and the number of devices. It is XLA that breaks it, so every cell is tried,
and every way to update; a few of them here, all by name."""

import itertools
from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import WINDOW

from jaxrnn import CELLS, SUITES, Experiment
from jaxrnn.nets import chunks
from jaxrnn.problems import PAPER
from jaxrnn.training.compiling import CPU_OPTIONS
from jaxrnn.training.engine import lanes_of, make_program
from jaxrnn.training.lanes import round_up
from jaxrnn.training.objectives import cross_entropy
from jaxrnn.training.optimizers import clipped_sgd
from jaxrnn.training.trial import build

pytestmark = pytest.mark.usefixtures("as_users_have_it")

LENGTHS, LANES = (4, 5, 10, 20, 50, 100), (1, 2, 3, 5, 8, 10, 32)
CHUNKS, DEVICES = (1, 2, 7, 40), (1, 2)
STEPS = 40  # what rounds in other ways shows after 1 to 26 updates
SETTINGS = {
    "memory_blocks": {"cell_options": {"block_size": 2}},
    # Else its sums make all errors 1 at T = 50.
    "one_cell": {"initial_scale": 0.1, "learning_rate": 0.01},
    "irnn": {"learning_rate": 0.01},  # else it overflows
    "ind_rnn": {"learning_rate": 0.01},  # else it overflows
}


def experiment_of(cell, length):
    # A power of two would hide whether an update is rounded before it is added to a weight.
    settings = {"learning_rate": 0.3, **SETTINGS.get(cell, {})}
    return Experiment(cell=cell, length=length, trials=32, **settings)


def errors_of(experiment, lanes, chunk, devices):
    """The errors of each of the trials that ride, [STEPS, N]; as a run does, of no fewer lanes than
    the devices are given at least."""
    width, trial = round_up(lanes, devices), build(experiment)
    program = make_program(trial, chunk, jax.devices()[:devices])
    batch = lanes_of(experiment, np.arange(width) % experiment.trials)
    state, errors = program.first_state(trial.init, batch), []
    for start in range(0, STEPS, chunk):
        at = batch._replace(update=np.full(width, start, np.int32))
        state, some = program.chunk(state, at)
        errors.append(np.asarray(some))
    return np.concatenate(errors)[:STEPS]


def assert_same(experiment, ways):
    """The first of the ways is what the others are compared with."""
    expected = errors_of(experiment, *ways[0])
    assert np.ptp(expected[-1]) > 0  # the trials differ
    for way in ways[1:]:
        errors = errors_of(experiment, *way)
        shared = min(errors.shape[1], expected.shape[1])
        np.testing.assert_array_equal(errors[:, :shared], expected[:, :shared], err_msg=f"{way}")


TEN = (10, STEPS, 1)

BASE = replace(experiment_of("lstm", 5), hidden_size=7, clip=0.3)
UPDATES = {
    **{
        f"{optimizer}-{clipping}": {
            "optimizer": optimizer,
            "clipping": clipping,
            "learning_rate": 0.3 if optimizer == "clipped_sgd" else 0.01,
        }
        for optimizer in ("clipped_sgd", "clipped_adam")
        for clipping in ("element", "norm", "none")
    },
    "nesterov": {
        "optimizer_options": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.03},
        "learning_rate": 0.03,
    },
    "rmsprop": {
        "optimizer": "clipped_rmsprop",
        "optimizer_options": {"decay": 0.7, "eps_in_sqrt": False, "momentum": 0.3},
        "learning_rate": 0.01,
    },
    "adamw": {
        "optimizer": "clipped_adamw",
        "optimizer_options": {"b1": 0.7, "weight_decay": 0.03},
        "learning_rate": 0.01,
    },
    "steps": {"schedule": "steps", "schedule_options": {"every": 9, "factor": 0.7}, "warmup": 3},
    "bounded": {"cell": "ind_rnn", "cell_options": {"recurrent_bound": 0.7}},
    "two layers": {"cell": "hooks.py:hooked", "layers": 2},
    "lstm in batches": {"batch_size": 8},
    "gru in batches": {"cell": "gru", "batch_size": 8},
}
HOOKS = """
import jax, jax.numpy as jnp
from jaxrnn import lstm
def hooked(num_inputs, hidden_size, num_outputs):
    def factors(params):
        return jax.tree.map(lambda leaf: 0.3, params)._replace(bias=params.bias * 0 + 0.7)
    def projected(params):
        return params._replace(recurrent_weights=jnp.clip(params.recurrent_weights, -0.3, 0.3))
    cell = lstm(num_inputs, hidden_size, num_outputs)
    return cell._replace(rate_factors=factors, project=projected)
"""
OF_1997 = [name for name, suite in SUITES.items() if suite.source is PAPER and "best" not in name]


def in_chunks(cell, length):
    """Ways for a cell whose memory takes chunks of steps."""
    steps = chunks.STEPS // (2 if cell == "delta_product" else 1)
    num_chunks = -(-(length - 1) // steps)  # XLA may do otherwise if there are as many lanes
    return [TEN, (1, 7, 1), (3, 40, 2), (8, 2, 1), (32, 40, 2), (num_chunks, STEPS, 1)]


def many_ways(cell, length):
    """Four or five ways for a cell at a length: each cell has every pair of lanes and chunk at some
    length, at each length some cell has it, and every way is some cell's at some length."""
    shift = list(CELLS).index(cell)
    return [
        (lanes, chunk, DEVICES[(k + k // 4 + shift // 2) % 2])
        for k, (lanes, chunk) in enumerate(itertools.product(LANES, CHUNKS))
        if (k + shift) % len(LENGTHS) == LENGTHS.index(length)
    ]


# XLA divides in other ways on several devices than on one, and with jax 0.12.0.1 rounds a product
# before it adds it, or not, as 8 or more lanes have it on an axis of 4. On axes of two, of the
# cells of a block, it does so as 4, 8 or more lanes have it.
CASES = {
    **{
        name: (replace(BASE, **settings), [TEN, (32, 7, 2), (8, STEPS, 1), (3, 1, 1)])
        for name, settings in UPDATES.items()
    },
    "vectors in chunks of one update": (WINDOW, [TEN, (5, 1, 1), (3, 1, 2)]),
    **{
        name: (
            SUITES[name].at(trials=32),
            [(3, STEPS, 1), (16, STEPS, 2), (4, STEPS, 1), (16, 7, 1), (32, STEPS, 1)],
        )
        for name in OF_1997
    },
    **{
        f"{cell}-{length} in chunks": (
            replace(experiment_of(cell, length), hidden_size=chunks.FROM),
            in_chunks(cell, length),
        )
        for cell in ("mlstm", "delta_net", "gated_delta_net", "delta_product")
        for length in (4, 20, 50)
    },
    **{
        f"{cell}-{length}": (experiment_of(cell, length), [TEN, *many_ways(cell, length)])
        for cell in CELLS
        for length in LENGTHS
    },
}


@pytest.mark.parametrize("name", ["clipped_sgd-norm", "clipped_adam-element"])
def test_a_trial_computes_the_same_in_two_ways_to_ride(name):
    experiment, ways = CASES[name]
    assert_same(replace(experiment, cell="simple_rnn"), ways[:2])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_trial_computes_the_same_in_any_way_to_ride(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hooks.py").write_text(HOOKS)
    assert_same(*CASES[name])


def test_the_loss_rounds_alike_in_any_batch():
    """XLA's own exp does not: jax 0.12.0.1 computes 4 columns in vectors where the rows are a
    multiple of 8, and then adds products after rounding them."""
    steps, rng = 500, np.random.default_rng(0)
    logits = rng.normal(size=(32, steps, 3, 4)).astype(np.float32)
    targets = rng.integers(0, 4, size=(32, steps, 3)).astype(np.int32)

    def gradients(logits, targets):
        def loss(logits):
            losses, errors = cross_entropy(logits, targets)
            return losses.mean(), errors.max()

        return jax.grad(loss, has_aux=True)(logits)

    def all_steps(logits, targets):  # in a loop, as in a chunk
        def one(carry, at):
            return carry, jax.vmap(gradients)(*at)

        return jax.lax.scan(one, 0, (logits, targets))[1]

    for lanes in (8, 16, 32):
        ten, many = (
            jax.jit(all_steps, compiler_options=CPU_OPTIONS)(
                *(array[:num].swapaxes(0, 1) for array in (logits, targets))
            )
            for num in (10, lanes)
        )
        shared = min(lanes, 10)
        for one, other in zip(ten, many, strict=True):
            np.testing.assert_array_equal(one[:, :shared], other[:, :shared])


def test_the_bound_of_the_norm_rounds_alike_for_few_numbers():
    """XLA adds 5 to 8 squares in vectors if there are 4, 8 or 16 lanes (jax 0.10.2)."""
    optimizer = clipped_sgd(1.0, 0.3, "norm")

    def update(gradient):
        return optimizer.update(gradient, optimizer.init(gradient))[0]

    for number in (4, 5, 7, 8):
        gradients = np.random.default_rng(0).normal(size=(96, number)).astype(np.float32)
        program = jax.jit(jax.vmap(update), compiler_options=CPU_OPTIONS)
        of_three, of_four, of_all = (
            np.concatenate([program(some) for some in np.split(gradients, 96 // lanes)])
            for lanes in (3, 4, 32)
        )
        np.testing.assert_array_equal(of_four, of_three)
        np.testing.assert_array_equal(of_all, of_three)
