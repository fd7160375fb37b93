"""The loop: tickets of one program pass through the lanes of a batch, chunk by chunk."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Ticket
from jaxrnn.outcome import ENDINGS, Outcome
from jaxrnn.training import stopping
from jaxrnn.training.compiling import Compiled, InParts, Lanes, some_lanes
from jaxrnn.training.engine import Program, first_states, lanes_of, program_for, widths_held
from jaxrnn.training.final_tests import with_tests
from jaxrnn.training.lanes import (
    LaneSize,
    Narrowing,
    chunk_updates_of,
    enough,
    most_lanes,
    round_up,
    updates_left,
)
from jaxrnn.training.memory import check_program
from jaxrnn.training.parts import DECIDING
from jaxrnn.training.tickets import STATE, UPDATE, Arrays, Tally, Tickets, fitted
from jaxrnn.training.trial import TrainState, build

IDLE = -1

# The time between two checkpoints. It is longer, in proportion, if one takes longer than
# SAVE_SECONDS, 3 % of it.
CHECKPOINT_SECONDS, SAVE_SECONDS = 1.0, 0.03

# A compiled program is used as it is if it has at most this many times the lanes that are needed.
# Idle lanes cost as much time as others, but a compilation takes as long as thousands of updates.
WIDER = 1.5

Waits = Iterator[Callable[[], Any]]
"""Functions that return when a wait for a device or a compiler is over."""


class _Batch(NamedTuple):
    """What the lanes of a loop are trained on."""

    devices: Sequence[jax.Device]
    program: Program
    width: int  # the number of lanes
    compiled: Future[Compiled]  # the program's chunk for so many


class _InFlight(NamedTuple):
    """A chunk that was launched and not yet read."""

    errors: jax.Array  # [C, N], or [C, N, B] of batches
    tests: jax.Array | None  # [N, M], errors of the test set after the chunk, where it decides
    number: np.ndarray  # [N], of the trial in each lane
    before: TrainState | None  # what it began with, where trials' last parameters are wanted
    lanes: Lanes


class Loop:
    """Trains tickets of one program until none waits and none is under way.

    Every trial that begins gets the next number. The trials under way stand in the order of their
    numbers; a lane has the number of its trial. A trial is under way until its last chunk is read.
    Its lane has the next one as soon as its last chunk is launched.
    """

    def __init__(
        self,
        tickets: Tickets,
        lanes: int | None,
        chunk_updates: int | None,
        devices: Sequence[jax.Device],
        keep_params: bool,
        lane_size: LaneSize,
        until: int | None,
    ) -> None:
        """Begin to compile for the tickets that wait; no memory is taken on a device yet."""
        self.tickets, self.keep_params, self.until = tickets, keep_params, until
        # What is needed of an experiment in here is the same for all of them.
        self.experiment = experiment = tickets.waiting[0].experiment
        self.trial = build(experiment, devices[0].platform)
        self.at_end = [name for name, _ in self.trial.tests if name != DECIDING]
        self.rule = stopping.rule_of(experiment)
        # Those of an update that ends a trial are trained on, but not all of them may count.
        self.most_updates = experiment.updates(experiment.max_steps)
        self.chunk_updates = chunk_updates_of(experiment, self.trial.num_steps, chunk_updates)
        # Trials under way, M of them.
        self.number = np.zeros(0, int)
        self.under_way: list[Ticket] = []
        self.progress = stopping.start(0, self.rule)
        self.begun = 0  # how many trials have
        # Trials that a checkpoint has and that have not begun again.
        self.parked = dict(tickets.checkpoint.load()) if tickets.checkpoint else {}
        self.ends: Counter[int] = Counter()  # how many trials ended in each way
        self.ended_steps = self.last_steps = 0  # of all that ended, and of the furthest of the last
        # Lanes, N of them.
        number = len(tickets.waiting)
        width = min(lanes or most_lanes(lane_size, number, devices), number)
        self.batch = self._first_batch(enough(devices, width), width)
        self.lane_number = np.full(self.batch.width, IDLE)
        self.lanes = self._any(self.batch.width)
        self.updates_taken = 0  # by each lane
        self.narrowing = Narrowing()
        self.drawing: dict[str, InParts[TrainState]] = {}  # first states, by the initializer
        for one in tickets.waiting:
            if one not in self.parked and one.experiment.initializer not in self.drawing:
                self._draws(one).compile(self.lanes)

    @property
    def devices(self) -> Sequence[jax.Device]:
        """The devices that it uses, among those that it was given."""
        return self.batch.devices

    def train(self) -> Waits:
        """Train; once. With ``until`` it ends, too, when every trial under way has seen so many
        sequences: these are left in the checkpoint.

        Before it waits for a device or a compiler, it yields a function that returns when the wait
        is over. The caller can run this function on another thread and do something else meanwhile.
        """
        yield self.batch.compiled.result
        devices, program, width, _ = self.batch
        check_program(self.experiment, program.chunk.memory(self.lanes), width, devices)
        self.state = program.zeros(self.lanes)
        self._check_parked()
        in_flight = None
        next_save = time.monotonic() + CHECKPOINT_SECONDS
        while True:
            yield from self._fill()
            # The next chunk is launched before the last one is read, so the device never waits.
            launched = self._launch() if self._busy().any() else None
            if in_flight is not None:
                yield in_flight.errors.block_until_ready
                self._fold(in_flight)
            in_flight = launched
            is_due = self.tickets.checkpoint is not None and time.monotonic() >= next_save
            if in_flight is not None and (is_due or self._has_come_far()):
                # The state on the device is the one after this chunk, so it has to be read first.
                yield in_flight.errors.block_until_ready
                self._fold(in_flight)
                in_flight, start = None, time.monotonic()
                if is_due and self.under_way:
                    self._save()
                slowness = max(1.0, (time.monotonic() - start) / SAVE_SECONDS)
                next_save = time.monotonic() + CHECKPOINT_SECONDS * slowness
            if self._has_come_far():
                self._save()
                return
            if not self.under_way and not self.tickets.waiting:
                break  # what is still in flight belongs to trials that have ended
            if not self.tickets.waiting:
                self._narrow()
        if self.parked:
            self._save()  # what others have left there

    def _busy(self) -> np.ndarray:
        return self.lane_number != IDLE

    def _has_come_far(self) -> bool:
        """Whether trials are under way, and all of them have come to ``until``."""
        if self.until is None or not self.under_way or self.tickets.waiting:
            return False
        return bool(self.progress.steps.min() >= self.until)

    def _fill(self) -> Waits:
        """Give each idle lane the next ticket, while there is one, and its state."""
        idle = np.flatnonzero(~self._busy()).tolist()
        waiting = self.tickets.waiting
        taken = [(k, waiting.popleft()) for k in idle[: len(waiting)]]
        if not taken:
            return
        sources: dict[InParts[TrainState], list[int]] = {}
        parked: list[tuple[int, Arrays]] = []
        begun = stopping.start(len(taken), self.rule)
        for row, (k, ticket) in enumerate(taken):
            lane = lanes_of(ticket.experiment, np.array([ticket.trial]))
            for mine, its in zip(jax.tree.leaves(self.lanes), jax.tree.leaves(lane), strict=True):
                mine[k] = its[0]
            if (saved := self.parked.pop(ticket, None)) is None:
                sources.setdefault(self._draws(ticket), []).append(k)
                continue
            parked.append((k, saved))
            self.lanes.update[k] = saved[UPDATE]
            for name, array in begun._asdict().items():
                array[row] = saved[name]
        drawn: list[tuple[Sequence[TrainState], np.ndarray]] = []
        for states, lanes in sources.items():
            at = np.array(lanes)
            some = some_lanes(self.lanes, at)
            yield states.compile(some).result
            drawn.append((states(some), at))
            yield partial(jax.block_until_ready, drawn[-1][0])
        if parked:
            leaves, treedef = jax.tree.flatten(self.state)
            names = (f"{STATE}{j}" for j in range(len(leaves)))
            stacked = [np.stack([saved[name] for _, saved in parked]) for name in names]
            at = np.array([k for k, _ in parked])
            drawn.append(([jax.tree.unflatten(treedef, stacked)], at))
        self.state = self.batch.program.with_first(self.state, drawn, bool(self._busy().any()))
        numbers = self.begun + np.arange(len(taken))
        self.begun += len(taken)
        self.lane_number[[k for k, _ in taken]] = numbers
        self.number = np.concatenate([self.number, numbers])
        self.under_way += [ticket for _, ticket in taken]
        self.progress = stopping.Progress(
            *(np.concatenate(both) for both in zip(self.progress, begun, strict=True))
        )

    def _draws(self, ticket: Ticket) -> InParts[TrainState]:
        """What draws the first state of a ticket's trial."""
        name = ticket.experiment.initializer
        if name not in self.drawing:
            init = build(ticket.experiment, self.devices[0].platform).init
            self.drawing[name] = first_states(init, self.devices)
        return self.drawing[name]

    def _launch(self) -> _InFlight:
        program, busy = self.batch.program, self._busy()
        self.lanes.update[~busy] = 0
        lanes = jax.tree.map(np.copy, self.lanes)  # the device may read them later
        wants_params = self.keep_params or self.at_end
        before = program.copy(self.state) if wants_params else None
        self.state, errors = program.chunk(self.state, lanes)
        test = program.tests.get(DECIDING)
        tests = None if test is None else test(self.state.params, lanes)
        launched = _InFlight(errors, tests, self.lane_number.copy(), before, lanes)
        self.lanes.update[:] += np.int32(self.chunk_updates)
        self.updates_taken += self.chunk_updates
        self.lane_number[self.lanes.update >= self.most_updates] = IDLE
        return launched

    def _fold(self, chunk: _InFlight) -> None:
        """Fold the errors of a chunk into the progress of its trials, and tell of those that have
        ended. A lane's errors count for nothing if its trial had ended before."""
        lanes = np.flatnonzero(np.isin(chunk.number, self.number))
        if not lanes.size:
            return
        at = np.searchsorted(self.number, chunk.number[lanes])
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
        before = stopping.Progress(*(array[at] for array in self.progress))
        folded = stopping.fold(before, errors, self.rule, tests)
        for array, new in zip(self.progress, folded, strict=True):
            array[at] = new
        has_ended = folded.status != stopping.RUNNING
        ended: list[tuple[Ticket, Outcome]] = []
        if has_ended.any():
            over = stopping.Progress(*(array[has_ended] for array in folded))
            ended = self._ended(chunk, lanes[has_ended], at[has_ended], over)
        self.tickets.on_chunk(self._tally())
        if ended:
            self.tickets.on_end(ended)

    def _ended(
        self, chunk: _InFlight, lanes: np.ndarray, at: np.ndarray, over: stopping.Progress
    ) -> list[tuple[Ticket, Outcome]]:
        """The trials that have ended in these lanes of a chunk, which are no longer under way."""
        tickets = [self.under_way[k] for k in at]
        self.lane_number[np.isin(self.lane_number, self.number[at])] = IDLE
        goes_on = ~np.isin(np.arange(len(self.under_way)), at)
        self.number = self.number[goes_on]
        self.under_way = [self.under_way[k] for k in np.flatnonzero(goes_on)]
        self.progress = stopping.Progress(*(array[goes_on] for array in self.progress))
        self.ends.update(over.status.tolist())
        self.ended_steps += int(over.steps.sum())
        self.last_steps = int(over.steps.max())
        has_two = self.rule.by_test and self.experiment.mean_error is not None
        trials = np.array([ticket.trial for ticket in tickets])
        outcomes = stopping.outcomes(over, trials, has_two)
        if chunk.before is not None:
            outcomes = self._with_params(
                chunk, lanes, self.experiment.updates(over.steps), outcomes
            )
        return list(zip(tickets, outcomes, strict=True))

    def _with_params(
        self, chunk: _InFlight, lanes: np.ndarray, updates: np.ndarray, outcomes: list[Outcome]
    ) -> list[Outcome]:
        """The outcomes of trials in some lanes of a chunk with the parameters after their last
        updates: the chunk is run again from one end to the next. They are tested with them."""
        counts = updates - chunk.lanes.update[lanes]
        stops = np.unique(counts).tolist()
        results, program = list(outcomes), self.batch.program
        assert chunk.before is not None
        states = program.chunk.stops(chunk.before, chunk.lanes, stops)
        for stop, state in zip(stops, states, strict=True):
            leaves, treedef = jax.tree.flatten(jax.device_get(state.params))
            for k in np.flatnonzero(counts == stop).tolist():
                own = jax.tree.unflatten(treedef, [leaf[lanes[k]].copy() for leaf in leaves])
                results[k] = replace(outcomes[k], params=own)
        if self.at_end:
            lanes_then = some_lanes(chunk.lanes, lanes)
            results = with_tests(self.experiment, program, lanes_then, results, len(self.devices))
        return results if self.keep_params else [replace(one, params=None) for one in results]

    def _tally(self) -> Tally:
        steps = self.progress.steps
        return Tally(
            step=int(steps.max()) if steps.size else self.last_steps,
            **{name: self.ends[stopping.SOLVED + k] for k, name in enumerate(ENDINGS)},
            running=len(steps) + len(self.tickets.waiting),
            trial_steps=self.ended_steps + int(steps.sum()),
            steps_taken=self.updates_taken,
            steps_left=self._updates_left(),
        )

    def _updates_left(self) -> int:
        left = self.most_updates - self.lanes.update[self._busy()]
        waiting = len(self.tickets.waiting)
        return updates_left(left, waiting, len(self.lane_number), self.most_updates)

    def _first_batch(self, devices: Sequence[jax.Device], num_lanes: int) -> _Batch:
        """A batch on all these devices, or on one of two if a program for that one is compiled
        already. If no trial waits, a compiled program for a few more lanes is used, too. This saves
        a compilation for a loop that ends soon."""
        wider = WIDER if num_lanes == len(self.tickets.waiting) else 1.0
        halves = [[device] for device in devices] if len(devices) == 2 else []
        for some in (devices, *halves):
            least = round_up(num_lanes, len(some))
            held = widths_held(self.trial, self.chunk_updates, some)
            if fitting := [width for width in held if least <= width <= wider * least]:
                return self._compiled_for(some, min(fitting))
        return self._compiled_for(devices, num_lanes)

    def _compiled_for(self, devices: Sequence[jax.Device], num_lanes: int) -> _Batch:
        """Begin to compile for at least this number of lanes."""
        program = program_for(self.trial, self.chunk_updates, devices)
        width = round_up(num_lanes, len(devices))
        return _Batch(devices, program, width, program.chunk.compile(self._any(width)))

    def _any(self, width: int) -> Lanes:
        """So many lanes, whatever they hold."""
        one = lanes_of(self.experiment, np.array([0]))
        return jax.tree.map(lambda of_lane: np.repeat(of_lane, width), one)

    def _narrow(self) -> None:
        """Go on in fewer lanes, the busy ones in front of the others, if that saves time and the
        program for them is compiled."""
        busy, (devices, program, width, compiled) = self._busy(), self.batch
        narrower = self.narrowing.width(
            (width, int(busy.sum())),
            (self.updates_taken, self._updates_left()),
            time.monotonic(),
            compiled.result().seconds,
            partial(round_up, num_devices=len(devices)),
        )
        if narrower is None or not (ready := program.chunk.compile(self._any(narrower))).done():
            return
        lane = np.argsort(~busy, kind="stable")[:narrower]
        state = jax.device_get(self.state)
        self.state = program.put(jax.tree.map(lambda a: a[lane], state))
        self.lane_number, self.lanes = self.lane_number[lane], some_lanes(self.lanes, lane)
        self.narrowing = Narrowing()
        self.batch = self.batch._replace(width=narrower, compiled=ready)

    def _save(self) -> None:
        """Save every trial under way, and those that are parked, if there is a checkpoint."""
        if self.tickets.checkpoint is None:
            return
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self.state)]
        saved = dict(self.parked)
        for row, (number, ticket) in enumerate(zip(self.number, self.under_way, strict=True)):
            (lane,) = np.flatnonzero(self.lane_number == number)
            saved[ticket] = {
                UPDATE: np.asarray(self.lanes.update)[lane],
                **{name: array[row] for name, array in self.progress._asdict().items()},
                **{f"{STATE}{j}": leaf[lane] for j, leaf in enumerate(leaves)},
            }
        self.tickets.checkpoint.save(saved)

    def _check_parked(self) -> None:
        """Raise InputError for a checkpoint of other shapes or types than those of the loop."""
        usual = {
            UPDATE: np.asarray(self.lanes.update),
            **stopping.start(1, self.rule)._asdict(),
            **{f"{STATE}{j}": leaf for j, leaf in enumerate(jax.tree.leaves(self.state))},
        }
        default = f"the checkpoint of {self.experiment.cell} at length {self.experiment.length}"
        where = getattr(self.tickets.checkpoint, "path", default)
        for ticket, arrays in self.parked.items():
            self.parked[ticket] = fitted(arrays, usual, where)
