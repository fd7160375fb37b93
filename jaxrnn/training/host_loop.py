"""The host loop: hands trials to lanes, launches chunks, folds their errors, keeps checkpoints."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.outcome import ENDINGS, Outcome
from jaxrnn.training import stopping
from jaxrnn.training.engine import (
    NEVER,
    Compiled,
    Lanes,
    Program,
    first_states,
    lanes_of,
)
from jaxrnn.training.lanes import LaneTable, chunk_updates_of, enough, most_lanes, round_up
from jaxrnn.training.last_params import LastParams, errors_at_end, with_tests
from jaxrnn.training.memory import check_program
from jaxrnn.training.programs import program_for, widths_held
from jaxrnn.training.saved import FINITE, Checkpoint, checked, finite_lanes
from jaxrnn.training.tests import DECIDING
from jaxrnn.training.trial import TrainState, build

# The time between two checkpoints. It is longer, in proportion, if one takes longer than
# SAVE_SECONDS, 3 % of it.
CHECKPOINT_SECONDS, SAVE_SECONDS = 1.0, 0.03


# A compiled program is used as it is if it has at most this many times the lanes that are needed.
# Idle lanes cost as much time as others, but a compilation takes as long as thousands of updates.
WIDER = 1.5


class Tally(NamedTuple):
    """The progress of a run, for a display."""

    step: int  # training sequences that the furthest running trial has seen
    solved: int
    unsolved: int
    diverged: int
    running: int  # in a lane or waiting for one
    trial_steps: int  # training sequences of all trials so far
    lane_steps: int  # those that the lanes have had time for, idle ones and overrun included
    steps_taken: int  # updates of each lane
    steps_left: int  # updates of the lane that is busy longest, if every trial runs to its cap


class _Batch(NamedTuple):
    """What the lanes of a run are trained on."""

    devices: Sequence[jax.Device]
    program: Program
    width: int  # the number of lanes
    compiled: Future[Compiled]  # the program's chunk for so many


class _InFlight(NamedTuple):
    """A chunk that was launched and not yet read."""

    errors: jax.Array  # [C, N], or [C, N, B] of batches
    tests: jax.Array | None  # [N, M], errors of the test set after the chunk, where it decides
    lane_trial: np.ndarray  # [N], -1 for idle lanes
    before: TrainState | None  # what it began with, where trials' last parameters are wanted
    lanes: Lanes


class Run:
    """The state of one call of :func:`jaxrnn.run_trials`."""

    def __init__(
        self,
        experiment: Experiment,
        trials: Sequence[int],
        lanes: int | None,
        chunk_updates: int | None,
        devices: Sequence[jax.Device],
        keep_params: bool,
        checkpoint: Checkpoint | None,
        lane_bytes: int,
        until: int | None,
    ) -> None:
        """Begin to compile; the run takes no memory on a device yet.

        ``lane_bytes`` are what ``check_memory`` says of a lane.
        """
        self.experiment, self.lanes, self.checkpoint = experiment, lanes, checkpoint
        # Everywhere else in here a trial goes by its position among them.
        self.trials = np.asarray(trials, np.int32)
        self.until = until
        self.trial = build(experiment, devices[0].platform)
        self.lane_bytes = lane_bytes
        self.keep_params = keep_params
        self.at_end = [name for name, _ in self.trial.tests if name != DECIDING]
        self.replayable = keep_params or bool(self.at_end)
        self.rule = stopping.rule_of(experiment)
        # Those of an update that ends a trial are trained on, but not all of them may count.
        self.most_updates = experiment.updates(experiment.max_steps)
        self.chunk_updates = chunk_updates_of(experiment, self.trial.num_steps, chunk_updates)
        self.settings = lanes_of(experiment, self.trials).settings
        self.progress = stopping.start(len(self.trials), self.rule)
        self.lane_steps = 0
        self.saved = checkpoint.load() if checkpoint is not None else None
        held = np.size((self.saved or {}).get("lane_trial", ()))
        self.batch = self._first_batch(*self._usable(devices, held))
        self.widest = self.batch.width
        self.first_states = first_states(self.trial.init, self.devices)
        if self.saved is None:
            self.first_states.compile(self._any(self.batch.width))
        self.table = LaneTable(self.batch.width, len(self.trials))

    @property
    def devices(self) -> Sequence[jax.Device]:
        """The devices that it uses, among those that it was given."""
        return self.batch.devices

    def train(self, on_chunk: Callable[[Tally], None]) -> Iterator[Callable[[], Any]]:
        """Train, as :func:`jaxrnn.run_trials` says; once.

        Before it waits for a device or a compiler, it yields a function that returns when the wait
        is over. The caller can run this function on another thread and do something else meanwhile.
        """
        yield self.batch.compiled.result
        devices, program, width, compiled = self.batch
        run = compiled.result().run
        check_program(self.experiment, run, width, self.chunk_updates, devices)
        self.state = program.zeros(self._lanes())
        self.last_params = LastParams(self.state.params, self.trials) if self.replayable else None
        if self.saved is not None:
            self._restore(self.saved)
        checkpoint, in_flight = self.checkpoint, None
        next_save = time.monotonic() + CHECKPOINT_SECONDS
        while in_flight is not None or not self._has_come_far():
            self.table.fill()
            if (self.table.busy & (self.table.update == 0)).any():
                yield from self._begin()
            # The next chunk is launched before the last one is read, so the device never waits.
            launched = self._launch() if self.table.busy.any() else None
            if in_flight is not None:
                yield in_flight.errors.block_until_ready
                self._fold(in_flight)
                on_chunk(self._tally())
            in_flight = launched
            if in_flight is None:
                break
            is_due = checkpoint is not None and time.monotonic() >= next_save
            if is_due or self._has_come_far():
                # The state on the device is the one after this chunk, so it has to be read first.
                yield in_flight.errors.block_until_ready
                self._fold(in_flight)
                in_flight, start = None, time.monotonic()
                if checkpoint is not None and is_due:
                    checkpoint.save(self._arrays())
                slowness = max(1.0, (time.monotonic() - start) / SAVE_SECONDS)
                next_save = time.monotonic() + CHECKPOINT_SECONDS * slowness
                on_chunk(self._tally())
            if (narrower := self._narrower_batch()) is not None:
                self._move(jax.device_get(self.state), narrower)
            if not (self.progress.status == stopping.RUNNING).any():
                break  # what is still in flight belongs to trials that have ended
        if checkpoint is not None and not self._has_ended().all():
            checkpoint.save(self._arrays())

    def _has_come_far(self) -> bool:
        """Whether trials are still running, and all of them have come to ``until``."""
        steps = self.progress.steps[self.progress.status == stopping.RUNNING]
        return self.until is not None and bool(steps.size) and steps.min() >= self.until

    def _has_ended(self) -> np.ndarray:
        """Which trials have ended; with ``until``, by then, since later ends depend on the
        chunks."""
        has_ended = self.progress.status != stopping.RUNNING
        return has_ended if self.until is None else has_ended & (self.progress.steps <= self.until)

    def outcomes(self) -> list[Outcome]:
        """The outcomes of its trials, after ``train``; with ``until``, only of trials that ended by
        then."""
        experiment, (devices, program, *_) = self.experiment, self.batch
        has_two = self.rule.by_test and experiment.mean_error is not None
        has_ended = self._has_ended()
        progress = stopping.Progress(*(array[has_ended] for array in self.progress))
        outcomes = stopping.outcomes(progress, self.trials[has_ended], has_two)
        last_params = self.last_params and self.last_params.of(has_ended)
        if last_params and self.at_end:
            sizes = self.widest, len(devices)
            errors = errors_at_end(experiment, program, last_params, outcomes, *sizes)
            outcomes = with_tests(experiment, outcomes, errors)
        return last_params.handed_to(outcomes) if last_params and self.keep_params else outcomes

    def _usable(self, devices: Sequence[jax.Device], held: int) -> tuple[Sequence[jax.Device], int]:
        """The devices that the running trials can use, and the number of their lanes: at least as
        many as are ``held`` already, even if the devices or the user would want fewer."""
        running = int((self.progress.status == stopping.RUNNING).sum())
        most = most_lanes(self.lane_bytes, running, devices)
        width = min(max(self.lanes or most, held), running)
        return enough(devices, width), width

    def _first_batch(self, devices: Sequence[jax.Device], num_lanes: int) -> _Batch:
        """A batch on all these devices, or on one of two if a program for that one is compiled
        already. If no trial waits, a compiled program for a few more lanes is used, too. This saves
        a compilation for a run that ends soon."""
        wider = WIDER if num_lanes == len(self.trials) else 1.0
        halves = [[device] for device in devices] if len(devices) == 2 else []
        for some in (devices, *halves):
            least = round_up(num_lanes, len(some))
            held = widths_held(self.trial, self.chunk_updates, some, self.replayable)
            if fitting := [width for width in held if least <= width <= wider * least]:
                return self._compiled_for(some, min(fitting))
        return self._compiled_for(devices, num_lanes)

    def _compiled_for(self, devices: Sequence[jax.Device], num_lanes: int) -> _Batch:
        """Begin to compile for at least this number of lanes."""
        program = program_for(self.trial, self.chunk_updates, devices, self.replayable)
        width = round_up(num_lanes, len(devices))
        return _Batch(devices, program, width, self._compile(program, width))

    def _compile(self, program: Program, width: int) -> Future[Compiled]:
        """Begin to compile the program for so many lanes, unless that has been done."""
        return program.chunk.compile(self._any(width))

    def _any(self, width: int) -> Lanes:
        """So many lanes, whatever they hold."""
        lanes = lanes_of(self.experiment, np.resize(self.trials, width))
        return lanes._replace(stop=self._never(width))

    def _never(self, width: int) -> np.ndarray | None:
        """The update at which each lane stops: never; None if lanes cannot stop."""
        return np.full(width, NEVER, np.int32) if self.replayable else None

    def _narrower_batch(self) -> _Batch | None:
        """A batch with fewer lanes, if it would be useful and its program is compiled."""
        devices, program, _, compiled = self.batch
        least, waited = partial(round_up, num_devices=len(devices)), compiled.result().seconds
        width = self.table.narrower(least, time.monotonic(), waited)
        if width is None or not (compiled := self._compile(program, width)).done():
            return None
        return self.batch._replace(width=width, compiled=compiled)

    def _move(self, state: TrainState, batch: _Batch) -> None:
        """Go on with a state on the host, its busy lanes in front of the others."""
        lane = self.table.repack(batch.width)
        self.state = batch.program.put(jax.tree.map(lambda a: a[lane], state))
        self.batch = batch

    def _lanes(self) -> Lanes:
        """The lanes as the device sees them; an idle lane has the first trial at update 0, whatever
        its state."""
        position = np.maximum(self.table.trial, 0)
        update = np.where(self.table.busy, self.table.update, np.int32(0))
        settings = jax.tree.map(lambda values: values[position], self.settings)
        seed = np.full(len(position), self.experiment.seed, np.uint32)
        return Lanes(seed, self.trials[position], update, settings, self._never(len(position)))

    def _begin(self) -> Iterator[Callable[[], Any]]:
        """Give every lane at update 0 its trial's first weights; yields as :meth:`train` does."""
        lanes = self._lanes()
        at = np.flatnonzero(lanes.update == 0)
        some: Lanes = jax.tree.map(lambda one: one[at], lanes)
        yield self.first_states.compile(some).result
        drawn = self.first_states(some)
        yield partial(jax.block_until_ready, drawn)
        self.state = self.batch.program.with_first(self.state, drawn, at)

    def _launch(self) -> _InFlight:
        lanes, program = self._lanes(), self.batch.program
        before = self.state
        self.state, errors = program.chunk(self.state, lanes)
        test = program.tests.get(DECIDING)
        tests = None if test is None else test(self.state.params, lanes)
        began = before if self.replayable else None
        launched = _InFlight(errors, tests, self.table.trial.copy(), began, lanes)
        self.table.advance(self.chunk_updates, self.most_updates)
        sequences = self.chunk_updates * self.experiment.batch_size
        self.lane_steps += sequences * len(self.table.trial)
        return launched

    def _fold(self, chunk: _InFlight) -> None:
        lanes = np.flatnonzero(chunk.lane_trial >= 0)
        trials = chunk.lane_trial[lanes]
        errors = _in_order(chunk.errors)[:, lanes]
        tests = None if chunk.tests is None else np.asarray(chunk.tests, np.float64)[lanes]
        least = min(one.min(initial=0.0) for one in (errors, tests) if one is not None)
        if least < 0:
            raise InputError(
                f"an error of {self.experiment.cell} on {self.experiment.task} is {least:.3g}: "
                "objectives and measures must give errors that are not negative"
            )
        before = stopping.Progress(*(array[trials] for array in self.progress))
        folded = stopping.fold(before, errors, self.rule, tests)
        for array, new in zip(self.progress, folded, strict=True):
            array[trials] = new
        has_ended = (before.status == stopping.RUNNING) & (folded.status != stopping.RUNNING)
        if self.last_params and chunk.before is not None and has_ended.any():
            updates = self.experiment.updates(folded.steps)
            ended = (one[has_ended] for one in (lanes, trials, updates))
            self.last_params.take(self.batch.program, chunk.before, chunk.lanes, *ended)
        self.table.free(self.progress.status != stopping.RUNNING)

    def _tally(self) -> Tally:
        status, steps = self.progress.status, self.progress.steps
        counts = np.bincount(status, minlength=4).tolist()
        running = steps[status == stopping.RUNNING]
        return Tally(
            step=int(running.max() if running.size else steps.max()),
            **dict(zip(("running", *ENDINGS), counts, strict=True)),
            trial_steps=int(steps.sum()),
            lane_steps=self.lane_steps,
            steps_taken=self.table.updates_taken,
            steps_left=self.table.updates_left(self.most_updates),
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self.state)]
        return {
            **self.progress._asdict(),
            **self.table.arrays(),
            "lane_steps": np.array(self.lane_steps),
            FINITE: finite_lanes(leaves),
            **{f"state_{k}": leaf for k, leaf in enumerate(leaves)},
            **(self.last_params.arrays() if self.last_params else {}),
        }

    def _restore(self, saved: Mapping[str, np.ndarray]) -> None:
        one = self.experiment
        default = f"the checkpoint of {one.cell} at length {one.length}"
        where = getattr(self.checkpoint, "path", default)
        last_params = self.last_params or LastParams(self.state.params, self.trials)
        arrays = checked(saved, self._arrays() | last_params.arrays(), one, where)
        self.progress = stopping.Progress(
            *(np.array(arrays[name]) for name in stopping.Progress._fields)
        )
        self.table.restore(arrays)
        self.lane_steps = int(arrays["lane_steps"])
        if self.last_params:
            some_ended = (self.progress.status != stopping.RUNNING).any()
            self.last_params.restore(arrays, bool(some_ended), where)
        leaves, treedef = jax.tree.flatten(self.state)
        state = [arrays[f"state_{k}"] for k in range(len(leaves))]
        self._move(jax.tree.unflatten(treedef, state), self.batch)


def _in_order(errors: jax.Array) -> np.ndarray:
    """The errors of a chunk, [C, N] or [C, N, B], a sequence a row: [C B, N]."""
    rows = np.asarray(errors, np.float64)
    return rows if rows.ndim == 2 else rows.swapaxes(1, 2).reshape(-1, rows.shape[1])
