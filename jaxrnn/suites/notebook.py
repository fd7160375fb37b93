"""The notebook's experiment, and the better LSTM."""

from jaxrnn.experiment import Experiment
from jaxrnn.suites.base import Suite

NOTEBOOK = Suite(
    base=Experiment(),
    cells=("simple_rnn", "lstm"),
    lengths=(4, 5, 6, 7, 8, 9, 10, 20, 50, 100),
    source="notebook 'Recurrent Neural Networks Basics', Experiment 1",
)

BETTER = Suite(
    base=Experiment(
        name="better",
        hidden_size=128,
        initializer="long_memory",
        loss_reduction="sum",
        learning_rate=0.3,
        clip=0.04,
        seed=1,  # 0 and those from 1001 on served the search
    ),
    cells=("lstm",),
    lengths=(*NOTEBOOK.lengths, 200, 500, 1000),
    source="found by `jaxrnn grid`; the notebook's last words, 'better LSTM implementation'",
)
