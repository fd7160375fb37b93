"""The machine: versions, cores, devices and memory."""

import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from jaxrnn.errors import InputError, shown

if TYPE_CHECKING:
    import jax

_CPU_DEVICES = "JAX_NUM_CPU_DEVICES"
_IN_64_BITS = " in float64"
_ROOT = Path("/")  # where the kernel's files are

# Results depend on these options of XLA, so every jit of the package takes them on a CPU.
# XLA chooses its YNNPACK and multi-threaded Eigen kernels by the size of the whole batch, and they
# round differently. So a trial's outcome would depend on the number of trials in the batch. Without
# these kernels it does not, to the bit, for three or more lanes per device. Fused by YNNPACK, some
# sums of large batches are even wrong: of jax 0.10.2 by 13 % where measured (jax-ml/jax#39103).
# If the machine has a second core, XLA would cut some loops of a net in two, though each core has
# its own lanes. Then ten trials of the LSTM at T = 100 on one device of two took 1.17 of the time.
# LLVM's level 3, the default, unrolls loops over short axes before it can vectorise them: at level
# 1 a program is compiled in 0.6 of the time, and an update at T = 10 takes 0.9 of it.
CPU_OPTIONS: dict[str, bool | int | str] = {
    "xla_cpu_experimental_ynn_fusion_type": "",
    "xla_cpu_multi_thread_eigen": False,
    "xla_backend_optimization_level": 1,
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
}


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    packages = ("jaxrnn", "jax", "jaxlib", "optax", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def jax_importable() -> Iterator[None]:
    """Within it JAX can be imported, whatever JAX_NUM_CPU_DEVICES says.

    Without this, a wrong value makes the import raise a ValueError. With it, commands that need no
    device still work, and :func:`all_devices` refuses the value.
    """
    if _fault_of_cpu_devices() is None:
        yield
        return
    value = os.environ.pop(_CPU_DEVICES)
    try:
        yield
    finally:
        os.environ[_CPU_DEVICES] = value


def settings_of_jax() -> tuple[object, ...]:
    """The values of all settings of JAX as they are here and now."""
    import jax

    # Settings that a context can change are attributes, too, with the value inside that context.
    return tuple(getattr(jax.config, *named) for named in sorted(jax.config.values.items()))


def all_devices() -> "list[jax.Device]":
    """The devices that JAX computes on; nothing else asks JAX for them.

    Raises InputError where JAX's settings leave it no device.
    """
    if fault := _fault_of_cpu_devices():
        raise InputError(fault)
    import jax  # only a run needs it, reading a directory does not

    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:  # AssertionError is for cuda, and has no text
        named = jax.config.values["jax_platforms"]
        fault = "JAX finds no device here: set JAX_PLATFORMS to cpu, and unset XLA_FLAGS"
        if named and named != "cpu":
            rule = "asks for a device that JAX cannot use here: choose cpu, or unset it"
            fault = f"JAX_PLATFORMS {shown(named)} {rule}"
        reason = str(error).rsplit(" (", 1)[0]  # JAX's own advice follows
        raise InputError(f"{fault} ({reason})" if reason else fault) from None


def compiler_options(**others: bool | int | str) -> dict[str, bool | int | str]:
    """The options of ``jax.jit`` for JAX's own choice of a device: ``others``, and on a CPU
    ``CPU_OPTIONS``."""
    return (CPU_OPTIONS if all_devices()[0].platform == "cpu" else {}) | others


def _fault_of_cpu_devices() -> str | None:
    """What is wrong with JAX_NUM_CPU_DEVICES, if anything is."""
    value = os.environ.get(_CPU_DEVICES, "1")
    try:
        fits = int(value) >= 1
    except ValueError:
        fits = False
    rule = "must be a whole number of at least 1: choose one, or unset it"
    return None if fits else f"{_CPU_DEVICES} {shown(value)} {rule}"


def device() -> str:
    """The devices in words, such as ``1 cpu device (x86_64, 2 cores)``."""
    first, *others = all_devices()
    import jax  # which that has done

    kind = f"{platform.machine()}, {usable_cores()} cores"
    if first.platform != "cpu":
        kind = first.device_kind
    precision = _IN_64_BITS * (jax.numpy.result_type(float) == "float64")
    return f"{1 + len(others)} {first.platform} device{'s' * bool(others)}{precision} ({kind})"


def processor_of(device: str) -> str:
    """The kind of the devices that :func:`device` describes, with the precision unless it is
    float32's. Rows made on two kinds differ in their last bits."""
    kind = device.partition("(")[2].partition(",")[0].rstrip(")")
    return kind + _IN_64_BITS * (_IN_64_BITS in device)


def free_memory() -> float:
    """Bytes of memory that this process can still use, swap included; infinity if nothing limits
    it.

    This is the least of three numbers: the machine's available memory, the rest that the process's
    control groups (versions 1 and 2) allow, and the rest that its own limits (``ulimit -v`` and
    ``-d``) allow.
    """
    left = [*_left_by_machine()]
    with suppress(ImportError):  # on Windows, which has no limits
        import resource

        try:
            pages = [int(word) for word in (_ROOT / "proc/self/statm").read_text().split()]
        except OSError:
            pages = [0] * 6
        # One limit is on its addresses, the other on its data.
        for kind, used in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
            soft, _ = resource.getrlimit(kind)
            if soft != resource.RLIM_INFINITY:
                left.append(max(0, soft - used * resource.getpagesize()))
    return min(left, default=math.inf)


def few_mappings_left() -> bool:
    """Whether this process has half of the memory mappings that Linux lets it have, or more."""
    try:
        most = int((_ROOT / "proc/sys/vm/max_map_count").read_text())
        return 2 * (_ROOT / "proc/self/maps").read_bytes().count(b"\n") >= most
    except (OSError, ValueError):  # other systems have no such limit
        return False


def _left_by_machine() -> Iterator[int]:
    """The bytes left on the whole machine, and in each control group of this process."""
    try:
        lines = (_ROOT / "proc/meminfo").read_text().splitlines()
    except OSError:
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    swap = 1024 * kilobytes.get("SwapFree", 0)
    if "MemAvailable" in kilobytes:
        yield 1024 * kilobytes["MemAvailable"] + swap
    for directory in _control_groups():
        for limit, usage in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            try:
                most, used = (int((directory / name).read_text()) for name in (limit, usage))
                stat = (directory / "memory.stat").read_text().split()
            except (OSError, ValueError):  # not this version's, or "max": no limit
                continue
            of_group = dict(zip(stat[::2], map(int, stat[1::2]), strict=True))
            # The kernel takes back the pages of files as soon as somebody needs them. Version 1
            # counts those of the groups below apart.
            files = sum(
                of_group.get(f"total_{name}", of_group.get(name, 0))
                for name in ("active_file", "inactive_file")
            )
            yield max(0, most - used + files) + swap


def _control_groups() -> Iterator[Path]:
    """The directories that may hold a limit on memory, from this process's up to the root's."""
    try:
        lines = (_ROOT / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounts = _ROOT / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = mounts / "memory" if controllers else mounts
        own = mount / path.lstrip("/")
        # In a container the path may be that of the host, but the mounted directory is the
        # container's.
        yield from (one for one in (own, *own.parents) if one.is_relative_to(mount))
