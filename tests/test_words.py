"""Every word that the command line cannot take is one sentence, and nothing has run by then."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from helpers import run

import jaxrnn
from jaxrnn.cli.commands import COMMANDS
from jaxrnn.cli.words import parse
from jaxrnn.errors import InputError
from jaxrnn.report.render import console

CHOICES = "choose from claims, grid, horizon, inspect, list, paper, report, sweep"
WHOLE = "takes a whole number, such as: {0} 10"
WHOLES = "takes whole numbers, such as: {0} 5 6 7"
NUMBER = "takes a number, such as: {0} 0.5"
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
        ("sweep", "--threshold", "1,5", NUMBER),
        ("sweep", "--out", "", DIRECTORY),
        ("grid", "--trials", "2.5", WHOLE),
        ("grid", "--clip", "1,5", "takes numbers, such as: {0} 0.1 0.5 1"),
    ],
)
def test_a_value_that_cannot_be_read(command, flag, word, rule, capsys):
    sentence = f"{flag} {rule.format(flag)} (not {word!r})"
    assert refused(capsys, command, flag, word) == sentence
    assert refused(capsys, command, f"{flag}={word}") == sentence
    assert refused(capsys, command, flag.replace("t-", "t_"), word) == sentence


@pytest.mark.parametrize("before", [[], ["--no-compile-cache"]])
def test_a_flag_without_its_value(before, capsys):
    sentence = f"--max-steps {WHOLE.format('--max-steps')}"
    assert refused(capsys, "sweep", *before, "--max-steps", "--lengths", 4) == sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("swep", f"unknown command 'swep': {CHOICES}"),
        ("--tyro-print-completion ksh", f"unknown command '--tyro-print-completion': {CHOICES}"),
        ("sweep --trails 3", "sweep has no --trails: did you mean --trials?"),
        ("sweep --hiden_size 3", "sweep has no --hiden_size: did you mean --hidden-size?"),
        ("sweep --nonsense", "sweep has no --nonsense: see jaxrnn sweep --help"),
        (
            "sweep --lengths 4 five 6 --trials 3",
            f"--lengths {WHOLES.format('--lengths')} (not '4 five 6')",
        ),
        ("grid --experiment", "--experiment needs a value: see jaxrnn grid --help"),
        ("claims nnrnn", "unknown claim 'nnrnn': choose from chrono_adding"),
        ("claims --trials 3", "trials 3 needs the name of a claim"),
        (
            "paper 6a --lengths 5",
            "paper has no --lengths, a flag of sweep, grid: did you mean --le",
        ),
        ("inspect --dask x", "inspect has no --dask, a flag of sweep, horizon, claims:"),
        ("sweep -- --trials", "'--trials' belongs to no flag of sweep: see jaxrnn sweep --help"),
        ("sweep --forget-bias -1 --trials", f"--trials {WHOLE.format('--trials')}"),
        ("report", "report needs its directory: see jaxrnn report --help"),
        ("report a b", "'b' belongs to no flag of report: see jaxrnn report --help"),
    ],
)
def test_a_word_that_has_no_place(words, sentence, capsys):
    assert refused(capsys, *words.split()).startswith(sentence)


@pytest.mark.parametrize(
    ("command", "name"), [("sweep", "notes"), ("grid", "notes/run"), ("inspect", "notes")]
)
def test_a_file_where_the_directory_should_be(command, name, tmp_path, capsys):
    (tmp_path / "notes").write_text("mine")
    sentence = f"--out {DIRECTORY.format('--out')} (not {str(tmp_path / name)!r})"
    assert refused(capsys, command, "--out", tmp_path / name) == sentence
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
    assert all(f"• {name} " in shown for name in COMMANDS)


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
    for words in (["grid", "--help"], ["report", kept]):
        with open(tmp_path / "output", "w", encoding="ascii") as output:
            monkeypatch.setattr(sys, "stdout", output)
            assert run(*words) == 0
        assert len((tmp_path / "output").read_bytes()) > 500


def test_a_command_says_what_is_wrong_in_its_own_words():
    def paper(max_sequences: int = 9) -> None:
        raise InputError(
            "{window} must not be above {max_steps}, {colour}", window=10, max_steps=9, colour="red"
        )

    told = "window 10 must not be above max-s{}, colour red"
    with pytest.raises(InputError) as caught:
        parse(COMMANDS | {"paper": paper}, ["paper"])()
    assert str(caught.value) == "the experiment's " + told.format("equences 9")
    with pytest.raises(InputError, match=f"^{told.format('teps 9')}$"):
        paper()
    assert str(InputError("no {window} here")) == "no {window} here"  # without settings


def test_every_public_name_is_imported_when_it_is_asked_for():
    for name, module in jaxrnn._MODULES.items():
        assert getattr(jaxrnn, name) is getattr(sys.modules[module], name)
    assert set(jaxrnn.__all__) == set(jaxrnn._MODULES) > set(jaxrnn.CELLS)
    assert {*jaxrnn.__all__, "__version__"} == set(dir(jaxrnn))
    assert jaxrnn.training.stopping.fold
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        jaxrnn.nonsense  # noqa: B018
