"""An interruption ends a command at any moment, in one sentence; then the command goes on."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from helpers import rows_of

from jaxrnn import cli
from jaxrnn.store.run_directory import LOCK

SENTENCE = "jaxrnn: interrupted; the same command goes on from here\n"
NUMBERS = (signal.SIGINT, signal.SIGTERM)


def started(*words, program="from jaxrnn.cli import main; main()", **options):
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def ended(process):
    """Its status and what it said as an error; it is killed if it goes on."""
    try:
        _, error = process.communicate(timeout=300)
    finally:
        process.kill()
    return process.returncode, error


def test_a_clusters_driver_alone_unwinds(monkeypatch):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(os, "write", lambda *_: None)
    monkeypatch.setattr("jaxrnn.sweeps.cluster.is_driving", True)
    with pytest.raises(KeyboardInterrupt) as caught:
        cli.leave(signal.SIGTERM, sys._getframe())
    assert caught.value.args == (signal.SIGTERM,)
    assert left == []
    monkeypatch.setattr("jaxrnn.sweeps.cluster.is_driving", False)
    try:
        cli.leave(signal.SIGTERM, sys._getframe())
    except KeyboardInterrupt:
        pytest.fail("it raised an exception")  # which itself would end pytest
    assert left == [143]


@pytest.mark.integration
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("where", ["import", "collector", "C"])
def test_a_signal_is_not_lost_where_python_drops_exceptions(where, number, tmp_path):
    # A callback from C stands for Cython, which prints an exception and drops it, too.
    raised = {
        "import": "sys.meta_path.insert(0, Interruption())",
        "collector": "import gc; gc.callbacks.append(strike)",
        "C": "import ctypes; ctypes.CFUNCTYPE(None)(strike)()",
    }[where]
    program = f"""
import signal, sys

def strike(*_):
    signal.raise_signal({int(number)})

class Interruption:
    def find_spec(self, name, path=None, target=None):
        if name == "jax":
            strike()

sys.argv = "jaxrnn sweep simple_rnn --lengths 4".split()
from jaxrnn import cli
begin = cli._run

def begun():
    {raised}
    begin()

cli._run = begun
cli.main()
"""
    assert ended(started(program=program, cwd=tmp_path)) == (128 + number, SENTENCE)
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
@pytest.mark.parametrize("how", ["import", "builder"])
def test_code_of_ones_own_that_never_returns_is_interrupted(how, tmp_path):
    forever = "import sys, time\nsys.stderr.write('begun\\n')\nwhile True: time.sleep(0.01)\n"
    builder = f"def mine(i, h, o):\n{textwrap.indent(forever, '    ')}"
    (tmp_path / "forever.py").write_text(forever)
    (tmp_path / "mine.py").write_text({"import": "import forever\n", "builder": builder}[how])
    process = started("sweep", "mine.py:mine", "--lengths", "4", cwd=tmp_path)
    assert process.stderr.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, SENTENCE)
    assert {path.name for path in tmp_path.glob("runs/*/*")} == {LOCK}


@pytest.mark.integration
def test_a_horizon_is_interrupted_at_any_moment(tmp_path):
    words = ("horizon", "lstm", "--tasks", "two_sequence", "--out", tmp_path)
    begun = time.monotonic()
    process = started(*words)
    while not list(tmp_path.glob("checkpoint-*")):
        assert process.poll() is None
        time.sleep(0.05)
    whole = time.monotonic() - begun  # from the start into its training
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, SENTENCE)
    for share, number in zip((0.05, 0.2, 0.4, 0.6, 0.8), 3 * NUMBERS, strict=False):
        process = started(*words)
        time.sleep(share * whole)
        process.send_signal(number)
        assert ended(process) == (128 + number, SENTENCE), share


@pytest.mark.integration
def test_killed_and_interrupted_the_rows_are_those_of_an_uninterrupted_run(tmp_path):
    # Hopeless at length 20, so that it runs to the cap: some seconds and several checkpoints.
    words = ["sweep", "lstm", "--lengths", "4", "20", "--trials", "3"]
    words += ["--max-steps", "150000", "--out"]
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}  # as users have it
    whole, out = tmp_path / "whole", tmp_path / "killed"

    def saved():
        """When the checkpoint of length 20 was written, if it is there."""
        return next((path.stat().st_mtime_ns for path in out.glob("checkpoint-*-20-*.npz")), None)

    assert ended(started(*words, whole, env=env)) == (0, "")
    before = None
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        process = started(*words, out, env=env)
        while (held := saved()) in (None, before):  # until it has saved more
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        expected = (-9, "") if number == signal.SIGKILL else (128 + number, SENTENCE)
        assert ended(process) == expected
        assert len(rows_of(out)) == 3  # length 4 is kept
        before = held
    assert ended(started(*words, out, env=env)) == (0, "")
    assert (out / "trials.jsonl").read_bytes() == (whole / "trials.jsonl").read_bytes()
    assert saved() is None
