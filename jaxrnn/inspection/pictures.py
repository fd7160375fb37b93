"""Pictures of a trained net."""

import jax
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxrnn.experiment import Experiment
from jaxrnn.inspection.record import Record
from jaxrnn.outcome import Outcome
from jaxrnn.results.plots import COLORS
from jaxrnn.training.parts import parts_of

SHOWN_UNITS = 20


def label(experiment: Experiment) -> str:
    """A net's name in titles."""
    layers = f" x{experiment.layers}" if experiment.layers > 1 else ""
    return f"{experiment.cell}{layers} ({experiment.name})"


def ending(outcome: Outcome) -> str:
    """How and when a trial ended, in words."""
    solved = "solved" if outcome.status == "solved" else "not solved"
    return f"{solved} after {outcome.steps:,} training steps"


def draw_record(experiment: Experiment, outcome: Outcome, record: Record) -> Figure:
    """Heat maps of units against time: a row a state or gate, a column each of the two sequences.

    The arrays of ``record`` have an axis for the sequences in front. A third column is the
    difference of the two, which are alike but for their first symbol.
    """
    states = {name: np.asarray(value) for name, value in record.states.items()}
    names = [name for name in parts_of(experiment).cell.gates if name in record.gates]
    gates = {name: np.asarray(record.gates[name]) for name in names}
    for name, gate in list(gates.items()):
        if any(np.array_equal(gate, state) for state in states.values()):
            del gates[name]  # the simple net's only "gate" is its hidden units
    rows = states | gates
    chosen = _units_that_differ(
        next(iter(states.values())) if "cell" not in states else states["cell"]
    )
    rows = {name: values[..., chosen] for name, values in rows.items()}
    if "hidden" in rows:  # last: from what is stored to what is shown
        rows["hidden"] = rows.pop("hidden")
    figure = Figure(figsize=(14, 1.3 + 1.65 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 3, sharex=True, sharey="row", squeeze=False)
    for panels, (name, values) in zip(grid, rows.items(), strict=True):
        values = values.reshape(*values.shape[:2], -1).swapaxes(1, 2)  # [2, units, T]
        is_sigmoid = name in gates and np.min(values) >= 0
        shut_to_open = Normalize(0, max(1.0, np.max(values)))
        norm = shut_to_open if is_sigmoid else _around_0(values)
        colors = "viridis" if is_sigmoid else "RdBu_r"
        for axes, value in zip(panels, values, strict=False):
            image = axes.imshow(value, cmap=colors, norm=norm, aspect="auto", interpolation="none")
        figure.colorbar(image, ax=list(panels[:2]), pad=0.01)
        difference = values[1] - values[0]
        image = panels[2].imshow(
            difference,
            cmap="PuOr_r",
            norm=_around_0(difference),
            aspect="auto",
            interpolation="none",
        )
        figure.colorbar(image, ax=panels[2], pad=0.02)
        words = f"{name} gate" if is_sigmoid else name.replace("cell", "cell state")
        panels[0].set_ylabel(f"{words}\nunit")
        panels[0].yaxis.set_major_locator(MaxNLocator(4, integer=True))
    first = np.array([experiment.length - 2, experiment.length - 1])
    last = np.asarray(jax.nn.softmax(record.outputs[:, -1]))[[0, 1], first]
    for axes, symbol, p in zip(grid[0], first, last, strict=False):
        axes.set_title(f"first symbol {symbol}\np({symbol}) at the last step: {p:.2f}")
    grid[0, 2].set_title(f"difference, {first[1]} minus {first[0]}:\nmemory of the first symbol")
    for axes in grid[-1]:
        axes.set_xlabel("step t")
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    figure.suptitle(
        f"{label(experiment)}, length {experiment.length}, trial {outcome.trial}, "
        f"{ending(outcome)}"
        + (f"; the {len(chosen)} units that differ most" if len(chosen) == SHOWN_UNITS else "")
    )
    return figure


def _units_that_differ(values: np.ndarray) -> np.ndarray:
    """All units, or of more than can be told apart in a picture those that differ most, in order.

    ``values`` [2, T, units] of the two sequences.
    """
    if values.shape[-1] <= 2 * SHOWN_UNITS:
        return np.arange(values.shape[-1])
    difference = np.abs(values[1] - values[0]).mean(axis=0)
    return np.sort(np.argsort(-difference, kind="stable")[:SHOWN_UNITS])


def _around_0(values: np.ndarray) -> Normalize:
    most = float(np.max(np.abs(values))) or 1.0
    return Normalize(-most, most)


def draw_gradient_norms(reaches: dict[str, np.ndarray]) -> Figure:
    """A line a net: its gradient norms [2, T], each sequence's relative to its last, and averaged.

    The mean is geometric, as the axis is logarithmic.
    """
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.add_subplot()
    for number, (label, norms) in enumerate(reaches.items()):
        relative = norms / norms[:, -1:]
        line = np.prod(relative, axis=0) ** (1 / len(relative))
        axes.plot(line, ".-", color=COLORS[number % len(COLORS)], label=label)
    longest = max((norms.shape[1] for norms in reaches.values()), default=1)
    halved = 0.5 ** np.arange(longest - 1, -1, -1.0)
    axes.plot(halved, "--", color="#999999", lw=1, label="halved by every step")
    axes.set(
        yscale="log",
        xlabel="step t; the last one predicts the last symbol",
        ylabel="gradient norm, relative to the last step's",
        title="How strongly the last prediction depends on the state before step t:\n"
        "|d log p(last symbol) / d state(t)|, mean of both sequences",
    )
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return figure
