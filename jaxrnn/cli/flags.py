"""The flags that commands share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import tyro

from jaxrnn.nets import INITIALIZERS
from jaxrnn.training.objectives import REDUCTIONS
from jaxrnn.training.optimizers import CLIPPINGS, OPTIMIZERS


def _flag(metavar: str, hint: str = "(default: the experiment's)", about: str | None = None) -> Any:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint, help=about)


def _one_of(about: str, table: Iterable[str]) -> Any:
    return _flag("NAME", about=f"{about}: {', '.join(table)}.")


Names = Annotated[tuple[str, ...] | None, _flag("NAME [NAME ...]")]
Integers = Annotated[tuple[int, ...] | None, _flag("INT [INT ...]")]
Numbers = Annotated[tuple[float, ...] | None, _flag("NUMBER [NUMBER ...]")]
Name = Annotated[str | None, _flag("NAME")]
Integer = Annotated[int | None, _flag("INT")]
Number = Annotated[float | None, _flag("NUMBER")]
Lanes = Annotated[int | None, _flag("INT", "(default: what fits the cache, at most 32 a core)")]
Address = Annotated[str | None, _flag("ADDRESS", "(default: this machine alone)")]

PerTrial = TypeVar("PerTrial")
_UNSET: Any = None


@dataclass(frozen=True)
class Overrides(Generic[PerTrial]):
    """Settings of an experiment that a flag replaces, None where it does not.

    ``PerTrial`` is a number, or in a grid several.

    Args:
        hidden_size: Hidden units of each layer.
        layers: Layers; each above the first sees the logits of the one below.
        initial_scale: Factor of all first weights.
        input_bias: First bias of the input gates, added to the initializer's.
        forget_bias: First bias of the forget gates.
        output_bias: First bias of the output gates.
        learning_rate: Step size of the optimizer.
        clip: The bound of the gradient.
        max_steps: Training steps (one sequence each) after which a trial is given up.
        threshold: Greatest error, absolute unless the task has a measure of its own, that is not a
            failure.
        window: Training steps without a failure after which a trial is solved.
    """

    hidden_size: Integer = None
    layers: Integer = None
    initializer: Annotated[str | None, _one_of("First weights", INITIALIZERS)] = None
    initial_scale: PerTrial = _UNSET
    input_bias: PerTrial = _UNSET
    forget_bias: PerTrial = _UNSET
    output_bias: PerTrial = _UNSET
    loss_reduction: Annotated[
        str | None, _one_of("A sequence's loss from its steps'", REDUCTIONS)
    ] = None
    optimizer: Annotated[str | None, _one_of("The update rule", OPTIMIZERS)] = None
    learning_rate: PerTrial = _UNSET
    clipping: Annotated[str | None, _one_of("What of the gradient is bounded", CLIPPINGS)] = None
    clip: PerTrial = _UNSET
    max_steps: Integer = None
    threshold: Number = None
    window: Integer = None


Single = Annotated[Overrides[Number], tyro.conf.arg(name="", prefix_name=False)]
Several = Annotated[Overrides[Numbers], tyro.conf.arg(name="", prefix_name=False)]
