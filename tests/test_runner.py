"""The host loop: nothing about how a run is cut may change its outcomes."""

import gc
import os
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace

import chex
import jax
import pytest
from helpers import ADAM, BY_TEST, ONE_DEVICE, STREAK, WINDOW, Memory, promotion

from jaxrnn import run_trials
from jaxrnn.errors import InputError
from jaxrnn.training import host_loop
from jaxrnn.training.engine import Chunk
from jaxrnn.training.lanes import LaneTable
from jaxrnn.training.objectives import OBJECTIVES
from jaxrnn.training.programs import forget_programs, program_for
from jaxrnn.training.trial import build

OVER_RULES = {
    "streak": STREAK,
    "streak of the simple RNN": replace(STREAK, cell="simple_rnn"),
    "window": WINDOW,
    "test": BY_TEST,
    "adam": ADAM,
}


# Two of them in minutes, by name.
PARAMS = [
    pytest.param(
        one, id=name, marks=[pytest.mark.slow] * (name in ("streak of the simple RNN", "adam"))
    )
    for name, one in OVER_RULES.items()
]


@pytest.fixture(params=PARAMS)
def experiment(request):
    """The test runs for each rule that a trial may end by, and an optimizer that has a state."""
    with promotion(request.param):
        yield request.param


@pytest.fixture(scope="module")
def outcomes():
    """What each experiment comes to."""

    class Outcomes(dict):
        def __missing__(self, experiment):
            with promotion(experiment):
                self[experiment] = run_trials(experiment)
            return self[experiment]

    return Outcomes()


@pytest.mark.parametrize(
    ("lanes", "chunk_steps"),
    [
        (3, 97),
        (5, 1),
        (64, 33),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [(2, 90), (5, 250)]),
    ],
)
def test_outcomes_depend_neither_on_lanes_nor_on_chunks(lanes, chunk_steps, experiment, outcomes):
    assert run_trials(experiment, lanes=lanes, chunk_steps=chunk_steps) == outcomes[experiment]


def test_a_chunk_longer_than_all_steps_is_cut(outcomes):
    tallies = []
    cut = run_trials(STREAK, lanes=5, chunk_steps=5000, on_chunk=tallies.append)
    assert cut == outcomes[STREAK]
    assert tallies[-1].lane_steps == 6 * STREAK.max_steps  # five lanes are six on two devices


@pytest.mark.parametrize(
    "kill_at", [1, 9, *(pytest.param(at, marks=pytest.mark.slow) for at in (3, 14))]
)
def test_a_killed_run_goes_on_to_the_same_outcomes(kill_at, experiment, outcomes, monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    memory, seen, again = Memory(), [], []

    def kill(tally):
        seen.append(tally)
        if len(seen) == kill_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(experiment, lanes=3, chunk_steps=6, on_chunk=kill, checkpoint=memory)
    assert memory.saves
    finished = run_trials(
        experiment, lanes=3, chunk_steps=6, on_chunk=again.append, checkpoint=memory
    )
    assert finished == outcomes[experiment]
    assert again[0].trial_steps > seen[0].trial_steps  # it did not begin anew
    assert again[0].lane_steps > seen[0].lane_steps


@pytest.mark.parametrize(
    "experiment",
    [pytest.param(STREAK, id="streak"), pytest.param(BY_TEST, id="test", marks=pytest.mark.slow)],
)
def test_each_program_is_traced_once_for_each_width_and_narrowing_changes_no_outcome(
    experiment, monkeypatch
):
    # Of so many those that are left at the end are not the ones in the first lanes.
    more = replace(experiment, trials=12)
    monkeypatch.setattr(LaneTable, "narrower", lambda *arguments: None)
    wide = run_trials(more, lanes=8, chunk_steps=20)
    monkeypatch.undo()
    widths, seen = {8, 6}, set()

    def build_counting(experiment, platform):
        trial = build(experiment, platform)
        counted = {
            name: chex.assert_max_traces(getattr(trial, name), n=len(widths))
            for name in ("draw", "update")
        }

        def counting(function):
            # All tests together: the one that decides for each width, the final one once.
            @chex.assert_max_traces(n=len(widths) + 1)
            def test(key, params):
                return function(key, params)

            return test

        tests = tuple((name, counting(function)) for name, function in trial.tests)
        return trial._replace(**counted, tests=tests)

    def make_watched(*arguments):
        program = program_for(*arguments)

        class Watched(Chunk):
            def compile(self, lanes):
                # As if it had taken no time, so that lanes are given up at once.
                free = Future()
                free.set_result(super().compile(lanes).result()._replace(seconds=0.0))
                return free

            def __call__(self, state, lanes):
                seen.add(len(lanes.trial))
                return super().__call__(state, lanes)

        return program._replace(chunk=Watched(program.chunk.draws, program.chunk.updates))

    chex.clear_trace_counter()
    monkeypatch.setattr(host_loop, "build", build_counting)
    monkeypatch.setattr(host_loop, "program_for", make_watched)
    chunks = []
    narrowed = run_trials(more, lanes=8, chunk_steps=20, on_chunk=chunks.append)
    assert len(chunks) > len(widths) + 3
    assert seen == widths
    assert narrowed == wide


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(0.0, 20, 60), (0.3, 3, 6)])
def test_checkpoints_that_take_long_are_rare(seconds, fewest, most, monkeypatch):
    class Clock(Memory):
        now = 0.0

        def save(self, arrays):
            super().save(arrays)
            self.now += seconds

    memory, chunks = Clock(), []
    monkeypatch.setattr(host_loop.time, "monotonic", lambda: memory.now)

    def on_chunk(tally):
        chunks.append(tally)
        memory.now += 0.5

    long = replace(STREAK, window=900)  # to its last step
    run_trials(long, chunk_steps=9, on_chunk=on_chunk, checkpoint=memory)
    assert len(chunks) > 90
    assert fewest < len(memory.saves) < most


@pytest.mark.parametrize(("trials", "used"), [(1, 1), (3, 1), (4, 2)])
def test_no_device_has_idle_lanes_alone(trials, used, monkeypatch):
    made = []

    def make_noted(*arguments):
        made.append(list(arguments[2]))
        raise InterruptedError

    monkeypatch.setattr(host_loop, "program_for", make_noted)
    with pytest.raises(InterruptedError):
        run_trials(replace(STREAK, trials=trials), devices=jax.devices()[:2])
    assert made == [jax.devices()[:used]]


def test_a_trial_that_explodes_is_diverged_and_disturbs_no_other(outcomes):
    rates, clips, tallies = (1.0, 1.0, 3e38, 1.0, 1.0), (5.0, 5.0, 1e30, 5.0, 5.0), []
    exploded = run_trials(
        replace(STREAK, learning_rate=rates, clip=clips), chunk_steps=50, on_chunk=tallies.append
    )
    assert (tallies[-1].solved, tallies[-1].unsolved, tallies[-1].diverged) == (4, 0, 1)
    assert exploded[2].status == "diverged"
    assert exploded[2].solved_at is None
    assert exploded[2].steps < 10
    assert exploded[2].last_above == exploded[2].steps - 1
    others = [outcome for outcome in exploded if outcome.trial != 2]
    assert others == [outcome for outcome in outcomes[STREAK] if outcome.trial != 2]


def test_settings_of_a_trial_are_its_own():
    rates = (0.3, 1.0, 0.6, 0.1, 2.0)
    # In fewer lanes than trials, so that not every trial rides in the lane of its number.
    together = run_trials(replace(STREAK, learning_rate=rates), lanes=3)
    for trial, rate in enumerate(rates):
        alone = run_trials(replace(STREAK, learning_rate=rate))
        assert together[trial] == alone[trial]
    assert len({outcome.steps for outcome in together}) == 5


@pytest.mark.slow
def test_no_clipping_is_a_bound_too_high_to_bite():
    clipped, free, bounded = (
        run_trials(replace(STREAK, cell="simple_rnn", clipping=clipping, clip=clip))
        for clipping, clip in (("element", 0.05), ("none", 0.05), ("element", 1e30))
    )
    assert free == bounded
    assert clipped != free


def test_more_trials_leave_the_first_ones_as_they_are(outcomes):
    assert run_trials(replace(STREAK, trials=8))[:5] == outcomes[STREAK]


def test_another_seed_gives_other_trials(outcomes):
    assert run_trials(replace(STREAK, seed=1)) != outcomes[STREAK]


def test_the_cap_is_exact_when_it_is_no_multiple_of_the_chunk():
    hopeless = replace(STREAK, length=20, trials=2, max_steps=101)
    for outcome in run_trials(hopeless, chunk_steps=25):
        assert (outcome.status, outcome.steps, outcome.solved_at) == ("unsolved", 101, None)


def test_the_tally_counts_every_trial_and_step():
    tallies = []
    outcomes = run_trials(STREAK, lanes=2, chunk_steps=30, on_chunk=tallies.append)
    for tally in tallies:
        assert tally.solved + tally.unsolved + tally.diverged + tally.running == 5
    assert tallies[-1].running == 0
    assert tallies[-1].trial_steps == sum(outcome.steps for outcome in outcomes)


def test_outcomes_do_not_depend_on_the_devices(monkeypatch, experiment, outcomes):
    assert jax.device_count() == 2
    monkeypatch.setattr(host_loop.jax, "devices", lambda: ONE_DEVICE)
    assert run_trials(experiment) == outcomes[experiment]


def test_some_of_the_trials_are_what_they_are_among_all(outcomes):
    assert run_trials(STREAK, only=(3, 1)) == [outcomes[STREAK][trial] for trial in (3, 1)]


@pytest.mark.slow
def test_four_devices_give_the_same_outcomes():
    # As many as four devices can use.
    program = "from jaxrnn import *; print(run_trials(Experiment(length=5, trials=10, window=60, "
    program += "max_steps=900)))"
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "4"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(run_trials(replace(STREAK, trials=10), devices=ONE_DEVICE))


@pytest.mark.parametrize(("before", "lanes", "after"), [(2, 6, 1), (1, 5, 2)])
def test_a_checkpoint_goes_on_with_fewer_and_with_more_devices(
    before, lanes, after, monkeypatch, outcomes
):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    memory, devices = Memory(), jax.devices()

    def kill(tally):
        if tally.trial_steps > 400:
            raise KeyboardInterrupt

    monkeypatch.setattr(host_loop.jax, "devices", lambda: devices[:before])
    with pytest.raises(KeyboardInterrupt):
        run_trials(STREAK, chunk_steps=20, on_chunk=kill, checkpoint=memory)
    assert len(memory.load()["lane_trial"]) == lanes
    monkeypatch.setattr(host_loop.jax, "devices", lambda: devices[:after])
    assert run_trials(STREAK, checkpoint=memory) == outcomes[STREAK]


def test_a_checkpoint_of_more_lanes_than_are_asked_for_loses_no_trial(monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    experiment, memory = replace(STREAK, trials=20), Memory()

    def kill(tally):
        if memory.load() is not None:
            raise KeyboardInterrupt

    asked = {"devices": ONE_DEVICE, "chunk_steps": 20, "checkpoint": memory}
    with pytest.raises(KeyboardInterrupt):
        run_trials(experiment, on_chunk=kill, **asked)
    assert len(memory.load()["lane_trial"]) == 20
    assert run_trials(experiment, lanes=6, **asked) == run_trials(experiment, devices=ONE_DEVICE)


def test_a_checkpoint_of_another_precision_is_refused(monkeypatch):
    monkeypatch.setattr(host_loop, "CHECKPOINT_SECONDS", 0.0)
    memory = Memory()
    run_trials(STREAK, chunk_steps=20, checkpoint=memory)
    first = Memory()
    first.saves = [
        {k: v.astype(float) if k == "state_0" else v for k, v in memory.saves[0].items()}
    ]
    with pytest.raises(
        InputError, match=r"^the checkpoint of lstm at length 5 has a state of other"
    ):
        run_trials(STREAK, chunk_steps=20, checkpoint=first)


def test_errors_below_zero_are_no_distances(monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "signed", lambda outputs, targets: (outputs[:, 0],) * 2)
    rule = "objectives and measures must give errors that are not negative"
    with pytest.raises(InputError, match=rf"^an error of lstm on noise_free is -.*: {rule}$"):
        run_trials(replace(STREAK, objective="signed"))


def test_lanes_are_refilled_so_that_a_long_run_keeps_them_busy():
    tallies = []
    experiment = replace(STREAK, length=6, trials=24, max_steps=5000)
    run_trials(experiment, lanes=4, chunk_steps=10, on_chunk=tallies.append)
    assert tallies[-1].trial_steps / tallies[-1].lane_steps > 0.8


@pytest.mark.parametrize("sizes", [{"lanes": 0}, {"chunk_steps": 0}], ids=str)
def test_no_trials_are_none_run_but_wrong_sizes_are_refused(sizes):
    assert run_trials(STREAK, only=[]) == []
    with pytest.raises(InputError, match="0"):
        run_trials(STREAK, only=[], **sizes)


def test_a_run_leaves_no_compiled_program_behind_but_those_that_are_held():
    def programs():
        gc.collect()
        return sum(type(one) is jax.stages.Compiled for one in gc.get_objects())

    before = programs()
    assert run_trials(BY_TEST)
    held = programs()
    assert run_trials(replace(BY_TEST, seed=1))
    assert programs() == held
    forget_programs()
    assert programs() == before
