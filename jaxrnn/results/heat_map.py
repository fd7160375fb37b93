"""The picture of a grid."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from jaxrnn.results.summary import Line


def heat_map(lines: Sequence[Line]) -> Figure:
    """Success rate and median steps of every combination; the setting with most values across."""
    lines = [line for line in lines if line.settings]
    values = {name: sorted({line.settings[name] for line in lines}) for name in lines[0].settings}
    across = max(values, key=lambda name: len(values[name]))
    down = [name for name in values if name != across]
    combinations = list(itertools.product(*(values[name] for name in down)))
    shape = (len(combinations), len(values[across]))
    solved, steps = np.zeros(shape), np.full(shape, np.nan)
    for line in lines:
        row = combinations.index(tuple(line.settings[name] for name in down))
        place = row, values[across].index(line.settings[across])
        solved[place] = line.solved / line.trials
        steps[place] = line.median if math.isfinite(line.median) else np.nan
    size = (2.4 + 1.5 * shape[1], 2.0 + 0.45 * shape[0])
    figure = Figure(figsize=(max(8.0, size[0]), max(2.6, size[1])), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title, data, colors, form in (
        (panels[0], "trials solved", solved, "viridis", "{:.0%}"),
        (panels[1], "median steps (blank: most unsolved)", steps, "viridis_r", "{:,.0f}"),
    ):
        norm = Normalize(0, 1) if data is solved else LogNorm()
        if data is steps and len(np.unique(steps[np.isfinite(steps)])) < 2:
            norm = Normalize()  # a logarithmic one needs two values
        image = axes.imshow(data, cmap=colors, norm=norm, aspect="auto")
        for (row, column), value in np.ndenumerate(data):
            if np.isfinite(value):
                dark = sum(image.cmap(norm(value))[:3]) < 1.5
                color = "white" if dark else "black"
                text = form.format(value)
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
        axes.set_xticks(range(shape[1]), [f"{value:g}" for value in values[across]])
        axes.set(title=title, xlabel=across.replace("_", " "))
    if down:
        labels = [", ".join(f"{value:g}" for value in place) for place in combinations]
        panels[0].set_yticks(range(shape[0]), labels)
        panels[0].set_ylabel(", ".join(name.replace("_", " ") for name in down))
    else:
        panels[0].set_yticks([])
    return figure
