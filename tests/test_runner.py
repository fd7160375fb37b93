"""The engine and the host loop: nothing about how a run is cut may change its outcomes."""

import os
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxrnn import TASKS, Experiment, InputError
from jaxrnn.training import runner
from jaxrnn.training.engine import Lanes, empty_state, make_chunk
from jaxrnn.training.runner import run_trials
from jaxrnn.training.trial import build, settings_of, trial_key

SHORT = Experiment(length=5, trials=5, window=60, max_steps=900)


class Memory:
    """A checkpoint in memory."""

    def __init__(self):
        self.arrays, self.saves = None, 0

    def load(self):
        return self.arrays

    def save(self, arrays):
        self.arrays = {name: np.array(array) for name, array in arrays.items()}
        self.saves += 1


@pytest.fixture(scope="module")
def outcomes():
    """What the short experiment comes to, for each cell."""
    return {cell: run_trials(replace(SHORT, cell=cell)) for cell in ("simple_rnn", "lstm")}


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm"])
@pytest.mark.parametrize(("lanes", "chunk_steps"), [(2, 250), (3, 97), (5, 1), (5, 900), (64, 33)])
def test_outcomes_depend_neither_on_lanes_nor_on_chunks(cell, lanes, chunk_steps, outcomes):
    experiment = replace(SHORT, cell=cell)
    assert run_trials(experiment, lanes=lanes, chunk_steps=chunk_steps) == outcomes[cell]


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm"])
@pytest.mark.parametrize("length", [8, 20])
def test_a_trial_in_a_batch_computes_what_it_computes_alone_to_the_bit(cell, length):
    experiment = Experiment(cell=cell, length=length, trials=12)
    trial, settings = build(experiment), settings_of(experiment)
    chunk = make_chunk(trial, 0, 300, jax.devices()[:1])

    def errors(trials):
        index = np.array(trials, np.int32)
        lanes = Lanes(index, np.zeros_like(index), jax.tree.map(lambda a: a[index], settings))
        return np.asarray(chunk(empty_state(trial, 0, lanes, jax.devices()[:1]), lanes)[1])

    together = errors(range(12))
    assert np.ptp(together[-1]) > 0  # the trials differ
    for few in ([3, 3], [0, 7], [4, 1, 11], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]):
        np.testing.assert_array_equal(errors(few), together[:, few])


def test_chunks_of_a_run_equal_one_long_chunk():
    trial, settings = build(SHORT), settings_of(SHORT)
    lanes = Lanes(np.arange(5, dtype=np.int32), np.zeros(5, np.int32), settings)
    one = jax.devices()[:1]
    _, whole = make_chunk(trial, 0, 120, one)(empty_state(trial, 0, lanes, one), lanes)
    chunk, state, parts = make_chunk(trial, 0, 40, one), empty_state(trial, 0, lanes, one), []
    for start in (0, 40, 80):
        state, errors = chunk(state, lanes._replace(step=np.full(5, start, np.int32)))
        parts.append(errors)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_keys_are_those_of_the_contract():
    key = jax.random.fold_in(jax.random.key(3, impl="threefry2x32"), 7)
    assert (jax.random.key_data(trial_key(3, 7)) == jax.random.key_data(key)).all()
    drawn = build(SHORT).draw(key, 11)
    task = TASKS["noise_free"](5)
    np.testing.assert_array_equal(drawn.inputs, task.draw(jax.random.fold_in(key, 11)).inputs)


def test_one_program_serves_all_chunks_and_each_width_is_traced_once(monkeypatch):
    traced, narrowed = [], []

    def counting(length):
        task = TASKS["noise_free"](length)

        def draw(key):
            traced.append(1)
            return task.draw(key)

        return task._replace(draw=draw)

    monkeypatch.setitem(TASKS, "counting", counting)
    monkeypatch.setattr(runner.time, "monotonic", iter(range(10**9)).__next__)  # narrows at once
    run = runner._Run(replace(SHORT, task="counting", trials=9), lanes=8, chunk_steps=20)
    run.run(narrowed.append, None)
    assert len(narrowed) > 10
    assert run.widths[0] == 8
    assert run.widths == sorted(run.widths, reverse=True)
    assert len(run.widths) > 1
    assert len(traced) == len(run.widths)


def test_a_trial_that_explodes_is_diverged_and_disturbs_no_other(outcomes):
    rates = (1.0, 1.0, 3e38, 1.0, 1.0)
    exploded = run_trials(
        replace(SHORT, learning_rate=rates, clip=(5.0, 5.0, 1e30, 5.0, 5.0)), chunk_steps=50
    )
    assert exploded[2].status == "diverged"
    assert exploded[2].solved_at is None
    assert exploded[2].steps < 10
    assert exploded[2].last_above == exploded[2].steps - 1
    others = [outcome for outcome in exploded if outcome.trial != 2]
    assert others == [outcome for outcome in outcomes["lstm"] if outcome.trial != 2]


def test_settings_of_a_trial_are_its_own():
    rates = (0.3, 1.0, 0.6, 0.1, 2.0)
    together = run_trials(replace(SHORT, learning_rate=rates))
    for trial, rate in enumerate(rates):
        alone = run_trials(replace(SHORT, learning_rate=rate))
        assert together[trial] == alone[trial]
    assert len({outcome.steps for outcome in together}) == 5


def test_no_clipping_is_a_bound_too_high_to_bite():
    clipped, free, bounded = (
        run_trials(replace(SHORT, cell="simple_rnn", clipping=clipping, clip=clip))
        for clipping, clip in (("element", 0.05), ("none", 0.05), ("element", 1e30))
    )
    assert free == bounded
    assert clipped != free


def test_more_trials_leave_the_first_ones_as_they_are(outcomes):
    assert run_trials(replace(SHORT, trials=8))[:5] == outcomes["lstm"]


def test_another_seed_gives_other_trials(outcomes):
    assert run_trials(replace(SHORT, seed=1)) != outcomes["lstm"]


@pytest.mark.parametrize("chunks_before_the_kill", [1, 4, 11])
def test_a_killed_run_goes_on_to_the_same_outcomes(chunks_before_the_kill, monkeypatch, outcomes):
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    memory, seen = Memory(), []

    def kill(tally):
        seen.append(tally)
        if len(seen) == chunks_before_the_kill:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(SHORT, lanes=3, chunk_steps=20, on_chunk=kill, checkpoint=memory)
    assert memory.saves >= 1
    again = []
    finished = run_trials(SHORT, lanes=3, chunk_steps=20, on_chunk=again.append, checkpoint=memory)
    assert finished == outcomes["lstm"]
    assert again[0].trial_steps > seen[0].trial_steps  # it did not begin anew


def test_the_cap_is_exact_when_it_is_no_multiple_of_the_chunk():
    hopeless = replace(SHORT, length=20, trials=2, max_steps=101)
    for outcome in run_trials(hopeless, chunk_steps=25):
        assert (outcome.status, outcome.steps, outcome.solved_at) == ("unsolved", 101, None)


def test_the_tally_counts_every_trial_and_step():
    tallies = []
    outcomes = run_trials(SHORT, lanes=2, chunk_steps=30, on_chunk=tallies.append)
    for tally in tallies:
        assert tally.solved + tally.unsolved + tally.diverged + tally.running == 5
    assert tallies[-1].running == 0
    assert tallies[-1].trial_steps == sum(outcome.steps for outcome in outcomes)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"trials": 0}, "trials 0 must be at least 1"),
        ({"length": 2}, "length 2 is too short for task noise_free: it needs at least 3"),
        ({"threshold": 1.0}, "threshold 1.0 must lie between 0 and 1"),
        ({"threshold": float("nan")}, "threshold nan must lie between 0 and 1"),
        ({"window": 901}, "window 901 must not be above max-steps 900"),
        ({"learning_rate": float("nan")}, "learning-rate nan must be a positive number"),
        ({"learning_rate": -1.0}, "learning-rate -1.0 must be a positive number"),
        ({"learning_rate": (1.0, 2.0)}, r"learning-rate \(1.0, 2.0\) must be one value or one a"),
        ({"clip": -5.0}, "clip -5.0 must be a positive number"),
        ({"clip": float("nan")}, "clip nan must be a positive number"),
        ({"seed": -1}, "seed -1 must be from 0 to 4294967295"),
        ({"hidden_size": 0}, "hidden-size 0 must be at least 1"),
        ({"layers": 0}, "layers 0 must be at least 1"),
        ({"cell": "gru2"}, "unknown cell 'gru2': choose from gru, lstm, lstm_coupled, lstm_l"),
        ({"task": "none"}, "unknown task 'none': choose from adding, embedded_reber"),
        ({"objective": "x"}, "unknown objective 'x': choose from cross_entropy"),
        (
            {"optimizer": "adam"},
            "unknown optimizer 'adam': choose from clipped_adam, clipped_sgd",
        ),
        (
            {"initializer": "he"},
            "unknown initializer 'he': choose from chrono, long_memory, notebook_xavier, or",
        ),
    ],
)
def test_a_bad_setting_is_refused_with_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        run_trials(replace(SHORT, **settings))


def test_outcomes_do_not_depend_on_the_devices(monkeypatch, outcomes):
    assert jax.device_count() == 2
    one = jax.devices()[:1]
    monkeypatch.setattr(runner.jax, "devices", lambda: one)
    for cell in ("simple_rnn", "lstm"):
        assert run_trials(replace(SHORT, cell=cell)) == outcomes[cell]


def test_four_devices_give_the_same_outcomes(outcomes):
    program = "from jaxrnn import *; print(run_trials(Experiment(length=5, trials=5, window=60, "
    program += "max_steps=900)))"
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "4"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(outcomes["lstm"])


def test_a_checkpoint_of_two_devices_goes_on_with_one(monkeypatch, outcomes):
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    memory = Memory()

    def kill(tally):
        if tally.trial_steps > 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(SHORT, chunk_steps=20, on_chunk=kill, checkpoint=memory)
    assert len(memory.arrays["lane_trial"]) == 6
    one = jax.devices()[:1]
    monkeypatch.setattr(runner.jax, "devices", lambda: one)
    assert run_trials(SHORT, checkpoint=memory) == outcomes["lstm"]


def test_lanes_are_refilled_so_that_a_long_run_keeps_them_busy():
    tallies = []
    experiment = replace(SHORT, length=6, trials=24, max_steps=5000)
    run_trials(experiment, lanes=4, chunk_steps=10, on_chunk=tallies.append)
    assert tallies[-1].trial_steps / tallies[-1].lane_steps > 0.8


@pytest.mark.parametrize(("chosen", "precision"), [(None, "HIGHEST"), ("bfloat16", "DEFAULT")])
def test_matrix_products_have_full_precision_unless_chosen_otherwise(chosen, precision):
    experiment = Experiment(length=4, trials=2)
    trial, settings = build(experiment), settings_of(experiment)
    lanes = Lanes(np.arange(2, dtype=np.int32), np.zeros(2, np.int32), settings)
    with jax.default_matmul_precision(chosen):
        chunk = make_chunk(trial, 0, 3, jax.devices()[:1])
        text = chunk.lower(empty_state(trial, 0, lanes, jax.devices()[:1]), lanes).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert len(products) == 6  # h W and h V, and backward two for each; x U looks rows up
    for product in products:
        assert f"precision = [{precision}, {precision}]" in product
