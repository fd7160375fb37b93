"""Claims about linear recurrences: state tracking, selection and induction."""

from dataclasses import replace
from typing import Any

from jaxrnn.experiment import Experiment
from jaxrnn.problems.claim import FAILS, LEARNS, Says, claim_of, words_of

_PARITY = words_of("parity", 40, batch_size=64, updates=10_000, every_step=True)
_PARITY_WORDS = (
    "One layer of 16 units, batches of 64 and 10,000 updates; theirs has two blocks of 128, "
    "batches of 256 and more updates. Our nets are asked after each letter, theirs after the last. "
    "We first asked after the last, too: then DeltaNet with negative eigenvalues learned it within "
    "this budget, but neither S6 nor the LSTM did. Learning means the lengths of training, 3 to "
    "40, alone."
)

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
    (
        Says("delta_net-negative", LEARNS),
        Says("s6-negative", LEARNS),
        Says("delta_net", FAILS),
        Says("s6", FAILS),
    ),
    minutes=5,
    statement=(
        "expanding the range of eigenvalues from [0, 1] to [-1, 1] enables all examined models to "
        "fully solve the parity task"
    ),
    source="Grazzi et al. 2025 (2411.12537), section 5.1, table 3 and appendix E.1.1",
    differs=(
        "DeltaNet and S6, without the blocks around them; negative says that eigenvalues are from "
        f"-1 to 1, not from 0 to 1. {_PARITY_WORDS}"
    ),
)

_XLSTM = claim_of(
    "xlstm_parity",
    _PARITY,
    {"lstm": {"cell": "lstm"}, "mlstm": {"cell": "mlstm"}, "slstm": {"cell": "slstm"}},
    (Says("lstm", LEARNS), Says("slstm", LEARNS), Says("mlstm", FAILS)),
    minutes=3,
    statement=(
        "Models such as Transformers or State Space Models without memory mixing (no state "
        "tracking) cannot solve, e.g. regular grammars like the parity task."
    ),
    source="Beck et al. 2024 (2405.04517), section 4.1, figure 4 and appendix B.1.1",
    differs=(
        "With memory mixing are LSTM and sLSTM, without is mLSTM alone. The sentence does not hold "
        "of all models without it: S6 and DeltaNet with negative eigenvalues learn parity "
        f"(negative_parity). {_PARITY_WORDS}"
    ),
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
    (
        Says("2-negative", LEARNS),
        Says("1-negative", FAILS),
        Says("2", FAILS),
        Says("1", FAILS),
    ),
    minutes=6,
    statement=(
        "For S_3, a single layer of DeltaProduct requires a minimum of two Householder reflections."
    ),
    source=(
        "Siems et al. 2025 (2502.10297), the authors' README (automl/DeltaProduct), beside a "
        "command for each of the four nets"
    ),
    differs=(
        "A net's number is that of its reflections a step; negative says that its eigenvalues are "
        "from -1 to 1, not from 0 to 1. Scaled: one head of 16 units, words of 3 to 20 letters, "
        "batches of 64, 10,000 updates; theirs has eight heads of 32, words of 128, batches of "
        "2,048, 4,900 updates, bfloat16."
    ),
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
    (Says("s6", LEARNS), Says("lru", FAILS)),
    minutes=16,
    statement="the selection mechanism (modifying S4 to S6) easily solves this task",
    source="Gu & Dao 2023 (2312.00752), section 4.1.1, table 1 and appendix E.1",
    differs=(
        "Scaled: 4 of 14 symbols among 64 steps, two layers of 32 units with a convolution over 4 "
        "steps before each, Adam at 0.003, 10,000 updates; theirs has 16 among 4,096 steps, layers "
        "of 64, a rate of 0.0001 and 400,000 updates. LRU stands for S4: both are linear and do "
        "not depend on the input. Its layers pass on their outputs, those of S6 their units. "
        "We first ran one layer without the convolution, at 0.001: of S6, too, 0 of 6 were solved."
    ),
)

_COPYING = claim_of(
    "mamba_copying",
    replace(_MAMBA, task="copying", **_FOUR_OF_14),
    {"lru": {"cell": "lru", "stack_hidden": False}},
    (Says("lru", LEARNS),),
    minutes=2,
    statement=(
        "LTI SSMs (linear recurrences and global convolutions) can easily solve this task by only "
        "keeping track of time instead of reasoning about the data"
    ),
    source="Gu & Dao 2023 (2312.00752), section 4.1.1, of the ordinary copying task",
    differs=(
        "The paper does not train on ordinary copying. It is given here as mamba_selective is: 4 "
        "of 14 symbols, asked for 64 steps after they were seen, with the same net and the same "
        "training. LRU is linear and does not depend on the input. Only that it learns is asked "
        "here, not why."
    ),
)

_INDUCTION = claim_of(
    "mamba_induction",
    replace(_MAMBA, task="induction", length=64),
    {"s6": {"cell": "s6"}},
    (Says("s6", LEARNS),),
    minutes=16,
    statement=(
        "Mamba - or more precisely, its selective SSM layer - has the ability to solve the task "
        "perfectly because of its ability to selectively remember the relevant token while "
        "ignoring everything else in between."
    ),
    source="Gu & Dao 2023 (2312.00752), section 4.1.2, table 2 and appendix E.1",
    differs=(
        "Scaled: sequences of 64 steps, two layers of 32 units with a convolution over 4 steps "
        "before each, batches of 64, Adam at 0.003, 10,000 updates, as in mamba_selective; theirs "
        "has 256 steps, layers of 64, batches of 8, the better of the rates 0.001 and 0.0002 and "
        "204,800 updates. Only that it learns is asked here: neither why, nor how far beyond the "
        "length of training."
    ),
)

CLAIMS = (_NEGATIVE, _XLSTM, _PRODUCT, _SELECTIVE, _COPYING, _INDUCTION)
