"""The host loop: hands trials to lanes, launches chunks, folds their errors, keeps checkpoints."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.outcome import STATUS_NAMES, Outcome
from jaxrnn.training import stopping
from jaxrnn.training.engine import NEVER, Lanes, empty_state, make_chunk, make_test, place, round_up
from jaxrnn.training.trial import TrainState, build, settings_of, trial_key

# Training steps of a chunk: a fraction of a second at every length of the notebook, and still some
# seconds at ten times the longest, where the cost grows with the square of the length.
CHUNK_STEPS, SHORTEST_CHUNK_STEPS, LONGEST_FULL_CHUNK = 250, 10, 100
# Lanes for each core: from about 16 on a batch is as fast as it gets, unless its weights fall out
# of the core's cache (1 MiB where this was measured). Trial-steps a second with 2, 16 and 32 lanes:
# LSTM of 20 units at T = 100 (47 kB a trial) 7,700, 10,500, 7,600; of 128 units at T = 50 (392 kB)
# 2,100, 1,700, 1,300. Accelerators take all trials at once.
LANES_A_CORE, CACHE_BYTES = 32, 750_000
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


class Checkpoint(Protocol):
    """Where a run keeps what it needs to go on: named arrays, replaced as a whole."""

    def load(self) -> Mapping[str, np.ndarray] | None:
        """The arrays of the last save, None before the first."""

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the arrays, so that a kill leaves either the old ones or the new."""


def check_lanes(lanes: int | None) -> None:
    """Raise InputError where it is no number of lanes."""
    if lanes is not None and lanes < 1:
        raise InputError(f"lanes {lanes} must be at least 1")


def run_trials(
    experiment: Experiment,
    *,
    lanes: int | None = None,
    chunk_steps: int | None = None,
    on_chunk: Callable[[Tally], None] = lambda tally: None,
    checkpoint: Checkpoint | None = None,
) -> list[Outcome]:
    """Train every trial of an experiment until it is solved, diverged or given up.

    Up to ``lanes`` trials ride in one batch (by default as many for each CPU device as have their
    weights in its cache, but at most 32, and all of them on an accelerator); whichever ends makes
    room for the next, and once none wait the batch narrows. The lanes are shared out over all
    devices of the process; the host reads errors every ``chunk_steps`` training steps (by default
    250, fewer for long sequences, and always ``experiment.test_every`` where a test set decides).
    Outcomes come in the order of the trials and depend on none of this. With a checkpoint the run
    goes on from its last save.

    Raises InputError for a setting out of range or an unknown name.
    """
    check_lanes(lanes)
    return _Run(experiment, lanes, chunk_steps).run(on_chunk, checkpoint)


class _InFlight(NamedTuple):
    """A chunk that was launched and not yet read."""

    errors: jax.Array  # [C, N]
    tests: jax.Array | None  # [N, M], errors of the test set after the chunk, where it decides
    lane_trial: np.ndarray  # [N], -1 for idle lanes
    # What it began with, where the weights that trials end with are asked for.
    before: tuple[TrainState, Lanes] | None


class _Run:
    """The state of one call of :func:`run_trials`."""

    def __init__(self, experiment: Experiment, lanes: int | None, chunk_steps: int | None) -> None:
        self.experiment = experiment
        self.settings = settings_of(experiment)
        self.trial = build(experiment)
        self.rule = stopping.rule_of(experiment)
        if self.rule.by_test:
            chunk_steps = experiment.test_every
        elif chunk_steps is None:
            shorter = int(CHUNK_STEPS * (LONGEST_FULL_CHUNK / self.trial.num_steps) ** 2)
            chunk_steps = min(CHUNK_STEPS, max(SHORTEST_CHUNK_STEPS, shorter))
        self.chunk_steps = min(chunk_steps, experiment.max_steps)
        self.devices = jax.devices()
        seed, self.keeps_weights = experiment.seed, experiment.final_test > 0
        self.chunk = make_chunk(
            self.trial, seed, self.chunk_steps, self.devices, keep_state=self.keeps_weights
        )
        self.test = make_test(self.trial.test, seed, self.devices)
        self.progress = stopping.start(experiment.trials, self.rule)
        width = round_up(min(lanes or self._most_lanes(), experiment.trials), len(self.devices))
        self.lane_trial = np.full(width, -1, np.int32)  # -1: idle
        self.lane_step = np.zeros(width, np.int32)
        self.next_trial = 0
        self.state = empty_state(self.trial, experiment.seed, self._lanes(), self.devices)
        # What the trials end with, on the host, a leaf [trials, ...] each.
        self.final_params = [
            np.zeros((experiment.trials * self.keeps_weights, *leaf.shape[1:]), leaf.dtype)
            for leaf in jax.tree.leaves(self.state.params)
        ]
        self.lane_steps = 0
        self.compile_seconds = 0.0
        self.half_empty_since: float | None = None
        self.widths: list[int] = []  # every width that was compiled, for the tests

    def run(
        self, on_chunk: Callable[[Tally], None], checkpoint: Checkpoint | None
    ) -> list[Outcome]:
        saved = checkpoint.load() if checkpoint is not None else None
        if saved is not None:
            self._restore(saved)
        in_flight: _InFlight | None = None
        last_save = time.monotonic()
        while True:
            self._fill_lanes()
            # The next chunk is launched before the last one is read, so the device never waits.
            launched = self._launch() if (self.lane_trial >= 0).any() else None
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
            self._narrow()
            if not (self.progress.status == stopping.RUNNING).any():
                break  # what is still in flight belongs to trials that have ended
        return self._outcomes()

    def _most_lanes(self) -> int:
        if self.devices[0].platform != "cpu":
            return self.experiment.trials
        one = jax.tree.map(lambda a: a[0], self.settings)
        state = jax.eval_shape(lambda: self.trial.init(trial_key(0, 0), one))
        size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
        # 0 where not even one fits: the engine has two lanes a device at least.
        return len(self.devices) * min(LANES_A_CORE, CACHE_BYTES // size)

    def _lanes(self) -> Lanes:
        """The lanes as the device sees them; an idle one repeats the beginning of trial 0."""
        trial = np.maximum(self.lane_trial, 0)
        step = np.where(self.lane_trial >= 0, self.lane_step, 0).astype(np.int32)
        stop = np.full_like(step, NEVER) if self.keeps_weights else None
        return Lanes(trial, step, jax.tree.map(lambda a: a[trial], self.settings), stop)

    def _fill_lanes(self) -> None:
        for lane in np.nonzero(self.lane_trial < 0)[0]:
            if self.next_trial < self.experiment.trials:
                self.lane_trial[lane] = self.next_trial
                self.lane_step[lane] = 0
                self.next_trial += 1

    def _launch(self) -> _InFlight:
        width = len(self.lane_trial)
        compiles = width not in self.widths
        start = time.monotonic()
        lanes = self._lanes()
        before = (self.state, lanes) if self.keeps_weights else None
        self.state, errors = self.chunk(self.state, lanes)
        tests = self.test(self.state.params, lanes) if self.rule.by_test else None
        if compiles:
            self.widths.append(width)
            self.compile_seconds = time.monotonic() - start
        launched = _InFlight(errors, tests, self.lane_trial.copy(), before)
        self.lane_step += self.chunk_steps
        self.lane_steps += self.chunk_steps * width
        # A trial whose last steps are in flight makes room at once.
        self.lane_trial[self.lane_step >= self.experiment.max_steps] = -1
        return launched

    def _fold(self, chunk: _InFlight) -> None:
        lanes = np.nonzero(chunk.lane_trial >= 0)[0]
        trials = chunk.lane_trial[lanes]
        errors = np.asarray(chunk.errors, np.float64)[:, lanes]
        tests = None if chunk.tests is None else np.asarray(chunk.tests, np.float64)[lanes]
        before = stopping.Progress(*(array[trials] for array in self.progress))
        folded = stopping.fold(before, errors, self.rule, tests)
        for array, new in zip(self.progress, folded, strict=True):
            array[trials] = new
        has_ended = (before.status == stopping.RUNNING) & (folded.status != stopping.RUNNING)
        if chunk.before is not None and has_ended.any():
            self._keep_weights(*chunk.before, lanes[has_ended])
        ended = self.progress.status[np.maximum(self.lane_trial, 0)] != stopping.RUNNING
        self.lane_trial[ended] = -1

    def _keep_weights(self, before: TrainState, lanes: Lanes, ended: np.ndarray) -> None:
        """Keep what the trials in some lanes ended with: their last chunk again, up to the end."""
        stop = np.array(lanes.stop)
        stop[ended] = self.progress.steps[lanes.trial[ended]]
        state, _ = self.chunk(before, lanes._replace(stop=stop))
        for kept, leaf in zip(self.final_params, jax.tree.leaves(state.params), strict=True):
            kept[lanes.trial[ended]] = np.asarray(leaf)[ended]

    def _final_tests(self) -> list[dict[str, Any]]:
        """What the final test says of each trial, nothing of those that have diverged."""
        results: list[dict[str, Any]] = [{} for _ in range(self.experiment.trials)]
        tested = np.nonzero(self.progress.status != stopping.DIVERGED)[0].astype(np.int32)
        if not self.keeps_weights or not tested.size:
            return results
        trial = np.resize(tested, round_up(len(tested), len(self.devices)))
        lanes = Lanes(trial, np.zeros_like(trial), jax.tree.map(lambda a: a[trial], self.settings))
        treedef = jax.tree.structure(self.state.params)
        params = jax.tree.unflatten(treedef, [leaf[trial] for leaf in self.final_params])
        test = make_test(self.trial.final_test, self.experiment.seed, self.devices)
        errors = np.asarray(test(place(params, self.devices), lanes), np.float64)
        for number, error in zip(tested, errors, strict=False):
            wrong = int((~(error <= self.experiment.threshold)).sum())
            results[number] = {"final_wrong": wrong, "final_error": round(float(error.mean()), 6)}
        return results

    def _narrow(self) -> None:
        """Halve the batch, and again, once half of it has been idle for as long as a compilation.

        Then at most as much time is lost by narrowing too early as by narrowing too late.
        """
        width, busy = len(self.lane_trial), int((self.lane_trial >= 0).sum())
        narrower = width
        while (half := round_up(-(-narrower // 2), len(self.devices))) < narrower and busy <= half:
            narrower = half
        if narrower == width or busy == 0 or self.next_trial < self.experiment.trials:
            self.half_empty_since = None
            return
        now = time.monotonic()
        if self.half_empty_since is None:
            self.half_empty_since = now
        if now - self.half_empty_since >= self.compile_seconds:
            self._repack(jax.device_get(self.state), narrower)
            self.half_empty_since = None

    def _repack(self, state: TrainState, width: int) -> None:
        """Move the busy lanes of a state on the host to the front of a batch of ``width`` lanes."""
        order = np.argsort(self.lane_trial < 0, kind="stable")[:width]
        lane = np.resize(order, width)
        self.state = place(jax.tree.map(lambda a: a[lane], state), self.devices)
        is_copy = np.arange(width) >= len(order)
        self.lane_trial = np.where(is_copy, np.int32(-1), self.lane_trial[lane])
        self.lane_step = self.lane_step[lane]

    def _tally(self) -> Tally:
        status, steps = self.progress.status, self.progress.steps
        counts = np.bincount(status, minlength=4)
        running = steps[status == stopping.RUNNING]
        return Tally(
            step=int(running.max() if running.size else steps.max()),
            solved=int(counts[stopping.SOLVED]),
            unsolved=int(counts[stopping.UNSOLVED]),
            diverged=int(counts[stopping.DIVERGED]),
            running=int(counts[stopping.RUNNING]),
            trial_steps=int(steps.sum()),
            lane_steps=self.lane_steps,
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        leaves = jax.tree.leaves(self.state)
        return {
            **self.progress._asdict(),
            "lane_trial": self.lane_trial,
            "lane_step": self.lane_step,
            "next_trial": np.array(self.next_trial),
            "lane_steps": np.array(self.lane_steps),
            **{f"state_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)},
            **{f"final_{k}": leaf for k, leaf in enumerate(self.final_params)},
        }

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.progress = stopping.Progress(
            *(np.array(arrays[name]) for name in stopping.Progress._fields)
        )
        self.lane_trial = np.array(arrays["lane_trial"])
        self.lane_step = np.array(arrays["lane_step"])
        self.next_trial = int(arrays["next_trial"])
        self.lane_steps = int(arrays["lane_steps"])
        self.final_params = [np.array(arrays[f"final_{k}"]) for k in range(len(self.final_params))]
        leaves, treedef = jax.tree.flatten(self.state)
        saved = [arrays[f"state_{k}"] for k in range(len(leaves))]
        # The number of devices may have changed since.
        width = round_up(len(self.lane_trial), len(self.devices))
        self._repack(jax.tree.unflatten(treedef, saved), width)

    def _outcomes(self) -> list[Outcome]:
        p, final_tests = self.progress, self._final_tests()
        has_two = self.rule.by_test and self.experiment.mean_error is not None
        return [
            Outcome(
                trial=trial,
                status=STATUS_NAMES[p.status[trial]],
                solved_at=int(p.solved_at[trial]) if p.solved_at[trial] >= 0 else None,
                last_above=int(p.last_above[trial]),
                steps=int(p.steps[trial]),
                curve=tuple(
                    round(float(total / count), 5)
                    for total, count in zip(p.curve_sum[trial], p.curve_count[trial], strict=True)
                    if count
                ),
                correct_at=int(p.correct_at[trial])
                if has_two and p.correct_at[trial] >= 0
                else None,
                **final_tests[trial],
            )
            for trial in range(self.experiment.trials)
        ]
