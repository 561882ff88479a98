"""The recipe that suits some data: all its sections but `about` and `data`, as plain values.

The choices are those of the shipped recipes, by the number of examples and what they are; none is tuned to one set
(docs/adr/0039-scaffold.md). They want a validation part, which judges the epochs.
"""

from typing import Any, assert_never

from vae_pipeline.recipe.train import Train
from vae_pipeline.scaffold.facts import AudioFacts, Facts, ImageFacts, TableFacts, TextFacts
from vae_pipeline.system.errors import RecipeError

CHANNELS = (16, 32, 64, 64)
WIDE = 112  # pixels of the longer side, from which one more layer is worth its time
FRAMES = {12_000: 256, 24_000: 512}  # the most samples a second, and the samples of a frame then: about 30 ms
LONGEST_FRAME = 1024
LARGE_VOCABULARY = 5000  # ids, from which an adaptive output is the faster one


def suggested(facts: Facts, *, conditional: bool = False) -> dict[str, Any]:
    """Sections of a recipe for such data: model, objective, rate_control, train, sampler, detection, evaluate, export.

    Raises:
        RecipeError: a conditional model is asked for, and the data have no classes.
    """
    if conditional and not (isinstance(facts, ImageFacts | AudioFacts) and facts.classes):
        raise RecipeError(
            "a conditional model needs images or recordings that have labels: leave conditional out, or add labels"
        )
    match facts:
        case ImageFacts():
            sections = _for_images(facts, conditional)
        case AudioFacts():
            sections = _for_recordings(facts, conditional)
        case TableFacts():
            sections = _for_rows(facts)
        case TextFacts():
            sections = _for_sentences(facts)
        case _:
            assert_never(facts)
    train = {"max_minutes": None, "accumulate": 1, "precision": "float32", "stop_on_alarm": False, **sections["train"]}
    return {
        "model": sections["model"],
        "objective": {"kind": "elbo"},
        "rate_control": sections["rate_control"],
        "train": {name: train[name] for name in Train.model_fields if name in train},
        "sampler": sections["sampler"],
        "detection": sections["detection"],
        "evaluate": {"samples": 100, "examples": sections["measured"], "gates": {}},
        "export": {
            "tolerance": 0.0001,
            "licence": "not stated",
            "intended_use": "A first attempt; say here what the model is for.",
        },
    }


def _for_images(facts: ImageFacts, conditional: bool) -> dict[str, Any]:
    channels = [*CHANNELS, CHANNELS[-1]] if max(facts.shape[1:]) >= WIDE else list(CHANNELS)
    net = {"activation": "silu", "smallest": 7, "shortcut": True}
    return {
        "model": {
            "encoder": {"kind": "convolution", "channels": channels, **net},
            "posterior": {"kind": "gaussian", "latents": _latents_of_images(facts)},
            "prior": {"kind": "standard_normal"},
            "decoder": {"kind": "convolution", "channels": channels[::-1], **net},
            "likelihood": _likelihood(facts),
            "conditional": conditional,
        },
        "rate_control": {"kind": "warm_up", "beta": 1.0, "share": 0.1},
        "train": {
            "steps": _between(2000, facts.examples // 10, 6000),
            "batch": 64,
            "learning_rate": 0.004,
            "schedule": "cosine",
            "warm_up": 0.05,
            "weight_decay": 0.0001,
            "clip": 100.0,
            "ema": 0.99,
            "keep": "best",
            "patience": 20,
        },
        "sampler": "gaussian_by_class" if conditional else "mixture",
        "detection": {"score": "negative_elbo", "draws": 4, "collected": None},
        "measured": 1000,
    }


def _for_recordings(facts: AudioFacts, conditional: bool) -> dict[str, Any]:
    """Convolutions over a mel spectrogram, as over an image of 64 rows."""
    frame = next((frame for most, frame in FRAMES.items() if facts.rate_hz <= most), LONGEST_FRAME)
    bands = 64
    spectrogram = ImageFacts(
        facts.examples, (1, bands, 4 * facts.length // frame + 1), "float32", (0, 1), False, facts.classes
    )
    sections = _for_images(spectrogram, conditional)
    view = {"kind": "spectrogram", "frame": frame, "hop": frame // 4, "mel": bands}
    return {**sections, "model": {"view": view, **sections["model"]}, "detection": None}


def _latents_of_images(facts: ImageFacts) -> int:
    return 32 if facts.examples >= 20_000 else 16


def _likelihood(facts: ImageFacts) -> dict[str, Any]:
    if facts.binary:
        return {"kind": "bernoulli"}
    kind = "discretised_gaussian" if facts.dtype == "uint8" else "gaussian"
    return {"kind": kind, "scale": "learned", "mean": "linear"}


def _for_rows(facts: TableFacts) -> dict[str, Any]:
    net = {"kind": "dense", "layers": [128, 128] if facts.columns <= 64 else [256, 256], "activation": "silu"}
    batch = 64 if facts.examples < 2000 else 256
    return {
        "model": {
            "encoder": net,
            "posterior": {"kind": "gaussian", "latents": 8 if facts.columns <= 64 else 16},
            "prior": {"kind": "mixture", "components": 16},
            "decoder": net,
            "likelihood": {"kind": "mixed", "scale": "learned_per_column", "missing": "modelled"},
            "conditional": False,
        },
        "rate_control": {"kind": "warm_up", "beta": 1.0, "share": 0.3},
        "train": {
            "steps": _between(2400, 2 * facts.examples // batch, 6000),
            "batch": batch,
            "learning_rate": 0.002,
            "schedule": "one_cycle",
            "warm_up": 0.0,
            "weight_decay": 0.0,
            "clip": 10.0,
            "ema": None,
            "keep": "best",
            "patience": None,
        },
        "sampler": "prior",
        "detection": {"score": "negative_elbo", "draws": 4, "collected": None},
        "measured": 2000,
    }


def _for_sentences(facts: TextFacts) -> dict[str, Any]:
    width = 64 if facts.examples < 5000 else 128 if facts.examples < 30_000 else 256
    latents = 8 if facts.examples < 5000 else 16 if facts.examples < 30_000 else 32
    net = {"kind": "recurrent", "cell": "gru", "embedding": width, "width": width}
    if facts.vocabulary < LARGE_VOCABULARY:
        output: dict[str, Any] = {"kind": "full", "tied": False}
    else:
        output = {"kind": "adaptive", "cutoffs": [1000, 4000]}
    return {
        "model": {
            "encoder": {**net, "bidirectional": False},
            "posterior": {"kind": "normalised_gaussian", "latents": latents, "spread": 0.6},
            "prior": {"kind": "standard_normal"},
            "decoder": {**net, "dropout": 0.2, "word_dropout": 0.3, "latents": "used"},
            "likelihood": {"kind": "autoregressive", "output": output},
            "conditional": False,
        },
        "rate_control": {"kind": "free_bits", "nats": 0.2, "share": 0.1},
        "train": {
            "steps": _between(600, 6 * facts.examples // 64, 6000),
            "batch": 64,
            "learning_rate": 0.005 if width < 256 else 0.002,
            "schedule": "one_cycle",
            "warm_up": 0.0,
            "weight_decay": 0.0,
            "clip": 5.0,
            "ema": None,
            "keep": "best",
            "patience": None,
        },
        "sampler": "prior",
        "detection": None,
        "measured": 200,
    }


def _between(least: int, wanted: int, most: int) -> int:
    """The number of steps, whole hundreds."""
    return max(least, min(round(wanted, -2), most))
