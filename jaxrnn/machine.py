"""The machine: versions, cores and devices."""

import os
import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    packages = ("jaxrnn", "jax", "jaxlib", "optax", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device() -> str:
    """The devices in words, such as ``1 cpu device (x86_64, 2 cores)``."""
    import jax  # only a run needs it, reading a directory does not

    first = jax.devices()[0]
    kind = f"{platform.machine()}, {usable_cores()} cores"
    if first.platform != "cpu":
        kind = first.device_kind
    count = jax.device_count()
    return f"{count} {first.platform} device{'s' * (count > 1)} ({kind})"
