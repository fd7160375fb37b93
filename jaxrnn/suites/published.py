"""What others printed, to lay ours beside."""

from typing import NamedTuple

# Training step at which each of ten trials was solved; None: not within 100,000 steps.
# Source: printed results of the notebook "Recurrent Neural Networks Basics", which end with
# length 20; lengths 50 and 100 are in its list but were never finished.
NOTEBOOK_RESULTS: dict[str, dict[int, tuple[int | None, ...]]] = {
    "simple_rnn": {
        4: (1014, 1006, 1018, 1005, 1023, 1023, 1010, 1012, 1015, 1009),
        5: (1021, 1045, 1024, 1061, 1016, 1035, 1029, 1056, 1024, 1030),
        6: (1051, 1054, 1125, 1048, 1029, 1050, 1122, 1177, 1066, 1065),
        7: (1088, 1064, 1279, 1147, 1531, 1399, 1311, 1169, 1207, 1098),
        8: (2834, 1525, 1589, 1231, 1804, 3591, 1208, 1446, 1200, 1206),
        9: (1128, 7752, 1383, None, 7224, None, 6790, 16860, 9663, 3423),
        10: (1685, 1100, 1957, None, None, 4377, None, 19026, 6897, 2613),
        20: (None,) * 10,
    },
    "lstm": {
        4: (1091, 1103, 1120, 1104, 1102, 1083, 1109, 1109, 1091, 1107),
        5: (1193, 1240, 1204, 1165, 1177, 1296, 1192, 1238, 1224, 1294),
        6: (1727, 1438, 1547, 1584, 1430, 1447, 1511, 1437, 1371, 1430),
        7: (2181, 2869, 2245, 1725, 3301, 2454, 1883, 3979, 3061, 2885),
        8: (2850, 10448, 4351, 4833, 5563, 3949, 4135, 3915, 12816, 4049),
        9: (7307, 9525, 12096, 11257, 44083, 26061, 14560, 6564, 13284, 9148),
        10: (20526, 6059, 3756, 12046, 14351, 55894, 13177, 7303, 27809, 11988),
        20: (None,) * 10,
    },
}

PUBLISHED = {"notebook": NOTEBOOK_RESULTS}
"""Experiment name -> cell -> length -> steps of each trial."""


class PaperResult(NamedTuple):
    """One row of the 1997 paper: means over its trials."""

    sequences: int | None  # mean number of training sequences, None where no trial succeeded
    success: float | None = None  # share of the trials, None where it is not printed
    correct: int | None = None  # mean number until criterion ST1, where there are two
    wrong: float | None = None  # share of fresh sequences that are wrong after training


PAPER_RESULTS: dict[str, dict[int, PaperResult]] = {
    "1": {40: PaperResult(8_440, 1.0)},
    "1-3x2-0.2": {40: PaperResult(14_060, 0.97)},
    "1-3x2-0.1": {40: PaperResult(21_730, 1.0)},
    "1-4x1-0.5": {40: PaperResult(9_500, 0.97)},
    "1-4x1-0.1": {40: PaperResult(39_740, 1.0)},
    "2a": {101: PaperResult(5_040, 1.0)},
    "2a-rtrl": {
        5: PaperResult(1_043_000, 0.78),
        11: PaperResult(None, 0.0),
        101: PaperResult(None, 0.0),
    },
    "2a-rtrl-4": {5: PaperResult(892_000, 0.56)},
    "2a-rtrl-10": {5: PaperResult(254_000, 0.22)},
    "2a-bptt": {101: PaperResult(None, 0.0)},
    "2b": {101: PaperResult(5_680, 1.0)},
    "2c": {
        50: PaperResult(30_000),
        100: PaperResult(31_000),
        200: PaperResult(33_000),
        500: PaperResult(38_000),
        1000: PaperResult(49_000),
    },
    "2c-p500": {1000: PaperResult(49_000)},
    "2c-p200": {1000: PaperResult(75_000)},
    "2c-p100": {1000: PaperResult(135_000)},
    "2c-p50": {1000: PaperResult(203_000)},
    "3a": {
        100: PaperResult(39_850, correct=27_380, wrong=0.000195),
        1000: PaperResult(452_460, correct=446_850, wrong=0.000078),
    },
    "3a-n1": {100: PaperResult(64_330, correct=58_370, wrong=0.000117)},
    "3b": {100: PaperResult(43_250, correct=41_740, wrong=0.00828)},
    "3b-n1": {
        100: PaperResult(78_430, correct=74_950, wrong=0.01500),
        1000: PaperResult(485_080, correct=481_060, wrong=0.01207),
    },
    "3c": {100: PaperResult(269_650, wrong=0.00558)},
    "3c-n1": {100: PaperResult(565_640, wrong=0.00441)},
    "4": {
        100: PaperResult(74_000, wrong=1 / 2560),
        500: PaperResult(209_000, wrong=0.0),
        1000: PaperResult(853_000, wrong=1 / 2560),
    },
    "5": {100: PaperResult(482_000, wrong=139 / 2560)},
    "5-n13": {100: PaperResult(1_273_000, wrong=14 / 2560)},
    "6a": {100: PaperResult(31_390, wrong=1 / 2560)},
    "6b": {100: PaperResult(571_100, wrong=2 / 2560)},
}
"""Experiment name -> length -> its row.

Source: Hochreiter & Schmidhuber 1997, tables 1 to 9. Lengths are this package's: T of experiment 2a
and 2b is the paper's p + 1, that of 2c its q, that of experiment 1 our bound on the strings.
"""
