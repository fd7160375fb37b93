"""The horizon: how far back a cell remembers on a task, by one protocol for all cells.

There is one suite for each task. Its lengths are the lags from 8 to 1,024 that the task admits; the
Reber grammar, which gives its strings their lengths, has one. Its settings are the one default that
is declared for all cells; only the bias of 1 for gates is added where a cell has them.
:mod:`jaxrnn.yardstick.protocol` has the rules of the searches for a cell's own settings, and what
follows from them.
"""

from typing import Any

from jaxrnn.experiment import Experiment
from jaxrnn.problems.suite import Source, Suite

HORIZON = Source(
    title="the horizon's protocol",
    solved="met their task's criterion before the cap",
    steps="training sequences until then",
)

PREFIX = "horizon-"
"""Of the names of its experiments; the rest is the task."""

VERSION = 2
"""Of the protocol, in each note: rows of another version are not comparable, and are shown as any
others."""

ROLES = SEARCH, AGAIN, DEFAULT, RECIPE, SLOW = "search", "again", "default", "recipe", "slow"
"""Why a trial was run, in its note: a search tries a setting, or trains the one it chose again; the
declared default; fresh trials of the farthest search's setting; settings at the shortest lag with a
longer budget, where no search has learned it."""


def has_role(made: Experiment, *roles: str) -> bool:
    """Whether an experiment's trials have one of these roles in a horizon, by default any."""
    is_of_horizon = made.name.startswith(PREFIX) and made.note.get("protocol") == VERSION
    return is_of_horizon and made.note.get("role") in (roles or ROLES)


LAGS = tuple(2**octave for octave in range(3, 11))

CELL_FAMILIES = {
    "gated": (
        *("lstm", "lstm_peephole", "lstm_no_forget", "lstm_coupled", "lstm_layer_norm", "slstm"),
        *("gru", "janet", "mgu", "ugrnn"),
    ),
    "ungated": ("simple_rnn", "irnn", "ind_rnn", "exp_rnn", "sco_rnn", "co_rnn"),
    "linear in the state": ("min_gru", "min_lstm", "lru", "s6", "rwkv"),
    "matrix memory": ("mlstm", "delta_net", "gated_delta_net", "delta_product"),
}
"""All other cells are compared with the first one."""

CELLS = tuple(cell for family in CELL_FAMILIES.values() for cell in family)


def _horizon(
    name: str, *, task: str = "", least: int = 8, lags: tuple[int, ...] = (), **options: Any
) -> Suite:
    lags = lags or tuple(lag for lag in LAGS if lag >= least)
    base = Experiment(
        name=PREFIX + name,
        task=task or name,
        task_options=options,
        length=lags[0],
        cell=CELLS[0],
        hidden_size=16,
        initializer="xavier",
        optimizer="clipped_adam",
        learning_rate=0.001,
        clipping="norm",
        clip=1.0,
        max_steps=20_000,
        trials=1,
    )
    return Suite(base=base, cells=CELLS, lengths=lags, source=HORIZON)


TASK_FAMILIES: dict[str, tuple[Suite, ...]] = {
    # With ten symbols the alphabet is the same at every lag, and so are the weights.
    "long lag": (
        _horizon("no_regularities", num_symbols=10, only_last=True),
        _horizon("two_sequence"),
        _horizon("two_sequence_noise"),
        _horizon("adding", least=16),
        _horizon("adding_halves"),
        _horizon("multiplication", least=16),
        _horizon("very_long_lag", num_distractors=8),
    ),
    # With ten symbols the end of noise_free is not announced: a net has to count the steps.
    "counting and order": (
        _horizon("noise_free", num_symbols=10),
        _horizon("temporal_order", least=32),
        _horizon("temporal_order_three", least=32),
        _horizon("embedded_reber", lags=(40,)),
    ),
    # With one sequence an update and this budget, no cell learns to copy the papers' ten symbols.
    # Keys come again at any later step with the same probability. With a vocabulary of 16 neither
    # LSTM nor GRU learns to recall them.
    "copying and recall": (
        _horizon("copying", num_symbols=8, num_copied=2),
        _horizon("selective_copying", num_symbols=8, num_copied=2),
        _horizon("associative_recall", vocabulary=8, num_pairs=2, power=1.0),
        _horizon("induction"),
    ),
    # Learned from words of all lengths up to the lag, as the field does: from those of one length
    # alone a net would first have to solve the whole word by chance.
    "state tracking": (
        _horizon("parity", shortest=2),
        _horizon("group_words_s3", task="group_words", shortest=2, group="S3"),
        _horizon("group_words_a5", task="group_words", shortest=2, group="A5"),
    ),
}

TASKS: dict[str, Suite] = {
    suite.base.name.removeprefix(PREFIX): suite
    for family in TASK_FAMILIES.values()
    for suite in family
}

SUITES: dict[str, Suite] = {suite.base.name: suite for suite in TASKS.values()}
"""The same by the names of their experiments."""

SMALL_CELLS = (*("lstm", "janet", "gru", "simple_rnn", "irnn", "ind_rnn", "min_gru", "lru"),)
SMALL_TASKS = (
    *("no_regularities", "adding_halves", "temporal_order", "copying", "associative_recall"),
    "parity",
)
