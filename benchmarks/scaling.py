"""How does the cost of an update grow with length, trials and hidden units?

    python benchmarks/scaling.py

Times one update of both nets on one device, varying one size at a time around 10 trials of
length 10 with 20 hidden units, and draws it on logarithmic axes over the arithmetic limit: the
floating-point operations of the step's matrix products over the peak that a large matrix product
reaches on the same device in the same run. Writes benchmarks/results/scaling.{md,png}.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from matplotlib.figure import Figure
from timing import chunks_of, machine, time_steps, use_one_core

from jaxrnn import Experiment

RESULTS = Path(__file__).parent / "results"
SIZES: dict[str, tuple[int, ...]] = {
    "length": (4, 10, 20, 50, 100, 200, 500, 1000),
    "trials": (2, 5, 10, 20, 50, 100, 200, 500, 1000),
    "hidden_size": (4, 8, 16, 32, 64, 128, 256),
}
GATES = {"simple_rnn": 1, "lstm": 4}


def floating_point_operations(experiment: Experiment) -> float:
    """Operations of one update's matrix products, a multiply-add being two.

    Forward, each of the T-1 steps of a trial multiplies h [H] with [H, gates H] and [H, O]; the
    input product is a row look-up. Backward, each product is done twice more, for the gradients of
    its two factors.
    """
    hidden = experiment.hidden_size
    per_step = GATES[experiment.cell] * hidden * hidden + hidden * experiment.length
    return 3 * 2 * per_step * (experiment.length - 1) * experiment.trials


def peak(device: jax.Device, size: int = 2048) -> float:
    """Operations a second of a float32 matrix product, the best of five."""
    a = jax.device_put(jnp.ones((size, size)), device)
    product = jax.jit(lambda a: jnp.dot(a, a, precision="highest"))
    jax.block_until_ready(product(a))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(product(a))
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def step_microseconds(experiment: Experiment, device: jax.Device) -> float:
    """Least time of one update of all trials."""
    # About a quarter of a second a repeat at the speed of one core.
    chunk_steps = int(np.clip(5e9 / (5 * floating_point_operations(experiment)), 3, 1000))
    return time_steps(*chunks_of(experiment, chunk_steps, [device]), chunk_steps).least


def main() -> None:
    """Time every size of both nets, write the table and the picture."""
    use_one_core()
    device = jax.devices()[0]
    best = peak(device)
    lines = ["| net | T | trials | hidden units | us a step | trial-steps/s | of the limit |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    panels = figure.subplots(1, len(SIZES), sharey=True)
    print("\n".join(lines))
    for axes, (name, sizes) in zip(panels, SIZES.items(), strict=True):
        for cell, color in (("simple_rnn", "#d95f02"), ("lstm", "#1b6ca8")):
            base = Experiment(cell=cell, length=10, trials=10)
            variants: list[dict[str, Any]] = [{name: size} for size in sizes]
            experiments = [dataclasses.replace(base, **variant) for variant in variants]
            limits = [floating_point_operations(e) / best * 1e6 for e in experiments]
            times = []
            for experiment, limit in zip(experiments, limits, strict=True):
                times.append(step_microseconds(experiment, device))
                e = experiment
                rate = e.trials / times[-1] * 1e6
                line = f"| {cell} | {e.length} | {e.trials} | {e.hidden_size} | {times[-1]:,.1f} "
                lines.append(line + f"| {rate:,.0f} | {limit / times[-1]:.0%} |")
                print(lines[-1], flush=True)
            axes.plot(sizes, times, "o-", color=color, label=cell)
            axes.plot(sizes, limits, "--", color=color, lw=1, label=f"{cell}, arithmetic limit")
        axes.set(xscale="log", yscale="log", xlabel=name.replace("_", " "))
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("microseconds for one update")
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle("Around 10 trials of length 10 with 20 hidden units, one device", fontsize=11)
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / "scaling.png", dpi=120)
    note = f"Peak of a 2048 x 2048 float32 product: {best / 1e9:,.0f} GFLOP/s. {machine()}"
    print(f"\n{note}")
    (RESULTS / "scaling.md").write_text("\n".join([*lines, "", note, ""]))


if __name__ == "__main__":
    tyro.cli(main)
