"""Rows trained again: whether a directory's outcomes are those that its settings give."""

import itertools
import json
import secrets
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrnn.errors import InputError, Note, shown, whole_number
from jaxrnn.experiment import Experiment, Ticket
from jaxrnn.machine import device, processor_of
from jaxrnn.names import are_named, digests, own_names
from jaxrnn.problems import task_of
from jaxrnn.report.render import shortened
from jaxrnn.report.summary import Rows
from jaxrnn.rounding import LONG, made_with, read_rounding
from jaxrnn.store.config import SOURCES, read_config
from jaxrnn.store.files import path_of, write_whole
from jaxrnn.store.rows import Row, typed_rows
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.queue import Asking
from jaxrnn.sweeps.run import OpenRun
from jaxrnn.sweeps.watch import NAME_WIDTH, Watch
from jaxrnn.training.runner import check

SAMPLE = 60
"""Rows of a sample: if all are the same, fewer than 5 % of all rows are false, with 95 %."""

RESULT = "verify.json"
"""What a directory of rows trained again says of them, and the seed of its sample."""

CHANGED, OF = 12, 400
"""So many of so many trials were solved under one of two roundings alone; see
docs/howto/run_directory.md."""

DOUBT = 0.001
"""An honest directory is contradicted with at most this probability."""


Made = Sequence[Mapping[str, str]]
"""What rows were made with, an entry for each machine."""


class Again(NamedTuple):
    """A row, and what its settings gave here."""

    row: Row
    here: Row
    rounds_alike: bool  # whether every bit has to be the same, as far as is known

    @property
    def is_same(self) -> bool:
        """Whether the outcomes are the same to the bit. Rows that come with the package have no
        learning curves."""
        ours, theirs = self.here.results(), self.row.results()
        return all(ours[name] == theirs[name] for name in ours if name != "curve" or theirs[name])

    @property
    def changed(self) -> bool:
        """Whether one was solved and the other was not."""
        return self.row.solved != self.here.solved


class Verification(NamedTuple):
    """What became of a sample of a directory's rows."""

    directory: Path
    out: Path  # with the new rows
    seed: int  # of the sample
    of: int  # rows that it was drawn from
    again: list[Again]
    left: dict[Ticket, str]  # why others could not be trained
    differs: list[str]  # how the rows here may be rounded in another way

    @property
    def same(self) -> int:
        """How many are the same to the bit."""
        return sum(one.is_same for one in self.again)

    @property
    def other(self) -> list[Again]:
        """Those that are not."""
        return [one for one in self.again if not one.is_same]

    @property
    def false(self) -> list[Again]:
        """Those of them that nothing known explains."""
        return [one for one in self.other if one.rounds_alike]

    @property
    def rounded(self) -> list[Again]:
        """Those whose bits may differ, the same or not."""
        return [one for one in self.again if not one.rounds_alike]

    @property
    def changed(self) -> int:
        """How many of these were solved in one place only."""
        return sum(one.changed for one in self.rounded)

    @property
    def most_changed(self) -> int:
        """The greatest number of these that rounding alone explains: by Fisher's exact test against
        ``CHANGED`` of ``OF``."""
        from scipy.stats import fisher_exact  # slow to import

        n = len(self.rounded)

        def p(k: int) -> float:
            return fisher_exact([[k, n - k], [CHANGED, OF - CHANGED]], "greater").pvalue

        return next((k - 1 for k in range(1, n + 1) if p(k) < DOUBT), n)

    @property
    def excluded(self) -> float:
        """If all are the same: the share of false rows that 95 % of all such samples would have
        shown. Otherwise 1."""
        n = len(self.again)
        if not n or self.other:
            return 1.0
        unseen, false = 1.0, 0  # the probability that no false row is drawn, and how many there are
        while unseen > 0.05:
            unseen *= max(0, self.of - n - false) / (self.of - false)
            false += 1
        return false / self.of

    @property
    def holds(self) -> bool:
        """Whether something was trained again, and nothing contradicts the directory."""
        return bool(self.again) and not self.false and self.changed <= self.most_changed


def verify(
    directory: Path | str,
    out: Path | str | None = None,
    *,
    rows: int | None = SAMPLE,
    cells: Sequence[str] = (),
    tasks: Sequence[str] = (),
    longest_lag: int | None = None,
    code: Sequence[str] = (),
    seed: int | None = None,
    lanes: int | None = None,
    dask: str | None = None,
    progress: bool = False,
) -> Verification:
    """Train a sample of a directory's rows again, and hold the outcomes against each other.

    A row has all settings of its trial, and the outcome follows from these to the bit. So it can be
    checked by anybody, without trust. The sample is of so many ``rows``, or of all if that is None,
    and may be of some ``cells``, ``tasks`` and lengths up to ``longest_lag`` alone. A ``seed``
    draws it, by default one that nobody can foresee; ``out`` (``runs/verify-NAME`` by default)
    keeps it with the new rows. So the same call goes on after an interruption, and one for more
    rows adds some.

    Code of somebody's own is imported only if ``cells``, ``tasks`` or ``code`` name it. Other
    options are those of :func:`jaxrnn.run`.

    On another processor, or with another jax, the last bits may differ, and a trial then ends as if
    it had another seed. Of such rows only so many may be solved in one place and not in the other
    as docs/howto/run_directory.md says.

    Raises InputError for a directory without such rows, and what :func:`jaxrnn.run` raises.
    """
    path = path_of(directory)
    held = chosen_rows(path, cells, tasks, longest_lag)
    out = usual_out(path) if out is None else path_of(out)
    seed = _seed(out, seed)
    order = np.random.default_rng(seed).permutation(len(held))
    if rows is not None:
        order = order[: whole_number("rows", rows, 1)]
    drawn = [held[k] for k in order]
    left = _left(path, drawn, {*cells, *tasks, *code}, here=dask is None)
    programs = _by_program([row for row in drawn if row.ticket not in left])
    there = _made(path)
    if dask is None:
        here = made_with() | {"processor": processor_of(device())}
        if words := _differences(there, [here], [row.experiment for of in programs for row in of]):
            warnings.warn(
                f"rows of {path} may end here as if they had another seed: {'; '.join(words)}",
                Note,
                stacklevel=2,
            )
    with ExitStack() as stack:
        wanted = {row.ticket: row for of in programs for row in of}
        sample = stack.enter_context(_Sample(out, wanted))
        watch = stack.enter_context(Watch()) if progress else None
        if watch is not None:
            watch.expect(len(programs), "programs")
        _write(out, {"directory": str(directory), "seed": seed})
        OpenRun(sample, watch, lanes, False, dask).search_side_by_side(
            [[_replayed(of)] for of in programs], watch.on_found if watch else None
        )
        trained = {row.ticket: row for row in sample.rows}
    of_out = _made(out)
    again = [
        Again(row, trained[one], not _differences(there, of_out, [row.experiment]))
        for one, row in wanted.items()
    ]
    words = _differences(there, of_out, [one.row.experiment for one in again])
    result = Verification(path, out, seed, len(held), again, left, words)
    numbers = {"of": result.of, "trained": len(again), "same": result.same}
    numbers |= {"not_explained": len(result.false), "could_not_be_trained": len(left)}
    numbers |= {"rounded_otherwise": len(result.rounded), "solved_in_one_place": result.changed}
    _write(out, {"directory": str(directory), "seed": seed, **numbers, "holds": result.holds})
    return result


class _Sample(RunDirectory):
    """A directory that lacks nothing but some trials, whatever else their experiments have."""

    def __init__(self, path: Path, wanted: Collection[Ticket]) -> None:
        super().__init__(path)
        self._wanted = wanted

    def missing(self, experiment: Experiment) -> list[Ticket]:
        return [one for one in super().missing(experiment) if one in self._wanted]


def usual_out(path: Path) -> Path:
    """Where the new rows of a directory go, if nobody says so."""
    return Path("runs") / f"verify-{path.resolve().name}"


def chosen_rows(
    path: Path, cells: Sequence[str], tasks: Sequence[str], longest_lag: int | None
) -> list[Row]:
    """The directory's rows of these cells and tasks, up to a length."""
    held = typed_rows(path)
    for name, wanted in (("cell", cells), ("task", tasks)):
        names = dict.fromkeys(getattr(row.experiment, name) for row in held)
        if lacking := [one for one in wanted if one not in names]:
            raise InputError(
                f"{path} has no rows of {name} {shown(lacking[0])}: choose from {', '.join(names)}"
            )
        if wanted:
            held = [row for row in held if getattr(row.experiment, name) in wanted]
    if longest_lag is not None:
        held = [row for row in held if row.experiment.length <= longest_lag]
    if not held:
        raise InputError(f"{path} has no such rows: choose other cells, tasks or a longer lag")
    return held


def _seed(out: Path, given: int | None) -> int:
    """The seed of the sample: the ``given`` one, or the one that ``out`` was begun with."""
    if given is not None:
        return whole_number("seed", given, 0)
    try:
        return whole_number("seed", json.loads((out / RESULT).read_text("utf-8"))["seed"], 0)
    except FileNotFoundError:
        return secrets.randbits(32)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{out / RESULT} has no seed: use another --out") from None


def _write(out: Path, values: Mapping[str, Any]) -> None:
    write_whole(out / RESULT, json.dumps(values, indent=2).encode() + b"\n")


def _left(
    path: Path, drawn: Iterable[Row], names: Collection[str], here: bool
) -> dict[Ticket, str]:
    """Those of the rows that cannot be trained, and why not."""
    known = (read_config(path) or {}).get(SOURCES, {})
    why: dict[Experiment, str] = {}
    for one in dict.fromkeys(row.experiment for row in drawn):
        own = own_names([one])
        if not are_named(one, names):
            lacking = next(name for name in own if name not in names)
            why[one] = f"{lacking} is somebody's own code, which is run only if you name it"
            continue
        try:
            now = digests([one])
            if changed := [name for name in own if known.get(name, now[name]) != now[name]]:
                why[one] = f"the code of {changed[0]} is not what it was"
            else:
                check(one, here=here)
        except InputError as error:
            why[one] = str(error)
    return {row.ticket: why[row.experiment] for row in drawn if row.experiment in why}


def _by_program(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows by the program that trains them, the cheapest first."""
    programs: dict[Experiment, list[Row]] = {}
    for row in rows:
        programs.setdefault(row.experiment.batch(), []).append(row)

    def cost(of: list[Row]) -> int:
        return sum(row.outcome.steps * row.experiment.length for row in of)

    return sorted(programs.values(), key=cost)


def _replayed(rows: Sequence[Row]) -> Asking[str]:
    """Train the rows of a program again. Returns a sentence about them."""
    trials: dict[Experiment, int] = {}
    for row in rows:
        trials[row.experiment] = max(trials.get(row.experiment, 0), 1 + row.outcome.trial)
    got: Rows = yield [replace(one, trials=number) for one, number in trials.items()]
    here = {row.ticket: row for row in got}
    same = sum(Again(row, here[row.ticket], True).is_same for row in rows)
    return f"{named(rows[0])}: {same} of {len(rows)} the same"


def named(row: Row) -> str:
    """The net of a row, its task and length."""
    one = row.experiment
    length = f" T={one.length}"
    return shortened(f"{one.cell} on {one.task}", NAME_WIDTH - len(length)) + length


PARTS = ("jaxrnn", "jax", "jaxlib", "optax")
"""Other versions of these may round otherwise."""


def _differences(there: Made, here: Made, experiments: Iterable[Experiment]) -> list[str]:
    """Why the bits of these experiments may not be the same here as there, in words; empty if they
    have to be."""
    if not there:
        return ["it is not known what they were made with"]
    every = list(dict.fromkeys(experiments))
    words: dict[str, None] = {}
    for made, now in itertools.product(there, here):
        for name in (*PARTS, "processor"):
            if made.get(name) != now.get(name):
                words[f"{name} {made.get(name)} there, {now.get(name)} here"] = None
        theirs, ours = read_rounding(made), read_rounding(now)
        if theirs is None or ours is None:
            words["it is not known how the processor rounds that made them"] = None
        elif theirs.updates != ours.updates:
            words["that processor rounds otherwise"] = None
        else:
            if theirs.orthogonal != ours.orthogonal and any(
                one.initializer == "orthogonal" for one in every
            ):
                words["that processor draws other orthogonal first weights"] = None
            if theirs.long != ours.long and any(task_of(one).num_steps > LONG for one in every):
                words[f"that processor sums more than {LONG} time steps otherwise"] = None
    return list(words)


def _made(directory: Path) -> Made:
    """What a directory's rows were made with."""
    config = read_config(directory)
    every = [] if config is None else [config, *config.get("resumed", [])]
    return [one["versions"] | {"processor": processor_of(one["device"])} for one in every]
