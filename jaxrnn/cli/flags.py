"""The flags that commands share, and how their words are read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from jaxrnn.nets import INITIALIZERS
from jaxrnn.training.objectives import OBJECTIVES, REDUCTIONS
from jaxrnn.training.optimizers import CLIPPINGS, OPTIMIZERS


class Unreadable(NamedTuple):
    """What stands in place of a flag's value where its words are no such value.

    The reader of the words does not know whose they are; :mod:`jaxrnn.cli.parse` does.
    """

    words: Sequence[str]
    rule: str  # what the flag takes, "{flag}" in place of its name


def _reader(
    read: Callable[[str], Any], rule: str, metavar: str, several: bool = False
) -> PrimitiveConstructorSpec[Any]:
    """How a flag reads its words, each by ``read``, which raises ValueError where it cannot."""

    def read_all(words: list[str]) -> Any:
        try:
            values = tuple(map(read, words))
        except ValueError:
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
    """A directory that is there or can be made; no file may be in its way."""
    path = Path(word)
    first = next((one for one in (path, *path.parents) if one.exists()), path)
    if not word or first.is_file():
        raise ValueError
    return path


def _flag(metavar: str, hint: str = "(default: the experiment's)", about: str | None = None) -> Any:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint, help=about)


def _one_of(about: str, table: Iterable[str]) -> Any:
    return tyro.conf.arg(help=f"{about}: {', '.join(table)}.")


_INTEGER = _reader(int, "takes a whole number, such as: {flag} 10", "INT")
_INTEGERS = _reader(int, "takes whole numbers, such as: {flag} 5 6 7", "[INT [INT ...]]", True)
_NUMBER = _reader(float, "takes a number, such as: {flag} 0.5", "FLOAT")
_NUMBERS = _reader(float, "takes numbers, such as: {flag} 0.1 0.5 1", "[FLOAT [FLOAT ...]]", True)
_RULE = "takes a directory, and no file, such as: {flag} runs/mine"

Names = Annotated[tuple[str, ...] | None, _flag("NAME [NAME ...]")]
AllOrNames = Annotated[tuple[str, ...] | None, _flag("NAME [NAME ...]", "(default: all)")]
Integers = Annotated[tuple[int, ...] | None, _flag("INT [INT ...]"), _INTEGERS]
Numbers = Annotated[tuple[float, ...] | None, _flag("NUMBER [NUMBER ...]"), _NUMBERS]
Name = Annotated[str | None, _flag("NAME")]
Integer = Annotated[int | None, _flag("INT"), _INTEGER]
Number = Annotated[float | None, _flag("NUMBER"), _NUMBER]
Count = Annotated[int, _INTEGER]  # with a default that the help shows
Lanes = Annotated[
    int | None, _flag("INT", "(default: what fits the cache, at most 32 a core)"), _INTEGER
]
Address = Annotated[str | None, _flag("ADDRESS", "(default: this machine alone)")]
Directory = Annotated[Path, _reader(_directory, _RULE, "PATH")]
# Tyro cannot go on from an unknown flag before a positional that takes one word or none.
Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, _reader(Path, "takes a run directory", "RUN", True)
]
OptionalDirectory = Annotated[Path | None, _reader(_directory, _RULE, "{None}|PATH")]

Word = TypeVar("Word")
Whole = TypeVar("Whole")
Real = TypeVar("Real")
_UNSET: Any = None


@dataclass(frozen=True)
class Overrides(Generic[Word, Whole, Real]):
    """Settings of an experiment that a flag replaces, None where it does not.

    ``Word``, ``Whole`` and ``Real`` are a name and two kinds of number, or in a grid several.

    Args:
        task: What is learned; `jaxrnn list` names the tasks. Another task than the experiment's is
            trained with its own objective and has its own rule of what solved means.
        hidden_size: Hidden units of each layer.
        layers: Layers; each above the first sees the logits of the one below.
        stack_hidden: Layers above the first see the hidden units of the one below instead.
        initial_scale: Factor of the first weights that the initializer draws; some cells draw
            theirs by themselves.
        input_bias: First bias of the input gates, added to the initializer's.
        forget_bias: First bias of the forget gates, or of update gates, as the GRU's.
        output_bias: First bias of the output gates.
        learning_rate: Step size of the optimizer.
        clip: The bound of the gradient.
        batch_size: Training sequences of an update, whose losses' mean it goes by.
        max_steps: Training sequences after which a trial is given up.
        measure: What an error is, by its name or one's own function as file.py:name; by default
            the task's measure, or else the objective's greatest absolute error.
        threshold: Greatest error that is not a failure.
        window: Training sequences without a failure after which a trial is solved.
    """

    task: Word = _UNSET
    objective: Annotated[Word, _one_of("Loss and error of a step", OBJECTIVES)] = _UNSET
    measure: Word = _UNSET
    hidden_size: Whole = _UNSET
    layers: Whole = _UNSET
    stack_hidden: bool = False
    initializer: Annotated[Word, _one_of("First weights", INITIALIZERS)] = _UNSET
    initial_scale: Real = _UNSET
    input_bias: Real = _UNSET
    forget_bias: Real = _UNSET
    output_bias: Real = _UNSET
    loss_reduction: Annotated[Word, _one_of("A sequence's loss from its steps'", REDUCTIONS)] = (
        _UNSET
    )
    optimizer: Annotated[Word, _one_of("The update rule", OPTIMIZERS)] = _UNSET
    learning_rate: Real = _UNSET
    clipping: Annotated[Word, _one_of("What of the gradient is bounded", CLIPPINGS)] = _UNSET
    clip: Real = _UNSET
    batch_size: Whole = _UNSET
    max_steps: Whole = _UNSET
    threshold: Real = _UNSET
    window: Whole = _UNSET

    def named(self) -> dict[str, Any]:
        """Those that a flag replaces."""
        return {
            name: value
            for name, value in vars(self).items()
            if value is not None and value is not False
        }


Single = Annotated[Overrides[Name, Integer, Number], tyro.conf.arg(name="", prefix_name=False)]
Several = Annotated[Overrides[Names, Integers, Numbers], tyro.conf.arg(name="", prefix_name=False)]
