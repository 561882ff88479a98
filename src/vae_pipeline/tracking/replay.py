"""What a journal becomes in MLflow: one run a model, found by the sha256 of its weights.

`train` opens the run and gives it the tags `vae.key` (what determines the weights) and, at its end,
`vae.weights`. `evaluate` and `export` find it by `vae.weights`, keep their own parameters in child runs,
and put headline metrics, pictures and the bundle on the model's run; where it isn't there, they open it.
`rate-distortion` opens a run of its own, with a child for each point.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_pipeline.files import tree_digest
from vae_pipeline.tracking.journal import Entries, read_journal
from vae_pipeline.tracking.registry import log_bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


class Replay:
    """One pass over a journal. Everything sent is found again, so that a second pass adds nothing."""

    def __init__(
        self,
        client: "MlflowClient",
        experiment: str,
        warn: Callable[[str], None],
        run_id: str | None,
        sent: dict[str, int],
    ) -> None:
        self.client, self.experiment, self.warn = client, experiment, warn
        self.run_id, self.sent = run_id, sent

    def replay(self, path: Path) -> bool:
        """Whether the journal has been sent to its end."""
        entries = read_journal(path)
        if entries is None:
            return True
        if entries.header["role"] == "train":
            return self._train(entries)
        if entries.header["role"] == "rate-distortion":
            return self._sweep(entries)
        return self._add(entries)

    def _train(self, entries: Entries) -> bool:
        header, end = entries.header, entries.end
        if self.run_id is None:
            run = self._find("vae.key", header["key"])
            if run is not None and run.info.status == "FINISHED":
                if end is None:
                    return False  # trained once more: only its end will tell whether anything is new
                if run.data.tags.get("vae.weights") == end["weights"]:
                    return True
                run = None
            self.run_id = self._create(header, {"vae.key": header["key"]}) if run is None else run.info.run_id
            if run is not None:
                self.client.update_run(self.run_id, status="RUNNING")
                self.sent = self._recorded()
        new = [entry for entry in entries.metrics if entry["step"] > self.sent.get(_first(entry), 0)]
        self._metrics(self.run_id, new)
        self.sent |= {_first(entry): entry["step"] for entry in new}
        for name, value in entries.tags.items():
            self.client.set_tag(self.run_id, name, value)
        if end is None:
            return False
        self._artifacts(self.run_id, entries.artifacts)
        if end["weights"]:
            self.client.set_tag(self.run_id, "vae.weights", end["weights"])
        self.client.set_terminated(self.run_id, end["status"], end["time"])
        return True

    def _add(self, entries: Entries) -> bool:
        """evaluate and export: parameters to a child run, everything else to the model's run."""
        header, end = entries.header, entries.end
        if end is None:
            return False
        child = self._find("vae.key", header["key"])
        if child is not None and child.info.status == "FINISHED":
            return True  # the same parameters gave the same output before
        found = self._find("vae.weights", header["weights"])
        if found is None:
            model_header = {**header, "params": {}}
            model = self._create(model_header, {"vae.weights": header["weights"]})
            self.client.set_terminated(model, "FINISHED", end["time"])
        else:
            model = found.info.run_id
        tags = {"vae.key": header["key"], "mlflow.parentRunId": model}
        child_id = self._create(header, tags, role=header["role"]) if child is None else child.info.run_id
        self._metrics(child_id, entries.metrics)
        self._metrics(model, entries.metrics)
        self._artifacts(model, entries.artifacts)
        self.client.set_terminated(child_id, end["status"], end["time"])
        return True

    def _sweep(self, entries: Entries) -> bool:
        """rate-distortion: a run of its own, with a child for each point."""
        header, end = entries.header, entries.end
        if end is None:
            return False
        run = self._find("vae.key", header["key"])
        if run is not None and run.info.status == "FINISHED":
            return True
        parent = self._create(header, {"vae.key": header["key"]}, header["role"]) if run is None else run.info.run_id
        for entry in entries.children:
            key = f"{header['key']}/{entry['name']}"
            child = self._find("vae.key", key)
            if child is not None and child.info.status == "FINISHED":
                continue
            tags = {"vae.key": key, "mlflow.parentRunId": parent}
            own = {**header, "params": entry["params"]}
            child_id = self._create(own, tags, entry["name"]) if child is None else child.info.run_id
            numbered = enumerate(entry["epochs"], start=1)
            self._metrics(child_id, [{"time": entry["time"], "step": step, "values": row} for step, row in numbered])
            self.client.set_terminated(child_id, "FINISHED", entry["time"])
        self._metrics(parent, entries.metrics)
        self._artifacts(parent, entries.artifacts)
        self.client.set_terminated(parent, end["status"], end["time"])
        return True

    def _find(self, tag: str, value: str) -> "Run | None":
        found = self.client.search_runs([self.experiment], f"tags.`{tag}` = '{value}'", max_results=1)
        return found[0] if found else None

    def _create(self, header: dict[str, Any], tags: dict[str, str], role: str | None = None) -> str:
        from mlflow.entities import Dataset, DatasetInput, Param  # noqa: PLC0415

        name = header["name"] if role is None else f"{header['name']} {role}"
        run = self.client.create_run(self.experiment, header["time"], {**header["tags"], **tags}, name)
        run_id = str(run.info.run_id)
        params = [Param(key, str(value)) for key, value in header["params"].items()]
        self.client.log_batch(run_id, params=params)
        if header["dataset"] is not None:
            data = header["dataset"]
            profile = json.dumps(data["card"])
            dataset = Dataset(data["name"], data["digest"][:36], "local", json.dumps(data["source"]), profile=profile)
            self.client.log_inputs(run_id, [DatasetInput(dataset, [])])
        return run_id

    def _recorded(self) -> dict[str, int]:
        """The last step of every metric that the run has."""
        assert self.run_id is not None
        names = self.client.get_run(self.run_id).data.metrics
        histories = {name: self.client.get_metric_history(self.run_id, name) for name in names}
        return {name: max(point.step for point in history) for name, history in histories.items()}

    def _metrics(self, run_id: str, entries: list[dict[str, Any]]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415

        points = [
            Metric(name, value, entry["time"], entry["step"])
            for entry in entries
            for name, value in entry["values"].items()
        ]
        for start in range(0, len(points), 1000):
            self.client.log_batch(run_id, metrics=points[start : start + 1000])

    def _artifacts(self, run_id: str, entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            path = Path(entry["path"])
            if not path.exists() or tree_digest(path) != entry["digest"]:
                self.warn(f"{path} isn't there any more, or has changed since: it isn't sent to MLflow")
                continue
            if path.is_dir():
                self.client.log_artifacts(run_id, str(path), entry["to"])
            else:
                self.client.log_artifact(run_id, str(path), entry["to"] or None)
            if entry.get("bundle") is not None:
                log_bundle(self.client, run_id, path, **entry["bundle"])


def _first(entry: dict[str, Any]) -> str:
    """One of the metrics that were recorded together stands for them all."""
    return str(next(iter(entry["values"])))
