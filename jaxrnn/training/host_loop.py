"""The host loop: hands trials to lanes, launches chunks, folds their errors, keeps checkpoints."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.outcome import ENDINGS, Outcome
from jaxrnn.training import stopping
from jaxrnn.training.engine import (
    NEVER,
    Compiled,
    Lanes,
    Program,
    first_states,
    lanes_of,
    program_for,
    widths_held,
)
from jaxrnn.training.lanes import (
    IDLE,
    LaneSize,
    LaneTable,
    chunk_updates_of,
    enough,
    most_lanes,
    round_up,
)
from jaxrnn.training.members import (
    Arrays,
    LastParams,
    Member,
    OnEnd,
    OnTally,
    Tally,
    fitted,
    with_tests,
)
from jaxrnn.training.memory import check_program
from jaxrnn.training.parts import DECIDING
from jaxrnn.training.trial import TrainState, build

# The time between two checkpoints. It is longer, in proportion, if one takes longer than
# SAVE_SECONDS, 3 % of it.
CHECKPOINT_SECONDS, SAVE_SECONDS = 1.0, 0.03

# A compiled program is used as it is if it has at most this many times the lanes that are needed.
# Idle lanes cost as much time as others, but a compilation takes as long as thousands of updates.
WIDER = 1.5


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
    """Trains the trials of one experiment, or of several that one batch can hold, see
    :meth:`jaxrnn.Experiment.batch`."""

    def __init__(
        self,
        members: Sequence[Member],
        lanes: int | None,
        chunk_updates: int | None,
        devices: Sequence[jax.Device],
        keep_params: bool,
        lane_size: LaneSize,
        until: int | None,
    ) -> None:
        """Begin to compile; the run takes no memory on a device yet."""
        self.members, self.until = members, until
        # What it needs of an experiment in here is the same for all members.
        self.experiment = experiment = members[0].experiment
        every = [lanes_of(one.experiment, np.asarray(one.trials)) for one in members]
        # In here a trial goes by its position among those of all members.
        self.every: Lanes = jax.tree.map(lambda *some: np.concatenate(some), *every)
        self.trials = np.asarray(self.every.trial)
        counts = [len(one.trials) for one in members]
        self.member = np.repeat(np.arange(len(members)), counts)
        self.own = [slice(end - n, end) for n, end in zip(counts, np.cumsum(counts), strict=True)]
        self.is_over = np.zeros(len(members), bool)  # whether a member's outcomes were handed over
        trials = [build(one.experiment, devices[0].platform) for one in members]
        self.trial = trials[0]
        self.keep_params = keep_params
        self.at_end = [name for name, _ in self.trial.tests if name != DECIDING]
        self.replayable = keep_params or bool(self.at_end)
        self.rule = stopping.rule_of(experiment)
        # Those of an update that ends a trial are trained on, but not all of them may count.
        self.most_updates = experiment.updates(experiment.max_steps)
        self.chunk_updates = chunk_updates_of(experiment, self.trial.num_steps, chunk_updates)
        self.progress = stopping.start(len(self.trials), self.rule)
        self.saved = [one.checkpoint.load() if one.checkpoint else None for one in members]
        held = sum(np.size((saved or {}).get("lane_trial", ())) for saved in self.saved)
        # A run that goes on has at least as many lanes as before, even if the devices or the user
        # would want fewer.
        most = lanes or most_lanes(lane_size, len(self.trials), devices)
        width = min(max(most, held), len(self.trials))
        self.batch = self._first_batch(enough(devices, width), width)
        self.widest = self.batch.width
        # One for each way to draw first weights, and which of them draws each trial's.
        inits = dict.fromkeys(one.init for one in trials)
        self.first_states = [first_states(init, self.devices) for init in inits]
        number = {init: k for k, init in enumerate(inits)}
        self.drawn_by = np.array([number[one.init] for one in trials])[self.member]
        if None in self.saved:
            for one in self.first_states:
                one.compile(self._any(self.batch.width))
        self.table = LaneTable(self.batch.width, len(self.trials))

    @property
    def devices(self) -> Sequence[jax.Device]:
        """The devices that it uses, among those that it was given."""
        return self.batch.devices

    def train(self, on_chunk: OnTally, on_end: OnEnd) -> Iterator[Callable[[], Any]]:
        """Train, as :func:`jaxrnn.run_trials` says; once.

        ``on_end`` gets the outcomes of a member as soon as its last trial has ended. With ``until``
        it gets those of the trials that ended by then.

        Before it waits for a device or a compiler, it yields a function that returns when the wait
        is over. The caller can run this function on another thread and do something else meanwhile.
        """
        yield self.batch.compiled.result
        devices, program, width, _ = self.batch
        size = program.chunk.memory(self._any(width))
        check_program(self.experiment, size, width, devices)
        self.state = program.zeros(self._lanes())
        self.last_params = LastParams(self.state.params, self.trials) if self.replayable else None
        if any(saved is not None for saved in self.saved):
            self._restore()
        in_flight = None
        has_checkpoint = any(one.checkpoint is not None for one in self.members)
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
                self._tell(in_flight, on_chunk, on_end)
            in_flight = launched
            if in_flight is None:
                break
            is_due = has_checkpoint and time.monotonic() >= next_save
            if is_due or self._has_come_far():
                # The state on the device is the one after this chunk, so it has to be read first.
                yield in_flight.errors.block_until_ready
                self._fold(in_flight)
                start = time.monotonic()
                if is_due:
                    self._save()
                slowness = max(1.0, (time.monotonic() - start) / SAVE_SECONDS)
                next_save = time.monotonic() + CHECKPOINT_SECONDS * slowness
                self._tell(in_flight, on_chunk, on_end)
                in_flight = None
            if (narrower := self._narrower_batch()) is not None:
                self._move(jax.device_get(self.state), narrower)
            if not (self.progress.status == stopping.RUNNING).any():
                break  # what is still in flight belongs to trials that have ended
        if not self._has_ended().all():
            self._save()
        for k in np.flatnonzero(~self.is_over).tolist():
            on_end(k, self._outcomes(k))

    def _has_come_far(self) -> bool:
        """Whether trials are still running, and all of them have come to ``until``."""
        steps = self.progress.steps[self.progress.status == stopping.RUNNING]
        return self.until is not None and bool(steps.size) and steps.min() >= self.until

    def _has_ended(self) -> np.ndarray:
        """Which trials have ended; with ``until``, by then, since later ends depend on the
        chunks."""
        has_ended = self.progress.status != stopping.RUNNING
        return has_ended if self.until is None else has_ended & (self.progress.steps <= self.until)

    def _tell(self, chunk: _InFlight, on_chunk: OnTally, on_end: OnEnd) -> None:
        """Report on the members that had trials in a chunk, which has been folded."""
        has_ended = self._has_ended()
        for k in np.unique(self.member[chunk.lane_trial[chunk.lane_trial != IDLE]]).tolist():
            if not self.is_over[k]:
                on_chunk(k, self._tally(k))
                if self.until is None and has_ended[self.own[k]].all():
                    self.is_over[k] = True
                    on_end(k, self._outcomes(k))

    def _outcomes(self, k: int) -> list[Outcome]:
        """The outcomes of a member's trials; with ``until``, only of those that ended by then."""
        experiment, (devices, program, *_) = self.members[k].experiment, self.batch
        has_two = self.rule.by_test and experiment.mean_error is not None
        own = self.own[k]
        has_ended = own.start + np.flatnonzero(self._has_ended()[own])
        progress = stopping.Progress(*(array[has_ended] for array in self.progress))
        outcomes = stopping.outcomes(progress, self.trials[has_ended], has_two)
        last_params = self.last_params and self.last_params.of(has_ended)
        if last_params and self.at_end:
            sizes = self.widest, len(devices)
            outcomes = with_tests(experiment, program, last_params, outcomes, *sizes)
        if not (last_params and self.keep_params):
            return outcomes
        return [
            replace(outcome, params=jax.tree.map(jnp.asarray, last_params.params(k)))
            for k, outcome in enumerate(outcomes)
        ]

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
        return _Batch(devices, program, width, program.chunk.compile(self._any(width)))

    def _any(self, width: int) -> Lanes:
        """So many lanes, whatever they hold."""
        some: Lanes = jax.tree.map(lambda one: np.resize(one, width), self.every)
        return some._replace(stop=self._never(width))

    def _never(self, width: int) -> np.ndarray | None:
        """The update at which each lane stops: never; None if lanes cannot stop."""
        return np.full(width, NEVER, np.int32) if self.replayable else None

    def _narrower_batch(self) -> _Batch | None:
        """A batch with fewer lanes, if it would be useful and its program is compiled."""
        devices, program, _, compiled = self.batch
        least, waited = partial(round_up, num_devices=len(devices)), compiled.result().seconds
        width = self.table.narrower(least, time.monotonic(), waited, self.most_updates)
        if width is None or not (compiled := program.chunk.compile(self._any(width))).done():
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
        lanes: Lanes = jax.tree.map(lambda one: one[position], self.every)
        return lanes._replace(update=update, stop=self._never(len(position)))

    def _begin(self) -> Iterator[Callable[[], Any]]:
        """Give every lane at update 0 its trial's first weights; yields as :meth:`train` does."""
        lanes, drawn_by = self._lanes(), self.drawn_by[np.maximum(self.table.trial, 0)]
        drawn = []
        for k, states in enumerate(self.first_states):
            at = np.flatnonzero((lanes.update == 0) & (drawn_by == k))
            if at.size:
                some: Lanes = jax.tree.map(lambda one, at=at: one[at], lanes)
                yield states.compile(some).result
                drawn.append((states(some), at))
                yield partial(jax.block_until_ready, drawn[-1][0])
        self.state = self.batch.program.with_first(self.state, drawn)

    def _launch(self) -> _InFlight:
        lanes, program = self._lanes(), self.batch.program
        before = self.state
        self.state, errors = program.chunk(self.state, lanes)
        test = program.tests.get(DECIDING)
        tests = None if test is None else test(self.state.params, lanes)
        began = before if self.replayable else None
        launched = _InFlight(errors, tests, self.table.trial.copy(), began, lanes)
        self.table.advance(self.chunk_updates, self.most_updates)
        return launched

    def _fold(self, chunk: _InFlight) -> None:
        lanes = np.flatnonzero(chunk.lane_trial != IDLE)
        trials = chunk.lane_trial[lanes]
        errors = np.asarray(chunk.errors, np.float64)
        if errors.ndim == 3:  # a sequence a row: [C, N, B] becomes [C B, N]
            errors = errors.swapaxes(1, 2).reshape(-1, errors.shape[1])
        errors = errors[:, lanes]
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

    def _tally(self, k: int) -> Tally:
        own = self.own[k]
        status, steps = self.progress.status[own], self.progress.steps[own]
        counts = np.bincount(status, minlength=4).tolist()
        running = steps[status == stopping.RUNNING]
        return Tally(
            step=int(running.max() if running.size else steps.max()),
            **dict(zip(("running", *ENDINGS), counts, strict=True)),
            trial_steps=int(steps.sum()),
            steps_taken=self.table.updates_taken,
            steps_left=self.table.updates_left(self.most_updates),
        )

    def _save(self) -> None:
        """Save the checkpoints of all members that have begun and are not over."""
        self.table.fill()  # or one whose lanes have just become idle would have none
        for k, (_, _, checkpoint) in enumerate(self.members):
            # The first has the lanes that are idle.
            lanes = np.flatnonzero(self.member[np.maximum(self.table.trial, 0)] == k)
            if checkpoint is not None and lanes.size and not self.is_over[k]:
                checkpoint.save(self._arrays(k, lanes))

    def _arrays(self, k: int, lanes: np.ndarray) -> dict[str, np.ndarray]:
        """What the checkpoint of a member, which has these lanes, keeps: as if it were alone."""
        own = self.own[k]
        leaves = [np.asarray(leaf)[lanes] for leaf in jax.tree.leaves(self.state)]
        return {
            **{name: array[own] for name, array in self.progress._asdict().items()},
            **self.table.arrays(lanes, own),
            **{f"state_{j}": leaf for j, leaf in enumerate(leaves)},
            **(self.last_params.of(own).arrays() if self.last_params else {}),
        }

    def _restore(self) -> None:
        """Go on from the checkpoints of the members that have one."""
        states: list[Arrays] = []
        tables: list[tuple[Arrays, slice]] = []
        for k, (saved, own) in enumerate(zip(self.saved, self.own, strict=True)):
            if saved is None:
                tables.append((self.table.arrays(np.arange(0), own), own))
                continue
            one, _, checkpoint = self.members[k]
            default = f"the checkpoint of {one.cell} at length {one.length}"
            where = getattr(checkpoint, "path", default)
            last_params = (self.last_params or LastParams(self.state.params, self.trials)).of(own)
            usual = self._arrays(k, np.arange(self.batch.width)) | last_params.arrays()
            arrays = fitted(saved, usual, where)
            for name, array in self.progress._asdict().items():
                array[own] = arrays[name]
            if self.last_params:
                some_ended = (self.progress.status[own] != stopping.RUNNING).any()
                last_params.restore(arrays, bool(some_ended), where)
            tables.append((arrays, own))
            states.append(arrays)
        self.table.restore(tables)
        leaves, treedef = jax.tree.flatten(self.state)
        state = [
            np.concatenate([arrays[f"state_{j}"] for arrays in states]) for j in range(len(leaves))
        ]
        self._move(jax.tree.unflatten(treedef, state), self.batch)
