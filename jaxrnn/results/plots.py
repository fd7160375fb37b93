"""Pictures of a run's rows: which there are."""

from collections.abc import Sequence
from pathlib import Path

from jaxrnn.results.by_experiment import curves_by_task, sequences_to_success
from jaxrnn.results.by_length import curves_by_length, nets_of, steps_to_solution_figure
from jaxrnn.results.by_task import is_by_task, solved_picture, times_picture
from jaxrnn.results.drawing import COLORS
from jaxrnn.results.files import write_figure
from jaxrnn.results.heat_map import heat_map, nets_and_lengths
from jaxrnn.results.rows import Row
from jaxrnn.results.summary import source_of, summarize


def write_plots(rows: Sequence[Row], directory: Path) -> list[tuple[str, str]]:
    """Write every plot that the rows allow and return (caption, file name) of each."""
    if not rows:
        return []
    lines = summarize(rows)
    by_length = any(source_of(line.experiment).by_length for line in lines)
    if is_by_task(rows):
        pictures = {
            "Trials solved of each cell on each task": ("solved_by_task.png", solved_picture(rows)),
            "Times to success": ("times_to_success.png", times_picture(rows)),
        }
    elif any(line.settings for line in lines):
        pictures = {"Every combination": ("grid.png", heat_map(rows, lines))}
    elif by_length and len(nets_of(rows)) > len(COLORS):
        table = heat_map(rows, nets_and_lengths(lines))
        pictures = {"Every net and length": ("steps_to_solution.png", table)}
    elif by_length:
        steps = steps_to_solution_figure(rows)
        pictures = {
            "Steps to solution against length": ("steps_to_solution.png", steps),
            "Learning curves": ("learning_curves.png", curves_by_length(rows)),
        }
    else:
        sequences = "sequences_to_success.png", sequences_to_success(rows)
        pictures = {"Sequences to success": sequences, **curves_by_task(rows)}
    for name, figure in pictures.values():
        write_figure(directory / name, figure)
    return [(caption, name) for caption, (name, _) in pictures.items()]
