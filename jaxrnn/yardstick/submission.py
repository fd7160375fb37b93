"""A submission: somebody's cell with its horizons, as a folder that anybody can check."""

import itertools
import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError, shown
from jaxrnn.machine import versions
from jaxrnn.names import called, carried, digests, find, own_names, read
from jaxrnn.nets import CELLS, Cell, unroll, xavier
from jaxrnn.store.config import CONFIG, SOURCES, read_config
from jaxrnn.store.files import write_whole
from jaxrnn.store.rows import PACKED, Row, lines_of, typed_rows
from jaxrnn.yardstick.held_out import check_rows
from jaxrnn.yardstick.reference import PRESET, PROTOCOL, protocol_in
from jaxrnn.yardstick.results import card_of
from jaxrnn.yardstick.search import HorizonProtocol

FILE = "submission.yaml"

ABOUT = {
    "name": "of the cell, as a table shows it",
    "authors": "names, as a list",
    "paper": "where the cell is described, or none",
    "licence": "of the cell's file, such as Apache-2.0",
    "limits": "what the cell is known not to do",
}
"""What only its author can say."""

FILL_IN = "FILL IN: "


class Submission(NamedTuple):
    """A folder, and what its file says."""

    directory: Path
    values: dict[str, Any]

    @property
    def cell(self) -> str:
        """``file.py:name``; the file is in the folder."""
        return str(self.values.get("cell"))

    @contextmanager
    def code(self) -> Iterator[None]:
        """Within it the cell's name is of the file in the folder."""
        origin = self.cell.rpartition(":")[0]
        try:
            text = (self.directory / origin).read_bytes()
        except OSError as error:
            where = self.directory / origin
            raise InputError(f"cannot read {where}: {error.strerror or error}") from None
        with carried({origin: text}):
            yield


def check_cell(cell: str) -> None:
    """Raise InputError for a cell that cannot be submitted: one that is not in a file."""
    if not cell.rpartition(":")[0].endswith(".py"):
        raise InputError(
            f"a submission is of one cell of your own, as file.py:name, not of {shown(cell)}"
        )


def write_submission(out: Path, cell: str, into: Path) -> None:
    """Write what a directory of horizons has of an own cell as a submission.

    The folder gets the cell's file, the rows without their learning curves, the protocol, what the
    rows were made with, and :data:`FILE`; what an older :data:`FILE` there says of the cell itself
    stays. Raises InputError as :func:`check_cell`, for a net on somebody's own task, and for a net
    whose searches are not over.
    """
    check_cell(cell)
    origin, _, attribute = cell.rpartition(":")
    own = f"{Path(origin).name}:{attribute}"
    held = [row for row in typed_rows(out) if row.experiment.cell == cell]
    if others := [name for name in own_names(row.experiment for row in held) if name != cell]:
        raise InputError(f"a submission is of the package's own tasks, not of {others[0]}")
    rows = [Row(replace(row.experiment, cell=own), replace(row.outcome, curve=())) for row in held]
    into.mkdir(parents=True, exist_ok=True)
    write_whole(into / Path(origin).name, read(origin))
    write_whole(into / PACKED, lzma.compress(lines_of(rows, in_full=False), preset=PRESET))
    write_whole(into / PROTOCOL, (out / PROTOCOL).read_bytes())
    config = dict(read_config(out) or {})
    config[SOURCES] = {own: config[SOURCES][cell]}
    config.pop("asked", None)
    write_whole(into / CONFIG, json.dumps(config, indent=2).encode() + b"\n")
    before = read_submission(into).values if (into / FILE).exists() else {}
    values = {name: before.get(name, FILL_IN + what) for name, what in ABOUT.items()}
    values |= {"cell": own, **_measured(rows, cell, protocol_in(into)), "versions": versions()}
    write_whole(into / FILE, _yaml().safe_dump(values, sort_keys=False).encode())


def read_submission(directory: Path) -> Submission:
    """The submission in a folder; InputError for a file that is none."""
    yaml = _yaml()
    try:
        values = yaml.safe_load((directory / FILE).read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{directory / FILE} is not YAML: {reason}") from None
    if not isinstance(values, dict) or not isinstance(values.get("cell"), str):
        raise InputError(f"{directory / FILE} is no submission: it names no cell")
    submission = Submission(directory, values)
    check_cell(submission.cell)
    if "/" in submission.cell or "\\" in submission.cell:
        raise InputError(f"the file of cell {submission.cell} has to stand in {directory} itself")
    return submission


def _yaml() -> Any:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise InputError("submissions need PyYAML: pip install 'jaxrnn[submissions]'") from None
    return yaml


def _measured(rows: Sequence[Row], cell: str, protocol: HorizonProtocol) -> dict[str, Any]:
    """What the folder's file says that can be checked. Raises InputError for a net that is not
    over."""
    card = card_of(rows)
    if card.under_way or not card.nets:
        task = next((task for task, _ in card.under_way), "any task")
        raise InputError(f"the searches of {cell} on {task} are not over: let jaxrnn horizon end")
    nets = {f"{task}": f"{net.horizon} ({net.bounds})" for (task, _), net in card.nets.items()}
    weights, state = sizes(cell)
    return {
        "protocol": f"{protocol.version} {protocol.plan.name}",
        "weights": weights,
        "state": state,
        "horizons": nets,
    }


SIZES = (2, 4, 6)


def sizes(cell: str) -> tuple[str, str]:
    """The weights and the state of a cell as functions of its numbers of inputs I, of hidden units
    H and of outputs O, such as "I H + H^2 + H O". Raises InputError if they are no polynomials of
    the second degree."""
    builder = find(CELLS, "cell", cell)

    def count(size: Sequence[int]) -> tuple[int, int]:
        made: Cell = called(f"cell {cell}", builder, *size)
        params = jax.eval_shape(lambda key: made.init(key, xavier()), jax.random.key(0))
        state = jax.eval_shape(made.initial_state, params)
        weights, numbers = (sum(a.size for a in jax.tree.leaves(of)) for of in (params, state))
        return weights, numbers

    terms = [
        one
        for degree in (2, 1)
        for one in itertools.combinations_with_replacement(range(3), degree)
    ]
    tried = [*itertools.product(SIZES, repeat=3), (3, 8, 5)]
    matrix = np.array([[*(np.prod([of[k] for k in one]) for one in terms), 1] for of in tried])
    counts = np.array([count(of) for of in tried])
    words = []
    for what, numbers in zip(("weights", "state"), counts.T, strict=True):
        factors = np.rint(2 * np.linalg.lstsq(matrix, numbers)[0]) / 2
        if (matrix @ factors != numbers).any():
            raise InputError(f"the {what} of {cell} are no polynomial of I, H and O")
        named = [" ".join(_power(k, one.count(k)) for k in dict.fromkeys(one)) for one in terms]
        of_terms = [
            f"{factor:g} {name}".removeprefix("1 ") if name else f"{factor:g}"
            for factor, name in zip(factors, [*named, ""], strict=True)
            if factor
        ]
        words.append(" + ".join(of_terms).replace("+ -", "- ") or "0")
    return words[0], words[1]


def _power(which: int, power: int) -> str:
    return "IHO"[which] + f"^{power}" * (power > 1)


# Checks


def check_submission(submission: Submission, code: Iterable[str]) -> list[str]:
    """What is wrong with a submission besides its rows' outcomes, a sentence each.

    The cell is imported only if ``code`` names it: without that only the file and the settings of
    the rows are looked at. Raises InputError for files that cannot be read.
    """
    values, cell = submission.values, submission.cell
    faults = [
        f"{FILE} does not say {name}: {what}"
        for name, what in ABOUT.items()
        if not values.get(name) or str(values[name]).startswith(FILL_IN)
    ]
    rows, protocol = typed_rows(submission.directory), protocol_in(submission.directory)
    if strange := {row.experiment.cell for row in rows} - {cell}:
        return [*faults, f"there are rows of another cell, {min(strange)}"]
    if cell not in code:
        return [*faults, f"its code was not run: to check it, add --code {cell}"]
    with submission.code():
        known = (read_config(submission.directory) or {}).get(SOURCES, {})
        if known.get(cell) != digests([rows[0].experiment])[cell]:
            faults.append(f"the code of {cell} is not what its rows were made with")
        measured = json.loads(json.dumps(_measured(rows, cell, protocol)))
        for name, found in measured.items():
            if values.get(name) != found:
                told = shown(values.get(name))
                faults.append(f"{FILE} says {told} for {name}, and it is {shown(found)}")
        for net in card_of(rows).nets.values():
            try:
                check_rows(net, protocol)
            except InputError as error:
                faults.append(str(error))
        faults += faults_of(cell, find(CELLS, "cell", cell)(*SIZE))
    return faults


SIZE = (3, 8, 4)
STEPS, CUT = 12, 5


def faults_of(name: str, cell: Cell) -> list[str]:
    """What a cell of ``SIZE`` does that a recurrent cell must not do, a sentence each: look ahead,
    keep something outside of its state, be another function by ``unroll`` than by ``step``, or have
    a gradient that differences contradict."""
    from jax.test_util import check_grads

    keys = jax.random.split(jax.random.key(0), 3)
    params = called(f"cell {name}", cell.init, keys[0], xavier())
    xs = jax.random.normal(keys[1], (STEPS, SIZE[0]))
    others = xs.at[CUT:].set(jax.random.normal(keys[2], (STEPS - CUT, SIZE[0])))

    def outputs(params: Any, xs: jax.Array) -> jax.Array:
        return unroll(cell, params, xs)[1]

    def close(one: Any, other: Any) -> bool:
        pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        return all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs)

    faults, whole = [], outputs(params, xs)
    if not close(outputs(params, others)[:CUT], whole[:CUT]):
        faults.append(f"{name} looks ahead: its outputs change with inputs that come later")
    state, first = unroll(cell, params, xs[:CUT])
    last, second = unroll(cell, params, xs[CUT:], state)
    if not close((last, jnp.concatenate([first, second])), unroll(cell, params, xs)):
        faults.append(f"{name} keeps something outside of its state: in two parts it differs")
    before = called(f"cell {name}", cell.initial_state, params)
    by_step = jax.lax.scan(lambda state, x: cell.step(params, state, x), before, xs)
    if not close(by_step, unroll(cell, params, xs)):
        faults.append(f"{name} is another function by its unroll than by its step")
    try:
        with jax.numpy_dtype_promotion("standard"):
            check_grads(outputs, (params, xs), order=1, modes=("rev",), atol=0.02, rtol=0.02)
    except AssertionError:
        faults.append(f"{name} has another gradient than differences say")
    return faults
