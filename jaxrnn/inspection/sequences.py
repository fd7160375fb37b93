"""A picture of what a net does on two sequences of any task."""

from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxrnn.experiment import Experiment
from jaxrnn.inspection.pictures import around_0, rows_of, shown_as
from jaxrnn.inspection.record import Look
from jaxrnn.outcome import Outcome
from jaxrnn.results.plots import COLORS

MOST_LINES = 4
"""Real numbers a step that are drawn as lines; more are a heat map."""


def ends_of(look: Look) -> list[int]:
    """The number of steps of each sequence up to the last that counts."""
    num_steps = look.sequences.inputs.shape[1]
    if look.sequences.mask is None:
        return [num_steps] * len(look.sequences.inputs)
    return [int(np.flatnonzero(mask)[-1]) + 1 for mask in np.asarray(look.sequences.mask)]


def reach_of(look: Look) -> list[np.ndarray]:
    """The gradient norms of each sequence [T], T its own."""
    norms = np.asarray(look.norms, np.float64)
    return [one[:end] for one, end in zip(norms, ends_of(look), strict=True)]


def draw_look(experiment: Experiment, outcome: Outcome, look: Look) -> Figure:
    """A column a sequence, up to its last step that counts: inputs, states and gates, outputs.

    Outputs are as the objective sees them (probabilities, or behind a logistic squashing), with the
    targets at the steps that count.
    """
    ends = ends_of(look)
    # Behind its end a sequence is as at its end, so that nothing there sets a scale.
    held = [np.minimum(np.arange(look.sequences.inputs.shape[1]), end - 1) for end in ends]
    states, gates = (
        {name: _held(array, held) for name, array in arrays.items()}
        for arrays in (look.record.states, look.record.gates)
    )
    rows = rows_of(experiment, look.record._replace(states=states, gates=gates))
    figure = Figure(figsize=(14, 1.3 + 1.65 * (len(rows) + 2)), layout="constrained")
    grid = figure.subplots(len(rows) + 2, 2, sharex="col", sharey="row", squeeze=False)
    letter, squash = shown_as(experiment)
    outputs = squash(np.asarray(look.record.outputs))
    for axes, row in zip(grid[1:-1, 0], rows, strict=True):
        row.write_label(axes)
    for k, end in enumerate(ends):
        sequence: Any = jax.tree.map(lambda leaf, k=k: np.asarray(leaf[k]), look.sequences)
        _draw_numbers(grid[0, k], sequence.inputs[:end], "input")
        for panels, row in zip(grid[1:-1], rows, strict=True):
            image = row.draw(panels[k], row.values[k, :end])
            if k == 1:
                figure.colorbar(image, ax=list(panels), pad=0.01)
        _draw_outputs(figure, grid[-1], k, outputs[k, :end], sequence)
        grid[0, k].set_title(_title(experiment, k, look, outputs[k], sequence, end, letter))
        grid[-1, k].set_xlabel("step t")
        grid[-1, k].xaxis.set_major_locator(MaxNLocator(10, integer=True))
        grid[-1, k].set_xlim(-0.5, end - 0.5)
    return figure


def _held(array: Any, held: list[np.ndarray]) -> Any:
    return np.stack([one[steps] for one, steps in zip(np.asarray(array), held, strict=True)])


def _draw_numbers(axes: Axes, numbers: np.ndarray, name: str) -> None:
    """Symbols [T] as dots, a few real numbers a step [T, I] as lines, many as a heat map."""
    axes.set_ylabel(name)
    if numbers.ndim == 1:
        axes.plot(numbers, ".", color="#333333", ms=4)
        axes.set_ylabel(f"{name}\nsymbol")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    elif numbers.shape[1] > MOST_LINES:
        axes.imshow(numbers.T, cmap="RdBu_r", norm=around_0(numbers), aspect="auto")
    else:
        for number, line in enumerate(numbers.T):
            axes.plot(line, ".-", color=COLORS[number], ms=3, lw=0.8, label=f"{name} {number}")
        if numbers.shape[1] > 1:
            axes.legend(fontsize="small", loc="lower right", ncols=numbers.shape[1])


def _draw_outputs(
    figure: Figure, panels: np.ndarray, k: int, outputs: np.ndarray, sequence: Any
) -> None:
    """The outputs [T, O] of sequence k, and its targets at the steps that count."""
    axes, steps = panels[k], np.arange(len(outputs))
    if sequence.mask is not None:
        steps = np.flatnonzero(sequence.mask[: len(outputs)])
    targets = sequence.targets[steps]
    of_symbols = targets.ndim == 1
    if outputs.shape[1] > 1:
        norm = Normalize(min(0.0, outputs.min()), max(1.0, outputs.max()))
        image = axes.imshow(outputs.T, cmap="viridis", norm=norm, aspect="auto")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        if k == 1:
            figure.colorbar(image, ax=list(panels), pad=0.01)
    else:
        axes.plot(outputs[:, 0], "-", color="#1b6ca8", lw=1, label="output")
    if of_symbols or outputs.shape[1] == 1:
        targets = targets.reshape(len(targets))
        mark = {"mfc": "none", "mec": "#d95f02", "ms": 5, "mew": 1.2, "clip_on": False}
        axes.plot(steps, targets, "o", label="target", zorder=3, **mark)
    axes.set_ylabel("output" + "\nsymbol" * of_symbols)
    axes.legend(fontsize="small", loc="upper left")


def _title(
    experiment: Experiment,
    k: int,
    look: Look,
    outputs: np.ndarray,
    sequence: Any,
    end: int,
    letter: str,
) -> str:
    """What is to be said of a sequence: its steps, its error, and the answer where there is one."""
    error = float(np.asarray(look.errors)[k])
    verdict = "right" if error <= experiment.threshold else "wrong"
    words = f"a sequence of {end} steps, {verdict}: error {error:.2f}"
    if sequence.mask is None or sequence.mask.sum() > 1:
        return words
    target, output = sequence.targets[end - 1], outputs[end - 1]
    if target.ndim == 0:
        return (
            f"{words}\ntarget {target}, {letter}({target}) at the last step: {output[target]:.2f}"
        )
    numbers = (" ".join(f"{one:.2f}" for one in array) for array in (target, output))
    return "{}\ntarget {}, output at the last step: {}".format(words, *numbers)
