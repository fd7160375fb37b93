"""What does an update of ten trials by batches cost, here and by Flax and optax?

    pip install -e '.[bench]'
    python benchmarks/batch_updates.py [--cells lstm gru] [--hidden-sizes 16 64] [--one-core]

Both train ten independent trials on the adding problem, each with weights of its own, drawn
sequences, Adam and a bound on the norm of the gradient. Here it is the engine's chunk; there it is
one program, too: a ``lax.scan`` over updates of a ``jax.vmap`` over trials of ``nnx.RNN``, with
XLA's own options. They take turns, and the least of ten repeats counts.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx
from timing import chunks_of, machine, use_one_core

from jaxrnn import Experiment
from jaxrnn.problems import Sequence, task_of
from jaxrnn.training.trial import trial_key

REPEATS = 10
CELLS = {"lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}

Chunk = Callable[[Any, int], tuple[Any, jax.Array]]
Ints = Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]")]


def flaxs(experiment: Experiment, updates: int) -> tuple[Chunk, Any]:
    """A chunk by Flax and optax, and its first state."""
    task, size = task_of(experiment), experiment.hidden_size

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.rnn = nnx.RNN(CELLS[experiment.cell](task.num_inputs, size, rngs=rngs))
            self.readout = nnx.Linear(size, task.num_outputs, rngs=rngs)

        def __call__(self, xs: jax.Array) -> jax.Array:
            zeros = jnp.zeros((len(xs), size))
            first = (zeros, zeros) if experiment.cell == "lstm" else zeros
            return self.readout(self.rnn(xs, initial_carry=first))

    split: Any = nnx.split(Net(nnx.Rngs(0)), nnx.Param, ...)
    graph, _, rest = split
    optimizer = optax.chain(
        optax.clip_by_global_norm(float(experiment.per_trial("clip")[0])),
        optax.adam(float(experiment.per_trial("learning_rate")[0])),
    )
    nets = (nnx.split(Net(nnx.Rngs(k)), nnx.Param, ...)[1] for k in range(experiment.trials))
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    keys = jax.vmap(trial_key, (None, 0))(experiment.seed, np.arange(experiment.trials))

    def update(state: Any, key: jax.Array, number: jax.Array) -> tuple[Any, jax.Array]:
        numbers = number * experiment.batch_size + jnp.arange(experiment.batch_size)
        drawn: Sequence = jax.vmap(lambda one: task.draw(jax.random.fold_in(key, one)))(numbers)

        def loss(params: Any) -> tuple[jax.Array, jax.Array]:
            outputs = nnx.merge(graph, params, rest)(drawn.inputs)
            counts = jnp.expand_dims(jnp.asarray(drawn.mask), -1)
            errors = jnp.where(counts, drawn.targets - outputs, 0)
            return 0.5 * jnp.mean(jnp.sum(errors**2, (1, 2))), jnp.max(jnp.abs(errors), (1, 2))

        params, opt_state = state
        gradients, errors = jax.grad(loss, has_aux=True)(params)
        changes, opt_state = optimizer.update(gradients, opt_state, params)
        return (optax.apply_updates(params, changes), opt_state), errors

    @jax.jit
    def run(state: Any, first: int) -> tuple[Any, jax.Array]:
        def one(state: Any, number: jax.Array) -> tuple[Any, jax.Array]:
            return jax.vmap(update, (0, 0, None))(state, keys, number)

        return jax.lax.scan(one, state, first + jnp.arange(updates))

    return run, (params, jax.vmap(optimizer.init)(params))


def milliseconds(chunks: dict[str, tuple[Chunk, Any]], updates: int) -> dict[str, list[float]]:
    """For one update of all trials, each repeat of each, in turn; a first chunk does not count."""
    for name, (run, state) in chunks.items():
        chunks[name] = run, jax.block_until_ready(run(state, 0)[0])
    samples: dict[str, list[float]] = {name: [] for name in chunks}
    for repeat in range(REPEATS):
        for name, (run, state) in chunks.items():
            start = time.perf_counter()
            state, _ = jax.block_until_ready(run(state, (repeat + 1) * updates))
            samples[name].append(1e3 * (time.perf_counter() - start) / updates)
            chunks[name] = run, state
    return samples


def main(
    cells: tuple[str, ...] = ("lstm", "gru"),
    hidden_sizes: Ints = (16, 64, 128, 256),
    batch_sizes: Ints = (32,),
    length: int = 100,
    trials: int = 10,
    one_core: bool = False,
) -> None:
    """Print a table: nets by both, milliseconds, and ours as a multiple of Flax's."""
    if one_core:
        use_one_core()
    print("| cell | H | B | jaxrnn | flax and optax | ratio |\n|---|--:|--:|--:|--:|--:|")
    for cell in cells:
        for hidden_size in hidden_sizes:
            for size in batch_sizes:
                experiment = Experiment(
                    cell=cell,
                    task="adding",
                    length=length,
                    hidden_size=hidden_size,
                    batch_size=size,
                    optimizer="clipped_adam",
                    clipping="norm",
                    clip=1.0,
                    learning_rate=0.001,
                    trials=trials,
                )
                updates = 4 if hidden_size < 100 else 1
                devices = jax.devices()
                chunks = {
                    "jaxrnn": chunks_of(experiment, updates, devices),
                    "flax": flaxs(experiment, updates),
                }
                samples = milliseconds(chunks, updates)
                least = {name: min(times) for name, times in samples.items()}
                shown = (f"{least[k]:.1f} ({statistics.median(v):.1f})" for k, v in samples.items())
                ratio = least["jaxrnn"] / least["flax"]
                row = f"| {cell} | {hidden_size} | {size} | {' | '.join(shown)} | {ratio:.2f} |"
                print(row, flush=True)
    print(f"\nMilliseconds for one update of {trials} trials, least (median) of {REPEATS}, ")
    print(f"T = {length}. {machine()}; flax {flax.__version__}")


if __name__ == "__main__":
    tyro.cli(main)
