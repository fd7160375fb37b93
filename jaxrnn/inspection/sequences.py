"""A picture of what a net does on two sequences of any task."""

from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from jaxrnn.experiment import Experiment
from jaxrnn.inspection.pictures import Row, around_0, rows_of, shown_as, title_of
from jaxrnn.inspection.record import Look
from jaxrnn.outcome import Outcome
from jaxrnn.problems import settled
from jaxrnn.report.drawing import COLORS

MOST_LINES = 4
"""At most this many real numbers per step are drawn as lines; more are drawn as a heat map."""

SHOWN_SHARE = 0.95
"""The share of a state's values that the colours cover; a few memory cells may grow far larger."""


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
    """One column per sequence, up to its last step that counts: inputs, states and gates, outputs.

    Outputs are shown as the objective sees them: as probabilities, or after a logistic squashing.
    Targets are shown at the steps that count.
    """
    ends, threshold = ends_of(look), settled(experiment).threshold
    assert threshold is not None
    # After its end a sequence repeats its last values, so that they do not change a scale.
    held = [np.minimum(np.arange(look.sequences.inputs.shape[1]), end - 1) for end in ends]
    states, gates = (
        {name: _held(array, held) for name, array in arrays.items()}
        for arrays in (look.record.states, look.record.gates)
    )
    rows = rows_of(experiment, look.record._replace(states=states, gates=gates))
    rows = [row._replace(norm=_norm_of(row)) for row in rows]
    heights = [1.0, *(row.height for row in rows), 1.0]
    figure = Figure(figsize=(14, 1.3 + 1.65 * sum(heights)), layout="constrained")
    shared: dict[str, Any] = {"sharex": "col", "sharey": "row", "squeeze": False}
    grid = figure.subplots(len(rows) + 2, 2, height_ratios=heights, **shared)
    letter, squash = shown_as(experiment)
    outputs = squash(np.asarray(look.record.outputs))
    for axes, row in zip(grid[1:-1, 0], rows, strict=True):
        row.write_label(axes)
    for k, end in enumerate(ends):
        sequence: Any = jax.tree.map(lambda leaf, k=k: np.asarray(leaf[k]), look.sequences)
        _draw_inputs(grid[0, k], sequence.inputs[:end], has_legend=k == 1)
        for panels, row in zip(grid[1:-1], rows, strict=True):
            image = row.draw(panels[k], row.values[k, :end])
            if k == 1:
                extend = "both" if np.abs(row.values).max() > row.norm.vmax else "neither"
                figure.colorbar(image, ax=list(panels), pad=0.01, extend=extend)
        heat_map = _draw_outputs(grid[-1, k], outputs[:, : max(ends)], k, end, sequence)
        if k == 1 and heat_map is not None:
            figure.colorbar(heat_map, ax=list(grid[-1]), pad=0.01, label=letter)
        error = float(np.asarray(look.errors)[k])
        verdict = "right" if error <= threshold else "wrong"
        words = f"sequence of {end} steps: {verdict}, error {error:.2f}"
        grid[0, k].set_title(words + _answer(outputs[k, end - 1], sequence, end, letter))
        grid[-1, k].set_xlabel("step t")
        grid[-1, k].xaxis.set_major_locator(MaxNLocator(10, integer=True))
        grid[-1, k].set_xlim(-0.5, end - 0.5)
    are_symbols = np.asarray(look.sequences.inputs).ndim == 2
    grid[0, 0].set_ylabel("input\nsymbol" if are_symbols else "input")
    grid[-1, 0].set_ylabel("output\n(\N{WHITE CIRCLE} target)")
    figure.suptitle(title_of(experiment, outcome, rows))
    return figure


def _norm_of(row: Row) -> Normalize:
    """A colour scale. If colours go both ways from 0, a few large values do not set it."""
    if row.norm.vmin == 0:
        return row.norm
    most = float(np.quantile(np.abs(row.values), SHOWN_SHARE)) or 1.0
    return Normalize(-most, most)


def _held(array: Any, held: list[np.ndarray]) -> Any:
    return np.stack([one[steps] for one, steps in zip(np.asarray(array), held, strict=True)])


def _draw_inputs(axes: Axes, inputs: np.ndarray, has_legend: bool) -> None:
    """Symbols [T] as dots, a few real numbers a step [T, I] as lines, many as a heat map."""
    if inputs.ndim == 1:
        axes.plot(inputs, ".", color="#333333", ms=5)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    elif inputs.shape[1] > MOST_LINES:
        axes.imshow(inputs.T, cmap="RdBu_r", norm=around_0(inputs), aspect="auto")
    else:
        for number, line in enumerate(inputs.T):
            axes.plot(line, ".-", color=COLORS[number], ms=3, lw=0.8, label=f"input {number}")
        if has_legend and inputs.shape[1] > 1:  # beside it, where it covers nothing
            axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _draw_outputs(
    axes: Axes, outputs: np.ndarray, k: int, end: int, sequence: Any
) -> AxesImage | None:
    """The outputs of sequence k of both [2, T, O], and its targets at the steps that count."""
    steps = np.arange(end) if sequence.mask is None else np.flatnonzero(sequence.mask)
    targets, image, own = sequence.targets[steps], None, outputs[k, :end]
    if outputs.shape[-1] > 1:
        norm = Normalize(min(0.0, outputs.min()), max(1.0, outputs.max()))
        image = axes.imshow(own.T, cmap="viridis", norm=norm, aspect="auto", interpolation="none")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        axes.plot(own[:, 0], "-", color="#1b6ca8", lw=1)
    if targets.ndim == 1 or outputs.shape[-1] == 1:
        mark: dict[str, Any] = {
            "mfc": "none",
            "mec": "#d95f02",
            "ms": 6,
            "mew": 1.5,
            "clip_on": False,
        }
        axes.plot(steps, targets.reshape(len(steps)), "o", zorder=3, **mark)
    return image


def _answer(output: np.ndarray, sequence: Any, end: int, letter: str) -> str:
    """The target and the output [O] at the last step, where that is the only one that counts."""
    if sequence.mask is None or sequence.mask.sum() > 1:
        return ""
    target = sequence.targets[end - 1]
    if target.ndim == 0:
        return f"\ntarget {target}, {letter}({target}) at the last step: {output[target]:.2f}"
    numbers = (" ".join(f"{one:.2f}" for one in array) for array in (target, output))
    return "\ntarget {}, output at the last step: {}".format(*numbers)
