import jax

# Before any other import: nothing may rely on implicit promotion of types or ranks.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

import pytest  # noqa: E402


@pytest.fixture
def x64():
    """The test runs with 64 bit numbers as jax's default."""
    with jax.enable_x64(True):
        yield
