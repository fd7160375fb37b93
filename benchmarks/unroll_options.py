"""What do a mask, episodes and hidden states cost whoever imports a cell?

    pip install -e '.[bench]'
    python benchmarks/unroll_options.py [--cells lstm gru] [--hidden-size 64]

The gradient of the mean squared output of a batch that shares its weights, by ``jax.vmap`` of
``unroll``: as it is, with ``mask``, with ``reset`` and with ``states``. Beside each stands
``lax.scan`` of the cell's step, written out with the same ``where``. All take turns, and the least
of ten repeats counts. XLA has its own options.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from timing import machine

from jaxrnn import CELLS, Cell, unroll, xavier

REPEATS = 10
INPUTS, OUTPUTS = 8, 4
WAYS = ("as it is", "mask", "reset", "states")


def scanned(cell: Cell, params: Any, xs: Any, mask: Any, reset: Any, states: bool) -> jax.Array:
    """``unroll``'s outputs by a scan of the step."""
    net, first = cell.hidden if states and cell.hidden else cell, cell.initial_state(params)

    def step(state: Any, at: Any) -> tuple[Any, jax.Array]:
        x, counts, begins = at
        if begins is not None:
            state = jax.tree.map(partial(jnp.where, begins), first, state)
        after, y = net.step(params, state, x)
        if counts is not None:
            after = jax.tree.map(partial(jnp.where, counts), after, state)
            y = jnp.where(counts, y, 0.0)
        return after, y

    return jax.lax.scan(step, first, (xs, mask, reset))[1]


def unrolled(cell: Cell, params: Any, xs: Any, mask: Any, reset: Any, states: bool) -> jax.Array:
    """``unroll``'s outputs."""
    return unroll(cell, params, xs, mask=mask, reset=reset, states=states)[1]


def gradient(cell: Cell, run: Callable[..., jax.Array], way: str, xs: jax.Array) -> Any:
    """A call that computes the gradient by all weights."""
    params = cell.init(jax.random.key(0), xavier())
    marks = jax.random.bernoulli(jax.random.key(2), 0.9, xs.shape[:2])
    mask, reset = (marks if way == "mask" else None), (~marks if way == "reset" else None)
    one = partial(run, cell, states=way == "states")

    def loss(params: Any) -> jax.Array:
        return jnp.mean(jax.vmap(partial(one, params))(xs, mask, reset) ** 2)

    program = jax.jit(jax.grad(loss)).lower(params).compile()
    return lambda: jax.block_until_ready(program(params))


def main(
    cells: tuple[str, ...] = ("lstm", "gru"),
    hidden_size: int = 64,
    batch_size: int = 64,
    length: int = 100,
) -> None:
    """Print a table: cells by ways, milliseconds, and ours as a multiple of the scan's."""
    print("| cell | way | unroll | scan | to the scan | to as it is |")
    print("|---|---|--:|--:|--:|--:|")
    xs = jax.random.normal(jax.random.key(1), (batch_size, length, INPUTS))
    for name in cells:
        cell = CELLS[name](INPUTS, hidden_size, OUTPUTS)
        runs = {(way, run): gradient(cell, run, way, xs) for way in WAYS for run in RUNS}
        least = dict.fromkeys(runs, float("inf"))
        for _ in range(REPEATS):
            for key, run in runs.items():
                run()  # which fills the caches
                start = time.perf_counter()
                run()
                least[key] = min(least[key], 1e3 * (time.perf_counter() - start))
        for way in WAYS:
            ours, plain = (least[way, run] for run in RUNS)
            usual = ours / least[WAYS[0], unrolled]
            print(
                f"| {name} | {way} | {ours:.2f} | {plain:.2f} | {ours / plain:.2f} | {usual:.2f} |"
            )
    print(
        f"\nMilliseconds for one gradient, least of {REPEATS}; H = {hidden_size}, "
        f"B = {batch_size}, T = {length}.\n{machine()}"
    )


RUNS = (unrolled, scanned)

if __name__ == "__main__":
    tyro.cli(main)
