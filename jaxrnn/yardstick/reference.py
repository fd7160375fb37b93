"""The rows that come with the package, and whether others may be laid beside them."""

import json
import lzma
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from jaxrnn.errors import InputError, Note
from jaxrnn.experiment import flag_name
from jaxrnn.machine import processor_of
from jaxrnn.names import is_own
from jaxrnn.store.config import CONFIG, read_config, spelled
from jaxrnn.store.files import write_whole
from jaxrnn.store.rows import BESIDE, PACKED, ROWS, Row, lines_of, read_trials
from jaxrnn.yardstick import PREFIX
from jaxrnn.yardstick.search import SINGLE, HorizonProtocol
from jaxrnn.yardstick.sizes import COST

PROTOCOL = "protocol.json"
PRESET = lzma.PRESET_DEFAULT | lzma.PRESET_EXTREME  # smaller by a fifth, for seconds of packing


def shipped(protocol: HorizonProtocol) -> Path:
    """The directory of the rows of this protocol that come with the package, if they do."""
    name = "horizon" + f"-{protocol.batch_size}" * (protocol.batch_size > 1)
    name += "-quick" * protocol.quick
    return Path(str(files("jaxrnn"))) / "yardstick" / "rows" / name


def ship(directory: Path, into: Path) -> None:
    """Write the part of a run directory that comes with the package: its rows, packed and without
    their learning curves, and how they were made."""
    into.mkdir(parents=True, exist_ok=True)
    held = read_trials(directory).values()
    rows = (replace(row, outcome=replace(row.outcome, curve=())) for row in held)
    write_whole(into / PACKED, lzma.compress(lines_of(rows, in_full=False), preset=PRESET))
    for name in (CONFIG, PROTOCOL, COST):
        write_whole(into / name, (directory / name).read_bytes())


def shipped_rows(protocol: HorizonProtocol, experiments: Iterable[str]) -> list[Row]:
    """The package's rows of these experiments; an empty list if it has none."""
    wanted = set(experiments)
    held = read_trials(shipped(protocol)).values()
    return [row for row in held if row.experiment.name in wanted]


def shipped_beside(
    protocol: HorizonProtocol, rows: Sequence[Row], out: Path, cells: Sequence[str]
) -> list[Row]:
    """The package's rows that are shown beside those of ``out``. If there are none, or they are of
    another protocol, a note says so, and offers the ``cells`` that are lacking. Another note says
    if they were made with another version of jax or on another kind of processor."""
    trained = {row.experiment.cell for row in rows}
    others = [cell for cell in cells if cell not in trained]
    experiments = {row.experiment.name: row.experiment.task for row in rows}
    come = shipped_rows(protocol, experiments)
    run = {row.net for row in rows}
    beside = [row for row in come if row.net not in run]
    why = ""
    of_protocol, of_machine = differences(shipped(protocol), out) if beside else ([], [])
    if of_protocol:
        made = ", ".join(of_protocol)
        why = f"the rows that come with jaxrnn are not shown, since they were made with {made}"
        beside = []
    elif others:
        held = {row.experiment.name for row in come}
        lacking = {name: task for name, task in experiments.items() if name not in held}
        # A task of the horizon may be another one under options, with a name of its own.
        if tasks := sorted(
            name.removeprefix(PREFIX) if name.startswith(PREFIX) and not is_own(task) else task
            for name, task in lacking.items()
        ):
            why = f"no rows of this protocol on {', '.join(tasks)} come with jaxrnn"
    if beside and of_machine:
        warnings.warn(
            f"the rows that come with jaxrnn were made with {', '.join(of_machine)}: a few of "
            "their trials would end at another step here",
            Note,
            stacklevel=3,
        )
    if why:
        offer = "to train other nets here, too, add to the cells of the same command"
        warnings.warn(f"{why}; {offer}: {' '.join(others)}", Note, stacklevel=3)
    return beside


def lay_beside(rows: Sequence[Row], directory: Path) -> None:
    """Have a run directory's report show these rows before its own, and no others."""
    path = directory / BESIDE / ROWS
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lines_of(rows))
    else:
        path.unlink(missing_ok=True)


def differences(one: Path, other: Path) -> tuple[list[str], list[str]]:
    """How the rows of two directories were made differently, in words: by protocol, and by version
    of jax or kind of processor."""

    def made_with(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        config = read_config(directory)
        assert config is not None  # it has rows
        every = [config, *config.get("resumed", [])]
        jax = [made["versions"]["jax"] for made in every]
        processors = [processor_of(made["device"]) for made in every]
        of_machine = {"jax": [*dict.fromkeys(jax)], "processor": [*dict.fromkeys(processors)]}
        return read_protocol(directory), of_machine

    protocol, machine = map(_unlike, made_with(one), made_with(other))
    return protocol, machine


def _unlike(held: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    """The values that are held and the others, in words, where they differ. A protocol without lags
    of its own has none."""
    return [
        f"{flag_name(name)} {spelled(value) or 'none'}, not {spelled(others[name]) or 'none'}"
        for name, value in held.items()
        if value != others[name]
    ]


def in_json(protocol: HorizonProtocol) -> dict[str, Any]:
    """A protocol as it is read back."""
    return json.loads(json.dumps(asdict(protocol)))


def check_protocol(protocol: HorizonProtocol, directory: Path) -> None:
    """Refuse a directory that was begun with another protocol, or holds rows and none."""
    if not (directory / PROTOCOL).exists():
        if (directory / ROWS).exists():
            raise InputError(f"{directory} holds rows of no protocol: use another --out")
        return
    if unlike := _unlike(read_protocol(directory), in_json(protocol)):
        raise InputError(
            f"{directory} was begun with {unlike[0]}: use another --out or the same protocol"
        )


@contextmanager
def begun(directory: Path, protocol: HorizonProtocol) -> Iterator[None]:
    """Write the protocol into a directory, which this process holds, before its first row. If the
    run is refused before that row, the protocol is deleted again. Raises InputError if the
    directory was begun with another protocol, or holds rows and none."""
    check_protocol(protocol, directory)
    path = directory / PROTOCOL
    is_first = not path.exists()
    write_whole(path, json.dumps(in_json(protocol), indent=2).encode() + b"\n")
    try:
        yield
    except InputError:
        if is_first and not (directory / ROWS).exists():
            path.unlink(missing_ok=True)
        raise


def protocol_in(directory: Path) -> HorizonProtocol:
    """The protocol of a directory; InputError where it has none."""
    if not (directory / PROTOCOL).exists():
        raise InputError(f"{directory} holds no horizons: name a directory of jaxrnn horizon")
    values = read_protocol(directory)
    return HorizonProtocol(**values | {"lags": tuple(values["lags"])})


def read_protocol(directory: Path) -> dict[str, Any]:
    """What a directory's protocol says; InputError for another version's."""
    path, names = directory / PROTOCOL, {field.name for field in fields(HorizonProtocol)}
    try:
        protocol = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        protocol = None
    if isinstance(protocol, dict) and "search_version" in protocol:
        raise InputError(
            f"{directory} was begun by version 1 of the horizon's protocol, whose rows are never "
            f"laid beside those of version {SINGLE.version}: use another --out"
        )
    if not isinstance(protocol, dict) or protocol.keys() != names:
        raise InputError(f"{path} is not a protocol of this command: move it away")
    return protocol
