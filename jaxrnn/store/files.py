"""Files that are replaced as a whole, and files of arrays in which a change can be detected."""

import errno
import hashlib
import io
import os
import re
import secrets
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from jaxrnn.errors import InputError, corrupt, look_up, shown
from jaxrnn.experiment import Experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # slow to import, and only pictures need it

_COMMENT = len("sha256:") + 64  # bytes

TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.tmp$")
"""The end of the name of a file that :func:`write_whole` has not yet put in its place."""


def path_of(given: Any) -> Path:
    """The path that a caller gives; InputError for what is none, and for a name that no file can
    have."""
    try:
        path = Path(given)
        path.exists()
        if "\0" not in str(path):
            return path
    except TypeError:
        pass
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    raise InputError(f"{shown(given)} is not a path: name a file or a directory")


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that a kill leaves either the old content or the new.

    A symbolic link is replaced, and its target stays as it is. If the file cannot be written, it
    raises OSError that names the file; the old content is then still there, and no other file.
    """
    with _naming(path):
        try:
            _replace(path, data)
        except FileNotFoundError:  # a run that begins has taken the new file for a leftover
            _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    # A name of its own for each writer; "x" opens no file that is there, nor follows a link.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append(path: Path, data: bytes) -> None:
    """Add to the end of a file. A kill leaves the old content, and at most a part of the new data.
    Raises OSError that names the file where it cannot be written."""
    with _naming(path), open(path, "ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Inside this context an OSError gets the name of the file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Replace an .npz file as a whole.

    The comment at its end is the digest of all bytes before it: ``sha256:`` and 64 letters.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = bytes(_COMMENT)
    buffer.write(_comment_for(buffer))
    write_whole(path, buffer.getvalue())


def read_arrays(
    path: Path, advice: str, needed: Sequence[str], rest: bool = True
) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file that are ``needed``, and the ``rest``.

    Raises InputError that ends with the ``advice`` where the file is not as it was written, and
    where it lacks one of them. A file that cannot be read for lack of a permission or of memory
    does not count as damaged.
    """
    try:
        # A lone array, which is no archive, would be mapped and so takes no memory.
        with np.load(path, mmap_mode="r", allow_pickle=False) as file:
            if _comment_for(file.zip.fp) != file.zip.fp.read():
                raise ValueError
            for name in needed:
                if name not in file.files:
                    raise InputError(f"{name} is missing")
            return {name: file[name] for name in (file.files if rest else needed)}
    except InputError as fault:
        raise corrupt(path, advice, str(fault)) from None
    except OSError as error:
        # NumPy's, of what is in the file, or a place before the file's beginning.
        if error.strerror is None or error.errno == errno.EINVAL:
            raise corrupt(path, advice) from None
        raise
    except MemoryError:
        raise
    except Exception:  # whatever a damaged archive makes of NumPy's reader
        raise corrupt(path, advice) from None


def _comment_for(file: IO[bytes]) -> bytes:
    """The comment that an archive has to end with; the file is left at the start of its own
    comment."""
    digest, left = hashlib.sha256(), file.seek(0, io.SEEK_END) - _COMMENT
    file.seek(0)
    while block := file.read(min(left, 2**20)):
        digest.update(block)
        left -= len(block)
    return f"sha256:{digest.hexdigest()}".encode()


def name_of(kind: str, experiment: Experiment) -> str:
    """The name of an .npz file that belongs to an experiment, told apart by all its settings."""
    digest = hashlib.sha256(repr(experiment).encode()).hexdigest()[:8]
    words = file_name(f"{kind}-{experiment.name}-{experiment.cell}", 100)
    return f"{words}-{experiment.length}-{digest}.npz"


def file_name(words: str, most: int = 200) -> str:
    """The words as a part of a file's name, in at most so many bytes: a name has at most 255."""
    safe = re.sub(r"[^\w.+-]", "_", words)
    return safe.encode()[:most].decode(errors="ignore")


def suffixes(formats: Iterable[str]) -> list[str]:
    """The suffixes of a picture's files: png, and each of the ``formats``; InputError for a format
    that is not pdf or svg."""
    known = {name: name for name in ("pdf", "svg")}
    return ["png", *(look_up(known, "format", one) for one in formats)]


def write_figure(path: Path, figure: "Figure") -> None:
    """Draw a figure into a file, which is replaced as a whole: SVG or PDF by its suffix, else a PNG
    of 256 colours. The same figure is the same bytes whenever it is drawn.

    Its lines, also those in legends, keep their exact colours. The rest of the 256 colours are for
    everything else.
    """
    from matplotlib import rc_context
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D
    from PIL import Image
    from scipy.spatial import KDTree

    drawn, written = io.BytesIO(), io.BytesIO()
    date = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix)
    if date is not None:
        with rc_context({"svg.hashsalt": path.stem}):  # else its ids are drawn anew each time
            figure.savefig(drawn, format=path.suffix[1:], metadata={date: None})
        write_whole(path, drawn.getvalue())
        return
    figure.savefig(drawn, dpi=130, pil_kwargs={"compress_level": 0})  # it is packed below
    figure.set_layout_engine("none")  # it stays as it is laid out, which takes a while
    # A third of the size: lines that shine through each other have thousands of shades.
    image = Image.open(drawn).convert("RGB")
    used = {
        to_hex(color)
        for line in figure.findobj(Line2D)
        if isinstance(line, Line2D)
        for color in (line.get_color(), line.get_markeredgecolor(), line.get_markerfacecolor())
    }
    own = [tuple(bytes.fromhex(color[1:])) for color in sorted(used)][:128]
    cut = image.quantize(256 - len(own), Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = np.array([*own, *zip(cut[::3], cut[1::3], cut[2::3], strict=True)], np.uint8)
    red, green, blue = np.asarray(image).astype(np.uint32).transpose(2, 0, 1)
    pixels = red << 16 | green << 8 | blue
    shades = np.unique(pixels)
    parts = np.stack([shades >> 16, shades >> 8 & 255, shades & 255], 1)
    number = np.zeros(2**24, np.uint8)  # in the palette, of each shade that there may be
    _, number[shades] = KDTree(palette).query(parts)
    few = Image.frombytes("P", image.size, number[pixels].tobytes())
    few.putpalette(palette[:256].tobytes())
    few.save(written, "PNG", optimize=True)
    write_whole(path, written.getvalue())
