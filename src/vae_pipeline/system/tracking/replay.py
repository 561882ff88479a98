"""Replay: a journal becomes runs of MLflow, one run a model, found by the sha256 of its weights.

`train` opens the run and gives it the tags `vae.key` (what determines the weights) and, at its end,
`vae.weights`. `evaluate`, `export` and `register` find it by `vae.weights`, keep their own parameters in child runs,
and put headline metrics, pictures and the bundle on the model's run; where it isn't there, they open it.
`rate-distortion`, `sweep` and `study` open a run of their own, with a child for each point, trial or classifier; these
two are sent as they end, and more may follow once the sweep or study has finished.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vae_pipeline.system.files import tree_digest
from vae_pipeline.system.tracking.held import Held
from vae_pipeline.system.tracking.journal import Artifact, Child, Entries, Metrics, Start, read_journal
from vae_pipeline.system.tracking.registry import log_bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Replay:
    """Passes over one journal. Each sends what MLflow lacks, so that one more adds nothing twice."""

    def __init__(self, client: "MlflowClient", experiment: str, warn: Callable[[str], None]) -> None:
        self.client, self.experiment, self.warn = client, experiment, warn
        self._trained: Held | None = None  # from pass to pass, while the journal of a training grows
        self._parent: Held | None = None  # likewise, of a sweep
        self._children = 0  # that were sent by earlier passes

    def replay(self, path: Path) -> bool:
        """True if the journal has been sent to its end.

        Raises:
            Damaged: it isn't one.
        """
        entries = read_journal(path)
        if entries is None:
            return True
        if entries.start.role == "train":
            return self._train(entries)
        if entries.start.role in ("sweep", "study"):
            return self._with_children(entries)
        if entries.end is None:
            return False
        if entries.start.role == "rate-distortion":
            return self._with_children(entries)
        self._add(entries)
        return True

    def _train(self, entries: Entries) -> bool:
        start, end = entries.start, entries.end
        if self._trained is None:
            run = self._find("vae.key", start.key)
            if run is not None and run.finished:
                if end is None:
                    return False  # trained once more: only its end will tell whether anything is new
                if run.run.data.tags.get("vae.weights") == end.weights:
                    return True
                run = None
            if run is None and end is not None and end.weights is not None:
                run = self._find("vae.weights", end.weights)  # opened by an evaluation that was sent before
            if run is None:
                run = self._create(start, start.name, {"vae.key": start.key})
            else:
                self.client.set_tag(run.id, "vae.key", start.key)
                self.client.update_run(run.id, status="RUNNING")
            run.describe(start.params, start.dataset)
            self._trained = run
        run = self._trained
        run.add(entries.metrics, once_a_step=True)
        for name, value in entries.tags.items():
            self.client.set_tag(run.id, name, value)
        if end is None:
            return False
        for artifact in entries.artifacts:
            self._artifact(run, artifact)
        if end.weights is not None:
            self.client.set_tag(run.id, "vae.weights", end.weights)
        run.end(end.status, end.time)
        return True

    def _add(self, entries: Entries) -> None:
        """Parameters to a child run, everything else to the model's run."""
        start, end = entries.start, entries.end
        assert end is not None and start.weights is not None
        child = self._find("vae.key", start.key)
        if child is not None and child.finished:
            return  # the same parameters gave the same output before
        model = self._find("vae.weights", start.weights)
        if model is None:
            model = self._create(start, start.name, {"vae.weights": start.weights})
        if "vae.key" not in model.run.data.tags and not model.finished:  # not a training that still runs
            model.end("FINISHED", end.time)
        if child is None:
            tags = {"vae.key": start.key, "mlflow.parentRunId": model.id}
            child = self._create(start, f"{start.name} {start.role}", tags)
        child.describe(start.params)
        model.add(entries.metrics)
        child.add(entries.metrics)
        for artifact in entries.artifacts:
            self._artifact(model, artifact)
        child.end(end.status, end.time)

    def _with_children(self, entries: Entries) -> bool:
        """A run of its own, with a child for each point of a curve, trial of a sweep or classifier of a study."""
        start, end = entries.start, entries.end
        if self._parent is None:
            parent = self._find("vae.key", start.key)
            if parent is None:
                parent = self._create(start, f"{start.name} {start.role}", {"vae.key": start.key})
            elif start.role == "rate-distortion" and parent.finished:
                return True
            else:
                self.client.update_run(parent.id, status="RUNNING")
            parent.describe(start.params, start.dataset)
            self._parent = parent
        parent = self._parent
        for each in entries.children[self._children :]:
            self._child(start, parent, each)
            self._children += 1
        parent.add(entries.metrics, once_a_step=True)
        if end is None:
            return False
        for artifact in entries.artifacts:
            self._artifact(parent, artifact)
        parent.end(end.status, end.time)
        return True

    def _child(self, start: Start, parent: Held, each: Child) -> None:
        key = f"{start.key}/{each.name}"
        child = self._find("vae.key", key)
        if child is not None and child.finished:
            return
        if child is None:
            tags = {"vae.key": key, "mlflow.parentRunId": parent.id, **each.tags}
            child = self._create(start, f"{start.name} {each.name}", tags)
        child.describe(each.params)
        numbered = enumerate(each.epochs, start=1)
        child.add([Metrics(time=each.time, step=step, values=row) for step, row in numbered], once_a_step=True)
        child.end(each.status, each.time)

    def _find(self, tag: str, value: str) -> Held | None:
        return Held.find(self.client, self.experiment, tag, value)

    def _create(self, start: Start, name: str, tags: Mapping[str, str]) -> Held:
        return Held.create(self.client, self.experiment, start, name, tags)

    def _artifact(self, run: Held, artifact: Artifact) -> None:
        """A file that is sent again takes the place of what an earlier pass left."""
        path = Path(artifact.path)
        if not path.exists() or tree_digest(path) != artifact.digest:
            self.warn(f"{path} isn't there any more, or has changed since: it isn't sent to MLflow")
            return
        if path.is_dir():
            self.client.log_artifacts(run.id, str(path), artifact.to)
        else:
            self.client.log_artifact(run.id, str(path), artifact.to or None)
        if artifact.bundle is not None:
            log_bundle(self.client, self.experiment, run.id, artifact.digest, path, artifact.bundle)
