"""Pictures of a trained net."""

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
from jaxrnn.inspection.record import Record
from jaxrnn.outcome import Outcome
from jaxrnn.problems import SUITES
from jaxrnn.report.drawing import COLORS
from jaxrnn.training.parts import parts_of, settled

SHOWN_UNITS = 20

MATRIX_SIDE = 4
"""A state with at least so many rows and columns is drawn as a matrix. A smaller one, such as
blocks of two memory cells, is drawn as units side by side."""

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

    @property
    def height(self) -> float:
        """How high it is drawn, of a row of units."""
        return 1.6 if self.values.ndim == 4 else 1.0

    def draw(self, axes: Axes, values: np.ndarray) -> AxesImage:
        """Draw the units [T, units] of one sequence, or its matrices [T, rows, columns]."""
        if values.ndim == 3:
            return self._draw_snapshots(axes, values)
        return axes.imshow(
            values.T, cmap=self.colors, norm=self.norm, aspect="auto", interpolation="none"
        )

    def _draw_snapshots(self, axes: Axes, values: np.ndarray) -> AxesImage:
        """Draw the matrix at a few steps, side by side, each with its step below it."""
        axes.spines[:].set_visible(False)
        # Not set_xticks: the panels below have the same axis of time, and need their ticks.
        axes.tick_params(bottom=False, labelbottom=False, left=False, labelleft=False)
        steps = np.unique(np.linspace(0, len(values) - 1, SNAPSHOTS).round().astype(int))
        across = SNAPSHOTS // 2
        for k, step in enumerate(steps):
            line, column = divmod(k, across)
            own = axes.inset_axes((column / across, 0.6 - line / 2, 0.95 / across, 0.4))
            image = own.imshow(values[step], cmap=self.colors, norm=self.norm)
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
    arrays = {name: _drawn_as(array) for name, array in {**states, **gates}.items()}
    in_units = {name: array for name, array in arrays.items() if array.ndim == 3}
    reference = in_units.get("cell", next(iter(in_units.values()), None))
    chosen = None if reference is None else _units_that_differ(reference)
    # From what is stored to what is shown.
    order = sorted(arrays, key=lambda name: (name in in_units, name == "hidden"))
    rows = []
    for name in order:
        all_units, units = arrays[name], arrays[name].shape[-1]
        if name not in in_units:
            own = np.arange(units)
        elif chosen is not None and reference is not None and units == reference.shape[-1]:
            own = chosen
        else:
            own = _units_that_differ(all_units)
        values = all_units[..., own]
        is_sigmoid = name in gates and np.min(values) >= 0
        shut_to_open = Normalize(0, max(1.0, np.max(values)))
        words = (
            f"{name} gate"
            if is_sigmoid
            else name.replace("cell", "cell state").replace("units", "activation")
        )
        norm = shut_to_open if is_sigmoid else around_0(values)
        rows.append(
            Row(
                words,
                values,
                np.arange(units)[own],
                units,
                norm,
                "viridis" if is_sigmoid else "RdBu_r",
            )
        )
    return rows


def _drawn_as(array: np.ndarray) -> np.ndarray:
    """A state or gate [2, T, ...] as units [2, T, units] or as a matrix [2, T, rows, columns]."""
    if array.ndim > 3 and min(array.shape[-2:]) >= MATRIX_SIDE:
        return array.reshape(*array.shape[:2], -1, array.shape[-1])
    return array.reshape(*array.shape[:2], -1)  # blocks of cells side by side


def title_of(experiment: Experiment, outcome: Outcome, rows: Sequence[Row]) -> str:
    """Net, length, trial and how it ended, and whether only some units are shown."""
    some = any(row.values.shape[-1] < row.units for row in rows)
    return (
        f"{label(experiment)}, length {experiment.length}, trial {outcome.trial}, "
        f"{ending(outcome)}" + (f"; the {SHOWN_UNITS} units that differ most" if some else "")
    )


def draw_record(experiment: Experiment, outcome: Outcome, record: Record) -> Figure:
    """Heat maps of units against time, or a matrix at a few steps: one row per state or gate, one
    column per sequence.

    The first axis of the arrays of ``record`` is that of the two sequences of noise_free. A third
    column is the difference of the two sequences, which differ only in their first symbol.
    """
    rows = rows_of(experiment, record)
    heights = [row.height for row in rows]
    figure = Figure(figsize=(14, 1.3 + 1.65 * sum(heights)), layout="constrained")
    shared: dict[str, Any] = {"sharex": True, "sharey": "row", "squeeze": False}
    grid = figure.subplots(len(rows), 3, height_ratios=heights, **shared)
    for panels, row in zip(grid, rows, strict=True):
        images = [row.draw(axes, one) for axes, one in zip(panels, row.values, strict=False)]
        figure.colorbar(images[-1], ax=list(panels[:2]), pad=0.01)
        difference = row.values[1] - row.values[0]
        between = row._replace(norm=around_0(difference), colors="PuOr_r")
        figure.colorbar(between.draw(panels[2], difference), ax=panels[2], pad=0.02)
        row.write_label(panels[0])
    first = np.array([experiment.length - 2, experiment.length - 1])
    name, squash = shown_as(experiment)
    last = squash(np.asarray(record.outputs[:, -1]))[[0, 1], first]
    for axes, symbol, p in zip(grid[0], first, last, strict=False):
        axes.set_title(f"first symbol {symbol}\n{name}({symbol}) at the last step: {p:.2f}")
    grid[0, 2].set_title(f"difference, {first[1]} minus {first[0]}:\nmemory of the first symbol")
    for axes in grid[-1]:
        axes.set_xlabel("step t")
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    figure.suptitle(title_of(experiment, outcome, rows))
    return figure


def shown_as(experiment: Experiment) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """What a net's outputs [..., O] mean by its objective: a letter, and how to compute it."""
    named: dict[str, tuple[str, Callable[..., Any]]] = {
        "cross_entropy": ("p", jax.nn.softmax),
        "binary_cross_entropy": ("y", jax.nn.sigmoid),
        "half_squared_error": ("y", jax.nn.sigmoid),
    }
    letter, squash = named.get(settled(experiment).objective or "", ("y", np.asarray))
    return letter, lambda outputs: np.asarray(squash(outputs))


def _units_that_differ(values: np.ndarray) -> np.ndarray:
    """All units; or, if there are too many to tell apart in a picture, those that differ most; in
    order.

    ``values`` [2, T, units] of the two sequences.
    """
    if values.shape[-1] <= 2 * SHOWN_UNITS:
        return np.arange(values.shape[-1])
    difference = np.abs(values[1] - values[0]).mean(axis=0)
    return np.sort(np.argsort(-difference, kind="stable")[:SHOWN_UNITS])


def around_0(values: np.ndarray) -> Normalize:
    """Colours that are white at 0."""
    most = float(np.max(np.abs(values))) or 1.0
    return Normalize(-most, most)


def draw_gradient_norms(
    reaches: Mapping[str, Sequence[np.ndarray]], from_end: bool = False
) -> Figure:
    """One line per net: the gradient norms [T] of each sequence, divided by its last one, then
    averaged.

    The mean is geometric, as the axis is logarithmic. By default the steps are counted from the
    first one; this is for the sequences of noise_free, which all have one length. With ``from_end``
    they are counted back from the last step, as far as the shortest of a net's sequences reaches.
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
        steps = np.arange(shared) - (shared - 1) * from_end
        label += "" if line.any() else " (gradient 0)"
        axes.plot(steps, line, ".-", color=COLORS[number % len(COLORS)], label=label)
    halved = 0.5 ** np.arange(longest - 1, -1, -1.0)
    steps = np.arange(longest) - (longest - 1) * from_end
    axes.plot(steps, halved, "--", color="#999999", lw=1, label="halved by every step")
    last, number_there, x = (
        ("step that counts", "its loss", "step t, counted back from the last one that counts")
        if from_end
        else (
            *("prediction", "log p(last symbol)"),
            "step t; the last one predicts the last symbol",
        )
    )
    axes.set(
        yscale="log",
        xlabel=x,
        ylabel="gradient norm, relative to the last step's",
        title=f"How strongly the last {last} depends on the state before step t:\n"
        f"|d {number_there} / d state(t)|, mean of both sequences",
    )
    if from_end:  # over hundreds of steps the halved line would leave no room for others
        axes.set_ylim(bottom=least / 2)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return figure
