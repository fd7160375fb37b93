"""What does the LSTM of Flax or Equinox cost beside ours?

    python benchmarks/adapters.py

Times, on one core, one update of ten trials with the notebook's LSTM: on the fast path of
this package, its step in a plain scan, and the LSTM cells of Flax NNX (both that it has), Flax
Linen and Equinox through :mod:`jaxrnn.nets.adapters`. Repeats are interleaved. That they compute
the same from the same weights is what tests/test_adapters.py holds.
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import flax
import tyro
from flax import linen, nnx
from timing import machine, time_in_turn, use_one_core

from jaxrnn import CELLS, Cell, Experiment, from_equinox, from_linen, from_nnx, lstm


def _plain(*sizes: int) -> Cell:
    return lstm(*sizes)._replace(unroll=None)


def _nnx(kind: Any, *sizes: int) -> Cell:
    return from_nnx(lambda rngs: kind(*sizes[:2], rngs=rngs), *sizes)


def _linen(*sizes: int) -> Cell:
    return from_linen(linen.OptimizedLSTMCell(sizes[1]), *sizes)


def _equinox(*sizes: int) -> Cell:
    return from_equinox(lambda key: eqx.nn.LSTMCell(sizes[0], sizes[1], key=key), *sizes)


REPEATS = 40  # short ones, so that some are not disturbed on a busy machine

NETS: dict[str, Callable[..., Cell]] = {
    "lstm": lstm,
    "lstm, plain scan": _plain,
    "nnx.LSTMCell": partial(_nnx, nnx.LSTMCell),
    "nnx.OptimizedLSTMCell": partial(_nnx, nnx.OptimizedLSTMCell),
    "linen.OptimizedLSTMCell": _linen,
    "eqx.nn.LSTMCell": _equinox,
}


def measure(length: int, trials: int) -> dict[str, list[float]]:
    """Microseconds for one update of all trials, each repeat of each net."""
    updates = max(10, 2_000 // length)
    experiments = {
        name: (Experiment(cell=name, length=length, trials=trials), updates) for name in NETS
    }
    return time_in_turn(experiments, REPEATS)


def main(lengths: tuple[int, ...] = (10, 100), trials: int = 10) -> None:
    """Time one update of all trials with each LSTM.

    Args:
        lengths: Lengths of the sequences.
        trials: Trials trained together.
    """
    use_one_core()
    CELLS.update(NETS)
    print(f"Microseconds for one update of {trials} trials, least (median) of {REPEATS}.\n")
    print("| net | T | us | times our fast path | times our plain scan |")
    print("|---|--:|--:|--:|--:|")
    for length in lengths:
        samples = measure(length, trials)
        fast, plain = (min(samples[name]) for name in ("lstm", "lstm, plain scan"))
        for name, times in samples.items():
            least = min(times)
            shown = f"{least:,.1f} ({statistics.median(times):,.1f})"
            ratios = f"{least / fast:.2f} | {least / plain:.2f}"
            print(f"| {name} | {length} | {shown} | {ratios} |", flush=True)
    print(f"\n{machine()}; flax {flax.__version__}, equinox {eqx.__version__}")


if __name__ == "__main__":
    tyro.cli(main)
