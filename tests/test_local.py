"""Experiments that run at the same time, each on devices of its own."""

import threading
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from helpers import STREAK

from jaxrnn import InputError, RunDirectory, local, run_sweep, run_trials
from jaxrnn.local import Job, train
from jaxrnn.results.rows import make_row
from jaxrnn.tasks import settled

SHORT = replace(STREAK, trials=4)


def job_of(length, trials=4):
    return Job(replace(SHORT, length=length, trials=trials), range(trials), checkpoint=None)


def trained(jobs, **callbacks):
    """Train with callbacks that do nothing unless they are given."""
    silent = dict.fromkeys(("on_start", "on_chunk", "on_end"), lambda *told: None)
    train(jobs, **silent | callbacks)


@pytest.fixture
def begun(monkeypatch):
    """What each job was given, (length, devices), in place of training; the first two begin before
    either ends, and that of length 9 ends after that of length 4 has begun."""
    calls, both, last = [], threading.Barrier(2), threading.Event()

    def run(experiment, *, devices, **options):
        calls.append((experiment.length, list(devices)))
        if len(devices) == 1 and len(calls) <= 2:
            both.wait(timeout=60)
        if experiment.length == 4:
            last.set()
        if experiment.length == 9:
            assert last.wait(timeout=60)
        return []

    monkeypatch.setattr(local, "run_trials", run)
    return calls


def test_each_of_several_gets_a_device_the_longest_first_and_one_alone_gets_all(begun):
    trained([job_of(4), job_of(9), job_of(6)])
    assert {length for length, _ in begun[:2]} == {9, 6}
    assert begun[2][0] == 4
    used = [devices for _, devices in begun]
    assert used[0] + used[1] in (jax.devices(), jax.devices()[::-1])
    assert len(used[2]) == 1
    begun.clear()
    trained([job_of(4)])
    assert begun == [(4, jax.devices())]


def test_the_rows_of_experiments_run_together_are_those_of_each_alone(tmp_path):
    experiments = [replace(SHORT, cell=cell, length=4) for cell in ("lstm", "simple_rnn")]
    with RunDirectory(tmp_path) as directory:
        rows = run_sweep(experiments, directory)
    assert rows == [
        make_row(settled(experiment), outcome)
        for experiment in experiments
        for outcome in run_trials(experiment, devices=jax.devices()[:1])
    ]


def test_a_job_that_fails_ends_the_others_and_its_error_is_told(monkeypatch):
    running, ended = threading.Event(), []

    def run(experiment, *, on_chunk, **options):
        if experiment.length == 9:
            running.wait(60)
            raise InputError("it cannot be")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            on_chunk(None)
            running.set()
        return ["to the end"]

    monkeypatch.setattr(local, "run_trials", run)
    start = time.monotonic()
    with pytest.raises(InputError, match="it cannot be"):
        trained([job_of(4), job_of(9), job_of(6)], on_end=lambda job, outcomes: ended.append(job))
    assert time.monotonic() - start < 30
    assert ended == []


def test_callbacks_are_called_one_at_a_time(monkeypatch):
    inside, most = [], []

    def callback(*told):
        inside.append(told)
        most.append(len(inside))
        time.sleep(0.001)
        inside.pop()

    def run(experiment, *, on_chunk, **options):
        for _ in range(20):
            on_chunk(None)
        return []

    monkeypatch.setattr(local, "run_trials", run)
    trained(
        [job_of(k) for k in range(4, 10)], on_start=callback, on_chunk=callback, on_end=callback
    )
    assert len(most) == 6 * 22
    assert set(most) == {1}


def test_contexts_of_the_caller_hold_where_it_trains(monkeypatch):
    seen = []

    def run(experiment, **options):
        seen.append((jnp.result_type(float), jax.config.jax_default_matmul_precision))
        return []

    monkeypatch.setattr(local, "run_trials", run)
    with jax.enable_x64(True), jax.default_matmul_precision("float32"):
        trained([job_of(4), job_of(5)])
    assert seen == [(jnp.dtype("float64"), "float32")] * 2
