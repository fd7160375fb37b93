"""Checks that a run fits into memory: by shapes before it is compiled, by XLA's figures after."""

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
from jaxrnn.problems import TASKS, settled
from jaxrnn.training.checks import LOOKED_AT, drawn_shapes
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
from jaxrnn.training.parts import OF_UPDATES, Parts, first_params, num_weights, parts_of
from jaxrnn.training.stopping import needs_recent, rule_of

LAYER_BYTES = 5_000_000
"""What XLA takes to compile one more layer, at least: 8 to 14 MB where this was measured."""

OUTCOME_BYTES = 500
"""What Python takes for an outcome, at least."""

PROGRAM_BYTES = 3.3
"""What a program takes for each byte of a lane's shapes, at most: 1.0 to 3.3 for 14 nets with 6, 10
and 64 lanes (jax 0.10.2 and 0.12.0.1 on CPUs), by half of the residuals, since XLA computes some of
them anew."""

SIZES = ("hidden_size", "layers", "length", *OPTIONS)
"""The settings that the shapes of a net and of its sequences follow from."""


class Need(NamedTuple):
    """Something that a run keeps in memory."""

    size: int  # bytes
    what: str
    names: tuple[str, ...]  # of the settings that it grows with


def check_memory(
    experiment: Experiment,
    lanes: int | None = None,
    chunk_updates: int | None = None,
    num_trials: int | None = None,
    keep_params: bool = False,
    devices: Sequence[jax.Device] | None = None,
) -> LaneSize:
    """Raise InputError where the arrays that a run begins with need more memory than there is.

    Returns the size of a lane that :func:`jaxrnn.training.lanes.most_lanes` goes by.

    ``lanes``, ``keep_params`` and ``devices`` are those of :func:`jaxrnn.run_trials`,
    ``chunk_updates`` its ``chunk_steps``, ``num_trials`` how many trials are run, by default all of
    the experiment. By shapes alone it counts each lane's weights, their gradients, what the
    optimizer keeps, and the sequences of a chunk. A program needs more than that, so a run that
    passes may still be too large: :func:`check_program` knows once the program is compiled.
    """
    experiment = settled(experiment)
    trials = experiment.trials if num_trials is None else num_trials
    devices = all_devices() if devices is None else devices
    check_trials(experiment, trials)
    try:
        with warnings.catch_warnings(action="ignore"):  # JAX's, of sizes that need 64 bits
            # Before a time step is traced, which may make arrays as long as there are hidden units.
            net = replace(experiment.net(), initializer="any", **OF_UPDATES)  # whatever these are
            weights = 8 * round_up(1, 1) * num_weights(net)
            _require(experiment, [Need(weights, "the weights", SIZES)], devices)
            parts = parts_of(experiment)
            params, shapes, residuals = _residuals(parts._replace(optimizer=optax.sgd))
            rate = jax.ShapeDtypeStruct((), jnp.result_type(float))
            kept = jax.eval_shape(lambda *of: parts.optimizer(*of).init(params), rate, rate)
    except (OverflowError, MemoryError) as error:
        names, given = _culprits(experiment, SIZES)
        raise InputError(f"{given}: this is too large ({error}): lower {names}") from None
    weights, sequence = bytes_of(params), bytes_of(shapes)
    state = weights + bytes_of(kept)  # all that is trained
    of_host = [Need(LOOKED_AT * sequence, f"{LOOKED_AT} sequences", ("length", *OPTIONS))]
    if keep_params or experiment.final_test or experiment.test_lengths:
        what = "the last weights of all trials"
        of_host.append(Need(trials * weights, what, ("trials", *SIZES)))
    _require(experiment, of_host)
    number = chunk_updates_of(experiment, parts.task.num_steps, chunk_updates)
    number *= experiment.batch_size  # sequences of a chunk
    drawn = number * (sequence + 4)  # each has an error
    of_program = weights + state + 2 * drawn + experiment.batch_size * residuals // 2
    platform = devices[0].platform
    together = experiment.batch_size >= together_from(platform, parts.cell.together is not None)
    size = LaneSize(
        state=state,
        residuals=0 if platform == "cpu" and together else residuals,
        arrays=math.ceil(PROGRAM_BYTES * of_program),
    )
    width = min(lanes or most_lanes(size, trials, devices), trials)
    width = round_up(width, len(enough(devices, width)))
    what, of_chunk = f"{number} training sequences in {width} lanes", ("length", "batch_size")
    needs = [
        Need(width * (weights + state), f"the weights of {width} lanes", SIZES),
        Need(width * drawn, what, (*of_chunk, *OPTIONS)),
        Need(4 * width * experiment.test_size, f"the tests of {width} lanes", ("test_size",)),
    ]
    _require(experiment, needs, devices, width)
    return size


def check_program(
    experiment: Experiment, size: int, lanes: int, devices: Sequence[jax.Device]
) -> None:
    """Raise InputError if a chunk for this number of lanes, ready to run, needs more memory than
    there is. ``size`` is what it needs on each of the devices, by XLA's own figures."""
    size *= len(devices)
    need = Need(size, f"the program of {lanes} lanes", ("batch_size", *SIZES))
    _require(experiment, [need], devices, lanes)


def check_trials(experiment: Experiment, num_trials: int | None = None) -> None:
    """The part of :func:`check_memory` that builds neither a task nor a net, which may take very
    long: what the host keeps of each trial, and compiling."""
    experiment = settled(experiment)
    trials = experiment.trials if num_trials is None else num_trials
    rule = rule_of(experiment)
    of_trial = OUTCOME_BYTES + 16 * len(curve_edges(rule.max_steps))
    of_trial += 8 * rule.window * needs_recent(rule)
    of_trial += 4 * (experiment.final_test + SIZE_AT_LENGTHS * len(experiment.test_lengths))
    names = ("trials", *["window"] * needs_recent(rule), "final_test")
    needs = [
        Need(trials * of_trial, f"the progress of {trials} trials", names),
        Need(LAYER_BYTES * experiment.layers, "compiling the layers", ("layers",)),
    ]
    if experiment.task in TASKS:  # whose sequences have length - 1 time steps at least
        size = 4 * LOOKED_AT * (experiment.length - 1)
        needs.append(Need(size, f"{LOOKED_AT} sequences", ("length",)))
    _require(experiment, needs)


@lru_cache(maxsize=256)  # whatever a net is trained by, it is looked at once
def _residuals(parts: Parts) -> tuple[Any, Any, int]:
    """The shapes of the parameters and of a sequence, and the bytes that JAX keeps of it for the
    gradient."""
    params = first_params("net", parts.cell)
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
    experiment: Experiment,
    needs: Sequence[Need],
    devices: Sequence[jax.Device] | None = None,
    lanes: int = 0,
) -> None:
    """Raise InputError where all this together needs more memory than the devices have, by default
    the host; it names the ``lanes``, where it is for so many, if fewer would fit."""
    free, where = free_memory(), ""
    if devices is not None and devices[0].platform != "cpu":
        free, where = device_memory(devices), " on the devices"
    total = sum(need.size for need in needs)
    if total <= free:
        return
    greatest = max(needs)
    fewer_fit = lanes and total / lanes * round_up(1, 1) <= free
    names, given = _culprits(experiment, ("lanes",) if fewer_fit else greatest.names, lanes)
    raise InputError(
        f"{given}: this needs more than {_spelled(total)} of memory{where}, most of it for "
        f"{greatest.what}, but only {_spelled(free)} are free: lower {names}"
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


def _spelled(size: float) -> str:
    return f"{float(f'{size / 1e9:.3g}'):,g} GB"
