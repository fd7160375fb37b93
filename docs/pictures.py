"""Draws the pictures of the documentation from kept rows: python docs/pictures.py"""

import runpy
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from jaxrnn.outcome import curve_edges
from jaxrnn.report.drawing import COLORS
from jaxrnn.report.summary import by_net
from jaxrnn.store.rows import typed_rows

DOCS = Path(__file__).parent
NETS = by_net(typed_rows(DOCS.parent / "examples" / "notebook-run"))
ORANGE, BLUE, *_ = COLORS
GREY = "#8a8a8a"


def panel(height: float) -> Axes:
    """An empty picture."""
    axes = plt.figure(figsize=(7, height), layout="constrained").gca()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def save(axes: Axes, name: str) -> None:
    """Write it beside this file, the same bytes each time."""
    with plt.rc_context({"svg.hashsalt": "jaxrnn"}):
        axes.figure.savefig(DOCS / "pictures" / name, metadata={"Date": None})


def lanes(num_lanes: int = 4) -> None:
    """Ten trials of the simple RNN at length 8 pass through four lanes."""
    axes, free = panel(2.3), np.zeros(num_lanes)
    for row in NETS["notebook", "simple_rnn", 8]:
        lane, steps = int(free.argmin()), row["steps"]
        axes.barh(lane, steps, left=free[lane], height=0.75, color=BLUE, edgecolor="white")
        words = f"trial {row['trial']}" if steps > 1500 else str(row["trial"])
        middle = free[lane] + steps / 2
        axes.text(middle, lane, words, ha="center", va="center", color="white", fontsize=8)
        free[lane] += steps
    axes.set_yticks(range(num_lanes), [f"lane {lane}" for lane in range(num_lanes)])
    axes.invert_yaxis()
    axes.set_xlabel("updates")
    save(axes, "lanes.svg")


def solved() -> None:
    """One trial of the LSTM at length 6: its last failure, and the thousand sequences after it."""
    row = NETS["notebook", "lstm", 6][0]
    axes, last = panel(2.6), row["last_above"]
    firsts = curve_edges(row["max_steps"])[: len(row["curve"])]
    middles = (firsts + np.append(firsts[1:], row["steps"])) / 2
    axes.plot(middles, row["curve"], color=BLUE)
    axes.axhline(row["threshold"], color=GREY, linestyle="--")
    axes.axvline(last, color=ORANGE)
    axes.axvspan(last, row["steps"], color=ORANGE, alpha=0.15, linewidth=0)
    axes.text(last - 8, 0.8, f"last failure:\nsequence {last}", ha="right", color=ORANGE)
    axes.text((last + row["steps"]) / 2, 0.8, "1,000 without a failure: solved", ha="center")
    axes.text(5, row["threshold"] + 0.02, "threshold", color=GREY)
    axes.set(xlim=(0, row["steps"]), ylim=(0, 1), xlabel="training sequence", ylabel="mean error")
    save(axes, "solved.svg")


def horizon() -> None:
    """The share of the notebook's trials that are solved at each length, and its horizon."""
    axes = panel(2.6)
    for cell, color, shift in (("simple_rnn", ORANGE, 0.99), ("lstm", BLUE, 1.01)):
        lengths = sorted({length for name, _, length in NETS if name == "notebook"})
        found = [NETS["notebook", cell, length] for length in lengths]
        shares = np.array([rows.solved / len(rows) for rows in found])
        bounds = np.array([rows.interval for rows in found]).T
        errors = np.abs(bounds - shares)
        at = np.array(lengths) * shift
        axes.errorbar(at, shares, errors, color=color, marker="o", capsize=2, label=cell)
    axes.axhline(0.5, color=GREY, linestyle="--")
    axes.set_xscale("log")
    axes.set_xticks(lengths, map(str, lengths))
    axes.minorticks_off()
    axes.set(xlabel="length", ylabel="share of ten trials solved", ylim=(-0.05, 1.05))
    axes.legend(frameon=False)
    save(axes, "horizon.svg")


EXAMPLE = runpy.run_path(str(DOCS.parent / "examples" / "state_tracking.py"))
SHOWN = {
    "LSTM": ("lstm", ""),
    "GRU": ("gru", ""),
    "DeltaProduct, eigenvalues from -1": ("delta_product", "negative"),
    "DeltaNet, eigenvalues from -1": ("delta_net", "negative"),
    "S6, factors from -1": ("s6", "negative"),
    "DeltaNet": ("delta_net", ""),
    "mLSTM": ("mlstm", ""),
    "minGRU": ("min_gru", ""),
}


def state_tracking() -> None:
    """Share of right words against their length: medians of six trials, and from the least to the
    most of them."""
    rows, lengths = typed_rows(EXAMPLE["OUT"]), EXAMPLE["LENGTHS"]
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True, layout="constrained")
    titles = {"parity": "parity of bits", "S3": "products of permutations of three (S3)"}
    for axes, (words, title) in zip(panels, titles.items(), strict=True):
        shares = EXAMPLE["shares_right"](rows, words)
        axes.axvspan(2, 20, color="#eeeeee")
        axes.text(6.3, 1.045, "lengths in training", ha="center", fontsize=8, color="#666666")
        axes.axhline(1 / {"parity": 2, "S3": 6}[words], color=GREY, linestyle="--", linewidth=1)
        for net, color in zip(SHOWN.values(), COLORS, strict=False):
            right = shares[net]
            axes.fill_between(lengths, right.min(0), right.max(0), color=color, alpha=0.2, lw=0)
            axes.plot(lengths, np.median(right, 0), ".-", color=color)
        axes.set(xscale="log", title=title, xlabel="length of the word", ylim=(-0.03, 1.1))
        axes.set_xticks([10, 20, 40, 80, 160, 320], ["10", "20", "40", "80", "160", "320"])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[0].set_ylabel("words right")
    handles = [Line2D([], [], color=color, marker=".") for color in COLORS[: len(SHOWN)]]
    handles.append(Line2D([], [], color=GREY, linestyle="--"))
    figure.legend(handles, [*SHOWN, "guessing"], loc="outside lower center", ncols=3, fontsize=8)
    save(panels[0], "state_tracking.svg")


if __name__ == "__main__":
    lanes()
    solved()
    horizon()
    state_tracking()
