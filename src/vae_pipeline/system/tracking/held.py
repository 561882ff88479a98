"""Held: a run of MLflow's, to which the rest of a record is added.

A connection can die before a request arrives or before its answer does, and the two look alike. So nothing is
concluded from an error: the next pass asks what the run holds, and sends what it lacks.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vae_pipeline.system.tracking.journal import Metrics, Start

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARAMS, POINTS = 100, 1000  # that MLflow takes in one request

Point = tuple[str, int, int]
"""A number of a run: its name, step and time."""


class Held:
    """One run; every method adds what isn't there, and may be called again."""

    def __init__(self, client: "MlflowClient", run: "Run", new: bool) -> None:
        self.client, self.run, self.id = client, run, str(run.info.run_id)
        self._points: set[Point] | None = set() if new else None

    @classmethod
    def find(cls, client: "MlflowClient", experiment: str, tag: str, value: str) -> "Held | None":
        """The run that has the tag."""
        found = client.search_runs([experiment], f"tags.`{tag}` = '{value}'", max_results=1)
        return cls(client, found[0], new=False) if found else None

    @classmethod
    def create(
        cls, client: "MlflowClient", experiment: str, start: Start, name: str, tags: Mapping[str, str]
    ) -> "Held":
        """A run that will be found by its tags, which it has from its beginning."""
        run = client.create_run(experiment, start.time, {**start.tags, **tags}, name)
        return cls(client, run, new=True)

    @property
    def finished(self) -> bool:
        """True if the run was ended well, which is the last thing that is sent."""
        return bool(self.run.info.status == "FINISHED")

    def describe(self, params: Mapping[str, Any], dataset: Mapping[str, Any] | None = None) -> None:
        """Parameters and the data set."""
        from mlflow.entities import Dataset, DatasetInput, Param  # noqa: PLC0415

        held = self.run.data.params
        lacking = [Param(name, str(value)) for name, value in params.items() if name not in held]
        for start in range(0, len(lacking), PARAMS):
            self.client.log_batch(self.id, params=lacking[start : start + PARAMS])
        if dataset is not None and not (self.run.inputs and self.run.inputs.dataset_inputs):
            source, profile = json.dumps(dataset["source"]), json.dumps(dataset["card"])
            entity = Dataset(dataset["name"], dataset["digest"][:36], "local", source, profile=profile)
            self.client.log_inputs(self.id, [DatasetInput(entity, [])])

    def add(self, entries: Iterable[Metrics], once_a_step: bool = False) -> None:
        """Numbers that the run lacks; a run that was taken up has those of a step once, whenever they were made."""
        from mlflow.entities import Metric  # noqa: PLC0415

        points = self._known()
        steps = {(name, step) for name, step, _ in points}
        new = {
            (name, entry.step, entry.time): value
            for entry in entries
            for name, value in entry.values.items()
            if ((name, entry.step) not in steps if once_a_step else (name, entry.step, entry.time) not in points)
        }
        metrics = [Metric(name, value, time, step) for (name, step, time), value in new.items()]
        for start in range(0, len(metrics), POINTS):
            self.client.log_batch(self.id, metrics=metrics[start : start + POINTS])
        points |= set(new)

    def end(self, status: str, time: int) -> None:
        """End the run."""
        self.client.set_terminated(self.id, status, time)

    def _known(self) -> set[Point]:
        if self._points is None:
            histories = [self.client.get_metric_history(self.id, name) for name in self.run.data.metrics]
            self._points = {(point.key, point.step, point.timestamp) for history in histories for point in history}
        return self._points
