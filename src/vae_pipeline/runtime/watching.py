"""A watch over new examples, batch by batch: an alarm once they are no longer what a bundle was calibrated on.

Each batch's scores give p-values (`exchangeability`), and on these a capital of 1 is bet. At the start of each batch a
part of it is divided among all bets and stays with them, so that a change is bet on whenever it comes. Where nothing
has changed, the evidence in one of two forms seldom grows:

    the capital                 ever reaches 1 / rate with a probability of at most `rate` (Ville's inequality)
    the capital, if 1 was put
    down anew at each batch     reaches B after B batches on average, or later (Shiryaev and Roberts)

Sources: Vovk, Testing Randomness Online, 2021; Shin, Ramdas and Rinaldo, E-detectors, 2022.
"""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.detection import Detection
from vae_pipeline.runtime.exchangeability import BETS, Tally, log_gains, p_values
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import content_key, write_json
from vae_pipeline.system.typed_json import read_json, typed

FORMAT = 1
LARGEST = 700.0  # the log of an evidence that is shown; a double ends soon after


@dataclass(frozen=True)
class Promise:
    """The alarms of a watch: of rows, and of change. One of `ever` and `every` is None."""

    alpha: float
    """False-alarm rate of a row, as `Bundle.alarms` has it."""
    ever: float | None
    """Probability that the watch raises a false alarm, ever."""
    every: int | None
    """Batches between two false alarms, on average, or more."""

    def __post_init__(self) -> None:
        if (self.ever is None) == (self.every is None):
            raise ValueError("ever and every exclude each other, and one of them is wanted")
        if self.ever is not None and not 0 < self.ever < 1:
            raise ValueError(f"ever is {self.ever:g}; wanted a probability between 0 and 1")
        if self.every is not None and self.every < 2:
            raise ValueError(f"every is {self.every}; wanted 2 batches or more")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha:g}; wanted a rate between 0 and 1")

    @property
    def limit(self) -> float:
        """The evidence from which on there is an alarm."""
        return float(self.every or 1 / (self.ever or 1))


@dataclass(frozen=True)
class WatchedBatch:
    """The findings of one batch."""

    batch: str
    rows: int
    alarms: int
    """Rows over the threshold of a false-alarm rate of `alpha`."""
    alarm_share: float
    evidence: float
    """The evidence of a change after this batch, up to e^700."""
    limit: float
    """The evidence from which on there is an alarm."""
    alarm: bool
    """True if the data have changed: of `ever`, from some batch on always; of `every`, at this one."""


@dataclass(frozen=True)
class Watch:
    """All that is to be known after some batches, in order to go on; it can be stored as JSON."""

    format: int
    bundle: str
    """A digest of the model and its calibration."""
    rule: Promise
    batches: int = 0
    rows: int = 0
    row_alarms: int = 0
    change_alarms: int = 0
    """The number of alarms of change: 1 at most of `ever`, as the first one stays."""
    first_alarm: str | None = None
    """The batch at which the first alarm of change was raised."""
    last: WatchedBatch | None = None
    last_s: float = 0.0
    """The time of the last batch, in seconds since 1970."""
    capitals: tuple[float, ...] = ()
    """The log of what lies on each bet; empty before the first batch, and after an alarm of `every`."""
    scores: tuple[float, ...] = ()
    """The different scores of all batches, rising."""
    counts: tuple[int, ...] = ()
    """The number of each of them."""
    digests: tuple[str, ...] = ()
    """Digests of the batches, so that none is counted twice."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format is {self.format}; this version knows {FORMAT}")
        if len(self.capitals) not in (0, len(BETS)):
            raise ValueError(f"capitals are {len(self.capitals)}; wanted {len(BETS)}")
        rising = all(low < high for low, high in zip(self.scores, self.scores[1:], strict=False))
        if len(self.scores) != len(self.counts) or not rising or min(self.counts, default=1) < 1:
            raise ValueError("scores don't rise, or counts aren't one for each")
        if sum(self.counts) != self.rows:
            raise ValueError(f"rows are {self.rows}, and counts sum to {sum(self.counts)}")

    @classmethod
    def begin(cls, bundle: Bundle, rule: Promise) -> "Watch":
        """A watch before its first batch.

        Raises:
            DataError: the bundle has no detector.
        """
        return cls(FORMAT, _digest(bundle), rule)

    @classmethod
    def load(cls, path: Path, bundle: Bundle) -> "Watch":
        """Read what `save` wrote.

        Raises:
            DataError: it isn't a watch, or is one of another bundle.
        """
        try:
            watch = typed(cls, read_json(path), closed=True)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} isn't the state of a watch ({error}): name another file, or move this one away to begin anew"
            ) from error
        if watch.bundle != _digest(bundle):
            raise DataError(
                f"{path} is of another model, or of another calibration, than {bundle.folder}: name a file for each"
            )
        return watch

    def save(self, path: Path) -> None:
        """Write the state, beside the path and then in its place."""
        write_json(path, asdict(self))

    def see(self, bundle: Bundle, found: Detection, name: str, digest: str, now_s: float) -> "Watch":
        """The watch after one more batch; `name` and `digest` tell it from others, `now_s` is in seconds since 1970.

        The order of a batch's rows doesn't matter: they are taken in a random one.

        Raises:
            DataError: the calibration is too small to tell the rule's `alpha`.
        """
        known, _ = bundle.calibration()
        draw = np.random.default_rng(self.batches)
        so_far = Tally(np.array(self.scores), np.array(self.counts, np.int64))
        ranks = p_values(Tally.of(known).plus(so_far), draw.permutation(found.score), draw)
        number = self.batches + 1
        capitals = self._put_down(number) + log_gains(ranks)
        evidence = float(np.logaddexp.reduce(capitals))
        if self.rule.ever is not None:
            evidence = float(np.logaddexp(evidence, -math.log1p(number)))  # what isn't put down yet
        risen = evidence >= math.log(self.rule.limit)
        stays = self.rule.ever is not None and self.change_alarms > 0
        alarms = int(bundle.alarms(found, self.rule.alpha).sum())
        rows = len(found.score)
        shown = math.exp(min(evidence, LARGEST))
        now = so_far.plus(Tally.of(found.score))
        return replace(
            self,
            batches=number,
            rows=self.rows + rows,
            row_alarms=self.row_alarms + alarms,
            change_alarms=self.change_alarms + (risen and not stays),
            first_alarm=self.first_alarm or (name if risen else None),
            last=WatchedBatch(name, rows, alarms, alarms / max(1, rows), shown, self.rule.limit, risen or stays),
            last_s=now_s,
            capitals=() if risen and self.rule.every is not None else tuple(capitals.tolist()),
            scores=tuple(now.scores.tolist()),
            counts=tuple(now.counts.tolist()),
            digests=(*self.digests, digest),
        )

    def _put_down(self, number: int) -> npt.NDArray[np.float64]:
        """The log of the capital on each bet, with what is put down before the batch of that number.

        Of `ever` 1 / (t (t + 1)) before batch t, which comes to 1 in the end; of `every` 1 each time.
        """
        part = 0.0 if self.rule.every is not None else -math.log(number * (number + 1))
        part -= math.log(len(BETS))
        return np.logaddexp(self.capitals, part) if self.capitals else np.full(len(BETS), part)


def _digest(bundle: Bundle) -> str:
    _, told = bundle.calibration()
    return content_key([bundle.manifest.weights_sha256, told.sha256, bundle.detector.score, bundle.detector.draws])


def said(watch: Watch) -> str:
    """Say in a few lines how it stands after the last batch."""
    rule, last = watch.rule, watch.last
    if last is None:
        return "watch: no batch was seen yet"
    if rule.ever is not None:
        promise = f"where nothing has changed, it is reached with a probability of at most {rule.ever:g}, ever"
    else:
        promise = f"where nothing has changed, it is reached once in {rule.every:,} batches on average, or less often"
    batches = "1 batch" if watch.batches == 1 else f"{watch.batches:,} batches"
    state = f"evidence {last.evidence:.3g} after {batches} of {watch.rows:,} rows, and {rule.limit:g} is an alarm"
    if not last.alarm:
        return f"watch: no alarm: {state} ({promise})"
    return (
        f"watch: alarm, first at {watch.first_alarm}: {state} ({promise})\n"
        "the examples are no longer what the bundle was calibrated on: `vae-pipeline drift` on the last batches says "
        "how far off they are, and which columns; an export of newer data begins anew, with another state"
    )
