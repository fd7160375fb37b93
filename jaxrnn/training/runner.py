"""The host loop: hands trials to lanes, launches chunks, folds their errors, keeps checkpoints."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxrnn.errors import InputError, whole_number
from jaxrnn.experiment import Experiment
from jaxrnn.outcome import ENDINGS, Outcome
from jaxrnn.training import stopping
from jaxrnn.training.engine import (
    NEVER,
    Compiled,
    Lanes,
    bytes_of,
    chunk_steps_of,
    enough,
    lanes_of,
    make_program,
    most_lanes,
    round_up,
    state_of,
)
from jaxrnn.training.final_test import with_final_test
from jaxrnn.training.kept import Kept
from jaxrnn.training.lanes import LaneTable
from jaxrnn.training.memory import check_memory
from jaxrnn.training.parts import parts_of
from jaxrnn.training.trial import TrainState, build

CHECKPOINT_SECONDS = 1.0


class Tally(NamedTuple):
    """Where a run stands, for whoever watches it."""

    step: int  # training steps that the furthest running trial has taken
    solved: int
    unsolved: int
    diverged: int
    running: int  # in a lane or waiting for one
    trial_steps: int  # training steps of all trials so far
    lane_steps: int  # those that the lanes have had time for, idle ones and overrun included
    steps_taken: int  # by each lane
    steps_left: int  # by the lane that is busy longest, if every trial runs to its cap


class Checkpoint(Protocol):
    """Where a run keeps what it needs to go on: named arrays, replaced as a whole."""

    def load(self) -> Mapping[str, np.ndarray] | None:
        """The arrays of the last save, None before the first."""

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the arrays, so that a kill leaves either the old ones or the new."""


def check(
    experiment: Experiment,
    lanes: int | None = None,
    *,
    num_trials: int | None = None,
    keep_params: bool = False,
    here: bool = True,
) -> None:
    """Raise what :func:`run_trials` raises, before anything is computed.

    ``num_trials`` is how many of the trials will be run, by default all. Where that is not done
    ``here``, how much memory there is does not matter.
    """
    check_lanes(lanes)
    if here:
        check_memory(experiment, lanes, num_trials=num_trials, keep_params=keep_params)
    parts_of(experiment)


def check_lanes(lanes: int | None) -> None:
    """Raise InputError where it is no number of lanes."""
    if lanes is not None:
        whole_number("lanes", lanes, 1)


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
) -> list[Outcome]:
    """Train every trial of an experiment, or ``only`` some, until solved, diverged or given up.

    Up to ``lanes`` trials ride in one batch (by default as many for each CPU device as have their
    weights in its cache, but at most 32, and all of them on an accelerator); whichever ends makes
    room for the next, and once none wait the batch narrows. The lanes are shared out over the
    ``devices``, by default all of the process; the host reads errors every ``chunk_steps`` training
    steps (by default 250, fewer for long sequences, and always ``experiment.test_every`` where a
    test set decides).
    Outcomes come in the order of the trials, or of ``only``, and depend on none of this: nor on the
    number of trials. With a checkpoint the run goes on from its last save. With ``keep_params``
    each outcome has its trial's parameters as its last step left them; those of a diverged trial
    have taken the update by the sequence whose error was not finite, and are mostly NaN themselves.

    Raises InputError for a setting out of range, an unknown name, a run that needs more memory than
    there is, and a checkpoint with trials that ended without the parameters that are to be kept.
    """
    if only is not None and not len(only):
        _check_sizes(lanes, chunk_steps)
        return []
    return prepare(
        experiment,
        only=only,
        lanes=lanes,
        chunk_steps=chunk_steps,
        devices=devices,
        keep_params=keep_params,
        checkpoint=checkpoint,
    ).run(on_chunk)


def prepare(
    experiment: Experiment,
    *,
    only: Sequence[int] | None = None,
    lanes: int | None = None,
    chunk_steps: int | None = None,
    devices: Sequence[Any] | None = None,
    keep_params: bool = False,
    checkpoint: Checkpoint | None = None,
) -> "Run":
    """What :func:`run_trials` runs, its program being compiled on another thread from now on, so
    that something else can be trained meanwhile. Raises what run_trials raises."""
    _check_sizes(lanes, chunk_steps)
    trials = range(experiment.trials) if only is None else _distinct(only, experiment.trials)
    devices = jax.devices() if devices is None else devices
    check_memory(experiment, lanes, chunk_steps, len(trials), keep_params, devices)
    return Run(experiment, trials, lanes, chunk_steps, devices, keep_params, checkpoint)


def _check_sizes(lanes: int | None, chunk_steps: int | None) -> None:
    check_lanes(lanes)
    if chunk_steps is not None:
        whole_number("chunk_steps", chunk_steps, 1)


def _distinct(only: Sequence[int], num_trials: int) -> Sequence[int]:
    """Some of the trials, each once."""
    seen: set[int] = set()
    for trial in (only := list(only)):
        if whole_number("trial", trial, 0) >= num_trials:
            raise InputError(f"trial {trial} must be below trials {num_trials}")
        if trial in seen:
            raise InputError(f"trial {trial} is named twice")
        seen.add(trial)
    return only


class _InFlight(NamedTuple):
    """A chunk that was launched and not yet read."""

    errors: jax.Array  # [C, N]
    tests: jax.Array | None  # [N, M], errors of the test set after the chunk, where it decides
    lane_trial: np.ndarray  # [N], -1 for idle lanes
    before: TrainState | None  # what it began with, where trials' last parameters are kept
    lanes: Lanes


class Run:
    """The state of one call of :func:`run_trials`, which ``run`` does the rest of."""

    def __init__(
        self,
        experiment: Experiment,
        trials: Sequence[int],
        lanes: int | None,
        chunk_steps: int | None,
        devices: Sequence[jax.Device],
        keep_params: bool,
        checkpoint: Checkpoint | None,
    ) -> None:
        """Begin to compile; nothing is made of the run yet that takes memory on a device."""
        self.experiment, self.checkpoint = experiment, checkpoint
        # Everywhere else in here a trial goes by its place among them.
        self.trials = np.asarray(trials, np.int32)
        trial = build(experiment)
        self.keep_params, self.keeps = keep_params, keep_params or trial.final_test is not None
        self.rule = stopping.rule_of(experiment)
        self.chunk_steps = chunk_steps_of(experiment, trial.num_steps, chunk_steps)
        most = most_lanes(bytes_of(state_of(trial)), len(self.trials), devices)
        width = min(lanes or most, len(self.trials))
        self.devices = enough(devices, width)
        made_of = trial, experiment.seed, self.chunk_steps, self.devices
        self.program = make_program(*made_of, replayable=self.keeps)
        self.progress = stopping.start(len(self.trials), self.rule)
        self.table = LaneTable(self._round_up(width), len(self.trials))
        self.settings = lanes_of(experiment, self.trials).settings
        self.lane_steps = 0
        self.saved = checkpoint.load() if checkpoint is not None else None
        if self.saved is not None:
            width = len(self.saved["lane_trial"])
        self.first_compiled = self._compile(self._round_up(width))

    @property
    def is_compiled(self) -> bool:
        """Whether it could train at once."""
        return self.first_compiled.done()

    def run(self, on_chunk: Callable[[Tally], None]) -> list[Outcome]:
        """Train, as :func:`run_trials` says; once."""
        self.state = self.program.init(self._lanes())
        self.kept = Kept(self.program, self.state.params, self.trials) if self.keeps else None
        if self.saved is not None:
            self._restore(self.saved)
        compiled, checkpoint, in_flight = self.first_compiled, self.checkpoint, None
        last_save = time.monotonic()
        while True:
            self.table.fill()
            # The next chunk is launched before the last one is read, so the device never waits.
            launched = self._launch() if self.table.busy.any() else None
            if in_flight is not None:
                self._fold(in_flight)
                on_chunk(self._tally())
            in_flight = launched
            if in_flight is None:
                break
            if checkpoint is not None and time.monotonic() - last_save >= CHECKPOINT_SECONDS:
                # The state on the device is the one after this chunk, so it has to be read first.
                self._fold(in_flight)
                in_flight = None
                checkpoint.save(self._arrays())
                on_chunk(self._tally())
                last_save = time.monotonic()
            waited = compiled.result().seconds
            width = self.table.narrower(self._round_up, time.monotonic(), waited)
            if width is not None and (narrower := self._compile(width)).done():
                compiled = narrower
                self._repack(jax.device_get(self.state), width)
            if not (self.progress.status == stopping.RUNNING).any():
                break  # what is still in flight belongs to trials that have ended
        return self._outcomes()

    def _round_up(self, num_lanes: int) -> int:
        return round_up(num_lanes, len(self.devices))

    def _lanes(self) -> Lanes:
        """The lanes as the device sees them; an idle one repeats the beginning of the first."""
        place = np.maximum(self.table.trial, 0)
        step = np.where(self.table.busy, self.table.step, np.int32(0))
        stop = np.full_like(step, NEVER) if self.keeps else None
        settings = jax.tree.map(lambda values: values[place], self.settings)
        return Lanes(self.trials[place], step, settings, stop)

    def _compile(self, width: int) -> Future[Compiled]:
        """Begin to compile the program for so many lanes, unless that has been done."""
        lanes = jax.tree.map(lambda values: np.resize(values, width), self._lanes())
        return self.program.compile(lanes)

    def _launch(self) -> _InFlight:
        lanes, before = self._lanes(), self.state
        self.state, errors = self.program.chunk(self.state, lanes)
        tests = self.program.test(self.state.params, lanes) if self.program.test else None
        kept = before if self.keeps else None
        launched = _InFlight(errors, tests, self.table.trial.copy(), kept, lanes)
        self.table.advance(self.chunk_steps, self.experiment.max_steps)
        self.lane_steps += self.chunk_steps * len(self.table.trial)
        return launched

    def _fold(self, chunk: _InFlight) -> None:
        lanes = np.flatnonzero(chunk.lane_trial >= 0)
        trials = chunk.lane_trial[lanes]
        errors = np.asarray(chunk.errors, np.float64)[:, lanes]
        tests = None if chunk.tests is None else np.asarray(chunk.tests, np.float64)[lanes]
        before = stopping.Progress(*(array[trials] for array in self.progress))
        folded = stopping.fold(before, errors, self.rule, tests)
        for array, new in zip(self.progress, folded, strict=True):
            array[trials] = new
        has_ended = (before.status == stopping.RUNNING) & (folded.status != stopping.RUNNING)
        if self.kept and chunk.before is not None and has_ended.any():
            ended = (one[has_ended] for one in (lanes, trials, folded.steps))
            self.kept.keep(chunk.before, chunk.lanes, *ended)
        self.table.free(self.progress.status != stopping.RUNNING)

    def _repack(self, state: TrainState, width: int) -> None:
        """Move the busy lanes of a state on the host to the front of a batch of ``width`` lanes."""
        lane = self.table.repack(width)
        self.state = self.program.place(jax.tree.map(lambda a: a[lane], state))

    def _tally(self) -> Tally:
        status, steps = self.progress.status, self.progress.steps
        counts = np.bincount(status, minlength=4).tolist()
        running = steps[status == stopping.RUNNING]
        return Tally(
            step=int(running.max() if running.size else steps.max()),
            **dict(zip(("running", *ENDINGS), counts, strict=True)),
            trial_steps=int(steps.sum()),
            lane_steps=self.lane_steps,
            steps_taken=self.table.steps_taken,
            steps_left=self.table.steps_left(self.experiment.max_steps),
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        leaves = jax.tree.leaves(self.state)
        return {
            **self.progress._asdict(),
            **self.table.arrays(),
            "lane_steps": np.array(self.lane_steps),
            **{f"state_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)},
            **(self.kept.arrays() if self.kept else {}),
        }

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        names = stopping.Progress._fields
        self.progress = stopping.Progress(*(np.array(arrays[name]) for name in names))
        self.table.restore(arrays)
        self.lane_steps = int(arrays["lane_steps"])
        if self.kept:
            self.kept.restore(arrays, (self.progress.status != stopping.RUNNING).any())
        leaves, treedef = jax.tree.flatten(self.state)
        saved = [arrays[f"state_{k}"] for k in range(len(leaves))]
        # The number of devices may have changed since.
        width = self._round_up(len(self.table.trial))
        self._repack(jax.tree.unflatten(treedef, saved), width)

    def _outcomes(self) -> list[Outcome]:
        has_two = self.rule.by_test and self.experiment.mean_error is not None
        outcomes = stopping.outcomes(self.progress, self.trials, has_two)
        if self.kept and self.program.final_test:
            devices = len(self.devices)
            outcomes = with_final_test(self.experiment, self.program, self.kept, outcomes, devices)
        return self.kept.handed_to(outcomes) if self.kept and self.keep_params else outcomes
