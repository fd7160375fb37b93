"""The lanes of a batch: how many there are, on which devices, and how much they do at a time."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxrnn.errors import Note
from jaxrnn.experiment import Experiment


class LaneSize(NamedTuple):
    """Bytes of a lane, which decide how many lanes are fastest."""

    state: int  # what is trained: weights, and what the optimizer keeps besides
    residuals: int  # of a sequence, for the gradient; 0 where one lane at a time has them
    arrays: int  # everything, at most: decides on accelerators


def updates_left(left: np.ndarray, waiting: int, num_lanes: int, most: int) -> int:
    """The number of updates until all trials have ended, also those that wait for a lane, if each
    takes ``most`` updates; those in a lane have so many ``left``, and the other lanes are idle."""
    left = np.sort(np.pad(left, (0, num_lanes - len(left))))
    # Each goes to the lane that is idle first, so the lanes take turns.
    turns = -(-(waiting - np.arange(num_lanes)) // num_lanes)
    return int((left + most * np.maximum(turns, 0)).max())


class Narrowing:
    """Decides when to go on in fewer lanes, since no trial waits for one."""

    def __init__(self) -> None:
        """Half of the lanes are not idle yet."""
        self._half_empty_since: float | None = None
        # When it was first asked, and the updates that each lane had taken by then.
        self._asked: tuple[float, int] | None = None

    def width(
        self,
        lanes: tuple[int, int],
        updates: tuple[int, int],
        now: float,
        compile_seconds: float,
        round_up: Callable[[int], int],
    ) -> int | None:
        """A smaller number of lanes to go on with, or None: half, or half of that again, once half
        of the lanes have been idle for as long as a compilation takes.

        This wait saves a compilation for a run that ends soon, as does a look at what is left: at
        the speed of the updates so far, fewer lanes have to save as much time as a compilation
        takes. ``lanes`` are how many there are, and how many are busy; ``updates`` how many each
        has taken, and how many are left at most; ``now`` is in seconds. ``round_up`` gives the
        least allowed width for a number of lanes.
        """
        (width, busy), (taken, most_left) = lanes, updates
        since, before = self._asked = self._asked or (now, taken)
        narrower = width
        while (half := round_up(-(-narrower // 2))) < narrower and busy <= half:
            narrower = half
        if narrower == width or busy == 0:
            self._half_empty_since = None
            return None
        if self._half_empty_since is None:
            self._half_empty_since = now
        left = most_left * (now - since) / max(1, taken - before)
        saves = min(now - self._half_empty_since, left * (1 - narrower / width))
        return narrower if saves >= compile_seconds else None


# XLA compiles a single lane differently. LLVM unrolls loops over two lanes, and then adds other
# products of the LSTM without rounding them first (jax 0.11.2 at T = 4). A batch of three takes 1.3
# times the time of one of two.
_MIN_LANES_A_DEVICE = 3

# Lanes for each core: from about 16 on a batch is as fast as it gets, unless its weights fall out
# of the core's cache (1 MiB where this was measured). Sequences a second with 2, 16 and 32 lanes:
# LSTM of 20 units at T = 100 (47 kB a trial) 7,700, 10,500, 7,600; of 128 units at T = 50 (392 kB)
# 2,100, 1,700, 1,300. Accelerators take all trials that fit their memory.
LANES_A_CORE, CACHE_BYTES = 32, 750_000

# The same for what is kept of sequences for the gradient. That of all lanes has to fit the cache
# that the cores share, of which there were 16 MiB for each core where this was measured; XLA's
# arrays take 1.0 to 2.4 times as much. At T = 1,024 a time step of a trial takes three times as
# long with 27 lanes of minGRU as with 3 (benchmarks/long_sequences.py).
RESIDUAL_BYTES = 6_000_000

# From this many lanes on a second accelerator pays. On one accelerator the launches take most of an
# update's time, which is hardly longer for a thousand lanes than for ten (predicted, as below).
LANES_AN_ACCELERATOR = 256

# Sequences of a chunk, of each lane: a fraction of a second at every length of the notebook, and
# still some seconds at ten times the longest, where the cost grows with the square of the length.
CHUNK_SEQUENCES, SHORTEST_CHUNK, LONGEST_FULL_CHUNK = 250, 10, 100

# From this many sequences per update on, a CPU takes them together, as products of matrices, one
# lane at a time. The first number is for cells with their own way to do so, the second for others.
# With fewer, all lanes take them one after another, like updates by single sequences
# (benchmarks/batches.py).
TOGETHER_FROM, ANY_TOGETHER_FROM = 4, 16

MOST_AT_ONCE = 16  # time steps that an accelerator takes in one iteration of its loop

# From this many trials on, a GPU is predicted to be faster than two CPU cores; not measured, see
# docs/speed.md.
GPU_PAYS_FROM = 30


def round_up(num_lanes: int, num_devices: int) -> int:
    """The least number of lanes from ``num_lanes`` on that the devices share evenly."""
    return num_devices * max(_MIN_LANES_A_DEVICE, -(-num_lanes // num_devices))


def enough(devices: Sequence[jax.Device], num_lanes: int) -> Sequence[jax.Device]:
    """The devices that ``num_lanes`` lanes can use, at least one."""
    least = _MIN_LANES_A_DEVICE if devices[0].platform == "cpu" else LANES_AN_ACCELERATOR
    return devices[: max(1, -(-num_lanes // least))]


def most_lanes(size: LaneSize, num_trials: int, devices: Sequence[jax.Device]) -> int:
    """The number of trials at once with the highest speed; at most all."""
    if devices[0].platform == "cpu":
        in_caches = CACHE_BYTES // size.state, RESIDUAL_BYTES // max(1, size.residuals)
        most = len(devices) * max(_MIN_LANES_A_DEVICE, min(LANES_A_CORE, *in_caches))
        # If all trials go on to their cap, each lane has as many of them.
        return -(-num_trials // max(1, -(-num_trials // most)))
    # 0 where not even one fits: a device has three lanes at least.
    room = device_memory(devices)
    return num_trials if room >= size.arrays * num_trials else int(room // size.arrays)


def warn_if_small(trials: int, device: jax.Device) -> None:
    """Say so where an accelerator has too few trials of a net at once to be faster than a CPU."""
    if device.platform != "cpu" and trials < GPU_PAYS_FROM:
        some = "1 trial of a net is" if trials == 1 else f"{trials} trials of a net are"
        warnings.warn(
            f"{some} few for {device.device_kind}, which is likely to be "
            f"faster than CPU cores only from about {GPU_PAYS_FROM} on: to use these instead, set "
            "JAX_PLATFORMS=cpu",
            Note,
            stacklevel=2,
        )


def device_memory(devices: Sequence[jax.Device]) -> float:
    """Bytes that accelerators have for arrays, each as many as the least; infinity if unknown."""
    stats = [device.memory_stats() or {} for device in devices]
    return len(devices) * min(one.get("bytes_limit", math.inf) for one in stats)


def chunk_updates_of(experiment: Experiment, num_steps: int, chosen: int | None) -> int:
    """Updates of a chunk, by sequences of ``num_steps`` time steps."""
    if experiment.test_size:
        chosen = experiment.updates(experiment.test_every)
    elif chosen is None:
        shorter = int(CHUNK_SEQUENCES * (LONGEST_FULL_CHUNK / num_steps) ** 2)
        sequences = min(CHUNK_SEQUENCES, max(SHORTEST_CHUNK, shorter))
        chosen = max(1, sequences // experiment.batch_size)
    return min(chosen, experiment.updates(experiment.max_steps))


def together_from(platform: str, has_together: bool) -> int:
    """The least number of sequences per update that are taken together on a platform, for a cell
    with or without its own way to do so."""
    if platform != "cpu":
        return 2
    return TOGETHER_FROM if has_together else ANY_TOGETHER_FROM


def steps_at_once(num_steps: int, platform: str) -> int:
    """How many of a sequence's time steps are one iteration of the compiled loop on a platform.

    An accelerator takes about as long to start a kernel as to run it, and XLA fuses the steps of
    one iteration into fewer kernels. A few more steps do not make the compilation longer. On a CPU
    one step per iteration is as fast as several.
    """
    if platform == "cpu":
        return 1
    if num_steps <= MOST_AT_ONCE:
        return num_steps
    # The steps that are left over stand behind the loop, and are compiled apart.
    return min(range(MOST_AT_ONCE // 2, MOST_AT_ONCE + 1), key=lambda k: (num_steps % k, -k))
