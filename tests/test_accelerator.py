"""The benchmark of accelerators, at small sizes on the CPU, and its table of made-up figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import accelerator

    return accelerator


@pytest.mark.slow
def test_without_an_accelerator_it_times_the_cpu(tmp_path):
    command = [sys.executable, BENCHMARKS / "accelerator.py", "--results", tmp_path]
    command += ["--cells", "simple_rnn", "--lengths", "4", "5", "--trials", "3", "70"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    kept = json.loads((tmp_path / "accelerator.json").read_text())
    us = {(row["length"], row["trials"]): row["us"] for row in kept["rows"] if "us" in row}
    assert set(us) == {(4, 3), (4, 70), (5, 3), (5, 70)}
    assert us[4, 70] > us[4, 3] > 0
    text = (tmp_path / "accelerator.md").read_text()
    assert text.strip() == ran.stdout.strip()
    assert f"| simple_rnn | 5 | 70 | {us[5, 70]:,.1f} |" in text


def test_a_part_that_fails_or_hangs_loses_only_itself(accelerator, tmp_path):
    log = tmp_path / "part.log"
    failed = accelerator.run(accelerator.Part("broken", "nonsense"), [], log, 60)
    assert [row["part"] for row in failed] == ["broken"]
    assert "ended with 1: " in failed[0]["error"]
    assert "nonsense" in failed[0]["error"]
    hung = accelerator.run(accelerator.CPU, [], log, 0.1)
    assert hung == [{"part": "all cores", "error": "stopped after 0 s"}]
    text = accelerator.page([*failed, *hung], "a machine", "a command")
    assert "- all cores: stopped after 0 s\n" in text


def test_a_case_that_fails_leaves_the_others(accelerator, monkeypatch, capsys):
    def fail_at_4(experiment, devices):
        if experiment.length == 4:
            raise MemoryError("too large")
        return {"us": 1.0}

    monkeypatch.setattr(accelerator, "time_step", fail_at_4)
    accelerator.measure(accelerator.Part("some", "cpu"), ["lstm"], [4, 5], [3])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("us") for row in rows] == [None, 1.0]
    assert rows[0]["error"] == "MemoryError: too large"


def test_each_kind_of_device_has_its_parts(accelerator):
    for platform, count, machine, parts in (
        ("cpu", 2, "EPYC", []),
        ("gpu", 1, "NVIDIA H100", ["one accelerator", "one, loops in command buffers"]),
        ("tpu", 4, "TPU", ["one accelerator", "all 4"]),
    ):
        found = {"platform": platform, "count": count, "machine": machine}
        assert [part.name for part in accelerator.accelerated(found)] == parts


@pytest.mark.parametrize(
    ("cpu", "gpu", "trials"),
    [
        ({10: 4.0, 1000: 400.0}, {10: 8.0, 1000: 8.0}, "20"),  # both lines straight in logarithms
        ({10: 4.0, 100: 40.0}, {10: 2.0, 100: 2.0}, "10 or fewer"),
        ({10: 4.0, 100: 40.0}, {10: 50.0, 100: 60.0}, "more than 100"),
        ({10: 4.0}, {}, "-"),
    ],
)
def test_it_pays_from_where_its_line_crosses_that_of_the_cores(accelerator, cpu, gpu, trials):
    assert accelerator.crossing(cpu, gpu) == trials


def test_a_gpus_driver_stands_beside_the_versions(accelerator, monkeypatch, tmp_path):
    import timing

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(timing.jax, "default_backend", lambda: "gpu")
    without = timing.machine()
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 550.54.15\necho 550.54.15\n")  # a line a GPU
    tool.chmod(0o755)
    assert timing.machine() == without.replace("; python", "; driver 550.54.15; python")
    for none in ("echo no devices were found\nexit 6", "echo No devices were found", "exit 0"):
        tool.write_text(f"#!/bin/sh\n{none}\n")
        assert timing.machine() == without
