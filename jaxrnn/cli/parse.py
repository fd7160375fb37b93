"""From the words of the command line to a command; a wrong word is one sentence."""

import contextlib
import difflib
import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Union

import tyro

import jaxrnn
from jaxrnn.cli.flags import Overrides, Unreadable
from jaxrnn.errors import InputError, look_up

Commands = Mapping[str, Callable[..., None]]

HELP = ("-h", "--help")
VERSION = "--version"
COMPLETION = ("--tyro-print-completion", "--tyro-write-completion")

# A flag that is not called as the setting it gives.
SETTINGS = {"max_sequences": "max_steps"}


def parse(commands: Commands, words: Sequence[str]) -> Callable[[], None]:
    """The command with its settings, ready to be called.

    Prints the help or the version and exits where it is asked for; the help, too, where nothing is.
    Raises InputError for an unknown command or flag, words that belong to no flag, a flag without
    its value and a value that cannot be read.
    """
    if not words:
        with contextlib.suppress(SystemExit):
            _read(commands, ["--help"], quietly=False)
        sys.exit(2)
    if words[0] == VERSION:
        print(f"jaxrnn {jaxrnn.__version__}")
        sys.exit(0)
    if words[0] in COMPLETION and words[1:2] in (["bash"], ["zsh"], ["fish"]):
        _read(commands, words)  # prints the script and exits
    if words[0] not in HELP:
        look_up(commands, "command", words[0])
    if not {*HELP}.isdisjoint(words):
        _read(commands, [*(one for one in words[:1] if one in commands), "--help"], quietly=False)
    try:
        command, unknown = _read(commands, words)
    except SystemExit:
        raise InputError(_missing(commands, words)) from None
    if unknown:
        raise InputError(_unknown(commands, words[0], unknown[0]))
    for rule, value in _unreadable(command):
        raise InputError(f"{rule} (not {value!r})")
    return functools.partial(_run, command)


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
    """The command, but it only takes its settings: nothing runs before all words are read."""

    @functools.wraps(command)
    def take(**settings: Any) -> functools.partial[None]:
        return functools.partial(command, **settings)

    return take


def _run(command: functools.partial[None]) -> None:
    """Run a command; what is wrong with a setting is said in the command's words."""
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
    """Of a word that belongs to no flag, or is a flag that the command lacks."""
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
    """Of what Tyro misses: a value after a flag that takes one, or a word without a flag."""
    name = words[0]
    advice = f"see jaxrnn {name} --help"
    flags = list(map(_spelled, _flags(commands[name])))
    for word, after in itertools.pairwise([*words[1:], "--"]):
        flag = _spelled(word.lstrip("-"))
        if flag in flags and after.startswith("-") and not after[1:2].isdigit():
            try:
                _read(commands, [name, flag])
            except SystemExit:  # so much for this flag alone
                command, _ = _read(commands, [name, flag, ""])
                rules = [rule for rule, _ in _unreadable(command)]
                return rules[0] if rules else f"{flag} needs a value: {advice}"
    parameters = inspect.signature(commands[name]).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty]
    return f"{name} needs its {', '.join(needed)}: {advice}"
