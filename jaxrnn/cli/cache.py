"""JAX's settings for a command, and the cache that keeps compiled programs for later calls."""

import contextlib
import functools
import glob
import os
import re
import sys
import warnings
from pathlib import Path

import jax
import platformdirs

from jaxrnn.machine import all_devices, usable_cores

_FAULT = re.compile(r"Error (reading|writing) persistent compilation cache entry for '(.*?)'")


def set_up_jax(compile_cache: bool) -> None:
    """Use every core as a device and keep what is compiled, unless the user has said otherwise.

    Raises InputError, before anything is written, where there is no device to compute on.
    """
    chosen = "JAX_NUM_CPU_DEVICES" in os.environ
    chosen |= "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not chosen:
        jax.config.update("jax_num_cpu_devices", usable_cores())
    all_devices()
    if compile_cache:
        keep_compiled()
    else:
        jax.config.update("jax_enable_compilation_cache", False)


def keep_compiled() -> None:
    """Keep compiled programs in the user's cache directory, or where JAX's own variable says.

    If the directory cannot be written, no programs are kept. A damaged file there is replaced. One
    line tells the user about either.
    """
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    directory = Path(chosen or platformdirs.user_cache_path("jaxrnn") / "compiled")
    if not chosen:
        is_writable = False
        if directory.is_absolute():  # without a home it begins with "~" as it stands
            with contextlib.suppress(OSError):
                directory.mkdir(parents=True, exist_ok=True)
                is_writable = os.access(directory, os.W_OK | os.X_OK)
        if not is_writable:
            _say(f"compiled programs are not kept, {directory} cannot be written")
            return
        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # JAX warns about a damaged file, compiles again and never repairs the file. It warns before it
    # compiles. So the file is deleted here, and JAX writes it again.
    show = warnings.showwarning

    def mend(message, category, filename, lineno, file=None, line=None):
        fault = _FAULT.match(str(message))
        if fault is None:
            show(message, category, filename, lineno, file, line)
        elif fault[1] == "writing":
            _say(f"compiled programs cannot all be kept in {directory}: make room there")
        else:
            for damaged in directory.glob(f"{glob.escape(fault[2])}-*"):
                with contextlib.suppress(OSError):  # it may be another user's
                    damaged.unlink()
            _say(f"a damaged compiled program in {directory} is compiled anew")

    warnings.showwarning = mend


@functools.cache
def _say(sentence: str) -> None:
    """Say it on stderr, once."""
    print(f"jaxrnn: {sentence}", file=sys.stderr)
