"""Many trials for many steps as one device program: the only vmap over trials, scan over training
steps, sharding and jit of the package."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrnn import tasks
from jaxrnn.training.trial import Settings, TrainState, Trial, trial_key


class Lanes(NamedTuple):
    """What each of the N lanes of a batch is to run next; a lane holds one trial at a time."""

    trial: jax.Array | np.ndarray  # int32 [N], which trial; several lanes may hold the same
    step: jax.Array | np.ndarray  # int32 [N], its next training step; at 0 it draws its weights
    settings: Settings  # [N] each
    # int32 [N], the training step from which on it stands still; only for a chunk that keeps states
    stop: jax.Array | np.ndarray | None = None


Chunk = Callable[[TrainState, Lanes], tuple[TrainState, jax.Array]]
Test = Callable[[Any, Lanes], jax.Array]

NEVER = np.iinfo(np.int32).max
"""No training step."""

# XLA's YNNPACK and multi-threaded Eigen kernels are chosen by the size of the whole batch and round
# differently, so a trial's outcome would depend on how many others ride along; without them it
# does not, to the bit, for two and more lanes a device (a single one is compiled differently).
_CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "", "xla_cpu_multi_thread_eigen": False}
_MIN_LANES_A_DEVICE = 2

_AXIS = ("lanes",)
_LANES = PartitionSpec(*_AXIS)


def round_up(num_lanes: int, num_devices: int) -> int:
    """The least number of lanes from ``num_lanes`` on that the devices share evenly."""
    return num_devices * max(_MIN_LANES_A_DEVICE, -(-num_lanes // num_devices))


def make_chunk(
    trial: Trial,
    seed: int,
    chunk_steps: int,
    devices: Sequence[jax.Device] | None = None,
    keep_state: bool = False,
) -> Chunk:
    """Compile ``chunk_steps`` training steps of every lane into one program.

    ``chunk(state, lanes) -> (state, errors [C, N])`` gives up its first argument's memory, unless
    ``keep_state``; only then a lane's ``stop`` is heeded: its state stays as it is before that
    step. It is compiled once for each number of lanes, whatever trials and steps the lanes hold,
    for states from :func:`empty_state`, :func:`place` or the chunk itself. The lanes are shared out
    over ``devices`` (all of the process by default), which divide their number. Matrix products
    have float32's full precision unless ``jax_default_matmul_precision`` says otherwise.
    """

    def draw(key: jax.Array, lane_step: jax.Array, offset: jax.Array) -> tasks.Sequence:
        return trial.draw(key, lane_step + offset)

    @jax.default_matmul_precision(_precision())
    def chunk(state: TrainState, lanes: Lanes) -> tuple[TrainState, jax.Array]:
        num_lanes = lanes.trial.shape[0]
        keys = jax.vmap(partial(trial_key, seed))(lanes.trial)
        fresh = jax.vmap(trial.init)(keys, lanes.settings)
        is_fresh = lanes.step == 0
        state = jax.tree.map(
            lambda new, old: jnp.where(
                is_fresh.reshape((num_lanes,) + (1,) * (new.ndim - 1)), new, old
            ),
            fresh,
            state,
        )
        # All sequences of the chunk in one flat vmap: random numbers are cheaper in bulk, and a
        # nested vmap takes XLA four times as long to compile.
        offsets = jnp.repeat(jnp.arange(chunk_steps, dtype=jnp.int32), num_lanes)
        sequences = jax.vmap(draw)(
            jnp.tile(keys, chunk_steps), jnp.tile(lanes.step, chunk_steps), offsets
        )
        sequences = jax.tree.map(
            lambda a: a.reshape((chunk_steps, num_lanes, *a.shape[1:])), sequences
        )

        def update(
            state: TrainState, settings: Settings, sequence: tasks.Sequence, at: Any
        ) -> tuple[TrainState, jax.Array]:
            step, stop = at
            new, error = trial.update(state, settings, sequence, step)
            if keep_state:
                new = jax.tree.map(lambda new, old: jnp.where(step < stop, new, old), new, state)
            return new, error

        def one(state: TrainState, at: Any) -> tuple[TrainState, jax.Array]:
            offset, sequences = at
            steps = lanes.step + jnp.broadcast_to(offset, lanes.step.shape)
            return jax.vmap(update)(state, lanes.settings, sequences, (steps, lanes.stop))

        return jax.lax.scan(one, state, (jnp.arange(chunk_steps, dtype=jnp.int32), sequences))

    donated = () if keep_state else (0,)
    return _compile(chunk, PartitionSpec(None, *_AXIS), devices, donated)


def make_test(
    test: Callable[[jax.Array, Any], jax.Array],
    seed: int,
    devices: Sequence[jax.Device] | None = None,
) -> Test:
    """Compile one of a trial's tests: ``test(params, lanes) -> errors [N, M]`` of every lane."""

    @jax.default_matmul_precision(_precision())
    def all_lanes(params: Any, lanes: Lanes) -> jax.Array:
        return jax.vmap(test)(jax.vmap(partial(trial_key, seed))(lanes.trial), params)

    return _compile(all_lanes, None, devices)


def _precision() -> str:
    # Accelerators would round the factors of matrix products to fewer bits, and their trials would
    # not be the CPU's.
    return jax.config.jax_default_matmul_precision or "highest"  # type: ignore[attr-defined]


def _compile(
    function: Callable[..., Any],
    errors: PartitionSpec | None,
    devices: Sequence[jax.Device] | None,
    donated: tuple[int, ...] = (),
) -> Callable[..., Any]:
    """The function of (state, lanes), its lanes shared out over the devices, as one program."""
    devices = list(devices or jax.devices())
    sharded = jax.shard_map(
        function,
        mesh=Mesh(np.array(devices), _AXIS),
        in_specs=(_LANES, _LANES),
        out_specs=_LANES if errors is None else (_LANES, errors),
        check_vma=False,  # a cell's first state need not say that it differs from lane to lane
    )
    options = _CPU_OPTIONS if devices[0].platform == "cpu" else None
    return jax.jit(sharded, donate_argnums=donated, compiler_options=options)


def empty_state(
    trial: Trial, seed: int, lanes: Lanes, devices: Sequence[jax.Device] | None = None
) -> TrainState:
    """A state of the right shapes for a first chunk, whose lanes all start at step 0."""
    keys = jax.eval_shape(jax.vmap(partial(trial_key, seed)), lanes.trial)
    shapes = jax.eval_shape(jax.vmap(trial.init), keys, lanes.settings)
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    return place(state, devices or jax.devices())


def place(state: Any, devices: Sequence[jax.Device]) -> Any:
    """Share a state, or parameters, on the host out over the devices of the chunk."""
    return jax.device_put(state, NamedSharding(Mesh(np.array(devices), _AXIS), _LANES))
