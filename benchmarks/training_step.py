"""What does one update of ten trials cost, and what does the formulation gain?

    python benchmarks/training_step.py [--cells lstm] [--lengths 10 100] [--every-cell-at 20]

Times, on one core, the product's engine against the obvious formulation in the same process:
``jax.jit`` of a scan over updates of a ``vmap`` of a scan whose body does every product on
one-hot inputs, gates apart. There are two of it: with the LSTM's gates in stacked arrays that the
body indexes, as the notebook has them (``U[0]``, ``U[1]``, ...), and with a matrix for each gate.
All start from the same weights, see the same sequences, and have to agree. A second table has every
cell of the package at one length.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from timing import REPEATS, Timing, chunks_of, machine, time_steps, use_one_core

from jaxrnn import CELLS, Experiment
from jaxrnn.training.engine import lanes_of
from jaxrnn.training.trial import build, trial_key

Arrays = dict[str, jax.Array]


def obvious_weights(stacked: bool, params: Any) -> Arrays:
    """The product's parameters of one trial taken apart, ``stacked`` [gates, ...] or by gate."""
    weights = {"V": params.output_weights, "c": params.output_bias}
    num_gates = params.bias.shape[0] // params.output_weights.shape[0]
    for name, side_by_side in (
        ("U", params.input_weights),
        ("W", params.recurrent_weights),
        ("b", params.bias),
    ):
        parts = jnp.split(side_by_side, num_gates, axis=-1)
        if stacked and num_gates > 1:
            weights[name] = jnp.stack(parts)
        else:
            weights |= {f"{name}{gate}": part for gate, part in enumerate(parts)}
    return weights


def obvious_step(w: Arrays, state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
    """One time step on a one-hot input, as the equations stand."""

    def net(gate: int) -> jax.Array:
        U, W, b = (w[n][gate] if n in w else w[f"{n}{gate}"] for n in "UWb")
        return x @ U + h @ W + b

    if "U" not in w and "U1" not in w:  # one product: the simple RNN
        h = state
        h = jnp.tanh(net(0))
        return h, h @ w["V"] + w["c"]
    h, c = state
    i, f, o = jax.nn.sigmoid(net(0)), jax.nn.sigmoid(net(1)), jax.nn.sigmoid(net(2))
    c = f * c + i * jnp.tanh(net(3))
    h = o * jnp.tanh(c)
    return (h, c), h @ w["V"] + w["c"]


def obvious_update(experiment: Experiment, weights: Arrays, key: jax.Array) -> Any:
    """One update of one trial on the sequence of ``key``."""
    length = experiment.length
    ends = length - 2 + jax.random.bernoulli(key).astype(jnp.int32)[None]
    symbols = jnp.concatenate([ends, jnp.arange(length - 2, dtype=jnp.int32), ends])
    x = jax.nn.one_hot(symbols, length)

    def loss_and_error(w: Arrays) -> tuple[jax.Array, jax.Array]:
        zeros = jnp.zeros(w["V"].shape[0])
        state = (zeros, zeros) if experiment.cell == "lstm" else zeros
        _, logits = jax.lax.scan(partial(obvious_step, w), state, x)
        loss = optax.softmax_cross_entropy(logits[:-1], x[1:]).mean()
        return loss, jnp.abs(jax.nn.softmax(logits[:-1]) - x[1:]).max()

    gradients, error = jax.grad(loss_and_error, has_aux=True)(weights)
    optimizer = optax.chain(optax.clip(5.0), optax.sgd(experiment.per_trial("learning_rate")[0]))
    updates, _ = optimizer.update(gradients, optimizer.init(weights))
    return optax.apply_updates(weights, updates), error


def obvious_chunk(experiment: Experiment, chunk_steps: int) -> Any:
    """The obvious formulation's ``run(state, first_step)``."""

    @partial(jax.jit, donate_argnums=0)
    def run(state: Arrays, first_step: jax.Array) -> tuple[Arrays, jax.Array]:
        keys = jax.vmap(partial(trial_key, experiment.seed))(jnp.arange(experiment.trials))

        def step(weights: Arrays, index: jax.Array) -> tuple[Arrays, jax.Array]:
            step_keys = jax.vmap(lambda key: jax.random.fold_in(key, index))(keys)
            return jax.vmap(partial(obvious_update, experiment))(weights, step_keys)

        return jax.lax.scan(step, state, first_step + jnp.arange(chunk_steps))

    return run


class Contestant(NamedTuple):
    """A formulation ready to be timed."""

    run: Any  # (state, first step) -> (state, errors)
    state: Any


def contestants(experiment: Experiment, chunk_steps: int) -> dict[str, Contestant]:
    """The formulations by name, all from the same first weights."""
    lanes = lanes_of(experiment)
    keys = jax.vmap(partial(trial_key, experiment.seed))(lanes.trial)
    params = jax.vmap(build(experiment).init)(keys, lanes.settings).params

    def obvious(stacked: bool) -> Contestant:
        weights = jax.vmap(partial(obvious_weights, stacked))(params)
        weights = jax.tree.map(jnp.copy, weights)  # each run gives its state's memory up
        return Contestant(obvious_chunk(experiment, chunk_steps), weights)

    return {
        "stacked": obvious(True),
        "apart": obvious(False),
        "jaxrnn": Contestant(*chunks_of(experiment, chunk_steps)),
    }


def check(experiment: Experiment) -> None:
    """All formulations' error traces agree over 50 steps, or this raises AssertionError.

    In float64 and with a thousandth of the learning rate: at the notebook's the simple RNN is
    chaotic, and rounding alone parts two traces within a few steps.
    """
    with jax.enable_x64(True):
        slower = dataclasses.replace(experiment, learning_rate=0.001)
        traces = {name: c.run(c.state, 0)[1] for name, c in contestants(slower, 50).items()}
        for trace in traces.values():
            np.testing.assert_allclose(trace, traces["jaxrnn"], atol=1e-6)


def measure(experiment: Experiment) -> dict[str, Timing]:
    """Time the formulations, after checking that they compute the same."""
    check(experiment)
    timings = {}
    for name in ("stacked", "apart", "jaxrnn"):
        # Each repeat is some tens of milliseconds of work.
        chunk_steps = max(20, (20_000 if name == "jaxrnn" else 4_000) // experiment.length)
        run, state = contestants(experiment, chunk_steps)[name]
        timings[name] = time_steps(run, state, chunk_steps)
    return timings


def main(
    cells: tuple[str, ...] = ("simple_rnn", "lstm"),
    lengths: tuple[int, ...] = (4, 10, 20, 50, 100),
    trials: int = 10,
    every_cell_at: int = 20,
) -> None:
    """Time one update of all trials, the obvious formulation against jaxrnn's.

    Args:
        cells: The nets, simple_rnn and lstm.
        lengths: Lengths of the sequences.
        trials: Trials trained together.
        every_cell_at: Length of the sequences in the table of every cell.
    """
    use_one_core()
    print(f"Microseconds for one update of {trials} trials, least (median) of {REPEATS};")
    print("stacked and apart: the obvious formulation with stacked and with separate gates.\n")
    print("| net | T | stacked | apart | jaxrnn | stacked / jaxrnn | apart / jaxrnn | first call |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for cell in cells:
        for length in lengths:
            timings = measure(Experiment(cell=cell, length=length, trials=trials))
            ours = timings["jaxrnn"]
            columns = [f"{t.least:,.1f} ({t.median:,.1f})" for t in timings.values()]
            columns += [f"{timings[name].least / ours.least:.1f}" for name in ("stacked", "apart")]
            columns += [f"{ours.first_seconds:.1f} s"]
            print(f"| {cell} | {length} | {' | '.join(columns)} |", flush=True)
    print("\n| net | T | jaxrnn | first call |\n|---|--:|--:|--:|")
    for cell in CELLS:
        options = {"block_size": 2} if cell == "memory_blocks" else {}
        net: dict[str, Any] = {"cell": cell, "cell_options": options}
        experiment = Experiment(**net, length=every_cell_at, trials=trials)
        chunk_steps = max(20, 20_000 // every_cell_at)
        least, median, first = time_steps(*chunks_of(experiment, chunk_steps), chunk_steps)
        print(f"| {cell} | {every_cell_at} | {least:,.1f} ({median:,.1f}) | {first:.1f} s |")
    print(f"\n{machine()}")


if __name__ == "__main__":
    tyro.cli(main)
