"""Settings of JAX that leave it no device are one sentence, and nothing is written by then."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import run

import jaxrnn

RUN = Path(__file__).parents[1] / "examples" / "grid-run"
COUNT = "must be a whole number of at least 1: choose one, or unset it"
PLATFORM = "asks for a device that JAX cannot use here: choose cpu, or unset it"

FROM_PYTHON = """
import importlib, pkgutil, jaxrnn
jaxrnn.lstm  # the first that imports JAX
for module in pkgutil.walk_packages(jaxrnn.__path__, "jaxrnn."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
experiment = jaxrnn.Experiment()
for call in jaxrnn.run_trials, lambda one: jaxrnn.run(one, "runs/out"):
    try:
        call(experiment)
    except jaxrnn.InputError as error:
        print(error)
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("JAX_PLATFORMS", "cuda", f"JAX_PLATFORMS 'cuda' {PLATFORM}"),
        ("JAX_PLATFORMS", "foo", f"JAX_PLATFORMS 'foo' {PLATFORM} (Unable to initialize"),
        ("JAX_NUM_CPU_DEVICES", "x", f"JAX_NUM_CPU_DEVICES 'x' {COUNT}"),
    ],
    ids=["cuda", "foo", "x"],
)
def test_a_setting_without_a_device_is_one_sentence(name, value, sentence, tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), name: value}
    environment["CUDA_VISIBLE_DEVICES"] = ""  # as where there is no GPU
    del environment["JAX_COMPILATION_CACHE_DIR"]

    def told(*words):
        return subprocess.run(
            [sys.executable, *words], env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    by_command, from_python = told("-m", "jaxrnn", "sweep"), told("-c", FROM_PYTHON)
    assert (by_command.returncode, by_command.stdout) == (2, "")
    (line,) = by_command.stderr.splitlines()
    assert line.startswith(f"jaxrnn: {sentence}")
    assert (from_python.returncode, from_python.stderr) == (0, "")
    assert from_python.stdout.splitlines() == 2 * [line.removeprefix("jaxrnn: ")]
    assert {path.name for path in tmp_path.iterdir()} <= {"matplotlib"}  # its list of fonts


@pytest.fixture(params=["0", "-1", ""])
def refused(request, tmp_path, monkeypatch):
    """The sentence about a number of devices that cannot be, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", request.param)
    return f"JAX_NUM_CPU_DEVICES {request.param!r} {COUNT}"


def test_all_that_computes_is_refused_before_it_writes(refused, tmp_path, capsys):
    commands = "sweep", "sweep --clip 1 5", "horizon", "inspect runs"
    for words in commands:
        assert run(*words.split()) == 2
        assert capsys.readouterr().err == f"jaxrnn: {refused}\n"
    for call in (
        lambda: jaxrnn.run(jaxrnn.Experiment(), "runs/out"),
        lambda: jaxrnn.run(jaxrnn.Experiment(), "runs/out", dask="tcp://127.0.0.1:1"),
        lambda: jaxrnn.run_horizon(["lstm"], ["adding"], "runs/out"),
        lambda: jaxrnn.run_trials(jaxrnn.Experiment()),
    ):
        with pytest.raises(jaxrnn.InputError, match=re.escape(refused)):
            call()
    assert {path.name for path in tmp_path.iterdir()} <= {"matplotlib"}


@pytest.mark.usefixtures("refused")
def test_what_computes_nothing_needs_no_device(tmp_path):
    (tmp_path / "run").mkdir()
    for file in RUN.glob("*.json*"):
        (tmp_path / "run" / file.name).write_bytes(file.read_bytes())
    for words in ("list", "list 1997", "sweep --help", "--version", "report run"):
        assert run(*words.split()) == 0, words


def test_jax_is_asked_for_devices_in_one_place():
    package = Path(jaxrnn.__file__).parent
    asks = re.compile(r"\bjax\.(local_)?device(s|_count)\(|default_backend\(")
    files = [path for path in package.rglob("*.py") if asks.search(path.read_text())]
    assert files == [package / "machine.py"]


WITHOUT_LINUX = """
import os, signal, sys
from pathlib import Path
sys.modules["resource"] = None  # an import of it fails, as on Windows
for module, names in (
    (os, ("sched_getaffinity", "sched_setaffinity", "sysconf", "fork", "getuid", "killpg")),
    (signal, ("SIGALRM", "setitimer", "alarm", "SIGKILL", "SIGHUP", "pthread_sigmask")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
from jaxrnn import machine
machine._ROOT = Path(sys.argv.pop())  # no /proc, no /sys
assert machine.free_memory() == float("inf")
assert machine.usable_cores() == os.cpu_count()
from jaxrnn.cli import main
main()
"""


@pytest.mark.integration
def test_nothing_needs_linux(tmp_path):
    """Without what macOS or Windows lack a run gives the same rows, and its report."""
    sweep = ["sweep", "simple_rnn", "--lengths", "5", "--trials", "2"]
    sweep += ["--window", "60", "--max-steps", "300", "--out"]
    for name, code in (("here", "from jaxrnn.cli import main; main()"), ("there", WITHOUT_LINUX)):
        words = [sys.executable, "-c", code, *sweep, tmp_path / name]
        words += [tmp_path / "nowhere"] * (name == "there")
        told = subprocess.run(words, capture_output=True, text=True)
        assert (told.returncode, told.stderr) == (0, ""), name
    here, there = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("here", "there")
    )
    assert here.keys() == there.keys()
    assert len(here) > 5
    assert [name for name in here if here[name] != there[name]] == []
