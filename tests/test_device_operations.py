"""The counter of device operations, on sequences of thunks as XLA writes them."""

from pathlib import Path

import pytest
from helpers import ONE_DEVICE, STREAK

from jaxrnn.training.engine import lanes_of, make_program
from jaxrnn.training.trial import build

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

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


@pytest.fixture
def device_operations(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import device_operations

    return device_operations


def test_what_stands_in_the_loops_is_counted_as_often_as_it_is_run(device_operations):
    trips, counts_of = {"while.1": 250, "while.2": 9}, device_operations.counts_of
    assert counts_of(THUNKS, trips, NAMES) == (4 + 2 * 9, 3 + 2 * 9)
    assert counts_of(THUNKS, trips | {"while.2": 1}, NAMES) == (4 + 2, 3 + 2)
    # A loop that does not know its length asks each time.
    assert counts_of(THUNKS, {"while.2": 9}, NAMES) == (5 + 2 * 9, 4 + 2 * 9)
    with pytest.raises(ValueError, match="unknown length: 009: kWhile"):
        counts_of(THUNKS, {"while.1": 250}, NAMES)
    with pytest.raises(ValueError, match="kNccl"):
        counts_of(THUNKS.replace("kGemm", "kNcclAllReduce"), {}, NAMES)


def test_the_program_whose_dump_is_read_has_this_name(device_operations):
    chunk = make_program(build(STREAK), 3, ONE_DEVICE).chunk
    text = chunk.compile(lanes_of(STREAK)).result().run.as_text()
    assert text.startswith(f"HloModule {device_operations.CHUNK},")
