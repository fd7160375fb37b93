"""Every word that the command line cannot take is one sentence, and nothing has run by then."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from helpers import run

import jaxrnn
from jaxrnn.cli.commands import COMMANDS
from jaxrnn.report.render import console

CHOICES = "choose from horizon, inspect, list, report, sweep"
WHOLE = "takes a whole number, such as: {0} 10"
WHOLES = "takes whole numbers, such as: {0} 5 6 7"
NUMBERS = "takes numbers, such as: {0} 0.1 0.5 1"
DIRECTORY = "takes a directory, not a file, such as: {0} runs/mine"


def refused(capsys, *words):
    """The sentence with which words are refused: one line on stderr, nothing else, status 2."""
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxrnn: ")
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("jaxrnn: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("command", "flag", "word", "rule"),
    [
        ("sweep", "--lengths", "5-8", WHOLES),
        ("sweep", "--trials", "1e9", WHOLE),
        ("sweep", "--trials", "", WHOLE),
        ("sweep", "--threshold", "1,5", NUMBERS),
        ("sweep", "--out", "", DIRECTORY),
        ("horizon", "--longest-lag", "2.5", WHOLE),
        ("sweep", "--clip", "1,5", NUMBERS),
    ],
)
def test_a_value_that_cannot_be_read(command, flag, word, rule, capsys):
    sentence = f"{flag} {rule.format(flag)} (not {word!r})"
    assert refused(capsys, command, flag, word) == sentence
    assert refused(capsys, command, f"{flag}={word}") == sentence
    assert refused(capsys, command, flag.replace("t-", "t_"), word) == sentence


@pytest.mark.parametrize("before", [[], ["--no-compile-cache"]])
def test_a_flag_without_its_value(before, capsys):
    for flag, rule in (("--max-steps", WHOLES), ("--lanes", WHOLE)):
        sentence = f"{flag} {rule.format(flag)}"
        assert refused(capsys, "sweep", *before, flag, "--lengths", 4) == sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("swep", f"unknown command 'swep': {CHOICES}"),
        ("--completion ksh", "--completion takes bash, zsh or fish (not 'ksh')"),
        ("sweep --trails 3", "sweep has no --trails: did you mean --trials?"),
        ("sweep --hiden_size 3", "sweep has no --hiden-size: did you mean --hidden-size?"),
        ("sweep --nonsense", "sweep has no --nonsense: see jaxrnn sweep --help"),
        (
            "sweep --lengths 4 five 6 --trials 3",
            f"--lengths {WHOLES.format('--lengths')} (not '4 five 6')",
        ),
        ("horizon --match", "--match takes a name"),
        ("horizon --full=3", "--full takes no value"),
        (
            "inspect runs --dask x",
            "inspect has no --dask, a flag of sweep, horizon, verify: did you mean -",
        ),
        ("sweep --keep-weights lstm --open gru", "sweep has no --open, a flag of report: see ja"),
        ("sweep --forget-bias -1 -2.5e-3 --trials", f"--trials {WHOLE.format('--trials')}"),
        ("report", "report needs its directory: see jaxrnn report --help"),
        ("report a b", "'b' belongs to no flag of report: see jaxrnn report --help"),
    ],
)
def test_a_word_that_has_no_place(words, sentence, capsys):
    assert refused(capsys, *words.split()).startswith(sentence)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        # Names in each other's place; users' own are in no table.
        (
            "horizon --tasks adding lstm",
            "lstm is a cell, and --tasks takes tasks: cells stand befor",
        ),
        (
            "sweep --lengths 4 gru",
            "gru is a cell, and --lengths takes whole numbers: cells stand be",
        ),
        ("sweep adding", "adding is a task, and sweep takes cells: tasks stand after --tasks"),
        (
            "horizon 6a",
            "6a is an experiment, and horizon takes cells: experiments stand after --exp",
        ),
        ("sweep --experiment lstm", "lstm is a cell, and --experiment takes experiments: cells st"),
        # What there was.
        (
            "grid --clip 1 5",
            "grid is now part of sweep, where each setting takes several values: j",
        ),
        ("paper 6a", "paper is now part of sweep: jaxrnn sweep --experiment 6a, or 1997 for all"),
        (
            "claims all",
            "claims is now part of sweep: jaxrnn sweep --experiment claim-chrono_adding",
        ),
        (
            "scorecard --cells lstm",
            "scorecard is now horizon --lags 100: the same question with on",
        ),
        (
            "sweep --cells lstm",
            "--cells is now said without a flag, before all flags: jaxrnn sweep",
        ),
        (
            "horizon --cell=lstm",
            "--cell is now said without a flag, before all flags: jaxrnn horiz",
        ),
        ("sweep --task adding", "--task is now --tasks: jaxrnn sweep lstm --tasks adding"),
        ("sweep --max-sequences 9", "--max-sequences is now --max-steps: jaxrnn sweep --max-steps"),
        ("list --cost", "--cost is now part of a list: jaxrnn list 1997"),
        (
            "inspect --seed 3",
            "--seed is now a flag of sweep, since inspect trains nothing: jaxrnn s",
        ),
        ("inspect runs --batch-size 3", "--batch-size is now a flag of sweep, since inspect train"),
        (
            "inspect runs --max_steps 3",
            "--max-steps is now a flag of sweep, since inspect trains n",
        ),
    ],
)
def test_a_name_in_anothers_place_and_a_word_of_before_are_told_where_they_stand(
    words, sentence, capsys
):
    assert refused(capsys, *words.split()).startswith(sentence)


@pytest.mark.parametrize(
    ("command", "name"), [("sweep", "notes"), ("horizon", "notes/run"), ("inspect .", "notes")]
)
def test_a_file_where_the_directory_should_be(command, name, tmp_path, capsys):
    (tmp_path / "notes").write_text("mine")
    sentence = f"--out {DIRECTORY.format('--out')} (not {str(tmp_path / name)!r})"
    assert refused(capsys, *command.split(), "--out", tmp_path / name) == sentence
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_name_of_several_lines_is_told_in_one(tmp_path, capsys):
    name = tmp_path / "a\nb\x1b[1m"
    assert refused(capsys, "report", name) == (
        rf"{tmp_path}/a\nb\x1b[1m holds no trials.jsonl: name a run directory"
    )


def test_no_words_print_the_help(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert run() == 2
    assert capsys.readouterr().out == shown
    assert all(f"\n    {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("words", ["--trials --help", "--nonsense x -h"])
def test_help_is_that_of_the_command_wherever_it_is_asked_for(words, capsys):
    assert run("sweep", *words.split()) == 0
    assert capsys.readouterr().out.startswith("usage: jaxrnn sweep ")


def test_whoever_reads_the_output_may_go(monkeypatch, capsys):
    monkeypatch.setattr(console, "quiet", False)  # Rich says nothing any more when they are gone
    for words in (["list"], ["sweep", "--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as output, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", output)
            assert run(*words) == 1
    assert capsys.readouterr().err == ""


def test_an_output_without_room_is_told(monkeypatch, capsys):
    with open("/dev/full", "w") as output, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        assert run("list") == 2
    told = "jaxrnn: No space left on device: make room, then the same command goes on from here\n"
    assert capsys.readouterr().err == told


def test_a_terminal_without_the_letters_gets_others(monkeypatch, tmp_path):
    kept = shutil.copytree(Path(__file__).parents[1] / "examples/grid-run", tmp_path / "run")
    monkeypatch.setenv("COLUMNS", "40")
    for words in (["sweep", "--help"], ["report", kept]):
        with open(tmp_path / "output", "w", encoding="ascii") as output:
            monkeypatch.setattr(sys, "stdout", output)
            assert run(*words) == 0
        assert len((tmp_path / "output").read_bytes()) > 500


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_completes_commands_flags_and_names(shell, capsys):
    assert run("--completion", shell) == 0
    script = capsys.readouterr().out
    for word in (
        "horizon",
        "keep-weights",
        "lstm_peephole",
        "temporal_order",
        "claim-chrono_adding",
    ):
        assert word in script


def test_every_public_name_is_imported_when_it_is_asked_for():
    for name, module in jaxrnn._MODULES.items():
        assert getattr(jaxrnn, name) is getattr(sys.modules[module], name)
    assert set(jaxrnn.__all__) == set(jaxrnn._MODULES) > set(jaxrnn.CELLS)
    assert {*jaxrnn.__all__, "__version__"} == set(dir(jaxrnn))
    assert jaxrnn.training.stopping.fold
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        jaxrnn.nonsense  # noqa: B018
