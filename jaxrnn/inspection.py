"""See a trained net remember: its states and gates over time, and how far its gradient reaches."""

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxrnn.cells import CELLS
from jaxrnn.engine import Lanes, empty_state, make_chunk, round_up
from jaxrnn.errors import InputError, look_up
from jaxrnn.experiments import PER_TRIAL, Experiment
from jaxrnn.plots import COLORS
from jaxrnn.runner import Outcome, run_trials
from jaxrnn.store import write_whole
from jaxrnn.tasks import noise_free
from jaxrnn.trial import build, settings_of
from jaxrnn.unroll import Cell, Params, stack

SHOWN_UNITS = 20


class Record(NamedTuple):
    """What happens inside a net while it reads one sequence."""

    states: dict[str, jax.Array]  # [T, H] each, after every step: "hidden", "cell", ...
    gates: dict[str, jax.Array]  # [T, H] each, in every step; none if the cell does not show them
    outputs: jax.Array  # y [T, O]


def trained_params(experiment: Experiment, trial: int, num_steps: int) -> Params:
    """Return one trial's parameters after exactly ``num_steps`` training steps.

    To the bit what the runner trains on the same machine. ``trial`` is below experiment.trials.
    """
    devices = jax.devices()[:1]
    functions = build(experiment)
    # The same trial in every lane: what the others hold would make no difference.
    number = np.full(round_up(1, len(devices)), trial, np.int32)
    settings = jax.tree.map(itemgetter(number), settings_of(experiment))
    lanes = Lanes(number, np.zeros_like(number), settings)
    chunk = make_chunk(functions, experiment.seed, num_steps, devices)
    state, _ = chunk(empty_state(functions, experiment.seed, lanes, devices), lanes)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), jax.device_get(state.params))


def look(cell: Cell, params: Params, xs: jax.Array) -> Record:
    """Run the cell's step over ``xs`` [T, I] (or [T] symbols, as its step takes) and keep it all.

    States go by their names: a bare array is "hidden", a NamedTuple goes by its fields, and a
    tuple, as :func:`jaxrnn.unroll.stack` has, by "layer 1", "layer 2", ... and these.
    """

    def step(state: Any, x: jax.Array) -> tuple[Any, Record]:
        gates = cell.activations(params, state, x) if cell.activations else {}
        state, y = cell.step(params, state, x)
        return state, Record(_by_name(state), gates, y)

    return lax.scan(step, cell.initial_state(params), xs)[1]


def _by_name(state: Any) -> dict[str, jax.Array]:
    """The arrays of a state, each with its name."""
    named = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        is_number = [isinstance(key, jax.tree_util.SequenceKey) for key in path]
        words = [
            f"layer {key.idx + 1}" if number else str(getattr(key, "name", getattr(key, "key", "")))
            for key, number in zip(path, is_number, strict=True)
        ]
        named[" ".join(words if words and not is_number[-1] else [*words, "hidden"])] = leaf
    return named


def gradient_norms(cell: Cell, params: Params, xs: jax.Array, target: int | jax.Array) -> jax.Array:
    """How strongly the last prediction depends on the state that each step starts from, [T].

    With (s(t+1), y(t)) = step(s(t), x(t)), so that s(t) is the whole state (hidden and cell
    together) before step t and s(0) the initial one, and p = softmax(y(T-1)):

        g(T-1) = (dy(T-1) / ds(T-1))' d log p[target] / dy(T-1)
        g(t)   = (ds(t+1) / ds(t))' g(t+1)

    and the result is |g(t)| = |d log p[target] / ds(t)| for t = 0..T-1. ``xs`` as for
    :func:`look`.

    Source: Hochreiter 1991; Bengio, Simard & Frasconi 1994.
    """

    def forward(state: Any, x: jax.Array) -> tuple[Any, tuple[Any, jax.Array]]:
        after, y = cell.step(params, state, x)
        return after, (state, y)

    def backward(d_after: Any, at: Any) -> tuple[Any, jax.Array]:
        state, x, d_y = at
        _, pullback = jax.vjp(lambda state: cell.step(params, state, x), state)
        (d_state,) = pullback((d_after, d_y))
        return d_state, _norm(d_state)

    last, (states, ys) = lax.scan(forward, cell.initial_state(params), xs)
    d_ys = jax.grad(lambda ys: jax.nn.log_softmax(ys[-1])[target])(ys)  # 0 but for the last step
    zeros = jax.tree.map(jnp.zeros_like, last)
    return lax.scan(backward, zeros, (states, xs, d_ys), reverse=True)[1]


def _norm(tree: Any) -> jax.Array:
    flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])
    # Squares of vanished gradients would be 0 long before the gradients are.
    greatest = jnp.max(jnp.abs(flat))
    scale = jnp.where(greatest > 0, greatest, jnp.ones_like(greatest))
    return scale * jnp.linalg.norm(flat / scale)


def inspect(
    experiments: Sequence[Experiment],
    trial: int,
    out: Path,
    on_stage: Callable[[str], None] = lambda sentence: None,
) -> list[Path]:
    """Train one trial of each experiment, draw what goes on in it, and return the pictures' paths.

    CELL-NAME-LENGTH.png shows a net while it reads each of the two sequences of noise_free,
    gradient_norms.png how far back the gradients of all of them reach. A trial is taken where it
    was solved, or after its last step. ``on_stage`` gets a sentence before each stage.

    Raises InputError for another task than noise_free, for nets that would share a picture, for a
    trial that diverged, and what :func:`jaxrnn.runner.run_trials` raises.
    """
    if trial < 0:
        raise InputError(f"trial {trial} must be at least 0")
    for experiment in experiments:
        if experiment.task != "noise_free":
            raise InputError(f"task {experiment.task} cannot be inspected: choose noise_free")
    names = [f"{one.cell}-{one.name}-{one.length}.png" for one in experiments]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{name} would show {count} nets: let name, cell or length differ")
    out.mkdir(parents=True, exist_ok=True)
    reaches = {}
    for name, experiment in zip(names, experiments, strict=True):
        net = f"{_label(experiment)} at length {experiment.length}"
        on_stage(f"Training trial {trial} of {net} to find where it ends.")
        experiment = _up_to(experiment, trial)
        outcome = run_trials(experiment)[trial]
        if outcome.status == "diverged":
            step = outcome.steps - 1
            raise InputError(f"trial {trial} of {net} diverged in step {step}: choose another")
        on_stage(f"Training it again for {outcome.steps:,} steps, when it is {outcome.status}.")
        params = trained_params(experiment, trial, outcome.steps)
        on_stage(f"Drawing {net}.")
        record, norms = jax.device_get(_look_at_both(experiment, params))
        _write(out / name, draw_record(experiment, outcome, record))
        reaches[f"{net}, {_ending(outcome)}"] = norms.astype(np.float64)
    on_stage("Drawing the gradients.")
    _write(out / "gradient_norms.png", draw_gradient_norms(reaches))
    return [out / name for name in [*names, "gradient_norms.png"]]


def _label(experiment: Experiment) -> str:
    layers = f" x{experiment.layers}" if experiment.layers > 1 else ""
    return f"{experiment.cell}{layers} ({experiment.name})"


def _up_to(experiment: Experiment, trial: int) -> Experiment:
    """The experiment with no trials after ``trial``, all as they were."""
    settings = {name: getattr(experiment, name) for name in PER_TRIAL}
    cut: dict[str, Any] = {n: v[: trial + 1] for n, v in settings.items() if isinstance(v, tuple)}
    return replace(experiment, trials=trial + 1, **cut)


def _cell(experiment: Experiment) -> Cell:
    return stack(look_up(CELLS, "cell", experiment.cell), experiment.layers)


def _ending(outcome: Outcome) -> str:
    ending = "solved" if outcome.status == "solved" else "not solved"
    return f"{ending} after {outcome.steps:,} training steps"


def _look_at_both(experiment: Experiment, params: Params) -> tuple[Record, jax.Array]:
    """The record and the gradient norms, each with an axis for the sequences, T-2's first."""
    cell, length = _cell(experiment), experiment.length
    symbols = noise_free(length).draw(jax.random.key(0)).inputs

    @jax.jit
    @jax.vmap
    def look_at(first: jax.Array) -> tuple[Record, jax.Array]:
        xs = symbols.at[0].set(first)
        if cell.unroll is None:  # as in training: a cell that is only a step multiplies vectors
            xs = jax.nn.one_hot(xs, length)
        return look(cell, params, xs), gradient_norms(cell, params, xs, first)

    return look_at(jnp.array([length - 2, length - 1], jnp.int32))


def draw_record(experiment: Experiment, outcome: Outcome, record: Record) -> Figure:
    """Heat maps of units against time: a row a state or gate, a column each of the two sequences.

    The arrays of ``record`` have an axis for the sequences in front. A third column is the
    difference of the two, which are alike but for their first symbol.
    """
    states = {name: np.asarray(value) for name, value in record.states.items()}
    gates = {n: np.asarray(record.gates[n]) for n in _cell(experiment).gates if n in record.gates}
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
        f"{_label(experiment)}, length {experiment.length}, trial {outcome.trial}, "
        f"{_ending(outcome)}"
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


def _write(path: Path, figure: Figure) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130)
    write_whole(path, buffer.getvalue())
