"""The benchmarks of accelerators: their times, at small sizes on the CPU, a table of made-up
figures, and the counter of device operations, on sequences of thunks as XLA writes them."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import ONE_DEVICE, STREAK

from jaxrnn.training.engine import lanes_of, make_program
from jaxrnn.training.trial import build

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    import accelerator
    import device_operations
    import timing


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


def test_a_part_that_fails_or_hangs_loses_only_itself(monkeypatch, tmp_path):
    log, part = tmp_path / "part.log", tmp_path / "part.py"
    monkeypatch.setattr(accelerator, "__file__", str(part))
    part.write_text('import os; raise ValueError(os.environ["JAX_PLATFORMS"])')
    failed = accelerator.run(accelerator.Part("broken", "nonsense"), [], log, 60)
    assert failed == [{"part": "broken", "error": "ended with 1: ValueError: nonsense"}]
    part.write_text("import time; time.sleep(60)")
    hung = accelerator.run(accelerator.CPU, [], log, 0.1)
    assert hung == [{"part": "all cores", "error": "stopped after 0 s"}]
    text = accelerator.page([*failed, *hung], "a machine", "a command")
    assert "- all cores: stopped after 0 s\n" in text


def test_a_case_that_fails_leaves_the_others(monkeypatch, capsys):
    def fail_at_4(experiment, devices):
        if experiment.length == 4:
            raise MemoryError("too large")
        return {"us": 1.0}

    monkeypatch.setattr(accelerator, "time_step", fail_at_4)
    accelerator.measure(accelerator.Part("some", "cpu"), ["lstm"], [4, 5], [3])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("us") for row in rows] == [None, 1.0]
    assert rows[0]["error"] == "MemoryError: too large"


def test_each_kind_of_device_has_its_parts():
    for platform, count, machine, parts in (
        ("cpu", 2, "EPYC", []),
        ("gpu", 1, "NVIDIA H100", ["one accelerator", "one, loops in command buffers"]),
        ("tpu", 4, "TPU", ["one accelerator", "all 4"]),
    ):
        found = {"platform": platform, "count": count, "machine": machine}
        assert [part.name for part in accelerator.accelerated(found)] == parts


def test_it_pays_from_where_its_line_crosses_that_of_the_cores():
    for cpu, gpu, trials in (
        ({10: 4.0, 1000: 400.0}, {10: 8.0, 1000: 8.0}, "20"),  # both lines straight in logarithms
        ({10: 4.0, 100: 40.0}, {10: 2.0, 100: 2.0}, "10 or fewer"),
        ({10: 4.0, 100: 40.0}, {10: 50.0, 100: 60.0}, "more than 100"),
        ({10: 4.0}, {}, "-"),
    ):
        assert accelerator.crossing(cpu, gpu) == trials


def test_a_gpus_driver_stands_beside_the_versions(monkeypatch, tmp_path):
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


# Before the loop over updates three operations; in it two, a graph of two, and a loop over
# time with a graph of one operation and a copy beside it.
THUNKS = """\
000: kCommandBuffer [source | next=004 (1)]
    001: kCustomKernel [source | next=002 (1)] loop_fusion grid: [40, 1, 1]
    002: kCopy         [prev=001 (1) | sink  ] kCopy
003: kCopy [source | sink] kCopy
004: kWhile [prev=000 (1) | sink]
condition:
    005: kCustomKernel [source | sink] loop_compare_fusion
  body:
    006: kGemm [source | sink] gemm
    000: kCommandBuffer [source | sink]
        007: kCustomKernel [source | sink] loop_add_fusion
        008: kMemzero [source | sink]
    009: kWhile [prev=006 (1) | sink]
condition:
        010: kCustomKernel [source | sink] loop_compare_fusion
      body:
        000: kCommandBuffer [source | sink]
            011: kDynamicSliceFusion [source | sink]
                012: kCopy [source | sink] kCopy
        013: kCopy [source | sink] kCopy
    014: kKernel [prev=009 (1) | sink] loop_multiply_fusion
"""
NAMES = {4: "while.1", 9: "while.2"}


def test_what_stands_in_the_loops_is_counted_as_often_as_it_is_run():
    trips, counts_of = {"while.1": 250, "while.2": 9}, device_operations.counts_of
    assert counts_of(THUNKS, trips, NAMES) == (4 + 2 * 9, 3 + 2 * 9)
    assert counts_of(THUNKS, trips | {"while.2": 1}, NAMES) == (4 + 2, 3 + 2)
    # A loop that does not know its length asks each time.
    assert counts_of(THUNKS, {"while.2": 9}, NAMES) == (5 + 2 * 9, 4 + 2 * 9)
    with pytest.raises(ValueError, match="unknown length: 009: kWhile"):
        counts_of(THUNKS, {"while.1": 250}, NAMES)
    with pytest.raises(ValueError, match="kNccl"):
        counts_of(THUNKS.replace("kGemm", "kNcclAllReduce"), {}, NAMES)


def test_the_program_whose_dump_is_read_has_this_name():
    experiment = replace(STREAK, cell="simple_rnn")
    chunk = make_program(build(experiment), 3, ONE_DEVICE).chunk
    text = chunk.compile(lanes_of(experiment)).result().run.as_text()
    assert text.startswith(f"HloModule {device_operations.CHUNK},")
