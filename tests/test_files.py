"""Files are replaced as a whole: whatever happens, the old content is there or the new."""

import errno
import os
import resource
import signal
import stat

import numpy as np
import pytest
from helpers import rows, run, write_rows
from matplotlib.figure import Figure

from jaxrnn.store.files import append, read_arrays, write_figure, write_whole


def content(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_file_is_made_and_replaced_with_the_usual_permissions_and_through_no_link(tmp_path):
    (tmp_path / "usual").write_text("")
    for data in (b"old", b"new"):
        write_whole(tmp_path / "file", data)
        assert content(tmp_path) == {"usual": b"", "file": data}
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "file")]
    assert modes[0] == modes[1]
    for name in ("rows", "rows.tmp", "picture"):
        (tmp_path / name).symlink_to(tmp_path / "usual")
    write_whole(tmp_path / "rows", b"mine")
    write_figure(tmp_path / "picture", Figure())
    assert not any((tmp_path / name).is_symlink() for name in ("rows", "picture"))
    held = content(tmp_path)
    assert held.pop("picture").startswith(b"\x89PNG")
    assert held == {"usual": b"", "file": b"new", "rows": b"mine", "rows.tmp": b""}


def test_a_write_that_fails_leaves_what_was_there_and_names_the_file(tmp_path, monkeypatch):
    path, place = tmp_path / "rows", tmp_path / "taken"
    write_whole(path, b"old")
    place.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        for write, file in ((write_whole, path), (append, tmp_path / "more")):
            with pytest.raises(OSError, match="File too large") as full:
                write(file, bytes(2000))
            assert (full.value.errno, full.value.filename) == (errno.EFBIG, str(file))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    with pytest.raises(IsADirectoryError) as taken:
        write_whole(place, b"new")
    assert taken.value.filename == str(place)

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert {one.name for one in tmp_path.iterdir()} == {"rows", "taken", "more"}
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), MemoryError()])
def test_a_file_that_cannot_be_read_now_is_not_called_corrupt(error, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(type(error)):
        read_arrays(tmp_path / "some.npz", "advice", [])


def test_a_file_that_is_swept_before_it_is_in_its_place_is_written_again(tmp_path, monkeypatch):
    replace = os.replace

    def swept(temporary, path):
        monkeypatch.setattr(os, "replace", replace)
        os.unlink(temporary)
        replace(temporary, path)

    monkeypatch.setattr(os, "replace", swept)
    write_whole(tmp_path / "report.md", b"new")
    assert content(tmp_path) == {"report.md": b"new"}


def test_a_directory_where_a_file_should_be(tmp_path, capsys):
    for name in ("report.md", "trials.jsonl"):  # one that is written, one that is read
        write_rows(tmp_path, rows("lstm", 4, [1100]))
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).mkdir()
        assert run("report", tmp_path) == 2
        sentence = f"{tmp_path / name}: Is a directory: move it away, or choose another place\n"
        assert capsys.readouterr().err == f"jaxrnn: {sentence}"
