"""The published claims that can be run. Each has its criterion before any run."""

from dataclasses import replace
from typing import Any

from jaxrnn.experiment import Experiment
from jaxrnn.problems.claim import Claim, adding_of, claim_of, copying_of, words_of

# Long lags: adding and copying.

# First factor of RMSprop's means, and where epsilon stands.
_TORCH = {"decay": 0.99, "eps_in_sqrt": False}
# The program has no epsilon. Where the square of a gradient is too small for float32, this one
# keeps us from dividing by 0.
_THEANO = {"decay": 0.9, "initial_scale": 0.001, "eps": 1e-37}

_T = 100
_BOUND = 2 ** (1 / _T)
_SMALL = 0.01  # of Xavier's weights, whose standard deviation is then about the program's 0.001

_INDRNN = claim_of(
    "indrnn_adding",
    replace(
        adding_of(_T, batch_size=32, updates=20_100, updates_between=100),
        optimizer="clipped_adam",
        learning_rate=0.002,
        clipping="element",
        clip=10.0,
    ),
    {
        "ind_rnn": {
            "cell": "ind_rnn",
            "layers": 2,
            "stack_hidden": True,
            "learning_rate": 0.0002,
            "initial_scale": _SMALL,
            "cell_options": {"recurrent_range": (1 / _BOUND, _BOUND), "recurrent_bound": _BOUND},
        },
        "irnn": {"cell": "irnn", "learning_rate": 0.0002, "initial_scale": _SMALL},
        "lstm": {"cell": "lstm_peephole", "forget_bias": 1.0},
        "simple_rnn": {"cell": "simple_rnn"},
    },
    learn=("ind_rnn", "irnn", "lstm"),
    fail=("simple_rnn",),
    minutes=30,
    statement="""for short sequences (T = 100), most of the models (except RNN with tanh) performed
        well as they converged to a very small error""",
    source="""Li et al. 2018 (1803.04831), section 5.1 and figure 2a; batch, clipping and first
        weights from the authors' program adding.py (Sunnydreamrain/IndRNN_Theano_Lasagne)""",
    differs="""We train for the first of the schedule's three stages, 20,100 updates; in figure 2a
        the slowest net that learns needs about 7,000. The program bounds the gradient that flows
        back through each step by 10, we bound that of each weight. Of IndRNN and IRNN all weights
        but the recurrent ones are a hundredth of Xavier's, about as the program's input weights; in
        the program those of the outputs are Xavier's. Both layers of IndRNN begin with the last
        layer's range. We first ran these two with Xavier's weights: IRNN learned in all of 6
        trials, IndRNN, whose first errors were in the thousands, in none.""",
)

_NNRNN = claim_of(
    "nnrnn_copying",
    replace(
        copying_of(200, batch_size=10, updates=1_500, updates_between=50),
        optimizer="clipped_rmsprop",
        optimizer_options=_TORCH,
        clipping="none",
    ),
    {
        "exp_rnn": {"cell": "exp_rnn", "learning_rate": 0.001},
        "lstm": {"cell": "lstm", "learning_rate": 0.0005},
        "simple_rnn": {
            "cell": "simple_rnn",
            "learning_rate": 0.001,
            "optimizer_options": _TORCH | {"decay": 0.9},
        },
    },
    learn=("exp_rnn",),
    fail=("lstm", "simple_rnn"),
    minutes=6,
    statement="""(figure 4, left: expRNN comes near 0 within 200 updates, LSTM and RNN stay at the
        baseline)""",
    source="""Kerg et al. 2019 (1905.12080), supplement, table 2 and figure 4; their program
        copytask.py (nnRNN/nnRNN_release)""",
    differs="""A figure, no sentence. Their RNN has modReLU, ours tanh. Their LSTM's biases are
        uniform, ours 0. The criterion allows all 1,500 updates of the run: expRNN met it after 250
        to 400, none within the 200 of the figure.""",
)

_UNITARY: dict[str, Any] = {
    "optimizer": "clipped_rmsprop",
    "optimizer_options": _THEANO,
    "learning_rate": 0.001,
    "clipping": "element",
    "clip": 1.0,
}

_UNITARY_WORDS = """Units from another program that names the paper's (corcra/uRNN); batch,
    optimizer, bound and biases from the authors' program (amarshah/complex_RNN). Their first states
    are trained, ours are 0; their LSTM's output gate sees all memory cells."""

_URNN_ADDING = claim_of(
    "urnn_adding",
    replace(adding_of(100, batch_size=20, updates=20_000, updates_between=100), **_UNITARY),
    {"irnn": {"cell": "irnn"}, "simple_rnn": {"cell": "simple_rnn"}},
    fail=("simple_rnn", "irnn"),
    minutes=7,
    statement="""The RNN with tanh and IRNN were not able to beat the baseline for any number of
        time steps.""",
    source="Arjovsky, Shah & Bengio 2016 (1511.06464), section 5.2 of the authors' last draft",
    differs=f"At T = 100, the least of theirs. {_UNITARY_WORDS}",
)

_URNN_COPYING = claim_of(
    "urnn_copying",
    replace(copying_of(200, batch_size=20, updates=20_000, updates_between=200), **_UNITARY),
    {
        "lstm": {"cell": "lstm", "hidden_size": 40, "forget_bias": 1.0},
        "simple_rnn": {"cell": "simple_rnn", "hidden_size": 80},
    },
    fail=("lstm", "simple_rnn"),
    minutes=7,
    statement="""aside from the simplest case, both the RNN with tanh and more surprisingly the
        LSTMs get almost exactly the same cost as the memoryless strategy""",
    source="Arjovsky, Shah & Bengio 2016 (1511.06464), section 5.1 of the authors' last draft",
    differs=f"At T = 200, the second of theirs. {_UNITARY_WORDS}",
)

_CHRONO = claim_of(
    "chrono_adding",
    replace(
        adding_of(200, batch_size=32, updates=10_000, updates_between=100),
        cell="lstm",
        optimizer="clipped_rmsprop",
        optimizer_options={"decay": 0.9},
        learning_rate=0.001,
        clipping="none",
    ),
    {
        "chrono": {"initializer": "chrono"},
        "standard": {"initializer": "xavier", "forget_bias": 1.0},
    },
    sooner=(("chrono", "standard"),),
    minutes=52,
    statement="For all T's, chrono initialization significantly speeds up learning.",
    source="Tallec & Ollivier 2018 (1804.11188), section 3, of adding at T = 200 and 750",
    differs="""At T = 200. The paper names neither the batch nor the number of updates: 32, as in a
        reproduction (atremblay/chronoRNN), and 10,000.""",
)

_JANET = claim_of(
    "janet_adding",
    replace(
        adding_of(200, batch_size=50, updates=10_500, updates_between=100),
        optimizer="clipped_adam",
        learning_rate=0.001,
        clipping="norm",
        clip=5.0,
    ),
    {
        "janet": {"cell": "janet", "initializer": "chrono"},
        "lstm": {"cell": "lstm", "initializer": "xavier", "forget_bias": 1.0},
    },
    learn=("janet",),
    sooner=(("janet", "lstm"),),
    minutes=52,
    statement="""a forget-gate-only version of the LSTM with chrono-initialized biases, not only
        provides computational savings but outperforms the standard LSTM on multiple benchmark
        datasets""",
    source="""van der Westhuizen & Lasenby 2018 (1804.04849), abstract; all conditions from the
        authors' program (JosvanderWesthuizen/janet), for adding at T = 200""",
    differs="""The sentence is about images and heartbeats; adding is one of the program's tasks. We
        train 10,500 updates, the first 5 of its 30 epochs, and on new sequences in each. Of two
        trials the one that is solved first is sooner, so a trial that is not solved by then is
        later. The program's dropout does nothing here: it drops the outputs of the time steps, but
        for adding the last hidden state is read, which is not dropped. Its JANET has chrono biases
        only with a flag; we give them, as the sentence has them.""",
)

_CORNN = claim_of(
    "cornn_adding",
    replace(
        adding_of(100, batch_size=50, updates=60_000, updates_between=100),
        cell="co_rnn",
        cell_options={"dt": 0.06, "gamma": 66.0, "epsilon": 15.0},
        optimizer="clipped_adam",
        learning_rate=0.02,
        clipping="none",
    ),
    {"co_rnn": {}},
    learn=("co_rnn",),
    statement="comparable in performance to the state of the art on a variety of benchmarks",
    source="""Rusch & Mishra 2021 (2010.00951), abstract; all conditions from the authors' program
        adding_task.py (tk-rusch/coRNN)""",
    differs="""At T = 100, the program's own length. The sentence says no number: that it learns is
        the least that it means. The trials were solved after 1,600 to 22,100 updates.""",
    minutes=23,
)

# Linear recurrences: state tracking, selection and induction.

_PARITY = words_of("parity", 40, batch_size=64, updates=10_000, every_step=True)
_PARITY_WORDS = """One layer of 16 units, batches of 64 and 10,000 updates; theirs has two blocks of
    128, batches of 256 and more updates. Our nets are asked after each letter, theirs after the
    last. We first asked after the last, too: then DeltaNet with negative eigenvalues learned it
    within this budget, but neither S6 nor the LSTM did. Learning means the lengths of training, 3
    to 40, alone."""

_NEGATIVE = claim_of(
    "negative_parity",
    _PARITY,
    {
        f"{cell}{'-negative' * negative}": {
            "cell": cell,
            "cell_options": {"negative": True} if negative else {},
        }
        for cell in ("delta_net", "s6")
        for negative in (False, True)
    },
    learn=("delta_net-negative", "s6-negative"),
    fail=("delta_net", "s6"),
    minutes=5,
    statement="""expanding the range of eigenvalues from [0, 1] to [-1, 1] enables all examined
        models to fully solve the parity task""",
    source="Grazzi et al. 2025 (2411.12537), section 5.1, table 3 and appendix E.1.1",
    differs=f"""DeltaNet and S6, without the blocks around them; negative says that eigenvalues are
        from -1 to 1, not from 0 to 1. {_PARITY_WORDS}""",
)

_XLSTM = claim_of(
    "xlstm_parity",
    _PARITY,
    {"lstm": {"cell": "lstm"}, "mlstm": {"cell": "mlstm"}, "slstm": {"cell": "slstm"}},
    learn=("lstm", "slstm"),
    fail=("mlstm",),
    minutes=3,
    statement="""Models such as Transformers or State Space Models without memory mixing (no state
        tracking) cannot solve, e.g. regular grammars like the parity task.""",
    source="Beck et al. 2024 (2405.04517), section 4.1, figure 4 and appendix B.1.1",
    differs=f"""With memory mixing are LSTM and sLSTM, without is mLSTM alone. The sentence does not
        hold of all models without it: S6 and DeltaNet with negative eigenvalues learn parity
        (negative_parity). {_PARITY_WORDS}""",
)

_PRODUCT = claim_of(
    "deltaproduct_s3",
    replace(
        words_of("group_words", 20, batch_size=64, updates=10_000, group="S3"), cell="delta_product"
    ),
    {
        f"{number}{'-negative' * negative}": {
            "cell_options": {"num_updates": number, "negative": bool(negative)}
        }
        for number in (1, 2)
        for negative in (0, 1)
    },
    learn=("2-negative",),
    fail=("1-negative", "2", "1"),
    minutes=6,
    statement="""For S_3, a single layer of DeltaProduct requires a minimum of two Householder
        reflections.""",
    source="""Siems et al. 2025 (2502.10297), the authors' README (automl/DeltaProduct), beside a
        command for each of the four nets""",
    differs="""A net's number is that of its reflections a step; negative says that its eigenvalues
        are from -1 to 1, not from 0 to 1. Scaled: one head of 16 units, words of 3 to 20 letters,
        batches of 64, 10,000 updates; theirs has eight heads of 32, words of 128, batches of 2,048,
        4,900 updates, bfloat16.""",
)

_MAMBA = Experiment(
    hidden_size=32,
    layers=2,
    stack_hidden=True,
    convolution=4,
    initializer="xavier",
    optimizer="clipped_adam",
    learning_rate=0.003,
    clipping="none",
    batch_size=64,
    max_steps=64 * 10_000,
    trials=6,
)

_FOUR_OF_14: dict[str, Any] = {
    "task_options": {"num_symbols": 14, "num_copied": 4},
    "length": 60,
}

_SELECTIVE = claim_of(
    "mamba_selective",
    replace(_MAMBA, task="selective_copying", **_FOUR_OF_14),
    {"lru": {"cell": "lru", "stack_hidden": False}, "s6": {"cell": "s6"}},
    learn=("s6",),
    fail=("lru",),
    minutes=16,
    statement="the selection mechanism (modifying S4 to S6) easily solves this task",
    source="Gu & Dao 2023 (2312.00752), section 4.1.1, table 1 and appendix E.1",
    differs="""Scaled: 4 of 14 symbols among 64 steps, two layers of 32 units with a convolution
        over 4 steps before each, Adam at 0.003, 10,000 updates; theirs has 16 among 4,096 steps,
        layers of 64, a rate of 0.0001 and 400,000 updates. LRU stands for S4: both are linear and
        do not depend on the input. Its layers pass on their outputs, those of S6 their units. We
        first ran one layer without the convolution, at 0.001: of S6, too, 0 of 6 were solved.""",
)

_COPYING = claim_of(
    "mamba_copying",
    replace(_MAMBA, task="copying", **_FOUR_OF_14),
    {"lru": {"cell": "lru", "stack_hidden": False}},
    learn=("lru",),
    minutes=2,
    statement="""LTI SSMs (linear recurrences and global convolutions) can easily solve this task by
        only keeping track of time instead of reasoning about the data""",
    source="Gu & Dao 2023 (2312.00752), section 4.1.1, of the ordinary copying task",
    differs="""The paper does not train on ordinary copying. It is given here as mamba_selective is:
        4 of 14 symbols, asked for 64 steps after they were seen, with the same net and the same
        training. LRU is linear and does not depend on the input. Only that it learns is asked here,
        not why.""",
)

_INDUCTION = claim_of(
    "mamba_induction",
    replace(_MAMBA, task="induction", length=64),
    {"s6": {"cell": "s6"}},
    learn=("s6",),
    minutes=16,
    statement="""Mamba - or more precisely, its selective SSM layer - has the ability to solve the
        task perfectly because of its ability to selectively remember the relevant token while
        ignoring everything else in between.""",
    source="Gu & Dao 2023 (2312.00752), section 4.1.2, table 2 and appendix E.1",
    differs="""Scaled: sequences of 64 steps, two layers of 32 units with a convolution over 4 steps
        before each, batches of 64, Adam at 0.003, 10,000 updates, as in mamba_selective; theirs has
        256 steps, layers of 64, batches of 8, the better of the rates 0.001 and 0.0002 and 204,800
        updates. Only that it learns is asked here: neither why, nor how far beyond the length of
        training.""",
)

_LONG_LAGS = (_INDRNN, _NNRNN, _URNN_ADDING, _URNN_COPYING, _CHRONO, _JANET, _CORNN)
_LINEAR = (_NEGATIVE, _XLSTM, _PRODUCT, _SELECTIVE, _COPYING, _INDUCTION)
CLAIMS: dict[str, Claim] = {claim.name: claim for claim in (*_LONG_LAGS, *_LINEAR)}
SUITES = tuple(suite for claim in CLAIMS.values() for suite in claim.suites)
