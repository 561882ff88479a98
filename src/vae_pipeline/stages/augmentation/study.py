"""study: does augmentation, by a VAE or otherwise, help a classifier of few labelled images? The verdict may be none.

Each classifier's result is written as soon as it is there, and the same command goes on from the results that are.
"""

import csv
import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from vae_pipeline.evaluation.study import plot
from vae_pipeline.evaluation.study.findings import NONE, SYNTHETIC, OfSize, Outcome, findings_of
from vae_pipeline.evaluation.study.method import FIGURES, Facts, choosing
from vae_pipeline.evaluation.study.page import advice, page, reasons_of
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.classification import classification
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.device import flushing, prepare_device
from vae_pipeline.numerics.randomness import in_float32
from vae_pipeline.recipe.study import GENERATED
from vae_pipeline.stages.augmentation.inputs import generator_recipe, require_labelled
from vae_pipeline.stages.augmentation.kept import Kept
from vae_pipeline.stages.job import Job, sections_of
from vae_pipeline.stages.launch import launched
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.progress_display import showing_progress
from vae_pipeline.system.errors import Interrupted, RecipeError, SettingsError
from vae_pipeline.system.files import content_key, filled_folder, replace_file, require_writable, sha256_of, write_json
from vae_pipeline.system.locking import held
from vae_pipeline.system.stopping import Stopped
from vae_pipeline.system.tracking.journal import Journal, flatten, running
from vae_pipeline.system.tracking.tracker import provenance
from vae_pipeline.training.arms.classifier import AnyArm, fit_classifier, probabilities
from vae_pipeline.training.arms.generator import fit_generator
from vae_pipeline.training.arms.labelled import Size
from vae_pipeline.training.arms.own_classifier import require_fits
from vae_pipeline.training.arms.remembering import nearer_to_labelled
from vae_pipeline.training.arms.repeats import Drawn, Repeats
from vae_pipeline.training.checkpoint import run_key

PAGE = "index.html"


@in_float32()
def study(job: Job, recipe: Path, out: Path, data: Path | None = None) -> list[OfSize]:
    """Fill `out` with index.html, study.json, outcomes.csv and gains.png; return what was found of each size.

    Raises:
        RecipeError, DataError, OutputError: the recipe, the data or a place won't do; nothing is trained.
        TrainingError: a generator's loss isn't finite.
        Interrupted: SIGINT or SIGTERM; the same command goes on from there.
    """
    if launched():
        raise SettingsError("study trains in one process: run it without a launcher (WORLD_SIZE is set)")
    generator = replace(job, recipe=generator_recipe(job.recipe, recipe))
    require_writable(out, *([] if data is None else [data]))
    prepared = Prepared.open(data or _prepared(job))
    spec = require_labelled(prepared, by_folds=job.recipe.study.folds is not None)
    return _Study(job, generator, prepared, spec, out).run()


def _prepared(job: Job) -> Path:
    """The folder of the recipe's data, prepared as they are now: where they changed, so does the study's key."""
    folder = job.settings.home / "studies" / content_key(job.recipe.data.model_dump(mode="json"), job.seed)[:16]
    prepare(job, folder)
    return folder


class _Study:
    """One study, whose results are kept until the page is written and after."""

    def __init__(self, job: Job, generator: Job, prepared: Prepared, spec: ImageSpec, out: Path) -> None:
        self.job, self.generator, self.prepared, self.spec, self.out = job, generator, prepared, spec, out
        self.section, self.device = job.recipe.study, prepare_device(job.settings)
        _require_moves(job, spec)
        self.repeats = Repeats(self.section, prepared, job.seed, spec.classes)
        alike = self.section.model_dump(mode="json", exclude={"sizes", "repeats", "arms", "metric"})
        if (own := self.section.classifier) is not None:
            require_fits(own, spec.shape, len(spec.classes))
            alike["classifier"] = sha256_of(Path(own.rpartition(":")[0]))
        self.key = content_key(run_key(sections_of(generator), prepared.digest(), self.device), alike)
        self.kept = Kept(job.settings.home / "studies" / self.key)
        arms: tuple[AnyArm, ...] = (NONE, *self.section.arms)
        self.arms = (*arms, SYNTHETIC) if set(arms) & set(GENERATED) else arms
        self.done, self.total = 0, len(self.section.sizes) * self.section.repeats * len(self.arms)

    def run(self) -> list[OfSize]:
        """Train what is left, and write what was found."""
        section = self.section
        lock = running(self.job.settings.home, self.key)
        with held(lock, "makes this study", self.job.warn), flushing(), self._recorded() as journal:
            with self._stoppable():
                outcomes = list(self._outcomes(journal))
            sizes = [str(size) for size in section.sizes]
            found = findings_of(outcomes, sizes, section.metric, self.job.seed, section.overlap)
            with filled_folder(self.out) as folder:
                self._write(folder, found, outcomes)
            journal.artifact(self.out, to="study")
            for each in found:
                for part, of_arms in (("valid", each.valid), ("test", each.test)):
                    means = {f"{part}_gain/{each.size}/{arm}": gain.mean for arm, gain in of_arms.items()}
                    journal.metrics(means)
        return found

    def _outcomes(self, journal: Journal) -> Iterator[Outcome]:
        """The result of each classifier, as it was kept or as it is found now."""
        made, since = 0, time.monotonic()
        for repeat in range(self.section.repeats):  # all sizes each time, so that the time left is known early
            for size in self.section.sizes:
                known = {arm: self.kept.get(str(size), repeat, arm) for arm in self.arms}
                fresh = self._repeat(size, repeat, [arm for arm, outcome in known.items() if outcome is None])
                for arm in self.arms:
                    outcome = known[arm]
                    if outcome is None:
                        with showing_progress(self.job.console, self.job.name):
                            outcome = next(fresh)
                        self.kept.put(outcome)
                        made += 1
                    self.done += 1
                    self._record(journal, outcome)
                    yield outcome
                if made and self.done < self.total:
                    left = (time.monotonic() - since) / made * (self.total - self.done) / 60
                    said = f"repeat {repeat + 1}, {size} labels: {self.done:,} of {self.total:,} classifiers"
                    self.job.console.print(f"{self.job.name}: {said}, about {left:.0f} min left")

    def _repeat(self, size: Size, repeat: int, arms: list[AnyArm]) -> Iterator[Outcome]:
        """The results of these arms of a repeat, which share a labelled set, initial weights and a generator."""
        section, spec, device = self.section, self.spec, self.device
        drawn, generator = self.repeats.draw(size, repeat), None
        for arm in arms:
            since = time.monotonic()
            if generator is None and arm in (*GENERATED, SYNTHETIC):
                generator = self._generator(drawn)
            net = fit_classifier(section, arm, drawn.labelled, generator, spec, drawn.seed, device)
            figures = []
            for part in (drawn.choosing, self.prepared.test):
                assert part.labels is not None  # as the training part has them
                figures.append(classification(probabilities(net, part, device), part.labels))
            nearer = None
            if arm == SYNTHETIC and generator is not None:
                nearer = nearer_to_labelled(generator, drawn, net.scaling, device)
            seconds = round(time.monotonic() - since, 2)
            yield Outcome(str(size), repeat, arm, figures[0], figures[1], seconds, nearer)

    def _generator(self, drawn: Drawn) -> VAE:
        recipe = sections_of(self.generator).model_copy(update={"seed": drawn.seed})
        return fit_generator(recipe, self.spec, drawn.labelled, self.device)

    def _write(self, folder: Path, found: list[OfSize], outcomes: list[Outcome]) -> None:
        job, section, prepared = self.job, self.section, self.prepared
        named, chosen_on, parts = FIGURES[section.metric], choosing(section), _parts(prepared)
        plot.draw(folder / "gains.png", job.name, found, section.metric, named, chosen_on)
        labelled = {str(size): self.repeats.groups(size, section.repeats) for size in section.sizes}
        facts = Facts(
            name=job.name,
            about=job.recipe.about,
            study=section,
            seed=job.seed,
            examples={name: len(part) for name, part in parts.items()},
            groups={name: len(np.unique(part.groups)) for name, part in parts.items() if part.groups is not None},
            labelled_groups={size: counts for size, counts in labelled.items() if counts is not None},
            classes=self.spec.classes,
            digests={"prepared data": f"sha256:{prepared.digest()}", "study": f"sha256:{self.key}"},
            minutes=sum(each.seconds for each in outcomes) / 60,
        )
        replace_file(folder / PAGE, page(facts, found, (folder / "gains.png").read_bytes()).encode())
        told = {
            "recipe": job.name,
            "seed": job.seed,
            "advice": advice(found, named),
            "reasons": reasons_of(found, named, chosen_on),
            "chosen_on": chosen_on,
            "study": section.model_dump(mode="json"),
            "data": prepared.digest(),
            "sizes": [as_object(each) for each in found],
        }
        write_json(folder / "study.json", told)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [(part, name) for part in ("valid", "test") for name in FIGURES]
        writer.writerow(["size", "repeat", "arm", *("_".join(column) for column in columns)])
        for each in outcomes:
            writer.writerow([each.size, each.repeat, each.arm, *(each.of(part)[name] for part, name in columns)])
        replace_file(folder / "outcomes.csv", text.getvalue().encode())

    @contextmanager
    def _recorded(self) -> Iterator[Journal]:
        """A journal that is sent while the block trains classifiers."""
        tracker = self.job.tracker()
        study = self.section.model_dump(mode="json")
        journal = tracker.journal("study", content_key(self.key, study))
        params = flatten({**sections_of(self.generator).model_dump(mode="json", exclude={"about"}), "study": study})
        journal.start(self.job.name, params, provenance(self.job.name))
        with tracker.followed(journal):
            try:
                yield journal
            except BaseException as error:
                journal.break_off(error)
                raise
            journal.end("FINISHED")

    def _record(self, journal: Journal, each: Outcome) -> None:
        figures = {f"{part}_{name}": value for part in ("valid", "test") for name, value in each.of(part).items()}
        about = {"size": each.size, "repeat": each.repeat, "arm": each.arm}
        journal.child(f"{each.size} labels, repeat {each.repeat}, {each.arm}", about, [figures])

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Say at a signal that nothing is lost but the classifier that was being trained."""
        try:
            yield
        except Stopped as stopped:
            raise Interrupted(
                f"{stopped}; {self.done:,} of {self.total:,} classifiers are done, and the same command goes on from "
                "there"
            ) from None


def as_object(each: OfSize) -> Mapping[str, object]:
    """The findings of a size, as plain values."""
    return {
        "size": each.size,
        "verdict": each.verdict,
        "chosen": each.chosen,
        "nearer_to_labelled": list(each.nearer),
        "confirmation": None if each.confirmation is None else asdict(each.confirmation),
        "valid": {arm: asdict(gain) for arm, gain in each.valid.items()},
        "test": {arm: asdict(gain) for arm, gain in each.test.items()},
    }


def _parts(prepared: Prepared) -> dict[str, Split]:
    return {"train": prepared.train, "valid": prepared.valid, "test": prepared.test}


def _require_moves(job: Job, spec: ImageSpec) -> None:
    shift, side = job.recipe.study.geometric.shift, min(spec.shape[1:])
    if shift >= side:
        raise RecipeError(
            f"study.geometric.shift {shift} can move images of {spec.shape[1]} x {spec.shape[2]} out of sight: give "
            "less than a side"
        )
