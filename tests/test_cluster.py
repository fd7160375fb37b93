"""The sweep on a two-worker cluster: the rows of a local run, whoever is killed on the way."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import run_sweep
from test_signals import SENTENCE, ended, started

from jaxrnn import Experiment, InputError
from jaxrnn.machine import device
from jaxrnn.problems import settled
from jaxrnn.rounding import made_with
from jaxrnn.store.rows import read_rows
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps import cluster as jaxrnn_cluster
from jaxrnn.sweeps.run import open_run, run

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("module_as_users_have_it")]

SMALL = [
    Experiment(cell=cell, length=length, trials=3, window=50, max_steps=3000, batch_size=size)
    for cell, length, size in (("lstm", 4, 1), ("simple_rnn", 4, 4), ("lstm", 5, 1))
]
# Hopeless, so that it runs to the cap: some seconds and several checkpoints.
LONG = Experiment(cell="lstm", objective="cross_entropy", length=20, trials=3, max_steps=120000)


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The files that local sweeps of the experiments write."""

    def files(experiments):
        out = tmp_path_factory.mktemp("local")
        with RunDirectory(out) as directory:
            run_sweep(experiments, directory, keep_weights=True)
        return {path.name: path.read_bytes() for path in out.iterdir()}

    return SimpleNamespace(small=files(SMALL), long=files([LONG, SMALL[0]]))


def assert_same_files(out, expected, weights=True):
    """The rows, the weights if there are to be some, and nothing that is left over."""
    found = {path.name: path.read_bytes() for path in out.iterdir()}
    wanted = {name for name in expected if weights or not name.startswith("weights-")}
    assert found.keys() == wanted
    for name in wanted - {"config.json"}:
        assert found[name] == expected[name], name


def sweep(experiments, out, cluster, **options):
    with RunDirectory(out) as directory:
        return run_sweep(experiments, directory, dask=cluster.scheduler_address, **options)


def test_rows_are_those_of_a_local_sweep_and_earlier_ones_are_kept(cluster, local, tmp_path):
    seen, steps = [], []

    def on_rows(experiment, rows, is_new):
        assert [row["trial"] for row in rows] == [0, 1, 2]
        seen.append((experiment, is_new))

    sweep(SMALL[1:2], tmp_path, cluster, keep_weights=True)  # a middle one first
    told = {"on_chunk": lambda *chunk: steps.append(chunk), "on_rows": on_rows}
    sweep(SMALL, tmp_path, cluster, lanes=2, keep_weights=True, **told)
    assert_same_files(tmp_path, local.small)
    assert seen[0] == (SMALL[1], False)
    assert sorted(SMALL.index(experiment) for experiment, is_new in seen if is_new) == [0, 2]
    last = dict(steps)  # of each job, which is an experiment
    assert {*last} == {settled(SMALL[k]).tickets()[0] for k in (0, 2)}
    assert all(tally.running == 0 and tally.solved == 3 for tally in last.values())
    with RunDirectory(tmp_path) as directory:  # nothing is left, so no scheduler is asked
        run_sweep(SMALL, directory, dask="nowhere")


def test_searches_on_a_cluster_find_what_they_find_here(cluster, tmp_path):
    def asking(cell):
        few = Experiment(cell=cell, length=4, trials=2, window=50, max_steps=3000)
        rows = yield [replace(few, learning_rate=rate) for rate in (0.1, 0.3)]
        best = min(rows, key=lambda row: row.outcome.steps).experiment
        again = yield [replace(best, seed=1)]
        return [row.outcome.steps for row in [*rows, *again]]

    found = {}
    for where, address in (("here", None), ("cluster", cluster.scheduler_address)):
        with open_run(tmp_path / where, dask=address, report=False) as opened:
            found[where] = opened.search([asking("lstm"), asking("simple_rnn")])
    assert found["cluster"] == found["here"]
    assert [len(steps) for steps in found["here"]] == [5, 5]
    assert read_rows(tmp_path / "cluster") == read_rows(tmp_path / "here")


def kill_where_it_runs(cluster):
    """The worker that has a job, as soon as one has."""
    with distributed.Client(cluster, set_as_default=False) as client:
        while not (having := [worker for worker, keys in client.processing().items() if keys]):
            time.sleep(0.01)
    (address,) = having
    (nanny,) = [w for w in cluster.workers.values() if w.worker_address == address]
    os.kill(nanny.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_worker_costs_no_more_than_since_its_last_checkpoint(
    cluster, local, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)  # Dask does not run it again
    killed, finished, after = {}, [], []

    long = settled(LONG).tickets()[0]

    def on_chunk(first, tally):
        paths = list(tmp_path.glob("checkpoint-net-lstm-20-*.npz"))
        if first == long and not killed and paths and finished:
            killed.update(step=int(np.load(paths[0])["steps"].max()))
            kill_where_it_runs(cluster)
        elif first == long and killed and tally.step < LONG.max_steps:
            after.append(tally.step)

    told = {"on_rows": lambda experiment, rows, is_new: finished.append(experiment)}
    with RunDirectory(tmp_path) as directory:
        address = cluster.scheduler_address
        run_sweep([LONG, SMALL[0]], directory, dask=address, on_chunk=on_chunk, **told)
    assert_same_files(tmp_path, local.long, weights=False)
    assert finished == [SMALL[0], LONG]  # and yet the rows are in the experiments' order
    assert 0 < killed["step"] <= min(after)


def test_a_job_under_which_workers_die_without_a_checkpoint_is_given_up(
    cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    killer = threading.Thread(target=kill_where_it_runs, args=(cluster,))
    killer.start()
    with pytest.raises(InputError, match=r"^lstm at length 20 is given up, too many workers died"):
        sweep([LONG], tmp_path, cluster)
    killer.join()


def test_an_interrupted_driver_leaves_nothing_on_the_scheduler_and_its_job_makes_room(
    cluster, tmp_path
):
    def is_busy():
        from jaxrnn.sweeps.cluster import _one_job

        return _one_job.locked()

    words = ("sweep", "lstm", "--lengths", "20", "--max-steps", 10**7)
    process = started(*words, "--out", tmp_path, "--dask", cluster.scheduler_address)
    kept = cluster.scheduler.extensions["variables"].variables
    deadline = time.monotonic() + 120
    with distributed.Client(cluster, set_as_default=False) as client:
        while not kept or not list(tmp_path.glob("checkpoint-*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert any(client.run(is_busy).values())  # it stays so while the driver is there
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, SENTENCE)
        while kept or any(client.run(is_busy).values()):  # up to its next checkpoint
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_killed_driver_goes_on_from_its_last_checkpoint(cluster, local, tmp_path):
    program = (
        "from jaxrnn import Experiment, run\n"
        f"run([{LONG!r}, {SMALL[0]!r}], {str(tmp_path)!r}, dask={cluster.scheduler_address!r})\n"
    )
    driver = started(program=program)
    while not (paths := list(tmp_path.glob("checkpoint-net-lstm-20-*.npz"))):
        assert driver.poll() is None
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    step, steps = int(np.load(paths[0])["steps"].max()), []
    long = settled(LONG).tickets()[0]
    told = {"on_chunk": lambda first, tally: steps.append(tally.step) if first == long else None}
    sweep([LONG, SMALL[0]], tmp_path, cluster, **told)
    assert_same_files(tmp_path, local.long, weights=False)
    assert 0 < step <= steps[0]


def test_jobs_stop_at_until_and_go_on(cluster, local, tmp_path):
    address = cluster.scheduler_address
    with open_run(tmp_path, dask=address, keep_weights=True, report=False) as asked:
        first = asked(SMALL, until=100)
        assert all(row["steps"] <= 100 for row in first)
        assert len(asked(SMALL)) == 9
    assert_same_files(tmp_path, local.small)
    with open_run(tmp_path / "long", dask=address, report=False) as asked:
        assert asked(LONG, until=100) == []
    (path,) = (tmp_path / "long").glob("checkpoint-*")
    assert (np.load(path)["steps"] >= 100).all()


def test_a_job_goes_on_from_a_checkpoint_that_was_made_here(cluster, tmp_path, monkeypatch):
    made_on, steps = [], []
    monkeypatch.setattr(RunDirectory, "made_on", lambda self, *made: made_on.append(made))
    one = replace(LONG, max_steps=4000)
    with open_run(tmp_path / "there", report=False) as here:
        assert here(one, until=100) == []
    told = {"on_chunk": lambda _, tally: steps.append(tally.trial_steps)}
    rows = sweep([one], tmp_path / "there", cluster, **told)
    assert steps[0] > 3 * 100
    assert made_on == [(made_with(), device())]  # the worker's
    assert rows == run(one, tmp_path / "here", report=False)


def test_a_file_of_ones_own_travels_with_its_job(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the workers are elsewhere
    Path("mine.py").write_text("from jaxrnn import lstm as mine\n")
    own = replace(SMALL[0], cell="mine.py:mine")
    for out, address in (("here", None), ("there", cluster.scheduler_address)):
        run(own, out, dask=address, report=False)
    rows = [Path(out, "trials.jsonl").read_bytes() for out in ("here", "there")]
    assert rows[0] == rows[1]
    assert rows[0].count(b'"mine.py:mine"') == 1  # the settings stand once


def test_an_address_without_a_scheduler_is_one_sentence(cluster, tmp_path, monkeypatch):
    assert jaxrnn_cluster.CONNECT_SECONDS < 10
    monkeypatch.setattr(jaxrnn_cluster, "CONNECT_SECONDS", 1.0)
    with socket.socket() as silent, RunDirectory(tmp_path) as directory:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        nobody = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        worker = next(iter(cluster.workers.values())).worker_address
        for address, sentence in (
            ("127.0.0.1", "no Dask scheduler at '127.0.0.1': missing port number"),
            (nobody, "no Dask scheduler at .*: nobody answered for 1 s"),
            (worker, "no Dask scheduler at .*: it is a Worker's address"),
        ):
            start = time.monotonic()
            with pytest.raises(InputError, match=sentence):
                run_sweep(SMALL, directory, dask=address)
            assert time.monotonic() - start < 3


def test_a_scheduler_that_dies_is_one_sentence(tmp_path):
    module = [sys.executable, "-m"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen([*module, *dask, "--no-dashboard"], **quiet)
    try:
        with distributed.Client(address, timeout=120, set_as_default=False) as client:
            driver = started("sweep", "--lengths", "4", "--dask", address, cwd=tmp_path)
            while not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
                assert driver.poll() is None
                time.sleep(0.1)
    finally:
        scheduler.kill()
        scheduler.wait()
    sentence = f"lost the Dask scheduler at {address!r}: the same command goes on from here"
    assert ended(driver) == (2, f"jaxrnn: {sentence}\n")


def test_without_distributed_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        RunDirectory(tmp_path) as directory,
        pytest.raises(InputError, match=r"clone, pip install -e '\.\[dask\]'"),
    ):
        run_sweep(SMALL, directory, dask="tcp://127.0.0.1:1")
