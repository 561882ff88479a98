"""The study of a sweep: its trials in a file of SQLite, each chosen by Optuna's TPE from the seed and its own number.

A trial's parameters follow from the seed, its number and the trials before it, so that a sweep which was killed and
taken up has the same trials as one that wasn't. A trial that was running when its process died is gone on with.

Source: Bergstra, Bardenet, Bengio and Kégl, Algorithms for Hyper-Parameter Optimization, 2011, section 4.
"""

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from vae_pipeline.numerics.randomness import derive
from vae_pipeline.recipe.figures import Figure
from vae_pipeline.recipe.space import Choices, Dimension, Space
from vae_pipeline.system.errors import OutputError
from vae_pipeline.system.files import content_key
from vae_pipeline.system.settings import sqlite_uri

FILE, NEW = "sweep.db", ".sweep.db.new"
STUDY = "sweep"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

optuna.logging.set_verbosity(optuna.logging.WARNING)


def require_own(folder: Path) -> None:
    """Refuse a folder that is another's, before anything is written into it.

    Raises:
        OutputError: it has files, and isn't a sweep's.
    """
    if (folder / FILE).is_file():
        return
    names = [each.name for each in folder.iterdir()]
    strangers = [name for name in names if name not in ("data", "sweep.lock", "sweep.holder") and NEW not in name]
    if strangers:
        raise OutputError(f"{folder} holds other files than a sweep's, such as {strangers[0]}: name another --out")


def open_study(folder: Path, figure: Figure, about: Mapping[str, Any], early: int) -> optuna.Study:
    """The study in `folder`, a new one if there is none; `about` is all that determines its trials.

    Raises:
        OutputError: the folder holds the study of another sweep.
    """
    path = folder / FILE
    if not path.is_file():
        _create(folder, figure, about)
    given = optuna.samplers.RandomSampler()  # never asked: `choose` gives every trial its parameters
    try:
        storage = optuna.storages.RDBStorage(sqlite_uri(path), skip_table_creation=True)
        study = optuna.load_study(study_name=STUDY, storage=storage, sampler=given, pruner=pruner(early))
        known = study.user_attrs["about"]
    except Exception as error:  # the driver's, SQLAlchemy's and Optuna's errors share no narrower root
        reason = " ".join(str(error).split())[:200]
        raise OutputError(f"{path} isn't what `vae-pipeline sweep` wrote ({reason}): name another --out") from error
    for name, value in about.items():
        if known.get(name) != value:
            raise OutputError(f"{folder} holds a sweep with another {name}: name another folder with --out")
    return study


def pruner(early: int) -> optuna.pruners.BasePruner:
    """Prunes a trial from epoch `early` on, if its best validation ELBO is under the median of at least five others."""
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=early)


def _create(folder: Path, figure: Figure, about: Mapping[str, Any]) -> None:
    """Make a study beside, and rename it: one that a signal left half-made would be refused ever after."""
    new = folder / NEW
    for left in folder.glob(f"{NEW}*"):  # of a process that was killed here, and SQLite's journal of it
        left.unlink()
    storage = optuna.storages.RDBStorage(sqlite_uri(new))
    direction = StudyDirection.MINIMIZE if figure.better == "lower" else StudyDirection.MAXIMIZE
    study = optuna.create_study(study_name=STUDY, storage=storage, direction=direction)
    own = content_key(dict(about), time.time_ns())  # a later sweep with the same words isn't this one
    for name, value in {"about": dict(about), "key": own, "written": []}.items():
        study.set_user_attr(name, value)
    storage.engine.dispose()
    new.rename(folder / FILE)


def ended(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that have ended, however they did, in their order."""
    return study.get_trials(deepcopy=False, states=ENDED)


def best(study: optuna.Study) -> FrozenTrial | None:
    """The trial with the best metric; None where none is complete."""
    return study.best_trial if study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) else None


def next_trial(study: optuna.Study, space: Space, seed: int) -> Trial | None:
    """The trial that was running when its process died, or a new one; None once every combination was tried."""
    left = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if left:
        trial = Trial(study, left[0]._trial_id)  # the one way to go on with a trial that Optuna has
    else:
        if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            chosen = choose(study, space, seed)
            if chosen is None:
                return None
            study.enqueue_trial(chosen)
        trial = study.ask()
    for key, dimension in space.dimensions.items():
        _suggest(trial, key, dimension)
    return trial


def choose(study: optuna.Study, space: Space, seed: int) -> dict[str, Any] | None:
    """Parameters for the next trial, others than those of any trial before; None where there are none.

    A combination that was tried would give the same figures again: in its place stands one that is drawn from the rest.
    """
    before = study.get_trials(deepcopy=False)
    own = derive(seed, "sweep", len(before))
    sampler = optuna.samplers.TPESampler(seed=own % 2**32)
    asked = optuna.create_study(direction=study.direction, sampler=sampler)
    asked.add_trials(before)
    tried = [trial.params for trial in before]
    found = asked.ask({key: _distribution(each) for key, each in space.dimensions.items()}).params
    combinations = space.combinations() if found in tried else None
    if combinations is None:
        return found
    untried = [each for each in combinations if each not in tried]
    return random.Random(own).choice(untried) if untried else None


def importances(study: optuna.Study) -> dict[str, float]:
    """The share of the metric's variance that each parameter accounts for, by a forest; {} where too few trials tell.

    Source: Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, 2014.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    names = complete[0].params if complete else ()
    varied = [name for name in names if len({trial.params[name] for trial in complete}) > 1]
    if len(complete) < 4 or len({trial.value for trial in complete}) == 1 or len(varied) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(list(dimension.values))
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), dimension.log, dimension.step)
    return FloatDistribution(dimension.low, dimension.high, dimension.log)


def _suggest(trial: Trial, key: str, dimension: Dimension) -> None:
    """Give a trial the parameter that is its own already, as Optuna's ask-and-tell interface wants it."""
    if isinstance(dimension, Choices):
        trial.suggest_categorical(key, list(dimension.values))
    elif dimension.whole:
        trial.suggest_int(key, int(dimension.low), int(dimension.high), step=dimension.step, log=dimension.log)
    else:
        trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log)
