"""jaxrnn trains whole batches of small recurrent networks at once, one independent network a
trial, and reproduces the classic long-time-lag experiments."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Each name is imported when it is first used. JAX takes a second to import, and the command line
# has to answer an interruption during that second; and only the report needs matplotlib. Type
# checkers read the stub, which gives the module of each name.
_MODULES = {
    alias.name: node.module
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8")).body
    if isinstance(node, ast.ImportFrom) and node.module
    for alias in node.names
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Import a public name, or a module of the package; the version is looked up."""
    if name == "__version__":
        from importlib.metadata import version  # most of this module's time

        return version(__name__)
    if name in _MODULES:
        from jaxrnn.machine import jax_importable

        with jax_importable():
            globals()[name] = getattr(import_module(_MODULES[name]), name)
    elif not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        import_module(f"{__name__}.{name}")
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
