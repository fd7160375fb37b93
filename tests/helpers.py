"""What several tests use: nets with random weights, their gradients, programs that run once, a
checkpoint in memory, rows by hand, and the command line in this process."""

import lzma
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from rich.console import Console
from scipy.stats import beta

from jaxrnn import CELLS, NOTEBOOK, SUITES, Cell, Experiment, Outcome, cli, stack, unroll, xavier
from jaxrnn.experiment import Ticket
from jaxrnn.nets.selective import TimeMixingState
from jaxrnn.nets.xlstm import ExponentialState, MatrixState
from jaxrnn.problems import Sequence, Task, settled
from jaxrnn.report.document import parts_of
from jaxrnn.report.render import Picture, markdown_table, terminal
from jaxrnn.report.summary import Rows, Study, summarize
from jaxrnn.report.table import table
from jaxrnn.store.rows import PACKED, Row, lines_of, make_row, read_rows, row_from
from jaxrnn.sweeps.devices import Devices
from jaxrnn.sweeps.run import OpenRun
from jaxrnn.training.compiling import CPU_OPTIONS
from jaxrnn.training.engine import Chunk, lanes_of, make_program
from jaxrnn.training.lanes import Narrowing
from jaxrnn.training.trial import Settings, build, settings_of, trial_key


def state_of(trial):
    """The shapes of what one trial trains."""
    number = jax.ShapeDtypeStruct((), jnp.result_type(float))
    settings = Settings(*(number,) * len(Settings._fields))
    return jax.eval_shape(trial.init, trial_key(0, 0), settings)


_NOT_GATED = ("memory_blocks", "one_cell", "self_recurrent", "mgu", "co_rnn")
_NOT_GATED += ("min_gru", "min_lstm", "ind_rnn", "lru", "mlstm", "s6", "rwkv")
_NOT_GATED += ("delta_net", "gated_delta_net", "delta_product", "exp_rnn", "sco_rnn")
GATED = tuple(name for name in CELLS if name not in _NOT_GATED)
"""The cells on the fast path of ``gated``."""

KINDS: dict[str, dict[str, Any]] = {
    **{name: {} for name in CELLS},
    "slstm, exponential": {"forget_gate": "exponential"},
    **{f"janet, beta {beta}": {"beta": beta} for beta in (0.0, 0.5, 3.0)},
    "min_gru, positive": {"positive": True},
    "min_lstm, positive": {"positive": True},
    # As the program of the paper has it for the adding task, and one that moves a lot in a step.
    "co_rnn, adding": {"dt": 0.06, "gamma": 66.0, "epsilon": 15.0},
    "co_rnn, fast": {"dt": 0.5, "gamma": 1.0, "epsilon": 1.0},
    "delta_net, negative": {"negative": True},
    "delta_product, decaying": {"num_updates": 3, "negative": False, "decays": True},
    "s6": {"state_size": 2},
    "s6, negative": {"state_size": 2, "negative": True},
    "memory_blocks": {"block_size": 2},
    "memory_blocks, full": {"block_size": 2, "truncated": False},
    "one_cell, bipolar": {"bipolar": True},
}
"""Every cell of the table, and some with other options, by what comes before the comma."""

# In float32 sums of up to 20 products of order 1 are passed on through up to 9 steps and 3 layers.
FLOAT64 = {"rtol": 1e-12, "atol": 1e-13}
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}

ONE_DEVICE = jax.devices()[:1]


# Nets


def plain(cell: Cell) -> Cell:
    """The cell without its fast path."""
    return cell._replace(unroll=None)


def net_of(
    name: str,
    sizes: tuple[int, int, int],
    layers: int = 1,
    change: Callable[[Cell], Cell] = lambda cell: cell,
) -> Cell:
    """A stack of one cell of the table, sizes (I, H, O), each layer changed."""
    num_inputs, hidden_size, num_outputs = sizes
    fans_in = [num_inputs] + [num_outputs] * (layers - 1)
    return stack(*(change(CELLS[name](fan_in, hidden_size, num_outputs)) for fan_in in fans_in))


def name_of(kind: str) -> str:
    """The cell's name in the table."""
    return kind.partition(",")[0]


def of_kind(kind: str, sizes: tuple[int, int, int], **options: Any) -> Cell:
    """A cell of ``KINDS``."""
    return CELLS[name_of(kind)](*sizes, **(KINDS[kind] | options))


def random_like(tree: Any, seed: int) -> Any:
    """Normal numbers in the shapes of ``tree``: no bias is zero, so none goes unnoticed."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(0.5 * rng.standard_normal(a.shape), a.dtype), tree)


def random_params(cell: Cell, seed: int = 0) -> Any:
    shapes = jax.eval_shape(lambda key: cell.init(key, xavier()), jax.random.key(0))
    return random_like(shapes, seed)


def random_vectors(shape: tuple[int, int], seed: int = 1) -> jax.Array:
    """Inputs [T, I]."""
    return random_like(jnp.zeros(shape), seed)


def random_symbols(shape: tuple[int, int], seed: int = 1) -> jax.Array:
    """Inputs [T] below I."""
    num_steps, num_inputs = shape
    symbols = np.random.default_rng(seed).integers(num_inputs, size=num_steps)
    return jnp.asarray(symbols, jnp.int32)


def in_equations(state: Any) -> Any:
    """A cell's state as the tuple of arrays that its equations know, of a stack one a layer."""
    if isinstance(state, ExponentialState):
        h, c, n, m = state
        return h, c * jnp.exp(m), n * jnp.exp(m)
    if isinstance(state, MatrixState):
        C, n, m = state
        return C * jnp.exp(m), n * jnp.exp(m)
    if isinstance(state, TimeMixingState):
        a, b, m, e = state
        return a * jnp.exp(m), b * jnp.exp(m), e
    if not isinstance(state, tuple):
        return (state,)
    is_stack = not hasattr(state, "_fields")
    return tuple(map(in_equations, state)) if is_stack else tuple(state)


def factors(size: int) -> np.ndarray:
    """What each of many results counts in a sum, so that none goes unnoticed."""
    return np.random.default_rng(5).standard_normal(size)


def random_sum(results: tuple[Any, jax.Array]) -> jax.Array:
    """A sum of the last state and the outputs."""
    last, outputs = results
    flat, _ = ravel_pytree((in_equations(last), outputs))
    return jnp.vdot(jnp.asarray(factors(flat.size), flat.dtype), flat)


@partial(jax.jit, static_argnums=(0, 4))
def results_and_gradients(
    cell: Cell, params: Any, state: Any, xs: jax.Array, steps_at_once: int = 1
) -> Any:
    """(Last state, outputs), and the gradients of their random sum by parameters and state."""

    def summed(params: Any, state: Any) -> tuple[jax.Array, Any]:
        results = unroll(cell, params, xs, state, steps_at_once=steps_at_once)
        return random_sum(results), results

    grads, results = jax.grad(summed, argnums=(0, 1), has_aux=True)(params, state)
    return results, grads


def central_differences(function: Callable[[Any], Any], tree: Any, order: int = 2) -> Any:
    """The gradient of a function of a tree of NumPy arrays, which are moved in their place, by
    differences whose error is of the second or the fourth order."""
    epsilon = 1e-5
    weights = {2: {1: 1 / 2}, 4: {1: 2 / 3, 2: -1 / 12}}[order]
    leaves, structure = jax.tree.flatten(jax.tree.map(np.array, tree))
    slopes = [np.zeros_like(leaf) for leaf in leaves]
    for leaf, slope in zip(leaves, slopes, strict=True):
        for index in np.ndindex(leaf.shape):
            value = leaf[index]
            for moves, weight in weights.items():
                sides = []
                for leaf[index] in (value + moves * epsilon, value - moves * epsilon):
                    sides.append(function(structure.unflatten(leaves)))
                slope[index] += weight * (sides[0] - sides[1]) / epsilon
            leaf[index] = value
    return structure.unflatten(slopes)


def number_of_weights(params: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def assert_trees_close(actual: Any, expected: Any, rtol: float, atol: float) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    leaves = jax.tree_util.tree_leaves_with_path(actual)
    for (path, a), e in zip(leaves, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, rtol, atol, err_msg=jax.tree_util.keystr(path))


# Trials


def run_sweep(experiments, directory, lanes=None, keep_weights=False, dask=None, **told):
    """Run the trials that a directory lacks, and return all its rows; who is told of them is as
    :class:`jaxrnn.sweeps.watch.Watch`."""
    names = ("expect", "on_start", "on_chunk", "on_stop", "on_rows")
    watch = SimpleNamespace(**(dict.fromkeys(names, lambda *_: None) | told))
    OpenRun(directory, watch, lanes, keep_weights, dask)(experiments)
    return [row.values() for row in directory.rows]


def of_trial(tree: Any, trial: int) -> Any:
    """One trial's entries of arrays with an axis of trials."""
    return jax.tree.map(lambda leaf: leaf[trial], tree)


def settings_of_one(experiment: Experiment) -> Settings:
    """The settings of the first trial, not of a batch."""
    return of_trial(settings_of(experiment), 0)


def first_params(experiment: Experiment, trial: int = 0) -> Any:
    """One trial's first weights, to the last bit."""
    settings = of_trial(settings_of(experiment), trial)
    init = jax.jit(build(experiment).init, compiler_options=CPU_OPTIONS)
    return init(trial_key(experiment.seed, trial), settings).params


def params_after(experiment: Experiment, steps: Iterable[int]) -> dict[int, Any]:
    """Every trial's parameters after each of some numbers of updates, without the runner."""
    trial = build(experiment)
    program = make_program(trial, 1, ONE_DEVICE)
    lanes, after = lanes_of(experiment), {}
    state = program.first_state(trial.init, lanes)
    for step in range(max(steps)):
        state, _ = program.chunk(state, lanes._replace(update=np.full_like(lanes.update, step)))
        if step + 1 in steps:
            after[step + 1] = jax.device_get(state.params)
    return after


class Memory:
    """A checkpoint in memory, with every save."""

    def __init__(self) -> None:
        self.saves: list[dict[Ticket, dict[str, np.ndarray]]] = []

    def load(self) -> dict[Ticket, dict[str, np.ndarray]]:
        return self.saves[-1] if self.saves else {}

    def save(self, under_way: Any) -> None:
        copies = {
            one: {name: np.array(a) for name, a in at.items()} for one, at in under_way.items()
        }
        self.saves.append(copies)

    def steps(self) -> int:
        """Training sequences of all trials of the last save."""
        return sum(int(at["steps"]) for at in self.load().values())


def narrow_at_once(patch: pytest.MonkeyPatch, narrows: bool = True) -> None:
    """Runs go on in fewer lanes as soon as half of them are idle, or never: in place of when it
    pays, which depends on the time that a compilation takes."""
    narrower, compiles = Narrowing.width, Chunk.compile

    def narrower_at_once(
        narrowing: Narrowing, lanes: Any, updates: Any, now: float, seconds: float, round_up: Any
    ) -> int | None:
        return narrower(narrowing, lanes, updates, now, 0.0, round_up) if narrows else None

    def compiled_at_once(chunk: Chunk, lanes: Any) -> Any:
        future = compiles(chunk, lanes)
        future.result()
        return future

    patch.setattr(Narrowing, "width", narrower_at_once)
    patch.setattr(Chunk, "compile", compiled_at_once)


SIGMAS = 4.5
"""Standard errors within which a distribution that is drawn has to be what it is said to be."""


def assert_uniform(values: np.ndarray, low: int, high: int) -> None:
    """Integers low, ..., high and nothing else, each equally often."""
    values = np.ravel(values)
    assert (values.min(), values.max()) == (low, high)
    p = 1 / (high - low + 1)
    counts = np.bincount(values - low)
    bound = SIGMAS * np.sqrt(values.size * p * (1 - p))
    np.testing.assert_allclose(counts, values.size * p, rtol=0, atol=bound)


def drawn_from(task: Task, num: int, seed: int = 0) -> Sequence:
    """Sequences of a task whose inputs and targets are symbols, as NumPy arrays [num, T]."""
    keys = jax.random.split(jax.random.key(seed), num)
    drawn = jax.tree.map(np.asarray, jax.jit(jax.vmap(task.draw))(keys))
    for symbols, size in ((drawn.inputs, task.num_inputs), (drawn.targets, task.num_outputs)):
        assert symbols.shape == (num, task.num_steps)
        assert symbols.dtype == np.int32
        assert 0 <= symbols.min() <= symbols.max() < size
    assert drawn.judged_targets is None
    return drawn


class Accelerator:
    """A device that is none of the CPU's, with so many bytes of memory, or not saying."""

    platform = "gpu"

    def __init__(self, memory=None):
        self.memory = memory

    def memory_stats(self):
        return self.memory and {"bytes_limit": self.memory}


# Small experiments that end in a moment, a rule each, and one for an optimizer with a state.

STREAK = Experiment(length=5, trials=5, window=60, max_steps=900)
# Tell the sign of the first of eleven numbers.
WINDOW = Experiment(
    task="two_sequence",
    length=11,
    cell="simple_rnn",
    hidden_size=6,
    objective="half_squared_error",
    loss_reduction="sum",
    initializer="xavier",
    learning_rate=1.0,
    threshold=0.2,
    window=50,
    mean_error=0.1,
    max_steps=600,
    trials=5,
    final_test=40,
)
BY_TEST = replace(WINDOW, test_size=24, test_every=20, max_failures=1, mean_error=0.05)
ADAM = replace(WINDOW, optimizer="clipped_adam", learning_rate=0.005)


def promotion(experiment: Experiment) -> Any:
    """Strict, but for optax's Adam, which relies on the promotion of its step count."""
    is_adam = experiment.optimizer == "clipped_adam"
    return jax.numpy_dtype_promotion("standard" if is_adam else "strict")


# Rows and the command line


def rows(cell: str, length: int, steps: list[int | None] | tuple, **settings: Any) -> list[Row]:
    """Rows of the notebook's experiment, solved at these steps or not."""
    experiment = replace(NOTEBOOK.base, cell=cell, length=length, trials=len(steps), **settings)
    return rows_ending_at(experiment, steps)


def rows_ending_at(experiment: Experiment, steps: Any, **results: Any) -> list[Row]:
    """Rows of an experiment solved at these steps, or not; ``results`` are a value a trial."""
    experiment = settled(experiment)
    return [
        make_row(
            experiment,
            Outcome(
                trial=trial,
                status="unsolved" if step is None else "solved",
                solved_at=step,
                last_above=0,
                steps=experiment.max_steps if step is None else step + 1,
                curve=(0.5,),
                **{name: values[trial] for name, values in results.items()},
            ),
        )
        for trial, step in enumerate(steps)
    ]


def changed(row: Row, **values: Any) -> Row:
    """The row with other values of its line."""
    return row_from(row.values() | values)


def run(*arguments: Any) -> int:
    """Run the command line in this process and return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["jaxrnn", *map(str, arguments)])
        patch.setattr("signal.signal", lambda *_: None)  # an interruption is still pytest's
        try:
            cli.main()
        except SystemExit as exit_:
            return exit_.code
    return 0


def pretended(patch: pytest.MonkeyPatch, solved_at: Callable[..., int | None]) -> None:
    """In place of training each trial is solved where a function of it, as an experiment of one
    trial, says, or is not."""

    def end(ticket: Ticket) -> Outcome:
        (row,) = rows_ending_at(ticket.experiment, [solved_at(ticket.experiment)])
        return replace(row.outcome, trial=ticket.trial)

    def train(devices: Devices) -> None:
        while jobs := list(devices.queue.jobs()):
            for tickets, _ in jobs:
                devices.queue.add({ticket: end(ticket) for ticket in tickets}, {})

    patch.setattr(Devices, "train", train)


def answered(
    asking: list[Any],
    solved_at: Callable[..., int | None],
    error_at: Callable[..., float] = lambda one: 0.5,
) -> tuple[list[Row], list[Any]]:
    """All rows that some generators which go on side by side ask for, where each trial ends as in
    :func:`pretended`, with this error, and what each has found. Each goes as far as it can."""
    rows: list[list[Row]] = [[] for _ in asking]
    sent: list[Any] = [None] * len(asking)
    found: dict[int, Any] = {}
    while len(found) < len(asking):
        for k, one in enumerate(asking):
            while k not in found:
                try:
                    asked = one.send(sent[k])
                except StopIteration as end:
                    found[k] = end.value
                    break
                sent[k] = Rows()
                for made in asked:
                    for row in rows_ending_at(made, [*map(solved_at, made.each_alone())]):
                        curve = (error_at(row.experiment),)
                        sent[k].append(replace(row, outcome=replace(row.outcome, curve=curve)))
                rows[k] += sent[k]
                if not asked:
                    break  # it waits for the others
    return [row for some in rows for row in some], [found[k] for k in range(len(asking))]


def write_rows(directory: Path, rows: Iterable[Row]) -> None:
    """As a run leaves them."""
    (directory / "trials.jsonl").write_bytes(lines_of(rows))


def rows_of(out: Path) -> list[dict]:
    return read_rows(out)


def paper_rows(name, length, ends, **results):
    experiment = SUITES[name].at(length=length, trials=len(ends))
    return rows_ending_at(experiment, ends, **results)


def grid_rows():
    """A grid of rate and clip of two trials each, and lstm at a length with a single setting."""
    return rows(
        "lstm",
        5,
        [700, None, 400, 600, None, None, 300, 900],
        name="grid",
        learning_rate=(0.1, 0.1, 0.1, 0.1, 2.0, 2.0, 2.0, 2.0),
        clip=(1.0, 1.0, 5.0, 5.0, 1.0, 1.0, 5.0, 5.0),
        forget_bias=2.0,
    ) + rows("lstm", 6, [800, None, 200], name="grid", forget_bias=2.0)


def clopper_pearson(solved, trials):
    """The textbook's interval: quantiles of beta distributions."""
    low = beta.ppf(0.025, solved, trials - solved + 1) if solved else 0.0
    high = beta.ppf(0.975, solved + 1, trials - solved) if solved < trials else 1.0
    return low, high


def first_table(markdown):
    """The rows of a text's first table, a list of cells each."""
    lines = markdown[markdown.index("\n| ") + 1 :].split("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines]


def figures_of(rows):
    """The pictures that a report of the rows would have, by the names of their files."""
    pictures = (part for part in parts_of(Study(rows)) if isinstance(part, Picture))
    return {f"{one.stem}.png": one.draw() for one in pictures}


def summary_of(rows):
    """The lines in Markdown of the table of the rows."""
    shown = table(summarize(rows))
    return markdown_table(shown.rows, shown.headings).splitlines()


def printed(width, *parts):
    """Parts of a report on a terminal of so many columns."""
    console = Console(width=width)
    with console.capture() as capture:
        console.print(terminal(parts, width))
    return capture.get()


def contents(directory: Path) -> dict[str, bytes]:
    """What files hold, whichever version of xz has packed them."""
    held = {path.name: path.read_bytes() for path in directory.iterdir()}
    return held | {PACKED: lzma.decompress(held[PACKED])}
