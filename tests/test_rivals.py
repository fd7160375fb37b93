import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_plain_c_makes_the_errors_of_jaxrnn():
    # In a process of its own: -ffast-math switches the loading process to flush to zero.
    command = [sys.executable, BENCHMARKS / "rivals.py", "--no-time", "--trials", "3"]
    command += ["--rivals", "c", "--lengths", "10"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for cell in ("simple_rnn", "lstm"):
        assert f"{cell} T=10 c: errors part by" in ran.stdout


@pytest.mark.parametrize("fault", [1e-4, np.nan])
def test_a_rival_that_disagrees_is_not_timed(monkeypatch, fault):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import rivals
    from frameworks import Problem, our_engine

    calls = []

    def build_wrong(problem):
        return lambda coins, learning_rate, clip: calls.append(learning_rate) or errors + fault

    coins = np.zeros((rivals.CHECK_STEPS, 2), np.int32)
    errors = np.full(coins.shape, 0.5, np.float32)
    reference = rivals.Reference(Problem("lstm", 4, {}), coins, errors)
    monkeypatch.setattr(our_engine, "build", build_wrong)
    with pytest.raises(ValueError, match="not timed"):
        rivals.measure("jaxrnn", reference, timed=True)
    assert len(calls) == 1
