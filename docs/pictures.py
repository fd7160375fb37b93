"""Draws the pictures of docs/idea.md from the kept rows of the notebook: python docs/pictures.py"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

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


if __name__ == "__main__":
    lanes()
    solved()
    horizon()
