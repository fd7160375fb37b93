"""Functions of the lanes of a batch as programs for devices, compiled on threads of their own."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrnn.machine import CPU_OPTIONS, usable_cores
from jaxrnn.training.trial import Settings

Result = TypeVar("Result")


class Lanes(NamedTuple):
    """What each of the N lanes of a batch is to run next; a lane holds one trial at a time."""

    seed: jax.Array | np.ndarray  # uint32 [N], of the experiment that the trial is of
    trial: jax.Array | np.ndarray  # int32 [N], which trial; several lanes may hold the same
    update: jax.Array | np.ndarray  # int32 [N], its next update
    settings: Settings  # [N] each
    # int32 [N], the same in all lanes: the updates of the chunk that are done are those from the
    # first number up to the second. None: all of them.
    begin: jax.Array | np.ndarray | None = None
    end: jax.Array | np.ndarray | None = None


def some_lanes(lanes: Lanes, at: np.ndarray) -> Lanes:
    """The lanes at these places."""
    some: Lanes = jax.tree.map(lambda one: one[at], lanes)
    return some


class Compiled(NamedTuple):
    """A function for one number of lanes."""

    run: jax.stages.Compiled
    seconds: float  # that tracing and compiling took


AXIS = ("lanes",)
OF_LANES = PartitionSpec(*AXIS)  # of arrays [N, ...]
OF_CHUNK = PartitionSpec(None, *AXIS)  # of arrays [C, N, ...]

# XLA uses more than one core, but less than two, for one program (1.6 where measured).
_COMPILER = ThreadPoolExecutor(max(2, usable_cores()), "compile")


class Compiles(Generic[Result]):
    """A function, whose last argument are lanes, that is compiled on another thread.

    It holds its programs itself. When JAX is made to forget its traces, it drops its own programs,
    even those that a run needs.
    """

    def __init__(self, jitted: Any, shapes: Callable[[Lanes], tuple[Any, ...]]) -> None:
        """``shapes`` are those of the other arguments for some lanes."""
        self.lower, self._shapes = jitted.lower, shapes
        # By the number of lanes, and whether these say which updates are done.
        self._compiled: dict[tuple[int, bool], Future[Compiled]] = {}
        self._outputs: dict[int, Any] = {}

    def compile(self, lanes: Lanes, after: Future[Compiled] | None = None) -> Future[Compiled]:
        """Begin to compile it for so many lanes, if nobody has yet; it is done when the one that
        was begun before, ``after``, is done, too."""
        width = lanes.trial.shape[0]
        kind = width, lanes.end is not None
        if kind not in self._compiled:
            start = time.monotonic()
            # Traced here, since what a user sets in JAX by a context is the thread's own.
            lowered = self.lower(*self._shapes(lanes), lanes)
            traced = time.monotonic() - start
            self._outputs[width] = lowered.out_info

            def compiled() -> Compiled:
                start = time.monotonic()
                run = lowered.compile()
                if after is not None:
                    after.result()
                return Compiled(run, traced + time.monotonic() - start)

            self._compiled[kind] = _COMPILER.submit(compiled)
        return self._compiled[kind]

    def outputs(self, lanes: Lanes) -> Any:
        """The shapes of what it gives, as arguments of another function; begins to compile it."""
        self.compile(lanes)
        return self._outputs[lanes.trial.shape[0]]

    def memory(self, lanes: Lanes) -> tuple[int, int]:
        """The bytes on each device, by XLA's own figures, of its arguments and results and of what
        it needs meanwhile, for so many lanes and once it is compiled; 0 where XLA cannot tell."""
        analysis = self.compile(lanes).result().run.memory_analysis()
        if analysis is None:
            return 0, 0
        kept = analysis.argument_size_in_bytes + analysis.output_size_in_bytes
        return kept - analysis.alias_size_in_bytes, analysis.temp_size_in_bytes

    def widths(self) -> list[int]:
        """The numbers of lanes that it is compiled for."""
        return [
            width
            for (width, _), compiled in self._compiled.items()
            if compiled.done() and compiled.exception() is None
        ]

    def __call__(self, *arguments: Any) -> Result:
        """What it gives, once it is compiled."""
        result: Result = self.compile(arguments[-1]).result().run(*arguments)
        return result


def in_full_precision(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with matrix products of float32's full precision, unless
    ``jax_default_matmul_precision`` says otherwise.

    Accelerators would otherwise round the factors to fewer bits, and trials would differ from the
    CPU's.
    """
    precision = jax.config.jax_default_matmul_precision or "highest"  # type: ignore[attr-defined]
    return jax.default_matmul_precision(precision)(function)


def jit_lanes(
    function: Callable[..., Any],
    out_specs: Any,
    devices: Sequence[jax.Device],
    donated: tuple[int, ...] = (),
    in_specs: Any = OF_LANES,
) -> Callable[..., Any]:
    """The function of lanes, and of states of them, shared out over the devices, as one
    program."""
    mesh = Mesh(np.array(devices), AXIS)
    sharded = jax.shard_map(
        in_full_precision(function),
        mesh=mesh,
        in_specs=in_specs,
        out_specs=out_specs,
        check_vma=False,  # a cell's first state need not say that it differs from lane to lane
    )
    options = CPU_OPTIONS if devices[0].platform == "cpu" else None
    return jax.jit(
        sharded,
        # Or an array without elements, as the biases of no outputs, would come back unshared.
        out_shardings=jax.tree.map(
            partial(NamedSharding, mesh), out_specs, is_leaf=lambda a: isinstance(a, PartitionSpec)
        ),
        donate_argnums=donated,
        compiler_options=options,
    )


class InParts(Generic[Result]):
    """A function of lanes alone that is run for some of them at a time, so that one program serves
    any number of lanes."""

    def __init__(
        self,
        function: Callable[[Lanes], Result],
        out_spec: PartitionSpec,
        devices: Sequence[jax.Device],
        at_once: tuple[int, int] | None,
    ) -> None:
        """On each of the devices so many lanes are run at once: the first number, or the second one
        where there are more than twice the first; all of them where it is None."""
        self._num_devices, self._at_once = len(devices), at_once
        self._sharding = NamedSharding(Mesh(np.array(devices), AXIS), out_spec)
        self._some: Compiles[Result] = Compiles(
            jit_lanes(function, out_spec, devices), lambda lanes: ()
        )

    def compile(self, lanes: Lanes) -> Future[Compiled]:
        """Begin to compile it, if nobody has yet."""
        return self._some.compile(next(self._parts(lanes)))

    def shapes(self, lanes: Lanes) -> list[Result]:
        """The shapes of what it gives for these lanes; begins to compile it."""
        return [
            jax.tree.map(
                lambda one: jax.ShapeDtypeStruct(one.shape, one.dtype, sharding=self._sharding),
                self._some.outputs(part),
            )
            for part in self._parts(lanes)
        ]

    def memory(self, lanes: Lanes) -> tuple[int, int]:
        """As that of :class:`Compiles`, for all these lanes."""
        first, *others = self._parts(lanes)
        kept, temporary = self._some.memory(first)
        return kept * (1 + len(others)), temporary

    def __call__(self, lanes: Lanes) -> list[Result]:
        """What it gives for these lanes, in parts, the last of which is filled up; on its way."""
        return [self._some(part) for part in self._parts(lanes)]

    def _parts(self, lanes: Lanes) -> Iterator[Lanes]:
        lanes = lanes._replace(begin=None, end=None)  # what draws is the same for any of them
        # Each device has lanes that stand side by side, and runs some of them.
        number = len(lanes.trial) // self._num_devices
        first = number * np.arange(self._num_devices)[:, None]
        few, many = self._at_once or (number, number)
        size = few if number <= 2 * few else many
        for start in range(0, number, size):
            at = (first + np.arange(start, start + size) % number).ravel()
            yield some_lanes(lanes, at)
