"""An experiment as plain data: all its settings, with their sources. This module needs no JAX."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import Field, dataclass, fields, replace
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

from jaxrnn.errors import InputError, fault_of_whole_number, shown
from jaxrnn.options import lengths, named, number_or_each, real

OPTIONS = ("task_options", "cell_options", "optimizer_options", "schedule_options")
"""The settings that are options of a function."""

Options = tuple[tuple[str, Any], ...]
"""Named values, as pairs so that an experiment can be a key."""

GivenOptions = Options | Mapping[str, Any]
PerTrial = float | Iterable[float]
"""What a caller may give. An experiment stores ``Options``, and a number or a tuple of numbers."""

PER_TRIAL = (
    "learning_rate",
    "clip",
    "initial_scale",
    "input_bias",
    "forget_bias",
    "output_bias",
)
"""The settings that may be a tuple with one value a trial."""

CONSTANT = "constant"
"""The schedule that leaves the learning rate as it is."""

GRID = "grid"
"""The name of an experiment whose per-trial settings run through every combination."""

_LEAST = {
    **dict.fromkeys(("length", "hidden_size", "layers", "batch_size"), 1),
    **dict.fromkeys(("window", "max_steps", "trials", "test_every"), 1),
    **dict.fromkeys(
        ("join_at", "max_failures", "test_size", "final_test", "warmup", "convolution"), 0
    ),
}


_DATA: dict[str, Any] = {
    **{"name": "net", "trials": 1, "seed": 0, "max_steps": 2**31 - 1, "test_every": 1},
    **{"threshold": 0.5, "window": 1, "max_failures": 0, "mean_error": None},
    **{"learning_rate": 1.0, "clip": 1.0, "initial_scale": 1.0},
    **{"input_bias": 0.0, "forget_bias": 0.0, "output_bias": 0.0},
}
"""The settings that a compiled program does not depend on, with valid values."""

LEFT_TO_TASK = ("objective", "threshold", "window", "max_failures", "test_size", "final_test")
"""The settings that an experiment may leave to its task."""

_THE_TASKS: Any = None
"""Stands for a number until :func:`jaxrnn.problems.settled` fills in the task's."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One net at one length, trained ``trials`` times from different weights and data.

    The settings named in ``PER_TRIAL`` may be tuples (or lists, or arrays) with one value a trial,
    options may be given as a dict. Raises InputError where a value has the wrong type or breaks its
    rule; unknown names are found where they are looked up.

    There are two rules for when a trial is solved. The task chooses one, unless the experiment
    does. If ``test_size`` is 0, a trial is solved once at most ``max_failures`` of the ``window``
    most recent training sequences fail and their mean error is below ``mean_error``. (If none may
    fail and any mean error is allowed, the very first sequence counts as a failure, as in the
    notebook.) Otherwise it is solved once the same holds for the test set, which is checked every
    ``test_every`` sequences. The test set is each trial's own ``test_size`` sequences that are
    never trained on, or the task's own test set, which has that size. The task fills in the
    settings that an experiment leaves out (None), with two exceptions. If the experiment names
    ``threshold``, any mean error will do. If it names ``window`` or ``test_size``, the task fills
    in neither of these nor ``max_failures``, and no failure is allowed. With ``final_test`` every
    trial that has not diverged is tested with its final weights on that many fresh sequences, or
    on the task's own test set, and with ``test_lengths`` on 1,000 fresh ones at each of these
    lengths.

    An update changes the weights once, by the mean loss of ``batch_size`` training sequences. All
    other counts, such as ``max_steps``, are in sequences. Sequences are judged one by one, in
    order, each with the weights before its update. So a trial may end within an update; its final
    weights are then those after the update. The outputs see the hidden units in an update if its
    first sequence has come to ``join_at``. The test set is checked only after whole updates, just
    enough for ``test_every`` sequences.

    The ``note`` says why trials are run, such as their part in a study. It is a dict of words,
    numbers and tuples; a tuple has one value a trial. The rows of the trials keep it. It is no
    setting: two experiments are equal whatever their notes say.
    """

    name: str = "notebook"  # the experiment its rows belong to
    task: str = "noise_free"
    task_options: GivenOptions = ()  # what the task takes besides the length
    cell: str = "lstm"
    cell_options: GivenOptions = ()  # what the builder of a cell takes
    length: int = 10  # T; each task says what it means
    hidden_size: int = 20  # H, units of each layer
    layers: int = 1
    stack_hidden: bool = False  # whether layers pass on their hidden units, not their outputs
    convolution: int = 0  # width of a causal convolution before each layer; 0: none
    initializer: str = "notebook_xavier"
    initial_scale: PerTrial = 1.0  # factor of the first weights that the initializer draws
    input_bias: PerTrial = 0.0  # added to the first biases of input gates
    forget_bias: PerTrial = 0.0  # the same for forget gates and update gates
    output_bias: PerTrial = 0.0
    objective: str | None = None  # None: what the task is trained with
    measure: str | None = None  # what errors are; None: the task's own measure, or the objective's
    loss_reduction: str = "mean"  # of the time steps' losses: mean or sum
    optimizer: str = "clipped_sgd"
    optimizer_options: GivenOptions = ()  # what the optimizer takes: momentum, decay, ...
    learning_rate: PerTrial = 1.0
    schedule: str = CONSTANT  # the factor of the learning rate at each update
    schedule_options: GivenOptions = ()
    warmup: int = 0  # updates in which the learning rate rises to its full value
    clipping: str = "element"  # how the gradient is bounded: element, norm or none
    clip: PerTrial = 5.0  # the bound
    batch_size: int = 1  # B, training sequences of an update
    # From this training sequence on the outputs see the hidden units; in tests they always do.
    join_at: int = 0
    # What solved means; None: as the task says, see the docstring.
    threshold: float = _THE_TASKS  # an error above it is a failure
    window: int = _THE_TASKS
    max_failures: int = _THE_TASKS
    mean_error: float | None = None  # None with a threshold: any mean will do
    test_size: int = _THE_TASKS
    test_every: int = 100
    final_test: int = _THE_TASKS  # sequences of the test at the end; None: as the task says
    test_lengths: tuple[int, ...] = ()  # other lengths at which every trial is tested in the end
    max_steps: int = 100_000  # training sequences after which a trial is given up
    trials: int = 10
    seed: int = 0
    note: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check every value against its rule, and bring equal ones to one form."""
        for field, flag in _fields():
            value = getattr(self, field.name)
            if field.name in OPTIONS:
                value = named(flag, value)
            elif field.name == "test_lengths":
                value = lengths(flag, value)
            elif field.name in PER_TRIAL:
                value = number_or_each(flag, value, any_sign=field.name.endswith("_bias"))
            elif value is None and field.default is None:
                continue
            elif field.type is bool:
                _require(self, field.name, isinstance(value, bool), "must be True or False")
            elif field.type is int:
                rule = fault_of_whole_number(value, _LEAST.get(field.name))
                _require(self, field.name, rule is None, str(rule))
                value = int(value)
            elif field.type in (float, float | None):
                value = real(flag, value)
            elif not isinstance(value, str):
                raise InputError(
                    f"{flag} {shown(value)} must be a name, such as 'lstm' or 'file.py:name'"
                )
            elif not value or not value.isprintable():
                raise InputError(f"{flag} {shown(value)} must be printable characters")
            if value is not getattr(self, field.name):
                object.__setattr__(self, field.name, value)
        object.__setattr__(self, "note", dict(named("note", self.note)))
        self._check_limits()

    def _check_limits(self) -> None:
        # It is part of the names of files.
        _require(self, "name", not set("/\\") & set(self.name), "must not have a slash in it")
        _require(self, "name", not self.name.startswith("."), "must not begin with a dot")
        mean_is_valid = self.mean_error is None or 0 < self.mean_error < math.inf
        _require(self, "mean_error", mean_is_valid, "must be a positive number")
        for name in _LEAST:  # sequences and trials are counted in int32
            _require(self, name, (getattr(self, name) or 0) < 2**31, "must be below 2147483648")
        _require(self, "seed", 0 <= self.seed < 2**32, "must be from 0 to 4294967295")
        is_share = self.threshold is None or 0 < self.threshold < 1
        _require(self, "threshold", is_share, "must lie between 0 and 1")
        first_test = self.batch_size * self.updates(self.test_every)
        fits = not self.test_size or first_test <= self.max_steps
        rule = f"must be at least {first_test}, the sequences before the first look at the test set"
        _require(self, "max_steps", fits, rule)
        if self.stack_hidden and self.layers == 1:
            raise InputError("stack-hidden needs layers of at least 2: one has nothing to pass on")
        _require(self, "convolution", self.convolution != 1, "must be 0 for none, or at least 2")
        within = "must not be above {max_steps}"
        _require(self, "batch_size", self.batch_size <= self.max_steps, within)
        num_updates = self.updates(self.max_steps)
        most = f"must not be above {num_updates}, the updates that a trial has"
        _require(self, "warmup", self.warmup <= num_updates, most)
        fits = bool(self.test_size) or (self.window or 0) <= self.max_steps
        _require(self, "window", fits, within)
        for name in PER_TRIAL:
            value = getattr(self, name)
            is_one_each = not isinstance(value, tuple) or len(value) == self.trials
            _require(self, name, is_one_each, "must be one value or one a trial")
        for name, value in self.note.items():
            if isinstance(value, tuple) and len(value) != self.trials:
                raise InputError(f"note {name} must be one value or one a trial")

    def __hash__(self) -> int:
        """The hash of a frozen dataclass, but computed only once: experiments are keys of most
        tables."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, field.name) for field, _ in _fields()))

    def __getstate__(self) -> dict[str, Any]:
        """Only its settings, not the stored hash: another process hashes text in another way."""
        return {name: value for name, value in vars(self).items() if name != "_hash"}

    def criterion(self) -> str:
        """The rule for solved in words; the experiment has to be settled: "no error above 0.25 in
        ..."."""
        failures = f"at most {self.max_failures} errors" if self.max_failures else "no error"
        where = f"in {self.window:,} training sequences in a row"
        if self.test_size:
            where = f"in a test set of {self.test_size} sequences"
        if self.only_mean:
            return f"a mean error below {self.mean_error:g} {where}"
        mean = "" if self.mean_error is None else f", and a mean error below {self.mean_error:g}"
        return f"{failures} above {self.threshold:g} {where}{mean}"

    @property
    def only_mean(self) -> bool:
        """Whether the mean error alone decides, since all sequences may fail; the experiment has to
        be settled."""
        may_fail = self.max_failures or 0
        return self.mean_error is not None and may_fail >= (self.test_size or self.window)

    def updates(self, num_sequences: Any) -> Any:
        """The number of updates for these training sequences, given as one number or as an
        array."""
        return -(-num_sequences // self.batch_size)

    def per_trial(self, name: str) -> tuple[float, ...]:
        """The setting's value for each trial."""
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,) * self.trials

    def canonical(self) -> "Experiment":
        """The experiment with its options in alphabetical order, so that equal ones have one
        form."""
        return self._with(self._ordered())

    def _with(self, values: Mapping[str, Any]) -> "Experiment":
        """The same with values that are known to keep the rules, since they are its own."""
        if all(getattr(self, name) == value for name, value in values.items()):
            return self
        changed = copy(self)
        for name, value in values.items():
            object.__setattr__(changed, name, value)
        return changed

    def _ordered(self) -> dict[str, Any]:
        return {name: tuple(sorted(getattr(self, name))) for name in OPTIONS}

    def alone(self, trial: int) -> "Experiment":
        """The canonical experiment of one trial, by which that trial is known among all."""
        values = {name: getattr(self, name) for name in PER_TRIAL}
        own: dict[str, Any] = {n: v[trial] for n, v in values.items() if isinstance(v, tuple)}
        own |= {"trials": 1, **self._ordered()}
        note = {n: v[trial] if isinstance(v, tuple) else v for n, v in self.note.items()}
        return _known(self._with(own), tuple(note.items()))

    def differs(self) -> bool:
        """Whether any setting has a value a trial."""
        return any(isinstance(getattr(self, name), tuple) for name in PER_TRIAL)

    def net(self) -> "Experiment":
        """The experiment without the settings that a program takes as data. If two experiments
        differ only in such settings, one program trains both.

        The cap on sequences is data, too, unless there is a schedule, which may end at it.
        """
        data = _DATA if self.schedule == CONSTANT else _DATA | {"max_steps": self.max_steps}
        return replace(self.canonical(), **data, note={})

    def batch(self) -> "Experiment":
        """The experiment without its name, seed, initializer, number of trials and per-trial
        settings. If two settled experiments differ only in these, one batch can train both."""
        free = {name: _DATA[name] for name in ("name", "trials", "seed", *PER_TRIAL)}
        return self._with({**self._ordered(), **free, "initializer": "any", "note": {}})

    def tickets(self) -> "list[Ticket]":
        """All trials, each as it is known among those of all experiments."""
        return [Ticket(one, trial) for trial, one in enumerate(self.each_alone())]

    def each_alone(self) -> Sequence["Experiment"]:
        """:meth:`alone` of every trial."""
        return _each_alone(self, tuple(self.note.items()))

    def as_row(self) -> dict[str, Any]:
        """Its settings as a row has them, ready for JSON: options as dicts, and the name is the
        "experiment". A row has no number of trials, and a note only where there is one."""
        row = {name: getattr(self, name) for name in SETTINGS if name != "trials"}
        row = {"experiment": row.pop("name")} | row
        for name in OPTIONS:
            row[name] = {option: _as_json(value) for option, value in row[name]}
        row = {name: _as_json(value) for name, value in row.items()}
        return row | ({"note": {n: _as_json(v) for n, v in self.note.items()}} if self.note else {})

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Experiment":
        """The experiment of a row's trial alone, from a row as :func:`jaxrnn.read_rows` gives it.

        Raises InputError as Experiment does, for a setting that is missing, and for one that was
        left to the task.
        """
        given = {"trials": 1, "note": {}} | dict(row)
        if "experiment" in given:
            given["name"] = given["experiment"]
        return cls.from_settings(given).alone(0)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Experiment":
        """The experiment with all these settings, which were read back; raises as
        :meth:`from_row`."""
        for name in SETTINGS:
            if name not in settings:
                raise InputError(f"{flag_name(name)} is missing")
        for name in LEFT_TO_TASK:
            if settings[name] is None:
                raise InputError(f"{flag_name(name)} must not be null")
        return cls(**{name: settings[name] for name in (*SETTINGS, "note")})


class Ticket(NamedTuple):
    """A trial that is to be run, or was. All that it computes follows from its ticket."""

    experiment: Experiment  # of this trial alone
    trial: int


SETTINGS = tuple(field.name for field in fields(Experiment) if field.compare)
"""The names of all settings, which the note is not one of."""


def _as_json(value: Any) -> Any:
    """A value as it is read back."""
    return [*map(_as_json, value)] if isinstance(value, tuple) else value


@lru_cache(maxsize=4096)
def _known(experiment: Experiment, note: Options) -> Experiment:
    """The first of equal experiments with this note. Python sees that an object equals itself
    without comparing every setting."""
    return experiment._with({"note": dict(note)})


@lru_cache(maxsize=4096)  # which a run directory asks for many times
def _each_alone(experiment: Experiment, note: Options) -> Sequence[Experiment]:
    if experiment.differs() or any(isinstance(value, tuple) for _, value in note):
        return tuple(experiment.alone(trial) for trial in range(experiment.trials))
    return (experiment.alone(0),) * experiment.trials


@cache
def _fields() -> "list[tuple[Field[Any], str]]":
    """An experiment's settings, each with its flag."""
    return [(field, flag_name(field.name)) for field in fields(Experiment) if field.compare]


def flag_name(name: str) -> str:
    """The setting as the command line spells it."""
    return name.replace("_", "-")


def _require(experiment: Experiment, name: str, holds: bool, rule: str) -> None:
    """Raise InputError unless it holds; a rule may name max_steps, as the sentence does."""
    if not holds:
        named = {one: shown(getattr(experiment, one)) for one in (name, "max_steps")}
        raise InputError(f"{{{name}}} {rule}", **named)


CONDITIONS = (
    *("task", "task_options", "length", "threshold", "window", "max_failures", "mean_error"),
    *("test_size", "test_every", "measure", "max_steps"),
)
"""The settings that the rows of a comparison share: what is to be solved, when it counts as solved,
and the cap. All others belong to the net."""


def conditions_of(experiment: Experiment) -> tuple[Any, ...]:
    """An experiment's ``CONDITIONS``."""
    return tuple(getattr(experiment, name) for name in CONDITIONS)
