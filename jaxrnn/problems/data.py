"""Data of one's own: a task from arrays, or from a file of them."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence as Sequence_
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxrnn.errors import InputError, shown
from jaxrnn.problems.task import REAL_TARGETS, Sequence, Solved, Task, are_symbols, at_last_step

WINDOW = 1000
"""Training sequences by which a net is judged while it is trained."""

_ARRAYS = ("inputs", "targets", "lengths")
_OF_TEST = tuple(f"test_{name}" for name in _ARRAYS)


def task_from_arrays(
    inputs: ArrayLike,
    targets: ArrayLike,
    lengths: ArrayLike | None = None,
    *,
    test: float | Sequence_[ArrayLike] = 0.2,
) -> Callable[[int], Task]:
    """A task of N given sequences: ``builder(T) -> Task``, for their one length T.

    >>> import numpy as np
    >>> images, labels = np.random.rand(100, 64), np.arange(100) % 10
    >>> digits = task_from_arrays(images, labels)  # of 64 steps with one number, 10 outputs
    >>> digits(64).final_test
    20

    - ``inputs``: symbols, integers from 0 on, [N, T]; or real numbers [N, T, I], or [N, T] for
      I = 1.
    - ``targets``: what is to be said at the last step: symbols [N], or real vectors [N, O]; or what
      at every step: symbols [N, T], or real vectors [N, T, O].
    - ``lengths``: steps of each sequence that count [N], from 1 to T; the last step is the last
      that counts. By default all T.
    - ``test``: the share of the sequences that are kept apart as the test set, drawn once and for
      all; or the test set itself, as (inputs, targets) or (inputs, targets, lengths).

    A training sequence is drawn from the training set with replacement, each with the same
    probability, so its order follows from a trial's key as in any task. In the end every trial is
    tested on the whole test set, which decides nothing before.

    Symbols as targets: trained with cross_entropy; a sequence is wrong if at any step that counts
    an output is greater than that of the right symbol. A trial is solved if at most 10 of 1,000
    training sequences in a row are wrong. Real vectors: trained with half_squared_error_linear; the
    error of a sequence is the mean over its steps of the squared distance. A trial is solved if
    the mean error of 1,000 training sequences in a row is below a tenth of the targets' variance.

    Raises InputError for arrays of other shapes or types, for numbers that are not finite, and
    where they do not fit together.
    """
    given = _checked("", inputs, targets, lengths)
    if isinstance(test, Sequence_) and not isinstance(test, str):
        if len(test) not in (2, 3):
            raise InputError(f"test has {len(test)} arrays: give inputs, targets and, if needed, "
                             "lengths")  # fmt: skip
        tested = _checked("test_", *test)
        for name, one, other in zip(_ARRAYS, given, tested, strict=True):
            if one.shape[1:] != other.shape[1:] or one.dtype.kind != other.dtype.kind:
                raise InputError(
                    f"test_{name} of type {other.dtype} and shape {other.shape} do not fit "
                    f"{name} of type {one.dtype} and shape {one.shape}"
                )
        return _FromArrays(given, tested)
    num = len(given[0])
    share = float(test) if isinstance(test, int | float) else 0.0
    if not 0 < (held := round(share * num)) < num:
        raise InputError(
            f"test {shown(test)} must be a share of the {num:,} sequences that leaves some to "
            "train on and some to test, such as 0.2, or arrays"
        )
    order = np.random.default_rng(0).permutation(num)
    of_test, of_training = (np.sort(part) for part in (order[:held], order[held:]))
    return _FromArrays(_take(given, of_training), _take(given, of_test))


@lru_cache(maxsize=16)  # so that equal experiments have equal parts
def task_from_file(name: str, content: bytes) -> Callable[[int], Task]:
    """The task of an .npz file of NumPy, which has ``inputs`` and ``targets``, and may have
    ``lengths`` and the same three with ``test_`` before; see :func:`task_from_arrays`.

    Raises InputError as that does, and for a file that is none or lacks an array.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays: dict[str, Any] = dict(file)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, AttributeError) as error:
        raise InputError(f"{name} is not an .npz file of arrays of numbers ({error})") from None
    if unknown := [one for one in arrays if one not in (*_ARRAYS, *_OF_TEST)]:
        choices = ", ".join((*_ARRAYS, *_OF_TEST))
        raise InputError(f"{name} has {shown(unknown[0])}, which is none of {choices}")
    needed = [*_ARRAYS[:2], *(_OF_TEST[:2] if {*_OF_TEST} & {*arrays} else ())]
    for one in needed:
        if one not in arrays:
            raise InputError(f"{name} has no array {shown(one)}, it has {', '.join(arrays) or '-'}")
    held: dict[str, Any] = {}
    if needed[2:]:
        held["test"] = [arrays.get(one) for one in _OF_TEST]
    try:
        return task_from_arrays(arrays["inputs"], arrays["targets"], arrays.get("lengths"), **held)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Inputs, targets and lengths, of as many sequences each."""


def _take(arrays: Arrays, which: np.ndarray) -> Arrays:
    inputs, targets, lengths = (array[which] for array in arrays)
    return inputs, targets, lengths


class _FromArrays:
    """A builder of a task, see :func:`task_from_arrays`."""

    def __init__(self, training: Arrays, test: Arrays) -> None:
        inputs, targets, lengths = training
        self._training, self._test = training, test
        self.lengths = (inputs.shape[1],)
        digest = hashlib.sha256()
        for array in (*training, *test):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        self.digest = digest.digest()
        self._num_inputs, self._num_outputs = (
            1 + max(int(one.max()) for one in pair) if are_symbols(pair[0]) else pair[0].shape[-1]
            for pair in zip(training[:2], test[:2], strict=True)
        )
        # Whether each step has a target, not the last one alone.
        self._every_step = targets.ndim == (2 if are_symbols(targets) else 3)
        self._solved = Solved(threshold=0.5, window=WINDOW, max_failures=10)
        if not are_symbols(targets):
            limit = 0.1 * _variance(targets, lengths if self._every_step else None)
            self._solved = Solved(0.5, WINDOW, max_failures=WINDOW, mean_error=limit)
            if not limit:
                raise InputError("targets are all the same: there is nothing to learn")
        elif self._num_outputs < 2:
            raise InputError("targets are all 0: there is nothing to learn")

    def __call__(self, length: int) -> Task:
        """The task; raises InputError for another length than the sequences'."""
        if length not in self.lengths:
            raise InputError(f"the sequences have {self.lengths[0]} steps: choose that length")
        inputs, targets, lengths = map(_as_jax, self._training)

        def draw(key: jax.Array) -> Sequence:
            one = jax.random.randint(key, (), 0, len(lengths), jnp.int32)
            return self._sequence(inputs[one], targets[one], lengths[one])

        def test_set() -> Sequence:
            return jax.vmap(self._sequence)(*map(_as_jax, self._test))

        symbols = are_symbols(targets)
        return Task(
            draw,
            self._num_inputs,
            self._num_outputs,
            length,
            test_set,
            measure="ranking_error" if symbols else "mean_squared_error",
            objective="cross_entropy" if symbols else REAL_TARGETS,
            solved=self._solved,
            final_test=len(self._test[0]),
        )

    def _sequence(self, inputs: jax.Array, target: jax.Array, length: jax.Array) -> Sequence:
        """One sequence, of its arrays without the axis of sequences."""
        num_steps = self.lengths[0]
        if self._every_step:
            targets, mask = target, jnp.arange(num_steps) < length
        else:
            targets, mask = at_last_step(target, length, num_steps)
        if are_symbols(targets):
            judged = jax.nn.one_hot(targets, self._num_outputs, dtype=bool)
        else:
            judged = jnp.where(mask[:, None], targets, jnp.nan)
        return Sequence(inputs, targets, mask, judged_targets=judged)


def _as_jax(array: np.ndarray) -> jax.Array:
    return jnp.asarray(array, jnp.int32 if are_symbols(array) else jnp.result_type(float))


def _variance(targets: np.ndarray, lengths: np.ndarray | None) -> float:
    """The mean squared distance of the targets from their mean, each sequence weighing the same."""
    every = targets if lengths is not None else targets[:, None]
    counts = np.ones(every.shape[:2], bool)
    if lengths is not None:
        counts = np.arange(every.shape[1]) < lengths[:, None]
    weights = (counts / counts.sum(1, keepdims=True) / len(every))[..., None]
    mean = (weights * every).sum((0, 1))
    return float((weights * (every - mean) ** 2).sum())


def _checked(prefix: str, inputs: Any, targets: Any, lengths: Any = None) -> Arrays:
    """The arrays in one form: real numbers have an axis of their size, lengths are there, inputs
    that do not count are 0; raises InputError, which names them with the ``prefix``."""
    inputs, targets = _numbers(f"{prefix}inputs", inputs), _numbers(f"{prefix}targets", targets)
    if not are_symbols(inputs) and inputs.ndim == 2:
        inputs = inputs[..., None]
    shape = inputs.shape
    if inputs.ndim != (2 if are_symbols(inputs) else 3) or 0 in shape:
        what = "symbols [N, T]" if are_symbols(inputs) else "real numbers [N, T, I] or [N, T]"
        raise InputError(f"{prefix}inputs of type {inputs.dtype} have shape {shape}: they have to "
                         f"be {what}, with nothing of size 0")  # fmt: skip
    num, num_steps = shape[:2]
    dims = (1, 2) if are_symbols(targets) else (2, 3)
    is_each = targets.ndim == dims[1]
    if targets.ndim not in dims or targets.shape[: 1 + is_each] != shape[: 1 + is_each]:
        what = f"symbols [{num}] or [{num}, {num_steps}]"
        if not are_symbols(targets):
            what = f"real numbers [{num}, O] or [{num}, {num_steps}, O]"
        raise InputError(f"{prefix}targets of type {targets.dtype} have shape {targets.shape}: "
                         f"beside inputs of shape {shape} they have to be {what}")  # fmt: skip
    if lengths is None:
        return inputs, targets, np.full(num, num_steps, np.int32)
    lengths = _numbers(f"{prefix}lengths", lengths)
    if lengths.shape != (num,) or not are_symbols(lengths):
        raise InputError(f"{prefix}lengths of type {lengths.dtype} have shape {lengths.shape}: "
                         f"they have to be whole numbers [{num}]")  # fmt: skip
    if lengths.min() < 1 or lengths.max() > num_steps:
        raise InputError(f"{prefix}lengths are from {lengths.min()} to {lengths.max()}: they have "
                         f"to lie from 1 to {num_steps}, the steps of inputs")  # fmt: skip
    counts = np.arange(num_steps) < lengths[:, None]
    counts = counts.reshape(counts.shape + (1,) * (inputs.ndim - 2))
    return np.where(counts, inputs, 0).astype(inputs.dtype), targets, lengths.astype(np.int32)


def _numbers(name: str, given: Any) -> np.ndarray:
    """An array of symbols or of finite real numbers; raises InputError."""
    array = np.asarray(given)
    if array.dtype == bool or array.dtype.kind in "iu":
        if array.size and (array.min() < 0 or array.max() >= 2**31):
            raise InputError(
                f"{name} are whole numbers, so symbols, from {array.min()} to {array.max()}: "
                "symbols are counted from 0 on; give numbers that are none as floats"
            )
        return array.astype(np.int32)
    if array.dtype.kind != "f":
        raise InputError(f"{name} are of type {array.dtype}: they have to be numbers")
    if not np.isfinite(array).all():
        raise InputError(f"{name} hold numbers that are not finite")
    return array.astype(np.result_type(array.dtype, np.float32))
