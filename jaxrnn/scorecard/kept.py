"""The rows that come with the package, and whether others may be laid beside them."""

import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jaxrnn.experiment import flag_name
from jaxrnn.results.config import CONFIG, read_config, spelled
from jaxrnn.results.files import write_whole
from jaxrnn.results.rows import BESIDE, ROWS, Row, read_lines, read_rows
from jaxrnn.scorecard.nets import COST
from jaxrnn.scorecard.protocol import SMALL, Protocol

PROTOCOL = "protocol.json"


def kept(protocol: Protocol) -> Path:
    """The directory of the rows of this protocol that come with the package, if they do."""
    name = "scorecard" if protocol == SMALL else "scorecard-full"
    return Path(str(files("jaxrnn"))) / "kept" / name


def keep(directory: Path, into: Path) -> None:
    """Write what comes with the package of a directory of the scorecard: its reported rows without
    their learning curves, and how they were made."""
    _write_rows([row | {"curve": []} for row in read_rows(directory)], into)
    for name in (CONFIG, PROTOCOL, COST):
        write_whole(into / name, (directory / name).read_bytes())


def kept_rows(protocol: Protocol, tasks: Iterable[str]) -> list[Row]:
    """Those of the tasks; none where none come with the package."""
    wanted = set(tasks)
    return [row for row, _ in read_lines(kept(protocol)) if row["task"] in wanted]


def lay_beside(rows: Sequence[Row], directory: Path) -> None:
    """Have a run directory's report show these rows before its own, and no others."""
    if rows:
        _write_rows(rows, directory / BESIDE)
    else:
        (directory / BESIDE / ROWS).unlink(missing_ok=True)


def _write_rows(rows: Sequence[Row], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / ROWS, "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def differences(one: Path, other: Path) -> list[str]:
    """In what the rows of two directories of the scorecard were made in another way: protocol, jax
    or kind of processor, in words; none where they may be laid side by side."""
    made, others = _made_with(one), _made_with(other)
    return [
        f"{flag_name(name)} {spelled(made[name])}, not {spelled(others[name])}"
        for name in made
        if made[name] != others[name]
    ]


def _made_with(directory: Path) -> dict[str, Any]:
    """The protocol, the versions of jax and the kinds of processor of a directory's rows."""
    config = read_config(directory)
    assert config is not None  # it has rows
    all_made = [config, *config.get("resumed", [])]
    kinds = [one["device"].partition("(")[2].partition(",")[0].rstrip(")") for one in all_made]
    return json.loads((directory / PROTOCOL).read_text()) | {
        "jax": list(dict.fromkeys(one["versions"]["jax"] for one in all_made)),
        "processor": list(dict.fromkeys(kinds)),
    }
