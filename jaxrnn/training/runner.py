"""Training the trials of an experiment: its options, and its checks."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxrnn.errors import InputError, whole_number
from jaxrnn.experiment import Experiment
from jaxrnn.machine import all_devices
from jaxrnn.outcome import Outcome
from jaxrnn.problems import settled
from jaxrnn.training.loop import Loop
from jaxrnn.training.memory import check_memory
from jaxrnn.training.parts import parts_of
from jaxrnn.training.tickets import Checkpoint, Ended, Tally, Tickets


def check(
    experiment: Experiment,
    lanes: int | None = None,
    *,
    num_trials: int | None = None,
    keep_params: bool = False,
    here: bool = True,
) -> None:
    """Raise what :func:`run_trials` raises, before anything is computed.

    ``num_trials`` is how many of the trials will be run, by default all. If they are not run
    ``here``, the memory of this machine is not checked.
    """
    check_lanes(lanes)
    experiment = settled(experiment)
    if here:
        check_memory(experiment, lanes, num_trials=num_trials, keep_params=keep_params)
    parts_of(experiment)


def check_lanes(lanes: int | None, chunk_steps: int | None = None) -> None:
    """Raise InputError where these are no numbers of lanes and of updates."""
    for name, value in (("lanes", lanes), ("chunk_steps", chunk_steps)):
        if value is not None:
            whole_number(name, value, 1)


def run_trials(
    experiment: Experiment,
    *,
    only: Sequence[int] | None = None,
    lanes: int | None = None,
    chunk_steps: int | None = None,
    devices: Sequence[Any] | None = None,  # of jax, whose Device no type checker knows
    keep_params: bool = False,
    on_chunk: Callable[[Tally], None] = lambda tally: None,
    checkpoint: Checkpoint | None = None,
    until: int | None = None,
) -> list[Outcome]:
    """Train every trial of an experiment, or ``only`` some, until solved, diverged or given up.

    Up to ``lanes`` trials are trained at once. By default each CPU device gets as many as have
    their weights in its cache, but at most 32, and an accelerator gets all of them. There are
    always at least three lanes per device. A trial that ends makes room for the next one; once no
    trial waits, there are fewer lanes. They are
    shared out over the ``devices``, by default all of the process. The host reads errors after
    every ``chunk_steps`` updates: by default those of 250 sequences, fewer where these are long,
    and always those of ``experiment.test_every`` sequences where a test set decides.

    Outcomes come in the order of the trials, or of ``only``. They do not depend on any of these
    options or on the number of trials. With a checkpoint the run goes on from its last save. With
    ``until`` every trial has a lane. The run stops when each trial has ended or has seen that many
    sequences; trials that have not ended stay in the checkpoint. The outcomes are those of the
    trials that ended by then.

    With ``keep_params`` each outcome has its trial's parameters after its last update. For a
    diverged trial this is the update by the sequence with the error that is not finite, so its
    parameters are mostly NaN.

    Raises InputError for a setting out of range, an unknown name, a run that needs more memory than
    there is, and settings of JAX without a device.
    """
    if only is not None and not len(only):
        check_lanes(lanes, chunk_steps)
        return []
    trials = range(experiment.trials) if only is None else list(only)
    if only is not None:
        for trial in trials:
            if whole_number("trial", trial, 0) >= experiment.trials:
                raise InputError(f"trial {trial} must be below trials {experiment.trials}")
        if len({*trials}) < len(trials):
            raise InputError(f"trial {max(trials, key=trials.count)} is named twice")
    check_lanes(lanes, chunk_steps)
    experiment = settled(experiment)
    check_memory(experiment, lanes, chunk_steps, len(trials), keep_params, devices)
    every, ended = experiment.tickets(), dict[int, Outcome]()

    def on_end(some: Ended) -> None:
        ended.update((outcome.trial, outcome) for _, outcome in some)

    tickets = Tickets(deque(every[trial] for trial in trials), on_chunk, on_end, checkpoint)
    loop = prepare(
        tickets,
        lanes=lanes,
        chunk_steps=chunk_steps,
        devices=devices,
        keep_params=keep_params,
        until=until,
    )
    for _ in loop.train():
        pass  # there is nothing else to do meanwhile
    outcomes = [ended[trial] for trial in trials if trial in ended]
    if until is not None:  # whether one ended in the same chunk depends on the chunk
        outcomes = [one for one in outcomes if one.steps <= until]
    if not keep_params:
        return outcomes
    return [replace(one, params=jax.tree.map(jnp.asarray, one.params)) for one in outcomes]


def prepare(
    tickets: Tickets,
    *,
    lanes: int | None = None,
    chunk_steps: int | None = None,
    devices: Sequence[Any] | None = None,
    keep_params: bool = False,
    until: int | None = None,
) -> Loop:
    """The loop for the tickets that wait, not yet trained. Another thread compiles its program from
    now on, so that something else can be trained meanwhile. Raises what run_trials raises."""
    check_lanes(lanes, chunk_steps)
    devices = all_devices() if devices is None else devices
    experiment, number = tickets.waiting[0].experiment, len(tickets.waiting)
    if until is not None:
        whole_number("until", until, 1)
        lanes = number
    lane_size = check_memory(experiment, lanes, chunk_steps, number, devices=devices)
    return Loop(tickets, lanes, chunk_steps, devices, keep_params, lane_size, until)


def seconds_a_time_step(
    experiment: Experiment, *, updates: int = 80, chunk: int = 10, lanes: int | None = None
) -> float:
    """Seconds that a time step of one trial takes in training, if all are trained at once.

    It compiles the program and trains for so many ``updates``. The host reads after every ``chunk``
    of them. All chunks but the first count together: alone, one that is read late seems long, and
    the next one short.
    """
    sequences = updates * experiment.batch_size
    seen = [(time.monotonic(), 0)]
    run_trials(
        replace(experiment, max_steps=sequences, window=sequences),
        lanes=lanes,
        chunk_steps=chunk,
        on_chunk=lambda tally: seen.append((time.monotonic(), tally.trial_steps)),
    )
    # The first chunk waits for the compiler: it only counts where there is no other.
    (start, before), *_, (end, after) = seen[len(seen) > 2 :]
    return (end - start) / (after - before) / parts_of(experiment).task.num_steps
