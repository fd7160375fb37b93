"""Many trials for many updates as one device program: the only vmap, sharding and jit of trials."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from jaxrnn.experiment import Experiment
from jaxrnn.machine import all_devices, usable_cores
from jaxrnn.problems import Sequence as Drawn
from jaxrnn.training.trial import Init, Settings, TrainState, Trial, settings_of, trial_key

Result = TypeVar("Result")


class Lanes(NamedTuple):
    """What each of the N lanes of a batch is to run next; a lane holds one trial at a time."""

    seed: jax.Array | np.ndarray  # uint32 [N], of the experiment that the trial is of
    trial: jax.Array | np.ndarray  # int32 [N], which trial; several lanes may hold the same
    update: jax.Array | np.ndarray  # int32 [N], its next update; at 0 it draws its weights
    settings: Settings  # [N] each
    # int32 [N], the update from which on it stands still; for a replayable chunk only
    stop: jax.Array | np.ndarray | None = None


class Compiled(NamedTuple):
    """A function of (state, lanes) for one number of lanes."""

    run: jax.stages.Compiled
    seconds: float  # that tracing and compiling took


class Program(NamedTuple):
    """One trial's functions for all lanes of a batch, each compiled once for each number of them,
    whatever trials and updates they hold. All but ``start`` are the same for every initializer."""

    zeros: Callable[[Lanes], TrainState]  # a state of the right shapes, for ``start``
    # (state, lanes) -> the state, with a trial's first weights, by its ``init``, in each lane at
    # update 0; gives up the memory of the state that it is given
    start: "Callable[[Init], Compiles[TrainState]]"
    # (state, lanes) -> (state, errors [C, N], or [C, N, B] of batches); gives up the state's memory
    # unless replayable
    chunk: "Compiles[tuple[TrainState, jax.Array]]"
    # by the name of each test: (params, lanes) -> errors [N, M] of its M sequences
    tests: Mapping[str, Callable[[Any, Lanes], jax.Array]]
    put: Callable[[Any], Any]  # shares a state, or parameters, on the host out over the devices

    def first_state(self, init: Init, lanes: Lanes) -> TrainState:
        """The state of these lanes at update 0."""
        return self.start(init)(self.zeros(lanes), lanes)


NEVER = np.iinfo(np.int32).max
"""No update."""

# XLA chooses its YNNPACK and multi-threaded Eigen kernels by the size of the whole batch, and they
# round differently. So a trial's outcome would depend on the number of trials in the batch. Without
# these kernels it does not, to the bit, for three or more lanes per device.
# If the machine has a second core, XLA would cut some loops of a net in two, though each core has
# its own lanes. Then ten trials of the LSTM at T = 100 on one device of two took 1.17 of the time.
# LLVM's level 3, the default, unrolls loops over short axes before it can vectorise them: at level
# 1 a program is compiled in 0.6 of the time, and an update at T = 10 takes 0.9 of it.
_CPU_OPTIONS = {
    "xla_cpu_experimental_ynn_fusion_type": "",
    "xla_cpu_multi_thread_eigen": False,
    "xla_backend_optimization_level": 1,
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
}

_AXIS = ("lanes",)
_LANES = PartitionSpec(*_AXIS)


def lanes_of(experiment: Experiment, trials: ArrayLike | None = None) -> Lanes:
    """These trials at update 0, a lane each; by default all of the experiment."""
    trial = np.asarray(np.arange(experiment.trials) if trials is None else trials, np.int32)
    seed = np.full(trial.shape, experiment.seed, np.uint32)
    return Lanes(seed, trial, np.zeros_like(trial), settings_of(experiment, trial))


def bytes_of(tree: Any) -> int:
    """Memory of a tree of arrays, or of shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def state_of(trial: Trial) -> TrainState:
    """The shapes of what one trial trains; nothing is computed."""
    number: Any = jax.ShapeDtypeStruct((), jnp.result_type(float))
    settings = Settings(*(number,) * len(Settings._fields))
    return jax.eval_shape(trial.init, trial_key(0, 0), settings)


def make_program(
    trial: Trial,
    chunk_updates: int,
    devices: Sequence[jax.Device] | None = None,
    replayable: bool = False,
) -> Program:
    """The program of one trial, its lanes shared out over the devices.

    A chunk is ``chunk_updates`` updates of every lane, for states from ``start``, ``put`` or the
    chunk itself. Only a ``replayable`` chunk uses a lane's ``stop``: from that update on the
    lane's state no longer changes. Only such a chunk leaves its first argument valid. The devices
    (all of the process by default) divide the number of lanes. Matrix products have float32's full
    precision unless ``jax_default_matmul_precision`` says otherwise.
    """
    devices = list(devices or all_devices())
    sharding = NamedSharding(Mesh(np.array(devices), _AXIS), _LANES)
    hides_length = devices[0].platform == "cpu"

    known: dict[int, TrainState] = {}  # by the number of lanes

    def shapes(lanes: Lanes) -> TrainState:
        width = lanes.trial.shape[0]
        if width in known:
            return known[width]
        keys = jax.eval_shape(_keys_of, lanes)
        state = jax.eval_shape(jax.vmap(trial.init), keys, lanes.settings)
        known[width] = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state
        )
        return known[width]

    def zeros(lanes: Lanes) -> TrainState:
        host = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes(lanes))
        return jax.device_put(host, sharding)

    @cache
    def start(init: Init) -> Compiles[TrainState]:
        return Compiles(_compile(partial(_started, init), _LANES, devices, (0,)), shapes)

    def all_updates(state: TrainState, lanes: Lanes) -> tuple[TrainState, jax.Array]:
        return _chunk(trial, chunk_updates, replayable, hides_length, state, lanes)

    def tested(test: Callable[[jax.Array, Any], jax.Array]) -> Callable[[Any, Lanes], jax.Array]:
        def all_lanes(params: Any, lanes: Lanes) -> jax.Array:
            return jax.vmap(test)(_keys_of(lanes), params)

        return _held(_compile(all_lanes, _LANES, devices))

    donated = () if replayable else (0,)
    of_chunk = _LANES, PartitionSpec(None, *_AXIS)
    return Program(
        zeros=zeros,
        start=start,
        chunk=Compiles(_compile(all_updates, of_chunk, devices, donated), shapes),
        tests={name: tested(test) for name, test in trial.tests},
        put=lambda tree: jax.device_put(tree, sharding),
    )


# XLA uses more than one core, but less than two, for one program (1.6 where measured).
_COMPILER = ThreadPoolExecutor(max(2, usable_cores()), "compile")


class Compiles(Generic[Result]):
    """A function of (state, lanes) that is compiled on another thread."""

    def __init__(self, jitted: Any, shapes: Callable[[Lanes], TrainState]) -> None:
        """``shapes`` are those of the state of some lanes."""
        self.lower, self._shapes = jitted.lower, shapes
        self._compiled: dict[int, Future[Compiled]] = {}

    def compile(self, lanes: Lanes) -> Future[Compiled]:
        """Begin to compile it for so many lanes, if nobody has yet."""
        width = lanes.trial.shape[0]
        if width not in self._compiled:
            start = time.monotonic()
            # Traced here, since what a user sets in JAX by a context is the thread's own.
            lowered = self.lower(self._shapes(lanes), lanes)
            traced = time.monotonic() - start

            def compiled() -> Compiled:
                start = time.monotonic()
                run = lowered.compile()
                return Compiled(run, traced + time.monotonic() - start)

            self._compiled[width] = _COMPILER.submit(compiled)
        return self._compiled[width]

    def widths(self) -> list[int]:
        """The numbers of lanes that it is compiled for."""
        return [
            width
            for width, compiled in self._compiled.items()
            if compiled.done() and compiled.exception() is None
        ]

    def __call__(self, state: TrainState, lanes: Lanes) -> Result:
        """What it gives, once it is compiled."""
        result: Result = self.compile(lanes).result().run(state, lanes)
        return result


def _held(jitted: Any) -> Callable[[Any, Lanes], jax.Array]:
    """The function of (params, lanes), with its own store of compiled programs, one for each number
    of lanes. When JAX is made to forget its traces, it drops its own programs, even those that a
    run needs."""
    compiled: dict[int, jax.stages.Compiled] = {}

    def run(params: Any, lanes: Lanes) -> jax.Array:
        width = lanes.trial.shape[0]
        if width not in compiled:
            compiled[width] = jitted.lower(params, lanes).compile()
        return compiled[width](params, lanes)

    return run


def _keys_of(lanes: Lanes) -> jax.Array:
    """The key of each lane's trial [N]."""
    return jax.vmap(trial_key)(lanes.seed, lanes.trial)


def _started(init: Init, state: TrainState, lanes: Lanes) -> TrainState:
    def fresh_or(new: jax.Array, old: jax.Array) -> jax.Array:
        is_fresh = (lanes.update == 0).reshape(lanes.update.shape + (1,) * (new.ndim - 1))
        return jnp.where(is_fresh, new, old)

    return jax.tree.map(fresh_or, jax.vmap(init)(_keys_of(lanes), lanes.settings), state)


def _chunk(
    trial: Trial,
    chunk_updates: int,
    replayable: bool,
    hides_length: bool,
    state: TrainState,
    lanes: Lanes,
) -> tuple[TrainState, jax.Array]:
    """All updates of a chunk: (state after it, errors [C, N], or [C, N, B] of batches)."""
    num_lanes = lanes.trial.shape[0]
    keys = _keys_of(lanes)
    # Those of two updates at least, see below.
    num_drawn = max(2, chunk_updates)
    sequences = _sequences(trial, keys, lanes.update, num_drawn)

    def one_lane(
        state: TrainState, settings: Settings, sequences: Drawn, at: Any
    ) -> tuple[TrainState, jax.Array]:
        number, stop = at
        new, errors = trial.update(state, settings, sequences, number)
        if replayable:
            new = jax.tree.map(lambda new, old: jnp.where(number < stop, new, old), new, state)
        return new, errors

    def update(offset: jax.Array, state: TrainState) -> tuple[TrainState, jax.Array]:
        at = (lanes.update + jnp.broadcast_to(offset, lanes.update.shape), lanes.stop)
        at_offset = partial(jax.lax.dynamic_index_in_dim, index=offset, keepdims=False)
        over = (state, lanes.settings, jax.tree.map(at_offset, sequences), at)
        if trial.in_turn:
            return jax.lax.map(lambda of_lane: one_lane(*of_lane), over)
        return jax.vmap(one_lane)(*over)

    def one(offset: jax.Array, carry: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
        state, errors = update(offset, carry[0])
        errors = errors.astype(carry[1].dtype)
        return state, jax.lax.dynamic_update_index_in_dim(carry[1], errors, offset, 0)

    # This is a scan, but XLA must not know that a chunk has only one update: it would drop the
    # loop, and multiply in another way, since it need not choose from several sequences (jax
    # 0.12.0.1; for a net of 6 units, the third error differs). So the number of updates is hidden
    # from XLA, which cannot know that no update is negative, and sequences for at least two updates
    # are drawn. On an accelerator XLA has to know the number: otherwise the host is asked before
    # every update whether there is one more.
    num_updates: Any = np.int32(chunk_updates)
    if hides_length:
        num_updates = jnp.where(lanes.update[0] < 0, np.int32(0), num_updates)
    errors = jnp.zeros(_axes(trial, num_drawn, num_lanes), jnp.result_type(float))
    state, errors = jax.lax.fori_loop(np.int32(0), num_updates, one, (state, errors))
    return state, errors[:chunk_updates]


def _axes(trial: Trial, num_updates: int, num_lanes: int) -> tuple[int, ...]:
    """The axes of all sequences of a chunk: (C, N), or (C, N, B) of batches."""
    return (num_updates, num_lanes, *(() if trial.batch_size == 1 else (trial.batch_size,)))


def _sequences(trial: Trial, keys: jax.Array, update: ArrayLike, num_updates: int) -> Drawn:
    """The sequences of so many updates from ``update`` [N] on: [C, N, ...], or [C, N, B, ...]."""
    size, axes = trial.batch_size, _axes(trial, num_updates, len(keys))
    offsets = jnp.repeat(jnp.arange(num_updates, dtype=jnp.int32), len(keys))
    keys, first = jnp.tile(keys, num_updates), jnp.tile(update, num_updates)
    if size > 1:
        keys, first, offsets = (
            jnp.repeat(one, size) for one in (keys, size * first, size * offsets)
        )
        offsets = offsets + jnp.tile(jnp.arange(size, dtype=jnp.int32), len(keys) // size)

    def draw(key: jax.Array, first: jax.Array, offset: jax.Array) -> Drawn:
        return trial.draw(key, first + offset)

    # All in one flat vmap: random numbers are cheaper in bulk, and a nested vmap takes XLA four
    # times as long to compile.
    sequences = jax.vmap(draw)(keys, first, offsets)
    return jax.tree.map(lambda a: a.reshape((*axes, *a.shape[1:])), sequences)


def in_full_precision(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with matrix products of float32's full precision, unless
    ``jax_default_matmul_precision`` says otherwise.

    Accelerators would otherwise round the factors to fewer bits, and trials would differ from the
    CPU's.
    """
    precision = jax.config.jax_default_matmul_precision or "highest"  # type: ignore[attr-defined]
    return jax.default_matmul_precision(precision)(function)


def _compile(
    function: Callable[..., Any],
    out_specs: Any,
    devices: Sequence[jax.Device],
    donated: tuple[int, ...] = (),
) -> Callable[..., Any]:
    """The function of (state, lanes), its lanes shared out over the devices, as one program."""
    mesh = Mesh(np.array(devices), _AXIS)
    sharded = jax.shard_map(
        in_full_precision(function),
        mesh=mesh,
        in_specs=(_LANES, _LANES),
        out_specs=out_specs,
        check_vma=False,  # a cell's first state need not say that it differs from lane to lane
    )
    options = _CPU_OPTIONS if devices[0].platform == "cpu" else None
    return jax.jit(
        sharded,
        # Or an array without elements, as the biases of no outputs, would come back unshared.
        out_shardings=jax.tree.map(
            partial(NamedSharding, mesh), out_specs, is_leaf=lambda a: isinstance(a, PartitionSpec)
        ),
        donate_argnums=donated,
        compiler_options=options,
    )
