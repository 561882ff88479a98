"""The figures of an audit: what samples of images, and the model, tell of who was trained on."""

from vae_pipeline.recipe.figures.figure import IMAGE, Figure, Need

AUDIT: tuple[Need, ...] = ("audit",)
SPACES = {"pixels": "pixels", "features": "the features of the Fréchet distance"}


def _ends(key: str) -> tuple[tuple[str, str], ...]:
    return ((f"{key}_low", "95 % from {}"), (f"{key}_high", "to {}"))


def _in(space: str) -> tuple[Figure, ...]:
    nearer, auc, recall = (
        f"{name}_in_{space}" for name in ("nearer_to_training", "membership_auc", "membership_recall")
    )
    by = f"the distance to the nearest of 10,000 samples, in {SPACES[space]}"
    return (
        Figure(
            nearer, f"Nearer to training, in {space}",
            f"Share of 10,000 samples whose nearest image in {SPACES[space]}, among as many of training as of the test "
            "part, is one of training: about half where samples know nothing of single images.",
            "privacy", share=True, better="lower", kinds=IMAGE, needs=AUDIT,
            beside=(("audited_images", "{} images of either part"), ("audited_groups", "{} groups, such as patients")),
        ),
        Figure(
            auc, f"Membership told in {space}",
            f"AUROC of telling training images from test images by {by}: 0.5 if samples tell nothing of who was "
            "trained on.",
            "privacy", better="lower", kinds=IMAGE, needs=AUDIT, beside=_ends(auc),
        ),
        Figure(
            recall, f"Members found in {space}",
            f"Share of training images that are told by {by}, where 0.1 % of test images are taken for such.",
            "privacy", share=True, better="lower", kinds=IMAGE, needs=AUDIT, beside=_ends(recall),
        ),
    )  # fmt: skip


PRIVACY = (
    *_in("pixels"),
    *_in("features"),
    Figure(
        "membership_auc_by_loss", "Membership told by the loss",
        "AUROC of telling training images from test images by the importance bound of 16 draws, for whoever has the "
        "model: 0.5 if it finds them equally likely.",
        "privacy", better="lower", kinds=IMAGE, needs=AUDIT, beside=_ends("membership_auc_by_loss"),
    ),
    Figure(
        "membership_recall_by_loss", "Members found by the loss",
        "Share of training images that are told by the importance bound, where 0.1 % of test images are taken for "
        "such.",
        "privacy", share=True, better="lower", kinds=IMAGE, needs=AUDIT, beside=_ends("membership_recall_by_loss"),
    ),
    Figure(
        "nearer_than_any_test_in_pixels", "Nearer than any test image, in pixels",
        "Share of samples that lie nearer in pixels to a training image, of all of them, than every test image does. "
        "Means are smoother than images, and may lie nearer to all of them: look at the pairs.",
        "privacy", share=True, kinds=IMAGE, needs=AUDIT, beside=(("nearer_than_chance", "by chance {}"),),
    ),
    Figure(
        "half_as_far_in_pixels", "Less than half as far, in pixels",
        "Share of samples that lie less than half as far in pixels from a training image as the nearest test image "
        "does.",
        "privacy", share=True, better="lower", kinds=IMAGE, needs=AUDIT,
    ),
)  # fmt: skip
