"""Pictures of what a trained net does on two sequences of any task, and of its gradients' reach."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from jaxrnn.experiment import Experiment
from jaxrnn.inspection.record import Look, Record
from jaxrnn.outcome import Outcome
from jaxrnn.problems import SUITES
from jaxrnn.report.drawing import COLORS
from jaxrnn.training.parts import parts_of, settled

SHOWN_UNITS = 20

MATRIX_SIDE = 4
"""A state with at least so many rows and columns is drawn as a matrix. A smaller one, such as
blocks of two memory cells, is drawn as units side by side."""

MOST_LINES = 4
"""At most this many real numbers per step are drawn as lines; more are drawn as a heat map."""

SHOWN_SHARE = 0.95
"""The share of a state's values that the colours cover; a few memory cells may grow far larger."""

SNAPSHOTS = 8  # of a matrix, at evenly spaced steps, in two lines


def label(experiment: Experiment) -> str:
    """A net's name in titles."""
    layers = f" x{experiment.layers}" if experiment.layers > 1 else ""
    suite = SUITES.get(experiment.name)
    is_other = suite is not None and suite.base.task != experiment.task  # so no net of the suite
    words = f"on {experiment.task}" if is_other else f"({experiment.name})"
    return f"{experiment.cell}{layers} {words}"


def ending(outcome: Outcome) -> str:
    """How and when a trial ended, in words."""
    solved = "solved" if outcome.status == "solved" else "not solved"
    return f"{solved} after {outcome.steps:,} training sequences"


class Row(NamedTuple):
    """A row of heat maps: units against time, or snapshots of a matrix."""

    name: str  # as it stands beside them
    values: np.ndarray  # [2, T, units], or [2, T, rows, columns]
    own: np.ndarray  # the numbers of these units or columns, counted from 0
    units: int  # of the net
    norm: Normalize
    colors: str

    def draw(self, axes: Axes, values: np.ndarray) -> AxesImage:
        """Draw the units [T, units] of one sequence; or its matrices [T, rows, columns], at a few
        steps side by side."""
        look: dict[str, Any] = {"cmap": self.colors, "norm": self.norm}
        if values.ndim == 2:
            return axes.imshow(values.T, aspect="auto", interpolation="none", **look)
        axes.spines[:].set_visible(False)
        # Not set_xticks: the panels below have the same axis of time, and need their ticks.
        axes.tick_params(bottom=False, labelbottom=False, left=False, labelleft=False)
        steps = np.unique(np.linspace(0, len(values) - 1, SNAPSHOTS).round().astype(int))
        across = SNAPSHOTS // 2
        for k, step in enumerate(steps):
            line, column = divmod(k, across)
            own = axes.inset_axes((column / across, 0.6 - line / 2, 0.95 / across, 0.4))
            image = own.imshow(values[step], **look)
            own.tick_params(bottom=False, labelbottom=False, left=False, labelleft=False)
            own.set_xlabel(f"t = {step}", size="small", labelpad=2)
        return image

    def write_label(self, axes: Axes) -> None:
        """Write its name at the left."""
        if self.values.ndim == 4:
            axes.set_ylabel("{}\n{} by {}".format(self.name, *self.values.shape[2:]))
            return
        axes.set_ylabel(f"{self.name}\nunit")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        if self.units == 1 or len(self.own) < self.units:  # those shown, by their own numbers
            numbers = np.arange(0, len(self.own), 5)
            axes.set_yticks(numbers, [str(self.own[number]) for number in numbers])


def rows_of(experiment: Experiment, record: Record) -> list[Row]:
    """A row for each state and gate of a record of two sequences.

    If there are too many units to tell apart, it has those that differ most between the two. A
    matrix has all of its numbers. Matrices come first; several in one array stand below each other.
    """
    states = {name: np.asarray(value) for name, value in record.states.items()}
    names = [name for name in parts_of(experiment).cell.gates if name in record.gates]
    gates = {name: np.asarray(record.gates[name]) for name in names}
    for name, gate in list(gates.items()):
        if any(np.array_equal(gate, state) for state in states.values()):
            del gates[name]  # the simple net's only "gate" is its hidden units
    arrays = {}
    for name, array in {**states, **gates}.items():
        is_matrix = array.ndim > 3 and min(array.shape[-2:]) >= MATRIX_SIDE
        # Several matrices stand below each other, blocks of cells side by side.
        own = (-1, array.shape[-1]) if is_matrix else (-1,)
        arrays[name] = array.reshape(*array.shape[:2], *own)
    in_units = {name: array for name, array in arrays.items() if array.ndim == 3}
    no_units = np.zeros((2, 1, 0))
    reference = in_units.get("cell", next(iter(in_units.values()), no_units))
    chosen = _units_that_differ(reference)
    # From what is stored to what is shown.
    order = sorted(arrays, key=lambda name: (name in in_units, name == "hidden"))
    rows = []
    for name in order:
        all_units, units = arrays[name], arrays[name].shape[-1]
        numbers = np.arange(units)
        if name in in_units:
            numbers = chosen if units == reference.shape[-1] else _units_that_differ(all_units)
        values = all_units[..., numbers]
        if name in gates and np.min(values) >= 0:  # a sigmoid, from shut to open
            words, norm, colors = f"{name} gate", Normalize(0, max(1.0, np.max(values))), "viridis"
        else:
            words = name.replace("cell", "cell state").replace("units", "activation")
            norm, colors = around_0(values, SHOWN_SHARE), "RdBu_r"
        rows.append(Row(words, values, numbers, units, norm, colors))
    return rows


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
    Targets are shown at the steps that count. If the inputs of the two sequences differ in one step
    alone, a third column is the difference of states and gates, which all stems from this step.
    """
    ends, made = ends_of(look), settled(experiment)
    assert made.threshold is not None
    inputs = np.asarray(look.sequences.inputs)
    apart = np.flatnonzero((inputs[0] != inputs[1]).reshape(inputs.shape[1], -1).any(axis=1))
    has_difference = len(apart) == 1 and ends[0] == ends[1]
    # After its end a sequence repeats its last values, so that they do not change a scale.
    held = np.minimum(np.arange(inputs.shape[1]), np.array(ends)[:, None] - 1)
    both = np.arange(len(ends))[:, None]
    rows = rows_of(experiment, jax.tree.map(lambda leaf: np.asarray(leaf)[both, held], look.record))
    heights = [1.0, *(1.6 if row.values.ndim == 4 else 1.0 for row in rows), 1.0]
    figure = Figure(figsize=(14, 1.3 + 1.65 * sum(heights)), layout="constrained")
    shared: dict[str, Any] = {"sharex": "col", "sharey": "row", "squeeze": False}
    grid = figure.subplots(len(rows) + 2, 2 + has_difference, height_ratios=heights, **shared)
    of_objective: dict[str | None, tuple[str, Callable[..., Any]]] = {
        "cross_entropy": ("p", jax.nn.softmax),
        "binary_cross_entropy": ("y", jax.nn.sigmoid),
        "half_squared_error": ("y", jax.nn.sigmoid),
    }
    letter, squash = of_objective.get(made.objective, ("y", np.asarray))
    outputs = np.asarray(squash(np.asarray(look.record.outputs)))
    for axes, row in zip(grid[1:-1, 0], rows, strict=True):
        row.write_label(axes)
    for k, end in enumerate(ends):
        sequence: Any = jax.tree.map(lambda leaf, k=k: np.asarray(leaf[k]), look.sequences)
        _draw_inputs(grid[0, k], sequence.inputs[:end], has_legend=k == 1)
        for panels, row in zip(grid[1:-1], rows, strict=True):
            image = row.draw(panels[k], row.values[k, :end])
            if k == 1:
                extend = "both" if np.abs(row.values).max() > row.norm.vmax else "neither"
                figure.colorbar(image, ax=list(panels[:2]), pad=0.01, extend=extend)
        heat_map = _draw_outputs(grid[-1, k], outputs[:, : max(ends)], k, end, sequence)
        if k == 1 and heat_map is not None:
            figure.colorbar(heat_map, ax=list(grid[-1, :2]), pad=0.01, label=letter)
        error = float(np.asarray(look.errors)[k])
        verdict = "right" if error <= made.threshold else "wrong"
        words = f"sequence of {end} steps: {verdict}, error {error:.2f}"
        grid[0, k].set_title(words + _answer(outputs[k, end - 1], sequence, end, letter))
        _number_steps(grid[-1, k], end)
    if has_difference:
        words = f"difference, right minus left:\nmemory of the input at t = {apart[0]}"
        grid[0, 2].text(0.5, 0.02, words, ha="center", size="large", transform=grid[0, 2].transAxes)
        grid[0, 2].set_axis_off()
        grid[-1, 2].set_axis_off()
        for axes, row in zip(grid[1:-1, 2], rows, strict=True):
            difference = (row.values[1] - row.values[0])[: ends[0]]
            between = row._replace(norm=around_0(difference), colors="PuOr_r")
            figure.colorbar(between.draw(axes, difference), ax=axes, pad=0.02)
        _number_steps(grid[-2, 2], ends[0])
        grid[-2, 2].tick_params(labelbottom=True)
    grid[0, 0].set_ylabel("input\nsymbol" if inputs.ndim == 2 else "input")
    grid[-1, 0].set_ylabel("output\n(\N{WHITE CIRCLE} target)")
    title = f"{label(experiment)}, length {experiment.length}, trial {outcome.trial}, "
    title += ending(outcome)
    if any(row.values.shape[-1] < row.units for row in rows):
        title += f"; the {SHOWN_UNITS} units that differ most"
    figure.suptitle(title)
    return figure


def _number_steps(axes: Axes, end: int) -> None:
    """The axis of time of a column of ``end`` steps."""
    axes.set_xlabel("step t")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.set_xlim(-0.5, end - 0.5)


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
        mark: dict[str, Any] = {"mfc": "none", "mec": "#d95f02", "ms": 6, "mew": 1.5}
        axes.plot(steps, targets.reshape(len(steps)), "o", zorder=3, clip_on=False, **mark)
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


def _units_that_differ(values: np.ndarray) -> np.ndarray:
    """The units of ``values`` [2, T, units] that differ most, in order; all if they are few."""
    if values.shape[-1] <= 2 * SHOWN_UNITS:
        return np.arange(values.shape[-1])
    difference = np.abs(values[1] - values[0]).mean(axis=0)
    return np.sort(np.argsort(-difference, kind="stable")[:SHOWN_UNITS])


def around_0(values: np.ndarray, share: float = 1.0) -> Normalize:
    """Colours that are white at 0 and cover this ``share`` of the values."""
    most = float(np.quantile(np.abs(values), share)) or 1.0
    return Normalize(-most, most)


def draw_gradient_norms(reaches: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """One line per net: the gradient norms [T] of each sequence, divided by its last one, then
    averaged.

    The mean is geometric, as the axis is logarithmic. The steps are counted back from the last one,
    as far as the shortest of a net's sequences reaches.
    """
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.add_subplot()
    longest, least = 1, 1e-3
    for number, (label, norms) in enumerate(reaches.items()):
        shared = min(map(len, norms))
        longest = max(longest, shared)
        # A net that is dead has none.
        relative = np.array([one[-shared:] / (one[-1] or 1.0) for one in norms])
        line = np.prod(relative, axis=0) ** (1 / len(relative))
        least = min([least, *line[line > 0]])
        label += "" if line.any() else " (gradient 0)"
        steps = np.arange(1 - shared, 1)
        axes.plot(steps, line, ".-", color=COLORS[number % len(COLORS)], label=label)
    steps = np.arange(1 - longest, 1)
    axes.plot(steps, 0.5**-steps, "--", color="#999999", lw=1, label="halved by every step")
    axes.set(
        yscale="log",
        xlabel="step t, counted back from the last one that counts",
        ylabel="gradient norm, relative to the last step's",
        title="How strongly the last step that counts depends on the state before step t:\n"
        "|d its loss / d state(t)|, mean of both sequences",
    )
    # Over hundreds of steps the halved line would leave no room for others.
    axes.set_ylim(bottom=least / 2)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return figure
