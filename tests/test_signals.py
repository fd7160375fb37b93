"""An interruption is heeded once, and never half-way through an import or a callback."""

import gc
import importlib
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers import run

from jaxrnn.cli import heeded

SENTENCE = "jaxrnn: interrupted; the same command goes on from here\n"


def wait():
    """Some seconds, in which an interruption comes."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        time.sleep(0.001)


NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_raises_and_the_handlers_are_handed_back(number):
    numbers = (*NUMBERS, signal.SIGALRM)
    before = [signal.getsignal(one) for one in numbers]
    with pytest.raises(KeyboardInterrupt) as caught, heeded():
        signal.raise_signal(number)
    assert caught.value.args == (number,)
    assert [signal.getsignal(one) for one in numbers] == before


def test_no_signal_comes_after_the_end():
    def interrupted_import():
        signal.raise_signal(signal.SIGINT)

    code = interrupted_import.__code__.replace(co_filename="<frozen importlib._bootstrap>")
    interrupted_import.__code__ = code
    with heeded():
        interrupted_import()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_signal_in_a_callback_of_the_garbage_collector_is_not_lost():
    seen = []

    class Cycle:
        def __init__(self):
            self.itself = self

        def __del__(self):
            seen.append(self)
            signal.raise_signal(signal.SIGTERM)

    def collect():
        Cycle()  # only here, since Python may collect it at once, and the signal would end it
        gc.collect()
        assert len(seen) == 1
        wait()

    with pytest.raises(KeyboardInterrupt) as caught, heeded():
        collect()
    assert caught.value.args == (signal.SIGTERM,)


def test_other_errors_in_callbacks_are_told_as_ever(monkeypatch):
    class Faulty:
        def __del__(self):
            raise ValueError("in vain")

    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: told.append(str(one.exc_value)))
    with heeded():
        Faulty()  # gone at once
    assert told == ["in vain"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_waits_until_a_module_is_imported(number, tmp_path, monkeypatch):
    name = f"interrupted_by_{number}"
    text = f"import signal\nsignal.raise_signal({number})\nWHOLE = True\n"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    def import_it():
        assert importlib.import_module(name).WHOLE
        wait()

    with pytest.raises(KeyboardInterrupt) as caught, heeded():
        import_it()
    assert caught.value.args == (number,)


@pytest.mark.parametrize("how", ["file", "module", "helper", "builder"])
def test_code_of_ones_own_that_never_returns_is_interrupted(how, tmp_path):
    forever = "import sys, time\nsys.stderr.write('begun\\n')\nwhile True: time.sleep(0.01)\n"
    never = "".join(f"    {line}\n" for line in forever.splitlines())
    text = {"helper": "import forever\n", "builder": f"def mine(i, h, o):\n{never}"}
    (tmp_path / "forever.py").write_text(forever)
    (tmp_path / "mine.py").write_text(text.get(how, forever))
    name = {"module": "forever:mine"}.get(how, "mine.py:mine")
    command = [sys.executable, "-m", "jaxrnn", "sweep", "--cells", name, "--lengths", "4"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as one:
        assert one.stderr.readline() == "begun\n"
        one.send_signal(signal.SIGTERM)
        try:
            assert one.wait(60) == 128 + signal.SIGTERM
        finally:
            one.kill()  # or leaving the block would wait for it
        assert one.stderr.read() == SENTENCE
    assert not list(tmp_path.glob("runs/*"))


def test_an_interruption_while_it_starts_is_one_sentence(tmp_path):
    # Of a command that takes seconds, since the interruption may be taken a hundredth of a second
    # after the last import.
    program = f"""
import signal, sys

class Interruption:
    def find_spec(self, name, path=None, target=None):
        if name == "jax":
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

sys.argv = "jaxrnn sweep --cells simple_rnn --lengths 4 --out {tmp_path}".split()
from jaxrnn.cli import main
sys.meta_path.insert(0, Interruption())
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", SENTENCE)


@pytest.mark.parametrize(
    ("number", "where"),
    [
        (signal.SIGTERM, "training.host_loop.program_for"),
        (signal.SIGINT, "report.document.pictures_of"),
    ],
)
def test_an_interruption_anywhere_is_one_sentence_and_the_run_goes_on(
    number, where, tmp_path, monkeypatch, capsys
):
    flags = ["--cells", "simple_rnn", "--lengths", "4", "--trials", "2", "--window", "50"]
    flags += ["--max-steps", "500", "--out", tmp_path]
    with monkeypatch.context() as patch:
        patch.setattr(f"jaxrnn.{where}", lambda *_, **__: signal.raise_signal(number))
        patch.setattr(os, "_exit", sys.exit)  # it would end the tests
        assert run("sweep", *flags) == 128 + number
    assert capsys.readouterr().err == SENTENCE
    assert run("sweep", *flags) == 0
