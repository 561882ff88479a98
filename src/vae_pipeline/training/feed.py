"""The feed of a run: its batches, by its recipe, and the start of a private one."""

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.loop import Training
from vae_pipeline.training.private.accountant import Mechanism
from vae_pipeline.training.private.batches import PoissonBatches
from vae_pipeline.training.private.shares import begin_by_shares
from vae_pipeline.training.processes import Processes


def batches_of(
    training: Training, recipe: TrainedRecipe, prepared: Prepared, resident_gib: float, processes: Processes
) -> Batches:
    """The rows of the training part in batches; of private training, drawn for each step anew."""
    train, device, resident = recipe.train, training.totals.device, int(resident_gib * 2**30)
    labelled = training.model.classes > 0
    if training.secret is not None:
        return PoissonBatches(
            prepared.train, train.batch, recipe.seed, device, resident=resident, labelled=labelled,
            secret=training.secret,
        )  # fmt: skip
    return Batches(
        prepared.train,
        train.batch,
        recipe.seed,
        device,
        train.accumulate,
        resident,
        processes.rank,
        processes.count,
        labelled=labelled,
        augment=train.augment,
    )


def begin_privately(training: Training, train: Split, mechanism: Mechanism) -> None:
    """Let a run that has yet to begin start from shares with noise."""
    assert training.secret is not None  # a recipe says both
    begin_by_shares(training.model, train, mechanism.start_multiplier, training.secret)
    if training.averaged is not None:
        training.averaged.load_state_dict(training.model.state_dict())
