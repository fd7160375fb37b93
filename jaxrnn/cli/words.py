"""The words of the command line: what a flag takes, what the help shows, and how words are read."""

import argparse
import ast
import contextlib
import difflib
import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jaxrnn
from jaxrnn.errors import InputError, look_up
from jaxrnn.nets import CELLS
from jaxrnn.problems import GROUPS, SUITES, TASKS
from jaxrnn.yardstick import SUITES as HORIZON_SUITES


class Kind(NamedTuple):
    """What the words after a flag are; "{}" stands for the flag in its rules."""

    metavar: str
    one: str
    several: str
    read: Callable[[str], Any] = str  # raises ValueError for a word that it cannot read
    names: tuple[str, ...] = ()  # which a shell completes; users' own are names, too
    place: str = ""  # where such names stand


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


WHOLE = Kind("INT", "a whole number, such as: {} 10", "whole numbers, such as: {} 5 6 7", int)
NUMBER = Kind("NUMBER", "a number, such as: {} 0.5", "numbers, such as: {} 0.1 0.5 1", float)
OPTION = Kind("NAME=VALUE", "an option", "options, such as: {} order=16", _option)
DIRECTORY = Kind("PATH", "a directory, not a file, such as: {} runs/mine", "", _directory)
ADDRESS = Kind("ADDRESS", "an address, such as: {} tcp://127.0.0.1:8786", "")
NAME = Kind("NAME", "a name", "names, which jaxrnn list shows")
CELL = Kind("CELL", "a cell", "cells, such as: lstm gru", str, (*CELLS,), "before the flags")
TASK = Kind("TASK", "a task", "tasks, such as: {} adding parity", str, (*TASKS,), "after --tasks")
EXPERIMENT = Kind(
    *("NAME", "an experiment", "experiments, such as: {} 6a", str),
    *((*GROUPS, *SUITES, *HORIZON_SUITES), "after --experiment"),
)


class Flag(NamedTuple):
    """A flag of a command, or one of its words before the flags.

    It is that parameter of the command's function which has its name. Where it is not given, the
    function's own default holds.
    """

    name: str
    help: str
    kind: Kind | None = None  # None for a switch; one named no_... sets the rest of its name False
    several: bool = False
    default: str = ""  # as the help shows it
    group: str = "run"
    is_common: bool = True  # on the first screen of the help
    is_word: bool = False  # stands before the flags, without its name
    is_needed: bool = False

    @property
    def spelled(self) -> str:
        """The flag as it is typed."""
        return self.name if self.is_word else f"--{self.name.replace('_', '-')}"

    def read(self, command: str, words: Sequence[str]) -> Any:
        """The value of its words; raises InputError where they break its rule."""
        assert self.kind is not None
        rule = (self.kind.several if self.several else self.kind.one).format(self.spelled)
        values, unread = [], []
        for word in words:
            try:
                values.append(self.kind.read(word))
            except ValueError:
                unread.append(word)
        for word in (one for one in words if one not in self.kind.names):
            for other in (CELL, TASK, EXPERIMENT):
                if word in other.names and (self.kind.place or word in unread):
                    raise InputError(
                        f"{word} is {other.one}, and {command if self.is_word else self.spelled} "
                        f"takes {rule.partition(',')[0]}: {other.several.partition(',')[0]} stand "
                        f"{other.place}"
                    )
        if unread or not words:
            told = f" (not {' '.join(words)!r})" if words else ""
            raise InputError(f"{self.spelled} takes {rule}{told}")
        return tuple(values) if self.several else values[0]


class Command(NamedTuple):
    """A command: its function, whose docstring is the help, and its flags."""

    run: Callable[..., None]
    flags: Sequence[Flag]


Commands = Mapping[str, Command]

HELP, ALL, SHELLS = ("-h", "--help"), "--help-all", ("bash", "zsh", "fish")

GONE = {
    "grid": "part of sweep, where each setting takes several values: jaxrnn sweep lstm "
    "--learning-rate 0.3 1",
    "paper": "part of sweep: jaxrnn sweep --experiment 6a, or 1997 for all, which jaxrnn list 1997 "
    "shows",
    "claims": "part of sweep: jaxrnn sweep --experiment claim-chrono_adding, or claims for all, "
    "which jaxrnn list claims shows",
    "scorecard": "horizon --lags 100: the same question with one search for all cells, such as: "
    "jaxrnn horizon lstm gru --tasks adding --lags 100",
    **dict.fromkeys(
        ("--cell", "--cells"), "said without a flag, before all flags: jaxrnn {} lstm gru"
    ),
    "--task": "--tasks: jaxrnn {} lstm --tasks adding",
    "--max-sequences": "--max-steps: jaxrnn {} --max-steps 20000",
    "--cost": "part of a list: jaxrnn list 1997",
    **dict.fromkeys(
        ("inspect --seed", "inspect --batch-size", "inspect --max-steps"),
        "a flag of sweep, since inspect trains nothing: jaxrnn sweep lstm --keep-weights --out "
        "runs/kept, then jaxrnn inspect runs/kept",
    ),
}
"""Commands and flags that there were, and what does their work now."""


def parse(commands: Commands, words: Sequence[str]) -> Callable[[], None]:
    """The command with its settings, ready to be called.

    If the words ask for the help, the version or a script of completions, this prints it and exits.
    Without any words it prints the help. Raises InputError for an unknown command or flag, words
    that belong to no flag, a flag without its value and a value that cannot be read.
    """
    if not words or words[0] in (*HELP, ALL):
        print(_all_commands(commands).format_help(), end="")
        sys.exit(0 if words else 2)
    name, *rest = words
    if name in ("-V", "--version"):
        print(f"jaxrnn {jaxrnn.__version__}")
        sys.exit(0)
    if name == "--completion":
        import shtab  # which only this needs

        if rest not in ([shell] for shell in SHELLS):
            raise InputError(f"--completion takes bash, zsh or fish (not {' '.join(rest)!r})")
        print(shtab.complete(_all_commands(commands, completing=True), *rest))
        sys.exit(0)
    if name in GONE:
        raise InputError(f"{name} is now {GONE[name]}")
    command = look_up(commands, "command", name)
    if not {*HELP, ALL}.isdisjoint(rest):
        purpose = ALL if ALL in rest else HELP[-1]
        print(_fill(_Parser(f"jaxrnn {name}"), command, purpose).format_help(), end="")
        sys.exit(0)
    # Underscores will do, too.
    rest = [re.sub(r"^--[\w-]+", lambda flag: flag[0].replace("_", "-"), word) for word in rest]
    # argparse would take a negative number with an exponent for a flag.
    small = re.compile(r"-(\d+\.?\d*|\.\d+)e[+-]?\d+", re.IGNORECASE)
    rest = [f"{Decimal(word):f}" if small.fullmatch(word) else word for word in rest]
    given, unknown = _fill(_Parser(name), command, "reading").parse_known_args(rest)
    if unknown:
        word = min(unknown, key=lambda word: not word.startswith("-"))  # flags first
        if not word.startswith("-"):
            raise InputError(f"{word!r} belongs to no flag of {name}: see jaxrnn {name} --help")
        lacked = word.partition("=")[0]
        if gone := GONE.get(f"{name} {lacked}") or GONE.get(lacked):
            raise InputError(f"{lacked} is now {gone.format(name)}")
        flags = {
            other: [flag.spelled for flag in one.flags if not flag.is_word]
            for other, one in commands.items()
        }
        owners = [other for other in flags if lacked in flags[other]]
        of_others = f", a flag of {', '.join(owners)}" if owners else ""
        # Without the dashes, which all have.
        near = difflib.get_close_matches(lacked[2:], [flag[2:] for flag in flags[name]], 1)
        advice = f"did you mean --{near[0]}?" if near else f"see jaxrnn {name} --help"
        raise InputError(f"{name} has no {lacked}{of_others}: {advice}")
    values: dict[str, Any] = {}
    for flag in command.flags:
        found = getattr(given, flag.name)
        if flag.kind is None and found:
            values[flag.name.removeprefix("no_")] = not flag.name.startswith("no_")
        elif flag.kind is not None and found is not None and (found or not flag.is_word):
            values[flag.name] = flag.read(name, [found] if isinstance(found, str) else found)
        elif flag.is_needed:
            raise InputError(f"{name} needs its {flag.name}: see jaxrnn {name} --help")
    return functools.partial(command.run, **values)


class _Parser(argparse.ArgumentParser):
    """argparse's, whose errors are ours."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, add_help=False, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        # Its only error here is that of a switch with a value, "argument --full: ...".
        raise InputError(f"{message.removeprefix('argument ').partition(':')[0]} takes no value")


def _all_commands(commands: Commands, completing: bool = False) -> _Parser:
    """The parser of all commands, for their list or for a script of completions."""
    parser = _Parser(
        "jaxrnn",
        usage="jaxrnn COMMAND [WORD ...] [--FLAG VALUE ...]",
        description="Trains batches of small recurrent networks on long-time-lag tasks.",
    )
    of_each = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command in commands.items():
        one = of_each.add_parser(name, help=_about(command).partition(".")[0])
        if completing:
            _fill(one, command, "completion")
    parser.add_argument(*HELP, action="store_true", help="Show this, or a command's flags.")
    parser.add_argument("-V", "--version", action="store_true", help="Show which jaxrnn this is.")
    parser.add_argument(
        *("--completion",),
        metavar="SHELL",
        choices=SHELLS,
        help="Print a script that completes words: for bash, zsh or fish.",
    )
    return parser


def _about(command: Command) -> str:
    """What a command does, from its docstring."""
    return " ".join((command.run.__doc__ or "").split())


def _fill(parser: _Parser, command: Command, purpose: str) -> _Parser:
    """The parser with the command's flags, for reading words, for completion, or for the help with
    the flags that people use or, where the purpose is ``--help-all``, with every flag."""
    words = []
    for flag in command.flags:
        if flag.is_word and flag.kind is not None:
            word = flag.kind.metavar + " ..." * flag.several
            words.append(word if flag.is_needed else f"[{word}]")
    parser.usage = " ".join([parser.prog, *words, "[--FLAG VALUE ...]"])
    parser.description = _about(command)
    groups: dict[str, Any] = {}
    for flag in command.flags:
        if flag.group not in groups:
            groups[flag.group] = parser.add_argument_group(flag.group)
        default = f" (default: {flag.default})" if flag.default else ""
        is_shown = flag.is_common or purpose != HELP[-1]
        options: dict[str, Any] = {"help": flag.help + default if is_shown else argparse.SUPPRESS}
        if flag.kind is None:
            options["action"] = "store_true"
        else:
            options["metavar"] = flag.kind.metavar + " ..." * flag.several
            if purpose not in (HELP[-1], ALL):
                # Also without a word after it, which is told by the flag's own rule.
                options |= {"nargs": "*"} if flag.several else {"nargs": "?"}
                options |= {} if flag.several or flag.is_word else {"const": ()}
            if purpose == "completion" and flag.kind.names:
                options["choices"] = flag.kind.names
        action = groups[flag.group].add_argument(flag.spelled, **options)
        if purpose == "completion" and flag.kind is DIRECTORY:
            import shtab

            action.complete = shtab.DIRECTORY
    of_help = parser.add_argument_group("help")
    of_help.add_argument(*HELP, action="store_true", help="Show these flags.")
    if not all(flag.is_common for flag in command.flags):
        of_help.add_argument(ALL, action="store_true", help="Show all flags.")
    return parser
