"""The command that trains some trials of a horizon again."""

import shlex

from jaxrnn.experiment import OPTIONS, SETTINGS, Experiment, flag_name
from jaxrnn.problems import NOTEBOOK, settled
from jaxrnn.yardstick import SUITES


def command_of(made: Experiment, trials: int) -> str:
    """``jaxrnn sweep`` for so many trials of an experiment: the task and the settings that differ
    from those of the task's own experiment. For a user's own task, whose code is not imported, they
    are all that differ from the usual ones."""
    words = ["jaxrnn", "sweep", made.cell]
    if (suite := SUITES.get(made.name)) is not None:
        words += ["--experiment", made.name]
        like = settled(suite.at(made.cell, made.length))
    else:
        words += ["--tasks", made.task]
        like = NOTEBOOK.at(made.cell, made.length, task=made.task)
    words += ["--lengths", str(made.length), "--trials", str(trials)]
    for name in SETTINGS:
        value = getattr(made, name)
        if name in ("name", "cell", "task", "length", "trials") or value == getattr(like, name):
            continue
        words.append(f"--{flag_name(name)}")
        if name in OPTIONS:
            words += [f"{option}={one}" for option, one in value]
        elif value is not True:
            words.append(str(value))
    return shlex.join(words)
