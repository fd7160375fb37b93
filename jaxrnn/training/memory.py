"""Checks that a run fits into the available memory, from shapes, before any large array is made."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrnn.errors import InputError
from jaxrnn.experiment import OPTIONS, Experiment, flag_name
from jaxrnn.machine import all_devices, free_memory
from jaxrnn.nets.base import run
from jaxrnn.outcome import SIZE_AT_LENGTHS, curve_edges
from jaxrnn.problems import settled
from jaxrnn.training.checks import drawn_shapes
from jaxrnn.training.engine import bytes_of
from jaxrnn.training.lanes import (
    LaneSize,
    chunk_updates_of,
    device_memory,
    enough,
    most_lanes,
    round_up,
    together_from,
)
from jaxrnn.training.objectives import loss_and_error
from jaxrnn.training.parts import Parts, first_params, parts_of
from jaxrnn.training.stopping import needs_recent, rule_of
from jaxrnn.training.trial import TEST_BATCH

LAYER_BYTES = 5_000_000
"""What XLA takes to compile one more layer, at least: 8 to 14 MB where this was measured."""

PROGRAM_BYTES = 3.3
"""What a program takes for each byte of the estimate, at most: see :func:`check_memory`."""

OUTCOME_BYTES = 500
"""What Python takes for an outcome, at least."""

SIZES = ("hidden_size", "layers", "length", *OPTIONS)
"""The settings that the shapes of a net and of its sequences follow from."""


class Need(NamedTuple):
    """Something that a run keeps in memory."""

    size: int  # bytes
    what: str
    names: tuple[str, ...]  # of the settings that it grows with


class Lane(NamedTuple):
    """Bytes of one lane, whatever its trial."""

    weights: int
    optimizer: int  # what it keeps besides
    sequence: int
    residuals: int  # what JAX keeps of one sequence for the gradient, the weights apart
    tested: int  # the same of the sequences of a test that are run at once
    has_together: int  # whether the cell takes sequences together in a way of its own
    num_steps: int  # time steps T


def check_memory(
    experiment: Experiment,
    lanes: int | None = None,
    chunk_updates: int | None = None,
    num_trials: int | None = None,
    keep_params: bool = False,
    devices: Sequence[jax.Device] | None = None,
) -> LaneSize:
    """Raise InputError where a run of an experiment needs more memory than there is.

    Returns the size of a lane that :func:`jaxrnn.training.lanes.most_lanes` goes by.

    ``lanes``, ``keep_params`` and ``devices`` are those of :func:`jaxrnn.run_trials`,
    ``chunk_updates`` its ``chunk_steps``, ``num_trials`` how many trials are run, by default all of
    the experiment. The estimate is from shapes alone, with no more than two layers traced, and
    takes a few hundredths of a second. It counts

    - for each lane, on the devices: the weights, their gradient and the optimizer's own; the
      sequences of a chunk and of the next one; half of what JAX keeps of a sequence for the
      gradient, since XLA computes some of it anew instead; the errors of the tests;
    - for each trial, on the host: its progress (the last window where the rule needs it, and the
      learning curve), its outcome, and the weights that it ended with, where they are kept or
      tested;
    - the compiler's own for each layer.

    The estimate is meant to be below the real need, so that no run is refused that would fit:
    programs take 1.0 to 3.3 times as much by ``compile().memory_analysis()`` (14 nets with 6, 10
    and 64 lanes, jax 0.10.2 and 0.12.0.1 on CPUs), whole runs 1.2 to 2.8 times by the greatest
    resident memory (five nets with 60 to 4,000 lanes, jax 0.10.2). So a run that needs about three
    times the available memory may pass at first; :func:`check_program` refuses it once its program
    is compiled.
    """
    experiment = settled(experiment)
    trials = experiment.trials if num_trials is None else num_trials
    devices = all_devices() if devices is None else devices
    # Before anything is traced, which may make arrays as long as there are hidden units.
    check_trials(experiment, trials)
    try:
        with warnings.catch_warnings(action="ignore"):  # JAX's, of sizes that need 64 bits
            lane = _lane(experiment)
    except (OverflowError, MemoryError) as error:
        names, given = _culprits(experiment, SIZES)
        raise InputError(f"{given}: this is too large ({error}): lower {names}") from None
    platform = devices[0].platform
    updates = chunk_updates_of(experiment, lane.num_steps, chunk_updates)
    in_turn = platform == "cpu" and _takes_together(experiment, lane, platform)
    of_one = PROGRAM_BYTES * _total(_needs_of_lanes(experiment, lane, 1, updates, platform))
    size = LaneSize(
        state=lane.weights + lane.optimizer,
        residuals=0 if in_turn else lane.residuals,
        arrays=math.ceil(of_one),
    )
    width = min(lanes or most_lanes(size, trials, devices), trials)
    width = round_up(width, len(enough(devices, width)))
    room, where = _room(devices)
    others = _needs_of_trials(experiment, trials, width) if platform == "cpu" else []

    def needs_with(lanes: int) -> list[Need]:
        return [
            *_needs_of_lanes(experiment, lane, lanes, updates, platform),
            _need_at_end(experiment, lane, trials, keep_params),
        ]

    needs = needs_with(width)
    if _total([*others, *needs_with(round_up(1, 1))]) <= room:
        needs = [need._replace(names=("lanes",)) for need in needs]
    _require(experiment, width, [*others, *needs], room, where)
    return size


def check_program(
    experiment: Experiment,
    size: int,
    lanes: int,
    chunk_updates: int,
    devices: Sequence[jax.Device],
) -> None:
    """Raise InputError if a chunk for this number of lanes, ready to run, needs more memory than
    there is. ``size`` is what it needs on each of the devices, by XLA's own figures."""
    size *= len(devices)
    room, where = _room(devices)
    if size <= room:
        return
    platform = devices[0].platform
    greatest = max(_needs_of_lanes(experiment, _lane(experiment), lanes, chunk_updates, platform))
    names = greatest.names if size / lanes * round_up(1, 1) > room else ("lanes",)
    _require(experiment, lanes, [Need(size, greatest.what, names)], room, where)


def _room(devices: Sequence[jax.Device]) -> tuple[float, str]:
    """The bytes that there are for a run on these devices, and where, in words."""
    if devices[0].platform == "cpu":
        return free_memory(), ""
    return device_memory(devices), " on the devices"


def check_trials(experiment: Experiment, num_trials: int | None = None) -> None:
    """The part of :func:`check_memory` that needs only the numbers of trials and hidden units."""
    experiment = settled(experiment)
    least, trials = round_up(1, 1), experiment.trials if num_trials is None else num_trials
    # Each unit has two weights at least, and there are their gradients.
    units = 16 * least * experiment.layers * experiment.hidden_size
    weights = Need(units, "the weights of the hidden units", ("hidden_size", "layers"))
    needs = [*_needs_of_trials(experiment, trials, least), weights]
    _require(experiment, 0, needs, free_memory(), "")


def _needs_of_trials(experiment: Experiment, trials: int, lanes: int) -> list[Need]:
    """What the host keeps of all trials, and to compile."""
    rule = rule_of(experiment)
    # Of each trial that is in a lane there are three copies, at least, while it is folded.
    window = 8 * rule.window * needs_recent(rule) * (trials + 3 * min(lanes, trials))
    progress = 16 * len(curve_edges(rule.max_steps)) + OUTCOME_BYTES
    return [
        Need(trials * progress, f"the progress of {trials} trials", ("trials",)),
        Need(window, "the last window of every trial", ("trials", "window")),
        Need(LAYER_BYTES * experiment.layers, "compiling the layers", ("layers",)),
    ]


def _takes_together(experiment: Experiment, lane: Lane, platform: str) -> bool:
    """Whether the sequences of an update are taken together."""
    return experiment.batch_size >= together_from(platform, lane.has_together)


def _needs_of_lanes(
    experiment: Experiment, lane: Lane, lanes: int, updates: int, platform: str = "cpu"
) -> list[Need]:
    """What the devices keep of all lanes."""
    state = lanes * (2 * lane.weights + lane.optimizer)
    number = updates * experiment.batch_size
    # Those of the next chunk are drawn meanwhile.
    sequences = 2 * lanes * number * (lane.sequence + 4)
    residuals = lanes * lane.residuals // 2
    if _takes_together(experiment, lane, platform):
        # On a CPU a lane at a time.
        residuals = (
            (1 if platform == "cpu" else lanes) * experiment.batch_size * lane.residuals // 2
        )
    # So many sequences at a time are only run, which takes 0.28 to 1.4 of what is kept of each for
    # the gradient (memory blocks, embedded Reber; simple RNN, two sequences; jax 0.10.2 on CPUs).
    tests = lanes * (4 * experiment.test_size + lane.tested // 4)
    return [
        Need(state, f"the weights of {lanes} lanes and their gradients", SIZES),
        Need(
            sequences,
            f"{number} training sequences in {lanes} lanes, and the next ones",
            ("length", "batch_size", *OPTIONS),
        ),
        Need(
            residuals,
            f"the gradients of {lanes} lanes over {lane.num_steps} time steps",
            ("batch_size", *SIZES),
        ),
        Need(
            tests,
            f"the tests of {lanes} lanes",
            ("test_size", "final_test", "test_lengths", *SIZES),
        ),
    ]


def _need_at_end(experiment: Experiment, lane: Lane, trials: int, keep_params: bool) -> Need:
    """Memory for all trials at the end: their last weights, and the errors of a final test."""
    num_tested = experiment.final_test + SIZE_AT_LENGTHS * len(experiment.test_lengths)
    weights = lane.weights * (keep_params or num_tested > 0)
    size = trials * (weights + 4 * num_tested)
    if num_tested:
        return Need(size, "the final tests of all trials", ("trials", "final_test", *SIZES))
    return Need(size, "the last weights of all trials", ("trials", *SIZES))


def _lane(experiment: Experiment) -> Lane:
    """A lane, of which all layers above the first are alike."""
    experiment = experiment.net()
    first = _lane_of(experiment, 1)
    if experiment.layers == 1:
        return first
    second = _lane_of(experiment, 2)
    above = experiment.layers - 1
    return Lane(*(a + above * (b - a) for a, b in zip(first, second, strict=True)))


def _lane_of(experiment: Experiment, layers: int) -> Lane:
    # Other code checks whether the hidden units can join. The caller multiplies by the batch size
    # B, so one trace serves every batch size.
    passes_on = experiment.stack_hidden and layers > 1
    experiment = replace(experiment, layers=layers, stack_hidden=passes_on, join_at=0, batch_size=1)
    parts = parts_of(experiment)
    params, sequence, residuals = _residuals(parts._replace(optimizer=optax.sgd))
    number = jax.ShapeDtypeStruct((), jnp.result_type(float))
    optimizer = jax.eval_shape(lambda *rates: parts.optimizer(*rates).init(params), number, number)
    at_once = (
        min(TEST_BATCH, test.size) * test.task.num_steps / parts.task.num_steps
        for test in parts.tests
    )
    return Lane(
        weights=bytes_of(params),
        optimizer=bytes_of(optimizer),
        sequence=bytes_of(sequence),
        residuals=residuals,
        tested=int(residuals * max(at_once, default=0)),
        has_together=int(parts.cell.together is not None),
        num_steps=parts.task.num_steps,
    )


@lru_cache(maxsize=256)  # whatever a net is trained by, it is looked at once
def _residuals(parts: Parts) -> tuple[Any, Any, int]:
    """The shapes of the parameters and of a sequence, and the bytes that JAX keeps of it for the
    gradient."""
    params = first_params("net", parts.cell, parts.initializer)
    sequence = drawn_shapes("net", parts.task)

    def pullback(params: Any, sequence: Any) -> Any:
        def loss(params: Any) -> tuple[jax.Array, jax.Array]:
            first = parts.cell.initial_state(params)
            _, outputs = run(parts.cell, params, sequence.inputs, first)
            return loss_and_error(parts.goal, outputs, sequence)

        return jax.vjp(loss, params, has_aux=True)[1]

    # A pullback is a tree of the arrays that it keeps; arrays that are arguments, too, exist
    # anyway.
    traced = jax.make_jaxpr(pullback)(params, sequence).jaxpr
    outputs = {id(one): one.aval for one in traced.outvars}
    for argument in traced.invars:
        outputs.pop(id(argument), None)
    residuals = sum(math.prod(one.shape) * one.dtype.itemsize for one in outputs.values())
    return params, sequence, residuals


def _require(
    experiment: Experiment, lanes: int, needs: Sequence[Need], room: float, where: str
) -> None:
    total = _total(needs)
    if total <= room:
        return
    greatest = max(needs)
    names, given = _culprits(experiment, greatest.names, lanes)
    raise InputError(
        f"{given}: this needs more than {_spelled(total)} of memory{where}, most of it for "
        f"{greatest.what}, but only {_spelled(room)} are free: lower {names}"
    )


def _culprits(experiment: Experiment, settings: Sequence[str], lanes: int = 0) -> tuple[str, str]:
    """The settings with the largest values, in words: first without, then with their values."""
    values: dict[str, int] = {}
    for name in settings:
        if name in OPTIONS:
            values |= {n: v for n, v in getattr(experiment, name) if type(v) is int}
        else:
            value = lanes if name == "lanes" else getattr(experiment, name)
            values[name] = max(value, default=0) if isinstance(value, tuple) else value
    great = {flag_name(n): v for n, v in values.items() if 10 * v >= max(values.values())}
    return " or ".join(great), ", ".join(f"{name} {value}" for name, value in great.items())


def _total(needs: Sequence[Need]) -> int:
    return sum(need.size for need in needs)


def _spelled(size: float) -> str:
    return f"{float(f'{size / 1e9:.3g}'):,g} GB"
