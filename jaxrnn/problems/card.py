"""The scorecard's conditions: recurrent cells on long-time-lag tasks.

There is one suite per task, at one length of about 100 (the Reber grammar's strings have 12 symbols
on average, those of its test 17). Each uses its task's own rule for when a trial is solved. This
module has the settings that all cells share. :mod:`jaxrnn.scorecard` has each cell's own settings:
its units, and the values that a search on other seeds found.
"""

from typing import Any

from jaxrnn.experiment import Experiment
from jaxrnn.problems.suite import Source, Suite

SCORECARD = Source(
    title="the scorecard's protocol",
    solved="met their task's criterion before the cap",
    steps="training sequences until then",
    view="card",
    tuned=True,
)

# All other cells are compared with the first one.
CELLS = (
    *("lstm", "lstm_peephole", "lstm_no_forget", "lstm_coupled", "lstm_layer_norm", "slstm"),
    *("gru", "janet", "mgu", "ugrnn", "min_gru", "min_lstm"),
    *("simple_rnn", "irnn", "ind_rnn", "co_rnn", "lru"),
)


def _card(task: str, length: int, **settings: Any) -> Suite:
    base = Experiment(
        name=f"card-{task}",
        task=task,
        length=length,
        cell=CELLS[0],
        hidden_size=16,
        initializer="xavier",
        loss_reduction="sum",
        optimizer="clipped_adam",
        learning_rate=0.003,
        clipping="norm",
        clip=1.0,
        max_steps=20_000,
        trials=5,
        **settings,
    )
    return Suite(base=base, cells=CELLS, lengths=(length,), source=SCORECARD, uncounted=0)


# With one sequence per update and about ten thousand updates, no cell learns the papers' ten
# symbols.
_TWO_OF_EIGHT = {"num_symbols": 8, "num_copied": 2}

SUITES = (
    _card("embedded_reber", 40),
    _card("noise_free", 101),
    _card("no_regularities", 101),
    _card("very_long_lag", 100),
    _card("two_sequence", 100),
    _card("two_sequence_noise", 100),
    _card("adding", 100),
    _card("multiplication", 100),
    _card("temporal_order", 100),
    _card("temporal_order_three", 100),
    _card("copying", 100, task_options=_TWO_OF_EIGHT),
    _card("selective_copying", 100, task_options=_TWO_OF_EIGHT),
)
