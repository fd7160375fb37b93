"""Many trials for many steps as one device program: the only vmap over trials, scan over training
steps, sharding and jit of the package."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrnn import tasks
from jaxrnn.trial import Settings, TrainState, Trial, trial_key


class Lanes(NamedTuple):
    """What each of the N lanes of a batch is to run next; a lane holds one trial at a time."""

    trial: jax.Array | np.ndarray  # int32 [N], which trial; several lanes may hold the same
    step: jax.Array | np.ndarray  # int32 [N], its next training step; at 0 it draws its weights
    settings: Settings  # [N] each


Chunk = Callable[[TrainState, Lanes], tuple[TrainState, jax.Array]]

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
    trial: Trial, seed: int, chunk_steps: int, devices: Sequence[jax.Device] | None = None
) -> Chunk:
    """Compile ``chunk_steps`` training steps of every lane into one program.

    ``chunk(state, lanes) -> (state, errors [C, N])`` gives up its first argument's memory. It is
    compiled once for each number of lanes, whatever trials and steps the lanes hold, for states
    from :func:`empty_state`, :func:`place` or the chunk itself. The lanes are shared out over
    ``devices`` (all of the process by default), which divide their number. Matrix products have
    float32's full precision unless ``jax_default_matmul_precision`` says otherwise.
    """

    def draw(key: jax.Array, lane_step: jax.Array, offset: jax.Array) -> tasks.Sequence:
        return trial.draw(key, lane_step + offset)

    # Accelerators would round the factors of matrix products to fewer bits, and their trials would
    # not be the CPU's.
    precision = jax.config.jax_default_matmul_precision or "highest"  # type: ignore[attr-defined]

    @jax.default_matmul_precision(precision)
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
        update = jax.vmap(trial.update)
        return jax.lax.scan(lambda s, seq: update(s, lanes.settings, seq), state, sequences)

    devices = list(devices or jax.devices())
    sharded = jax.shard_map(
        chunk,
        mesh=Mesh(np.array(devices), _AXIS),
        in_specs=(_LANES, _LANES),
        out_specs=(_LANES, PartitionSpec(None, *_AXIS)),
        check_vma=False,  # a cell's first state need not say that it differs from lane to lane
    )
    options = _CPU_OPTIONS if devices[0].platform == "cpu" else None
    return jax.jit(sharded, donate_argnums=0, compiler_options=options)


def empty_state(
    trial: Trial, seed: int, lanes: Lanes, devices: Sequence[jax.Device] | None = None
) -> TrainState:
    """A state of the right shapes for a first chunk, whose lanes all start at step 0."""
    keys = jax.eval_shape(jax.vmap(partial(trial_key, seed)), lanes.trial)
    shapes = jax.eval_shape(jax.vmap(trial.init), keys, lanes.settings)
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    return place(state, devices or jax.devices())


def place(state: TrainState, devices: Sequence[jax.Device]) -> TrainState:
    """Share a state on the host out over the devices of the chunk."""
    return jax.device_put(state, NamedSharding(Mesh(np.array(devices), _AXIS), _LANES))
