"""`vae-pipeline watch`: batches of new data, one after the other, and an alarm once they are no longer as before."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vae_pipeline.cli.json_output import print_answer
from vae_pipeline.cli.options import TASKS, TIMEOUT_S, BundleFolder, Fit, Json, Key, Label, Timeout
from vae_pipeline.cli.output import PIPE, console, open_bundle, require_suffix
from vae_pipeline.system.errors import DataError, DriftError, VaeError

if TYPE_CHECKING:
    from rich.console import Console

    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.detection import Detection
    from vae_pipeline.runtime.watching import Promise, Watch, WatchedBatch

EVER, ALPHA = 0.01, 0.01

watching = typer.Typer()


@watching.command(rich_help_panel=TASKS)
def watch(
    bundle: BundleFolder,
    batches: Annotated[
        list[Path],
        typer.Argument(
            help="Files as of `score`, each a batch; a folder stands for the files in it, or, where these are pictures "
            "or recordings, for one batch; - reads .npy arrays, each a batch, from a pipe.",
            metavar="BATCH...",
        ),
    ],
    state: Annotated[
        Path | None,
        typer.Option(help="A .json file that keeps how it stands, so that the next call goes on.", metavar="FILE"),
    ] = None,
    ever: Annotated[
        float | None,
        typer.Option(help=f"Probability of a false alarm, however long the watch goes on. [default: {EVER:g}]"),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(help="In its place: a false alarm once in so many batches on average, or less often.", min=2),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            help=f"Count the rows over the threshold of this false-alarm rate. [default: {ALPHA:g}, or the least that "
            "the calibration tells]"
        ),
    ] = None,
    prometheus: Annotated[
        Path | None,
        typer.Option(help="A .prom file, for node_exporter's textfile collector, written anew.", metavar="FILE"),
    ] = None,
    key: Key = None,
    resize: Fit = "none",
    label: Label = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Watch batches of new examples, call by call, and raise an alarm once they are no longer as in the calibration.

    Exit code 0: no alarm. 1: an alarm. 2: something can't be used, and what came before it was counted.
    """
    import json
    from contextlib import nullcontext

    from vae_pipeline.runtime.watching import said
    from vae_pipeline.system.locking import held

    for path, suffix in ((state, ".json"), (prometheus, ".prom")):
        if path is not None:
            require_suffix(path, suffix)
            if str(path) == PIPE:
                raise DataError(f"- was given where a file's name is wanted: name one that ends in {suffix}")
    model = open_bundle(bundle, timeout)
    _ = model.detector, model.numbers_of(label, 1)  # where one is lacking, no batch is read
    lock = None if state is None else state.with_name(f".{state.name}.lock")
    found: list[WatchedBatch] = []
    with nullcontext() if lock is None else held(lock, "watches by this state", _say):
        now = _begun(model, state, ever, every, alpha)
        try:
            for name, digest, seen in _unseen(model, batches, key, resize, label, now.digests):
                now = now.see(model, seen, name, digest, _time())
                assert now.last is not None
                found.append(now.last)
                if state is not None:
                    now.save(state)
                _write_metrics(prometheus, now, model)
            if not found:
                _write_metrics(prometheus, now, model)
        except VaeError as error:
            error.found = [asdict(each) for each in found]
            if found and not as_json:
                _print(console(), found, said(now))
            raise
    if not as_json:
        _print(console(), found, said(now))
    if any(each.alarm for each in found) or (now.last is not None and now.last.alarm):
        alarm = DriftError(f"the data have changed, first at {now.first_alarm}")
        alarm.found = [asdict(each) for each in found]
        raise alarm
    if as_json:
        print_answer(len(found), found=(json.dumps(asdict(each)) for each in found))


def _begun(model: "Bundle", state: Path | None, ever: float | None, every: int | None, alpha: float | None) -> "Watch":
    """The watch that a state holds, or a new one.

    Raises:
        DataError: the options contradict each other, or the state.
    """
    from vae_pipeline.runtime.watching import Promise, Watch

    if ever is not None and every is not None:
        raise DataError("--ever and --every exclude each other: leave one of them out")
    if state is None or not state.exists():
        wanted = max(ALPHA, model.least_alpha) if alpha is None else alpha
        try:
            rule = Promise(wanted, EVER if ever is None and every is None else ever, every)
        except ValueError as error:
            raise DataError(f"no watch can be kept so: {error}") from error
        return Watch.begin(model, rule)
    watch = Watch.load(state, model)
    for name, given in (("ever", ever), ("every", every), ("alpha", alpha)):
        kept = getattr(watch.rule, name)
        if given is not None and given != kept:
            raise DataError(
                f"--{name} {given:g} was given, and {state} was begun with {_shown(watch.rule)}: leave it out, or name "
                "another state"
            )
    return watch


def _shown(rule: "Promise") -> str:
    return " ".join(f"--{name} {value:g}" for name, value in asdict(rule).items() if value is not None)


def _unseen(
    model: "Bundle", paths: Iterable[Path], key: str | None, resize: Any, label: str | None, counted: Iterable[str]
) -> Iterator[tuple[str, str, "Detection"]]:
    """The batches that weren't counted yet: name, digest and what the detector finds of each.

    Raises:
        DataError: one can't be used.
    """
    from vae_pipeline.system.files import tree_digest

    known = set(counted)
    for path in paths:
        if str(path) == PIPE:
            for number, x in enumerate(_piped(), 1):
                yield f"{PIPE} {number}", "", model.detect(x, label)
            continue
        for batch in _inside(path, model.spec.kind):
            if not batch.exists():
                raise DataError(f"{batch} isn't there: mend the path")
            digest = tree_digest(batch)
            if digest in known:
                _say(f"{batch} was counted before, and isn't again")
                continue
            known.add(digest)
            yield str(batch), digest, _judged(model, batch, key, resize, label)


def _judged(model: "Bundle", path: Path, key: str | None, resize: Any, label: str | None) -> "Detection":
    """The findings of all of a batch, some at a time; without contributions, which may be as large as the data."""
    import numpy as np

    from vae_pipeline.kinds.observations import Examples
    from vae_pipeline.runtime.detection import Detection

    parts = [model.detect(some.x, label) for some in Examples([path], model.spec, key, resize).some()]
    names = ("score", "p_value", "distortion", "rate")
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Detection(**whole, contributions=np.empty((0,)))


def _inside(path: Path, kind: str) -> list[Path]:
    """The batches that a path stands for: of a folder its files in the order of their names, or itself."""
    from vae_pipeline.kinds.audio.decoding import SUFFIXES as RECORDINGS
    from vae_pipeline.kinds.image.decoding import SUFFIXES as PICTURES

    if not path.is_dir():
        return [path]
    inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    single = {"image": PICTURES, "audio": RECORDINGS}.get(kind, ())
    if any(each.suffix.lower() in single for each in inside):
        return [path]
    if not inside:
        raise DataError(f"{path} is an empty folder: name one that holds batches")
    return inside


class _Pipe:
    """Standard input, of which a first byte was read to see if there is more."""

    def __init__(self, first: bytes) -> None:
        self.first = first

    def read(self, size: int) -> bytes:
        """At most so many bytes."""
        first, self.first = self.first[:size], self.first[size:]
        return first + sys.stdin.buffer.read(size - len(first))


def _piped() -> Iterator[Any]:
    """The arrays that come by standard input, as each comes.

    Raises:
        DataError: something else comes, or an array isn't whole.
    """
    import numpy as np

    while first := sys.stdin.buffer.read(1):
        try:
            yield np.lib.format.read_array(_Pipe(first), allow_pickle=False)  # type: ignore[arg-type]
        except ValueError as error:
            raise DataError(f"what came by the pipe isn't a whole .npy, or several in a row ({error})") from error


def _write_metrics(path: Path | None, watch: "Watch", model: "Bundle") -> None:
    if path is None:
        return
    from vae_pipeline.runtime.exposition import metrics
    from vae_pipeline.system.files import replace_file

    replace_file(path, metrics(watch, path.stem, model.manifest.recipe).encode())


def _print(terminal: "Console", found: list["WatchedBatch"], said: str) -> None:
    from rich.table import Table

    if found:
        table = Table(box=None, pad_edge=False)
        for heading in ("batch", "rows", "alarms", "share", "evidence", ""):
            table.add_column(heading, justify="right" if heading in ("rows", "alarms", "share", "evidence") else "left")
        for each in found:
            alarm = "ALARM" if each.alarm else ""
            counts = f"{each.rows:,}", f"{each.alarms:,}", f"{each.alarm_share:.2%}"
            table.add_row(each.batch, *counts, f"{each.evidence:.3g}", alarm)
        terminal.print(table)
    terminal.print(said)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _time() -> float:
    import time

    return time.time()
