"""The notebook's nets, the fast path of ``gated``, and stacks."""

from typing import Any

import jax
import jax.numpy as jnp
import notebook_numpy as notebook
import numpy as np
import pytest
from helpers import (
    FLOAT32,
    FLOAT64,
    KINDS,
    assert_trees_close,
    first_params,
    net_of,
    of_kind,
    plain,
    random_like,
    random_params,
    random_symbols,
    random_vectors,
    results_and_gradients,
    settings_of_one,
)
from jax import lax

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.nets import CELLS, stack, unroll
from jaxrnn.nets.gated import gated
from jaxrnn.problems import Sequence
from jaxrnn.training.objectives import cross_entropy
from jaxrnn.training.runner import run_trials
from jaxrnn.training.trial import Settings, TrainState, build

# Against the notebook: its two nets, single with 20 units and stacked with 10.

LEARNING_RATE = 0.7


def one_step(cell: str, layers: int, length: int) -> tuple[list, list]:
    """jaxrnn's step, and the transcription's from the same weights: logits [T-1, O], loss, error,
    and the weights after it, of an unclipped gradient and of a clipped one.

    The clip bound is the median size of the gradient's elements, so it bites on half of them.
    """
    hidden_size = 20 if layers == 1 else 10
    sequence = notebook.gen_sequence(length - 1, is_a=length % 2 == 0)
    symbols = sequence.argmax(axis=1).astype(np.int32)
    net = net_of(cell, (length, hidden_size, length), layers)
    params = random_params(net, seed=length)
    reference = notebook.from_jaxrnn(params)
    grads = notebook.gradients(cell, reference, sequence)
    sizes = np.concatenate([abs(g).ravel() for layer in grads for g in layer.values()])
    clip = float(np.median(sizes[sizes > 0]))
    logits, _ = notebook.multi_layer_rnn(cell, reference, sequence)
    theirs = [
        logits[:-1],
        notebook.rnn_loss(sequence, logits),
        notebook.rnn_abs_error(sequence, logits),
        *(notebook.sgd_update(reference, grads, LEARNING_RATE, bound) for bound in (None, clip)),
    ]

    trial = build(
        Experiment(cell=cell, layers=layers, hidden_size=hidden_size, length=length, trials=1)
    )
    drawn = Sequence(jnp.asarray(symbols[:-1]), jnp.asarray(symbols[1:]))

    @jax.jit
    def run(params: Any, settings: Settings) -> tuple:
        _, logits = unroll(net, params, drawn.inputs)
        losses, _ = cross_entropy(logits, drawn.targets)
        opt_state = trial.init(jax.random.key(0), settings).opt_state
        state, error = trial.update(TrainState(params, opt_state), settings, drawn, np.int32(0))
        return logits, jnp.mean(losses), error, state.params

    ours, weights = [], []
    for bound in (1e30, clip):
        given = settings_of_one(Experiment(learning_rate=LEARNING_RATE, clip=bound, trials=1))
        *ours, after = run(params, given)
        weights.append(notebook.from_jaxrnn(after))
    return ours + weights, theirs


@pytest.mark.parametrize(
    ("layers", "length", "wide"),
    [
        (1, 10, True),
        (3, 5, True),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1, 10, False), (3, 20, True))),
    ],
)
@pytest.mark.parametrize("cell", notebook.BUILDERS)
def test_logits_loss_error_and_update_are_the_notebooks(cell, layers, length, wide):
    with jax.enable_x64(wide):
        assert_trees_close(*one_step(cell, layers, length), **(FLOAT64 if wide else FLOAT32))


# The fast path of gated. I, H and O differ, so that none is taken for another.

SIZES = NUM_INPUTS, HIDDEN_SIZE, NUM_OUTPUTS = 7, 6, 5
SHAPE = 9, NUM_INPUTS


# Of a cell whose update has parameters, and whose h is no leaf of its state.
MIXED = {
    "update": lambda own, state, z, n: {"c": own * z * state["c"] + (1 - z) * n, "last": n},
    "initial_state": lambda hidden_size: dict.fromkeys(("c", "last"), jnp.zeros(hidden_size)),
    "hidden": lambda state: jnp.sin(state["c"]) + state["last"],
    "own": jnp.ones,
}


def apart(own, state, x_product, h_product, b):
    (x_r, x_n), (h_r, h_n) = jnp.split(x_product + b, 2), jnp.split(h_product, 2)
    r = jax.nn.sigmoid(x_r - h_r)
    return [r, jnp.tanh(x_n + r * h_n)]


def pull_back(gates, h_product, d_gates):
    (r, n), (d_r, d_n) = jnp.split(gates, 2), jnp.split(d_gates, 2)
    d_n = d_n * (1 - n * n)
    d_r = (d_r + d_n * jnp.split(h_product, 2)[1]) * r * (1 - r)
    return jnp.concatenate([d_r, d_n]), jnp.concatenate([-d_r, d_n * r])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "equations",
    [
        {
            "gates": ("update", "candidate"),
            "activate": lambda own, state, a: [jax.nn.sigmoid(half) for half in jnp.split(a, 2)],
            "slope": lambda g: g * (1 - g),
        }
        | MIXED,
        {
            "gates": ("reset", "candidate"),
            "activate": apart,
            "adds_up": False,
            "pull_back": pull_back,
        }
        | MIXED,
        # Where x U and h W do not add up, a slope is not heeded.
        {
            "gates": ("candidate",),
            "activate": lambda own, h, x_product, h_product, b: [
                jnp.tanh(x_product + b * h_product)
            ],
            "update": lambda own, h, candidate: candidate,
            "initial_state": jnp.zeros,
            "hidden": lambda h: h,
            "adds_up": False,
            "slope": lambda candidate: 1 - candidate * candidate,
        },
    ],
    ids=["slope", "pull_back", "neither"],
)
def test_the_fast_path_of_a_cell_of_ones_own_is_the_plain_one(equations):
    cell = gated(SIZES, **equations)
    params, xs = random_params(cell), random_symbols(SHAPE)
    state = random_like(cell.initial_state(params), seed=3)
    assert_trees_close(
        results_and_gradients(cell, params, state, xs),
        results_and_gradients(plain(cell), params, state, xs),
        **FLOAT64,
    )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_on_accelerators_a_time_step_makes_one_row_and_a_loop_carries_one(cell, monkeypatch):
    carried, scan = [], lax.scan

    def recorded(step, carry, over, **options):
        carried.append(len(jax.tree.leaves(carry)))
        return scan(step, carry, over, **options)

    monkeypatch.setattr(lax, "scan", recorded)
    net = net_of(cell, SIZES)
    params = random_params(net)
    trace = results_and_gradients.trace(
        net, params, net.initial_state(params), random_symbols(SHAPE), 4
    )
    assert carried == [1, 1]  # forward and backward
    loops = [one.params["jaxpr"] for one in trace.jaxpr.eqns if one.primitive.name == "scan"]
    assert len(loops) == 2
    for loop in loops:
        rows = [one.primitive.name for one in loop.eqns]
        assert rows.count("optimization_barrier") == 1


def test_a_fast_path_of_ones_own_need_take_neither_several_steps_at_once_nor_a_mask():
    net = net_of("lstm", SIZES)
    own = net._replace(unroll=lambda params, state, xs: net.unroll(params, state, xs))
    params, xs = random_params(net), random_vectors(SHAPE)
    run = jax.jit(unroll, static_argnums=0, static_argnames="steps_at_once")
    several = run(own, params, xs, steps_at_once=4)
    assert_trees_close(several, run(net, params, xs), rtol=0, atol=0)
    mask = np.arange(len(xs)) % 3 > 0
    padded = run(own, params, np.where(mask[:, None], xs, np.nan), mask=mask)
    assert_trees_close(padded, run(net, params, xs, mask=mask), **FLOAT32)

    def wrong(*_: Any) -> Any:
        raise TypeError("no such thing")

    with pytest.raises(TypeError, match="no such thing"):  # not taken for one of JAX
        unroll(net._replace(unroll=wrong), params, xs)


# Stacks


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cell", ["lstm", "memory_blocks"])
def test_a_stack_that_passes_on_hidden_units_is_one_of_outputs_that_are_the_hidden_units(cell):
    width = HIDDEN_SIZE * KINDS[cell].get("block_size", 1)
    below, above = (of_kind(cell, (i, HIDDEN_SIZE, o)) for i, o in ((7, 0), (width, 5)))
    shown = of_kind(cell, (7, HIDDEN_SIZE, width))
    params = random_params(stack(below, above, hidden=True))
    # The same weights, and outputs that copy the hidden units.
    copying = jax.tree.map(np.zeros_like, random_params(shown))
    of_outputs = ("output_weights", "output_bias", "direct_weights")
    own = {name: value for name, value in params[0]._asdict().items() if name not in of_outputs}
    copying = copying._replace(**own, output_weights=np.eye(width))
    run, xs = jax.jit(unroll, static_argnums=0), random_vectors(SHAPE)
    expected = run(stack(shown, above), (copying, params[1]), xs)
    for form in (lambda net: net, plain):
        hidden = stack(*map(form, (below, above)), hidden=True)
        assert_trees_close(run(hidden, params, xs), expected, **FLOAT64)
    assert sum(leaf.size for leaf in jax.tree.leaves(params[0].output_weights)) == 0


def test_hidden_units_that_are_no_array_cannot_be_passed_on():
    with pytest.raises(InputError, match="this cell has none"):
        stack(CELLS["lru"](7, 6, 0), CELLS["lru"](6, 6, 5), hidden=True)
    with pytest.raises(InputError, match="stack-hidden needs a cell that has its hidden units as"):
        build(Experiment(cell="lru", layers=2, stack_hidden=True))
    with pytest.raises(InputError, match="stack-hidden needs layers of at least 2"):
        Experiment(stack_hidden=True)


def test_layers_that_pass_on_hidden_units_have_one_output_layer_and_learn():
    experiment = Experiment(
        cell="simple_rnn", length=4, hidden_size=6, layers=3, stack_hidden=True, trials=6, window=20
    )
    params = first_params(experiment)
    assert [layer.input_weights.shape for layer in params] == [(4, 6), (6, 6), (6, 6)]
    assert [layer.output_weights.shape for layer in params] == [(6, 0), (6, 0), (6, 4)]
    assert {outcome.status for outcome in run_trials(experiment, keep_params=True)} == {"solved"}
