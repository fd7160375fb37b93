"""Which trial rides in which lane: a table on the host, without JAX."""

from collections.abc import Callable, Mapping

import numpy as np

IDLE = -1


class LaneTable:
    """The lanes of a batch, each with a trial and its next training step, or idle."""

    def __init__(self, num_lanes: int, num_trials: int) -> None:
        """Every lane idle, every trial waiting."""
        self.trial = np.full(num_lanes, IDLE, np.int32)
        self.step = np.zeros(num_lanes, np.int32)
        self.num_trials = num_trials
        self.next_trial = 0
        self.steps_taken = 0  # by each lane
        self._half_empty_since: float | None = None

    @property
    def busy(self) -> np.ndarray:
        """Whether each lane holds a trial."""
        return self.trial != IDLE

    def fill(self) -> None:
        """Give each idle lane the next waiting trial, while there is one."""
        idle = np.flatnonzero(~self.busy)[: self.num_trials - self.next_trial]
        self.trial[idle] = self.next_trial + np.arange(len(idle))
        self.step[idle] = 0
        self.next_trial += len(idle)

    def advance(self, steps: int, max_steps: int) -> None:
        """Move every lane on; a trial whose last steps are under way makes room at once."""
        self.step += np.int32(steps)
        self.steps_taken += steps
        self.trial[self.step >= max_steps] = IDLE

    def steps_left(self, max_steps: int) -> int:
        """The most steps until all trials have ended, those included that wait for a lane."""
        left = np.sort(np.where(self.busy, max_steps - self.step, 0))
        waiting = self.num_trials - self.next_trial
        # Each goes to the lane that is idle first, so the lanes take turns.
        turns = -(-(waiting - np.arange(len(left))) // len(left))
        return int((left + max_steps * np.maximum(turns, 0)).max())

    def free(self, has_ended: np.ndarray) -> None:
        """Make the lanes of ended trials idle; ``has_ended`` [trials]."""
        self.trial[has_ended[np.maximum(self.trial, 0)]] = IDLE

    def narrower(
        self, round_up: Callable[[int], int], now: float, compile_seconds: float
    ) -> int | None:
        """A width to narrow to: half, and again, once half has been idle for as long as a
        compilation.

        Then a run that ends soon is spared one. ``round_up`` gives the least width from a number
        of lanes on, ``now`` is in seconds.
        """
        width, busy = len(self.trial), int(self.busy.sum())
        narrower = width
        while (half := round_up(-(-narrower // 2))) < narrower and busy <= half:
            narrower = half
        if narrower == width or busy == 0 or self.next_trial < self.num_trials:
            self._half_empty_since = None
            return None
        if self._half_empty_since is None:
            self._half_empty_since = now
        return narrower if now - self._half_empty_since >= compile_seconds else None

    def repack(self, width: int) -> np.ndarray:
        """Move the busy lanes to the front of ``width`` lanes; the lane [width] each comes from."""
        assert self.busy.sum() <= width, "a lane that is lost is a trial that is"
        order = np.argsort(~self.busy, kind="stable")[:width]
        lane = np.resize(order, width)
        is_copy = np.arange(width) >= len(order)
        self.trial = np.where(is_copy, np.int32(IDLE), self.trial[lane])
        self.step = self.step[lane]
        self._half_empty_since = None
        return lane

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps of it."""
        return {
            "lane_trial": self.trial,
            "lane_step": self.step,
            "next_trial": np.array(self.next_trial),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what a checkpoint kept."""
        self.trial = np.array(arrays["lane_trial"])
        self.step = np.array(arrays["lane_step"])
        self.next_trial = int(arrays["next_trial"])
        self.steps_taken = int(self.step.max())
