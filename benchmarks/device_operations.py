"""How many operations does an update start on a GPU? Counted without one.

    pip install -e '.[cuda12]'
    python benchmarks/device_operations.py [--cells lstm] [--lengths 10 100] [--trials 10 1000]

Compiles the engine's chunk for the GPU that h100.txtpb describes, which need not be there: jax's
CUDA plug-in has the compiler. Counted are the operations of an update on the device, kernels
and copies, and its launches, which are what the host starts: an operation, or a command buffer of
several. Where an operation takes less time than its start, these counts are what a step costs.
"""

import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import tyro
from jax.experimental.topologies import get_topology_desc
from timing import machine

from jaxrnn import Experiment
from jaxrnn.training.engine import lanes_of, make_program
from jaxrnn.training.lanes import CHUNK_SEQUENCES, steps_at_once
from jaxrnn.training.trial import build

GPU = Path(__file__).parent / "h100.txtpb"

CHUNK = "jit_all_updates"  # XLA's name for the program of all updates of a chunk

# The kinds of XLA's thunks, its steps of a compiled program: those that start something, and those
# that hold others.
OPERATIONS = {"kCopy", "kCublasLtMatmul", "kCuDnn", "kCustomCall", "kCustomKernel", "kGemm"}
OPERATIONS |= {"kKernel", "kMemset32BitValue", "kMemzero"}
HOLDERS = {"kCommandBuffer", "kConditional", "kDynamicSlice", "kDynamicSliceFusion", "kSequential"}
LOOP, GRAPH = "kWhile", "kCommandBuffer"


class Counts(NamedTuple):
    """Of one update."""

    operations: int
    launches: int


class _Holder(NamedTuple):
    """A thunk that holds others."""

    indent: int
    kind: str
    times: int  # that what it holds is run in an update
    in_graph: bool
    asks: bool  # a loop of unknown length, that asks its condition each time


def counts_of(thunks: str, trips: Mapping[str, int], names: Mapping[int, str]) -> Counts:
    """Counts of a chunk, whose outermost loop is that of its updates.

    ``thunks`` is XLA's dump of the sequence, ``trips`` how often each loop of a known length turns
    and ``names`` the thunks'. Raises ValueError for a thunk of a kind that is not known here,
    and for another loop of unknown length than the outermost.
    """
    operations = launches = 0
    holders: list[_Holder] = []
    in_condition = False
    for line in thunks.splitlines():
        if line.strip() in ("condition:", "body:"):
            in_condition = line.strip() == "condition:"
            continue
        found = re.match(r"( *)(\d+): (k\w+)", line)
        if found is None:
            continue
        indent, number, kind = len(found[1]), int(found[2]), found[3]
        while holders and holders[-1].indent >= indent:
            holders.pop()
        outer = holders[-1] if holders else None
        if outer and in_condition and not outer.asks:
            continue
        times = outer.times if outer else 0
        in_graph = bool(outer and outer.in_graph)
        if kind == LOOP:
            name = names.get(number, "")
            is_chunk = not any(holder.kind == LOOP for holder in holders)
            if not is_chunk and name not in trips:
                raise ValueError(f"a loop over time of unknown length: {line.strip()}")
            inner = 1 if is_chunk else times * trips[name]
            holders.append(_Holder(indent, kind, inner, in_graph, name not in trips))
        elif kind in HOLDERS:
            launches += times * (kind == GRAPH and not in_graph)
            holders.append(_Holder(indent, kind, times, in_graph or kind == GRAPH, False))
        elif kind in OPERATIONS:
            operations += times
            launches += times * (not in_graph)
        else:
            raise ValueError(f"a thunk of an unknown kind: {line.strip()}")
    return Counts(operations, launches)


def read_counts(dump: Path) -> Counts:
    """Counts of the one chunk in a folder that XLA has dumped into."""

    def text_of(ending: str) -> str:
        (file,) = dump.glob(f"*{CHUNK}*{ending}")
        return file.read_text()

    pattern = r'%(while[\w.-]*) = [^\n]*known_trip_count":\{"n":"(\d+)"'
    loops = re.findall(pattern, text_of("gpu_after_optimizations.txt"))
    names = {}
    for one in text_of("thunk_metadata.txt").split("thunk_metadata {"):
        number, name = (re.search(p, one) for p in (r"thunk_id: (\d+)", r'annotation: "([^"]*)"'))
        if number and name:
            names[int(number[1])] = name[1]
    thunks = text_of(".thunk_sequence_after_thunk_passes.txt")
    return counts_of(thunks, {name: int(times) for name, times in loops}, names)


def main(
    cells: tuple[str, ...] = ("simple_rnn", "lstm"),
    lengths: tuple[int, ...] = (10, 20, 50, 100),
    trials: tuple[int, ...] = (10, 1000),
) -> None:
    """Count the device operations and launches of an update.

    Args:
        cells: The nets.
        lengths: Lengths of the sequences.
        trials: Trials trained together.
    """
    dump = Path(tempfile.mkdtemp(prefix="device-operations-"))
    # Read when a compiler is first asked for.
    flags = f"--xla_dump_to={dump} --xla_dump_hlo_as_text --xla_dump_hlo_module_re={CHUNK}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    jax.config.update("jax_platforms", "cpu")  # what is there is not asked
    try:
        target = get_topology_desc(platform="cuda", target_config=GPU.read_text(), topology="1x1x1")
    except Exception as error:  # whatever the plug-in raises
        print(f"Nothing was counted, this needs jax's CUDA plug-in (extra cuda12): {error}")
        return
    print("Of one update of all trials, compiled for a GPU that is described, not run.\n")
    print("| net | T | trials | time steps at once | operations | launches | MB | compiled in |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for cell, length, number in itertools.product(cells, lengths, trials):
        experiment = Experiment(cell=cell, length=length, trials=number)
        trial = build(experiment, "gpu")
        program = make_program(trial, CHUNK_SEQUENCES, list(target.devices))
        compiled = program.chunk.compile(lanes_of(experiment)).result()
        counts = read_counts(dump)
        shutil.rmtree(dump)
        at_once = steps_at_once(trial.num_steps, "gpu")
        memory: Any = compiled.run.memory_analysis()
        megabytes = (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 1e6
        columns = [cell, length, f"{number:,}", at_once, *counts, f"{megabytes:,.1f}"]
        columns.append(f"{compiled.seconds:.1f} s")
        print(f"| {' | '.join(map(str, columns))} |", flush=True)
    print(f"\n{machine()}; compiled for what h100.txtpb describes")


if __name__ == "__main__":
    tyro.cli(main)
