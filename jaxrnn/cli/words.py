"""The words of the command line: the flags that commands share, and how words become a command."""

import ast
import contextlib
import difflib
import functools
import inspect
import io
import itertools
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union

import tyro
from tyro.constructors import PrimitiveConstructorSpec

import jaxrnn
from jaxrnn.errors import InputError, look_up
from jaxrnn.nets import INITIALIZERS
from jaxrnn.training.objectives import OBJECTIVES, REDUCTIONS
from jaxrnn.training.optimizers import CLIPPINGS, OPTIMIZERS, SCHEDULES


class Unreadable(NamedTuple):
    """A mark in place of a flag's value, for words that cannot be read.

    The function that reads the words does not know their flag; :func:`parse` does.
    """

    words: Sequence[str]
    rule: str  # what the flag takes, "{flag}" in place of its name


def _reader(
    read: Callable[[str], Any], rule: str, metavar: str, several: bool = False, least: int = 0
) -> PrimitiveConstructorSpec[Any]:
    """How a flag reads its words, each by ``read``, which raises ValueError where it cannot; at
    ``least`` so many, if it takes several."""

    def read_all(words: list[str]) -> Any:
        try:
            values = tuple(map(read, words))
        except ValueError:
            return Unreadable(words, rule)
        if len(words) < least:
            return Unreadable(words, rule)
        return values if several else values[0]

    return PrimitiveConstructorSpec(
        nargs="*" if several else 1,
        metavar=metavar,
        instance_from_str=read_all,
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


def _directory(word: str) -> Path:
    """A directory that exists or can be made; no file may have its name."""
    path = Path(word)
    first = next((one for one in (path, *path.parents) if one.exists()), path)
    if not word or first.is_file():
        raise ValueError
    return path


def _option(word: str) -> tuple[str, Any]:
    """An option and its value, NAME=VALUE: a number, a word, or several with commas between."""
    name, is_given, value = word.partition("=")
    name = name.replace("-", "_")
    if not is_given or not name.isidentifier():
        raise ValueError
    if value in ("true", "false"):
        return name, value == "true"
    with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return name, ast.literal_eval(value)
    return name, value


def flag(metavar: str, hint: str = "(default: the experiment's)") -> Any:
    """How the help shows a flag: what it takes, and its default."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint)


def _one_of(about: str, table: Iterable[str]) -> Any:
    return tyro.conf.arg(help=f"{about}: {', '.join(table)}.")


_INTEGER = _reader(int, "takes a whole number, such as: {flag} 10", "INT")
_INTEGERS = _reader(int, "takes whole numbers, such as: {flag} 5 6 7", "[INT [INT ...]]", True, 1)
_NUMBER = _reader(float, "takes a number, such as: {flag} 0.5", "FLOAT")
_NUMBERS = _reader(
    float, "takes numbers, such as: {flag} 0.1 0.5 1", "[FLOAT [FLOAT ...]]", True, 1
)
_OPTIONS = _reader(_option, "takes options, such as: {flag} order=16", "NAME=VALUE ...", True)
_RULE = "takes a directory, not a file, such as: {flag} runs/mine"

Names = Annotated[tuple[str, ...] | None, flag("NAME [NAME ...]")]
Integers = Annotated[tuple[int, ...] | None, flag("INT [INT ...]"), _INTEGERS]
Numbers = Annotated[tuple[float, ...] | None, flag("NUMBER [NUMBER ...]"), _NUMBERS]
Name = Annotated[str | None, flag("NAME")]
Integer = Annotated[int | None, flag("INT"), _INTEGER]
Number = Annotated[float | None, flag("NUMBER"), _NUMBER]
Count = Annotated[int, _INTEGER]  # with a default that the help shows
Lanes = Annotated[
    int | None, flag("INT", "(default: what fits the cache, at most 32 per core)"), _INTEGER
]
Address = Annotated[str | None, flag("ADDRESS", "(default: this machine alone)")]
Directory = Annotated[Path, _reader(_directory, _RULE, "PATH")]
# Tyro cannot go on from an unknown flag before a positional that takes one word or none.
Runs = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    flag("RUN", ""),
    _reader(Path, "takes a run directory", "RUN", True),
]
Out = Annotated[Path | None, flag("PATH", ""), _reader(_directory, _RULE, "PATH")]
Options = Annotated[tuple[tuple[str, Any], ...] | None, flag("NAME=VALUE ..."), _OPTIONS]

Word = TypeVar("Word")
Whole = TypeVar("Whole")
Real = TypeVar("Real")
_UNSET: Any = None


@dataclass(frozen=True)
class Overrides(Generic[Word, Whole, Real]):
    """Settings of an experiment that a flag replaces, None where it does not.

    ``Word``, ``Whole`` and ``Real`` are a name and two kinds of number, or in a grid several.

    Args:
        task: The task to learn; `jaxrnn list` names the tasks. A task other than the experiment's
            brings its own objective and its own rule for when a trial is solved.
        task_options: What the task takes besides the length, such as num_symbols=4. The page of
            each task, cell, optimizer and schedule names its options.
        cell_options: What the cell takes besides its sizes, such as order=16.
        hidden_size: Hidden units of each layer.
        layers: Number of layers; each layer above the first sees the logits of the layer below.
        stack_hidden: Layers above the first see the hidden units of the one below instead.
        convolution: Width of a causal convolution before each layer, 4 as Mamba has it; 0 for none.
        initial_scale: Factor of the first weights that the initializer draws; some cells draw their
            first weights without it.
        input_bias: First bias of the input gates, added to the initializer's.
        forget_bias: First bias of the forget gates, or of update gates, as the GRU's.
        output_bias: First bias of the output gates.
        optimizer_options: What the optimizer takes, such as momentum=0.9.
        learning_rate: Step size of the optimizer.
        schedule_options: What the schedule takes, such as final=0.01.
        warmup: Updates in which the learning rate rises to its full value.
        clip: The bound of the gradient.
        batch_size: Training sequences in one update, which uses the mean of their losses.
        join_at: Training sequence from which on the outputs see the hidden units.
        max_steps: Training sequences after which a trial is given up.
        measure: How an error is measured: a name, or your own function as file.py:name. By default
            it is the task's measure, or, if the task has none, the objective's greatest absolute
            error.
        threshold: Greatest error that is not a failure.
        window: Training sequences without a failure after which a trial is solved.
        max_failures: Failures that the window, or the test set, may have.
        mean_error: The mean error has to be below this, too.
        test_size: Sequences of the test set that decides when a trial is solved, in place of the
            window; 0 for none.
        test_every: Training sequences between two looks at the test set.
        final_test: Fresh sequences that every trial is tested on in the end.
    """

    task: Word = _UNSET
    task_options: Options = None
    cell_options: Options = None
    objective: Annotated[Word, _one_of("Loss and error of a step", OBJECTIVES)] = _UNSET
    measure: Word = _UNSET
    hidden_size: Whole = _UNSET
    layers: Whole = _UNSET
    stack_hidden: bool = False
    convolution: Whole = _UNSET
    initializer: Annotated[Word, _one_of("First weights", INITIALIZERS)] = _UNSET
    initial_scale: Real = _UNSET
    input_bias: Real = _UNSET
    forget_bias: Real = _UNSET
    output_bias: Real = _UNSET
    loss_reduction: Annotated[Word, _one_of("A sequence's loss from its steps'", REDUCTIONS)] = (
        _UNSET
    )
    optimizer: Annotated[Word, _one_of("The update rule", OPTIMIZERS)] = _UNSET
    optimizer_options: Options = None
    learning_rate: Real = _UNSET
    schedule: Annotated[Word, _one_of("How the learning rate changes", SCHEDULES)] = _UNSET
    schedule_options: Options = None
    warmup: Whole = _UNSET
    clipping: Annotated[Word, _one_of("What of the gradient is bounded", CLIPPINGS)] = _UNSET
    clip: Real = _UNSET
    batch_size: Whole = _UNSET
    join_at: Whole = _UNSET
    max_steps: Whole = _UNSET
    threshold: Real = _UNSET
    window: Whole = _UNSET
    max_failures: Whole = _UNSET
    mean_error: Real = _UNSET
    test_size: Whole = _UNSET
    test_every: Whole = _UNSET
    final_test: Whole = _UNSET

    def named(self) -> dict[str, Any]:
        """The settings that a flag replaces."""
        return {
            name: value
            for name, value in vars(self).items()
            if value is not None and value is not False
        }


Single = Annotated[Overrides[Name, Integer, Number], tyro.conf.arg(name="", prefix_name=False)]
Several = Annotated[Overrides[Names, Integers, Numbers], tyro.conf.arg(name="", prefix_name=False)]


Commands = Mapping[str, Callable[..., None]]

HELP = ("-h", "--help")
VERSION = "--version"
COMPLETION = ("--tyro-print-completion", "--tyro-write-completion")

# Flags that have another name than their setting.
SETTINGS = {"max_sequences": "max_steps"}


def parse(commands: Commands, words: Sequence[str]) -> Callable[[], None]:
    """The command with its settings, ready to be called.

    If the words ask for the help or the version, this prints it and exits. Without any words it
    prints the help. Raises InputError for an unknown command or flag, words that belong to no flag,
    a flag without its value and a value that cannot be read.
    """
    if not words:
        with contextlib.suppress(SystemExit):
            _help(commands, ["--help"])
        sys.exit(2)
    if words[0] == VERSION:
        print(f"jaxrnn {jaxrnn.__version__}")
        sys.exit(0)
    if words[0] in COMPLETION and words[1:2] in (["bash"], ["zsh"], ["fish"]):
        _read(commands, words)  # prints the script and exits
    if words[0] not in HELP:
        look_up(commands, "command", words[0])
    if not {*HELP}.isdisjoint(words):
        _help(commands, [*(one for one in words[:1] if one in commands), "--help"])
    try:
        command, unknown = _read(commands, words)
    except SystemExit:
        raise InputError(_missing(commands, words)) from None
    if unknown:
        raise InputError(_unknown(commands, words[0], unknown[0]))
    for rule, value in _unreadable(command):
        raise InputError(f"{rule} (not {value!r})")
    return functools.partial(_run, command)


class _Printed(io.StringIO):
    """What is printed, for a terminal if standard output is one."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        assert sys.__stdout__ is not None
        return sys.__stdout__.isatty()


def _help(commands: Commands, words: Sequence[str]) -> None:
    """Print the help and exit. Tyro does not wrap the paragraphs above the boxes."""
    printed = _Printed()
    try:
        with contextlib.redirect_stdout(printed):
            _read(commands, words, quietly=False)
    finally:
        width = shutil.get_terminal_size().columns
        for line in printed.getvalue().splitlines():
            print(line if line[:1] in "╭│╰" else textwrap.fill(line, width))


def _read(
    commands: Commands, words: Sequence[str], quietly: bool = True
) -> tuple[functools.partial[None], list[str]]:
    """The command and the words that belong to no flag; SystemExit where Tyro cannot go on."""
    of_each = [
        Annotated[Any, tyro.conf.subcommand(name=name, constructor=_later(command))]
        for name, command in commands.items()
    ]
    return tyro.cli(  # type: ignore[call-overload]
        Union[tuple(of_each)],  # noqa: UP007, they are not known here
        prog="jaxrnn",
        description="Trains batches of small recurrent networks on long-time-lag tasks; "
        "`jaxrnn --version` says which jaxrnn this is.",
        args=words,
        return_unknown_args=True,
        console_outputs=not quietly,
    )


def _later(command: Callable[..., None]) -> Callable[..., functools.partial[None]]:
    """The command, changed so that it only stores its settings: nothing runs before all words are
    read."""

    @functools.wraps(command)
    def take(**settings: Any) -> functools.partial[None]:
        return functools.partial(command, **settings)

    # Without a link to the command, whose own docstring Tyro would read.
    take.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
    take.__doc__ = _unwrapped(command.__doc__)
    del take.__wrapped__
    return take


def _unwrapped(text: str | None) -> str:
    """A docstring with each argument on one line, since Tyro keeps some line breaks."""
    return re.sub(r"\n {8,}", " ", inspect.cleandoc(text or ""))


Overrides.__doc__ = _unwrapped(Overrides.__doc__)


def _run(command: functools.partial[None]) -> None:
    """Run a command; errors name a setting as the command does."""
    try:
        command()
    except InputError as error:
        flags = _flags(command.func)
        names = {one.name: f"the experiment's {_dashed(one.name)}" for one in fields(Overrides)}
        names |= {SETTINGS.get(flag, flag): _dashed(flag) for flag in flags}
        raise InputError(error.in_words(names)) from None


def _flags(command: Callable[..., None]) -> list[str]:
    """The names of a command's flags."""
    found: list[str] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if is_dataclass(parameter.default):
            found += (field.name for field in fields(parameter.default))
        elif tyro.conf.Positional not in getattr(parameter.annotation, "__metadata__", ()):
            found.append(name)
    return found


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _spelled(name: str) -> str:
    return f"--{_dashed(name)}"


def _unreadable(command: functools.partial[None]) -> Iterator[tuple[str, str]]:
    """The rule of each flag whose words cannot be read, and the words."""
    given = {**command.keywords, **vars(command.keywords.get("overrides", Overrides()))}
    for name, value in given.items():
        if isinstance(value, Unreadable):
            rule = value.rule.format(flag=_spelled(name))
            yield f"{_spelled(name)} {rule}", " ".join(value.words)


def _unknown(commands: Commands, name: str, word: str) -> str:
    """The error for a word that belongs to no flag, or for a flag that the command lacks."""
    given = word.partition("=")[0]
    flag = _dashed(given.lstrip("-"))
    flags = {other: list(map(_dashed, _flags(command))) for other, command in commands.items()}
    if not word.startswith("-") or flag in flags[name]:
        return f"{word!r} belongs to no flag of {name}: see jaxrnn {name} --help"
    owners = [other for other in flags if flag in flags[other]]
    of_others = f", a flag of {', '.join(owners)}" if owners else ""
    near = difflib.get_close_matches(flag, flags[name], 1)
    advice = f"did you mean --{near[0]}?" if near else f"see jaxrnn {name} --help"
    return f"{name} has no {given}{of_others}: {advice}"


def _missing(commands: Commands, words: Sequence[str]) -> str:
    """The error for a missing value after a flag, or for a missing word without a flag."""
    name = words[0]
    advice = f"see jaxrnn {name} --help"
    flags = list(map(_spelled, _flags(commands[name])))
    for word, after in itertools.pairwise([*words[1:], "--"]):
        flag = _spelled(word.lstrip("-"))
        if flag in flags and after.startswith("-") and not after[1:2].isdigit():
            try:
                _read(commands, [name, flag])
            except SystemExit:  # this flag needs a value
                command, _ = _read(commands, [name, flag, ""])
                rules = [rule for rule, _ in _unreadable(command)]
                return rules[0] if rules else f"{flag} needs a value: {advice}"
    parameters = inspect.signature(commands[name]).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty]
    return f"{name} needs its {', '.join(needed)}: {advice}"
