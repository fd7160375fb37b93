"""What does a gradient cost where all sequences of a batch share their weights?

    pip install -e '.[bench]'
    python benchmarks/shared_weights.py [--cells lstm gru] [--hidden-sizes 16 64] [--one-core]

This is what whoever imports a cell trains: ``jax.vmap`` of ``unroll`` over a batch, with one set
of weights. Beside it stand a plain scan of the cell's step, Flax's ``nnx.RNN`` and PyTorch's nets,
each with a linear layer on top, XLA and PyTorch with their own options. All compute the gradient of
the mean squared output, by all weights. They take turns, and the least of ten repeats counts.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import torch
import tyro
from flax import nnx
from timing import machine, use_one_core

from jaxrnn import CELLS, unroll, xavier

REPEATS = 10
INPUTS, OUTPUTS = 8, 4

Call = Callable[[], Any]
Ints = Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]")]


def ours(name: str, hidden_size: int, xs: jax.Array, plain: bool = False) -> tuple[Call, int]:
    """The gradient by jaxrnn's cell, and the bytes that the program takes beside its arguments."""
    cell = CELLS[name](INPUTS, hidden_size, OUTPUTS)
    params = cell.init(jax.random.key(0), xavier())

    def one(params: Any, xs: jax.Array) -> jax.Array:
        if plain:
            return jax.lax.scan(partial(cell.step, params), cell.initial_state(params), xs)[1]
        return unroll(cell, params, xs)[1]

    def loss(params: Any, xs: jax.Array) -> jax.Array:
        return jnp.mean(jax.vmap(one, (None, 0))(params, xs) ** 2)

    return compiled(jax.grad(loss), params, xs)


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Call, int]:
    """The call of a program, and its temporary memory."""
    program = jax.jit(function).lower(*arguments).compile()
    memory: Any = program.memory_analysis()
    return lambda: jax.block_until_ready(program(*arguments)), memory.temp_size_in_bytes


def flaxs(name: str, hidden_size: int, xs: jax.Array) -> tuple[Call, int]:
    """The same by nnx.RNN."""
    kind = {"lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}[name]

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.rnn = nnx.RNN(kind(INPUTS, hidden_size, rngs=rngs))
            self.readout = nnx.Linear(hidden_size, OUTPUTS, rngs=rngs)

        def __call__(self, xs: jax.Array) -> jax.Array:
            zeros = jnp.zeros((len(xs), hidden_size))
            first = (zeros, zeros) if name == "lstm" else zeros  # else it takes a random key
            return self.readout(self.rnn(xs, initial_carry=first))

    split: Any = nnx.split(Net(nnx.Rngs(0)), nnx.Param, ...)
    graph, params, rest = split

    def loss(params: Any, xs: jax.Array) -> jax.Array:
        return jnp.mean(nnx.merge(graph, params, rest)(xs) ** 2)

    return compiled(jax.grad(loss), params, xs)


def torchs(name: str, hidden_size: int, xs: jax.Array) -> tuple[Call, None]:
    """The same by torch.nn."""
    net = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name](INPUTS, hidden_size, batch_first=True)
    readout, batch = torch.nn.Linear(hidden_size, OUTPUTS), torch.tensor(np.array(xs))
    weights = [*net.parameters(), *readout.parameters()]

    def run() -> Any:
        ys = readout(net(batch)[0])
        return torch.autograd.grad((ys**2).mean(), weights)

    return run, None


CONTENDERS: dict[str, Callable[..., tuple[Call, int | None]]] = {
    "jaxrnn": ours,
    "plain scan": partial(ours, plain=True),
    "nnx.RNN": flaxs,
    "torch.nn": torchs,
}


def milliseconds(calls: dict[str, Call]) -> dict[str, list[float]]:
    """Each repeat of each call, in turn; a call before each, which fills the caches, does not
    count."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPEATS):
        for name, call in calls.items():
            call()
            start = time.perf_counter()
            call()
            samples[name].append(1e3 * (time.perf_counter() - start))
    return samples


def main(
    cells: tuple[str, ...] = ("lstm", "gru"),
    hidden_sizes: Ints = (16, 64, 128, 256),
    batch_sizes: Ints = (32, 128),
    length: int = 100,
    one_core: bool = False,
) -> None:
    """Print a table: nets by contenders, milliseconds, and ours as a multiple of the best one's."""
    if one_core:
        use_one_core()
        torch.set_num_threads(1)
    names = " | ".join(CONTENDERS)
    print(f"| cell | H | B | {names} | jaxrnn to the best in JAX | to torch | memory |")
    print(f"|---|--:|--:|{'--:|' * len(CONTENDERS)}--:|--:|--:|")
    for cell in cells:
        for hidden_size in hidden_sizes:
            for size in batch_sizes:
                xs = jax.random.normal(jax.random.key(1), (size, length, INPUTS))
                made = {name: make(cell, hidden_size, xs) for name, make in CONTENDERS.items()}
                samples = milliseconds({name: call for name, (call, _) in made.items()})
                least = {name: min(times) for name, times in samples.items()}
                shown = (f"{least[k]:.2f} ({statistics.median(v):.2f})" for k, v in samples.items())
                rivals = "plain scan", "nnx.RNN"
                ratio = least["jaxrnn"] / min(least[name] for name in rivals)
                memory = made["jaxrnn"][1] / min(made[name][1] or 1 for name in rivals)  # type: ignore[operator]
                print(
                    f"| {cell} | {hidden_size} | {size} | {' | '.join(shown)} | {ratio:.2f} | "
                    f"{least['jaxrnn'] / least['torch.nn']:.2f} | {memory:.2f} |",
                    flush=True,
                )
    print(f"\nMilliseconds for one gradient, least (median) of {REPEATS}, T = {length}.")
    print(f"{machine()}; flax {flax.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    tyro.cli(main)
