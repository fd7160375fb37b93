"""How this machine rounds: digests of a few small results, which others may get otherwise."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from jaxrnn.machine import compiler_options, settings_of_jax, versions

ROUNDING = "rounding"
"""The entry of the versions in config.json that has the digests."""

LONG = 512
"""Sums over more time steps than these are left to a library, which splits them by the
processor."""


class Rounding(NamedTuple):
    """Digests of results that depend on how a machine rounds. If two machines have one of them in
    common, whatever is computed in that way has the same bits on both, as far as is known."""

    updates: str  # XLA's elementary functions, products and sums, forwards and backwards
    orthogonal: str  # LAPACK's decomposition, which orthogonal first weights are drawn by
    long: str  # sums over more than LONG time steps

    def __str__(self) -> str:
        """As config.json has it."""
        return "-".join(self)


def rounding() -> Rounding:
    """How JAX's own choice of a device rounds under the settings that hold here and now; computed
    once."""
    return _rounding(settings_of_jax())


def made_with() -> dict[str, str]:
    """What rows that are made here and now are made with: versions, and how this machine rounds."""
    return versions() | {ROUNDING: str(rounding())}


def read_rounding(made: Mapping[str, str]) -> Rounding | None:
    """The digests that :func:`made_with` has written; None where there are none."""
    parts = made.get(ROUNDING, "").split("-")
    return Rounding(*parts) if len(parts) == len(Rounding._fields) else None


@lru_cache(maxsize=8)
def _rounding(settings: tuple[object, ...]) -> Rounding:
    import jax
    import jax.numpy as jnp

    def loss(weights: Any, inputs: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            state = jnp.tanh(state @ weights + x)
            return state, state

        return jnp.mean(jax.lax.scan(step, inputs[0], inputs)[1] ** 2)

    def results(inputs: Any, weights: Any, left: Any, right: Any) -> Any:
        updates = jax.vmap(jax.value_and_grad(loss))(weights, inputs)
        return updates, jnp.linalg.qr(weights)[0], jnp.einsum("nti,ntj->nij", left, right)

    rng = np.random.default_rng(0)
    # Three lanes of 20 units.
    shapes = (3, 30, 20), (3, 20, 20), (3, 2 * LONG, 40), (3, 2 * LONG, 20)
    drawn = [(0.3 * rng.standard_normal(shape)).astype(np.float32) for shape in shapes]
    computed = jax.jit(results, compiler_options=compiler_options())(*drawn)
    return Rounding(*(_digest(jax.tree.leaves(one)) for one in computed))


def _digest(arrays: Any) -> str:
    return hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in arrays)).hexdigest()[:6]
