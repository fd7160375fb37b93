"""Files are replaced as a whole: whatever happens, the old content is there or the new."""

import errno
import os
import resource
import shutil
import signal
import stat
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from helpers import run
from matplotlib.figure import Figure

from jaxrnn.store.archives import owner_of, read_weights
from jaxrnn.store.files import write_figure, write_whole


@contextmanager
def small_disk():
    """No file may grow beyond a thousand bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def content(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_file_is_made_and_replaced_with_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    for data in (b"old", b"new"):
        write_whole(tmp_path / "file", data)
        assert content(tmp_path) == {"usual": b"", "file": data}
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "file")]
    assert modes[0] == modes[1]


def test_a_full_disk_leaves_what_was_there_and_names_the_file(tmp_path):
    path = tmp_path / "rows"
    write_whole(path, b"old")
    with small_disk(), pytest.raises(OSError, match="File too large") as caught:
        write_whole(path, bytes(2000))
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert content(tmp_path) == {"rows": b"old"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no space left")])
def test_a_write_that_fails_leaves_what_was_there(error, tmp_path, monkeypatch):
    def fail(descriptor):
        raise error

    path = tmp_path / "rows"
    write_whole(path, b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error), match=str(error)):
        write_whole(path, b"new")
    assert content(tmp_path) == {"rows": b"old"}


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), MemoryError()])
@pytest.mark.parametrize("read", [owner_of, read_weights], ids=lambda read: read.__name__)
def test_a_file_that_cannot_be_read_now_is_not_called_corrupt(read, error, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(type(error)):
        read(tmp_path / "some.npz")


def test_a_directory_in_the_way_is_named(tmp_path):
    path = tmp_path / "rows"
    path.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_whole(path, b"new")
    assert caught.value.filename == str(path)
    assert [one.name for one in tmp_path.iterdir()] == ["rows"]


def test_no_link_is_written_through(tmp_path):
    (tmp_path / "theirs").write_bytes(b"theirs")
    for name in ("rows", "rows.tmp"):
        (tmp_path / name).symlink_to(tmp_path / "theirs")
    write_whole(tmp_path / "rows", b"mine")
    assert not (tmp_path / "rows").is_symlink()
    assert content(tmp_path) == {"theirs": b"theirs", "rows": b"mine", "rows.tmp": b"theirs"}


def test_a_file_that_is_swept_before_it_is_in_its_place_is_written_again(tmp_path, monkeypatch):
    replace = os.replace

    def swept(temporary, path):
        monkeypatch.setattr(os, "replace", replace)
        os.unlink(temporary)
        replace(temporary, path)

    monkeypatch.setattr(os, "replace", swept)
    write_whole(tmp_path / "report.md", b"new")
    assert content(tmp_path) == {"report.md": b"new"}


def test_writers_of_one_name_do_not_meet(tmp_path):
    faults = []

    def write(letter):
        try:
            for _ in range(20):
                write_whole(tmp_path / "rows", letter * 10_000)
        except OSError as error:
            faults.append(error)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not faults
    (data,) = content(tmp_path).values()
    assert data in (b"a" * 10_000, b"b" * 10_000, b"c" * 10_000)


SMALL = ["--cells", "simple_rnn", "--lengths", "4", "--trials", "2", "--window", "50"]
SMALL += ["--max-steps", "500"]


def told(capsys, status, *words):
    """The only line on stderr of a command that ends with a status."""
    capsys.readouterr()
    assert run(*words) == status
    error = capsys.readouterr().err
    assert error.startswith("jaxrnn: ")
    assert error.count("\n") == 1
    return error


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The directory of a sweep."""
    out = tmp_path_factory.mktemp("whole")
    assert run("sweep", *SMALL, "--out", out) == 0
    return out


def test_a_sweep_on_a_full_disk_goes_on_when_there_is_room(whole, tmp_path, capsys):
    out = tmp_path / "run"
    with small_disk():
        error = told(capsys, 2, "sweep", *SMALL, "--out", out)
    assert f"{out}/" in error
    assert "File too large: make room, then the same command goes on from here" in error
    assert not list(out.glob("*.tmp"))
    assert run("sweep", *SMALL, "--out", out) == 0
    for name in ("trials.jsonl", "report.md"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    "name", ["trials.jsonl", "config.json", "report.md", "learning_curves.png"]
)
def test_a_directory_where_a_file_should_be(name, whole, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    (out / name).unlink()
    (out / name).mkdir()
    sentence = f"{out / name}: Is a directory: move it away, or choose another place\n"
    assert told(capsys, 2, "report", out) == f"jaxrnn: {sentence}"


def test_a_directory_where_a_picture_should_be_is_found_before_a_net_is_trained(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("jaxrnn.inspection.run_trials", None)  # a call would fail
    (tmp_path / "gradient_norms.png").mkdir()
    error = told(capsys, 2, "inspect", "--length", "4", "--out", tmp_path)
    assert f"{tmp_path / 'gradient_norms.png'} is a directory" in error


def test_a_picture_leaves_the_old_content_and_nothing_else(tmp_path):
    path, old = tmp_path / "file", tmp_path / "old"
    path.write_bytes(b"old")
    os.link(path, old)
    write_figure(path, Figure())
    assert old.read_bytes() == b"old"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert content(tmp_path).keys() == {"file", "old"}
