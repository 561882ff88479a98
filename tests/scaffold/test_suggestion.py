"""A recipe is suggested for any facts, and is valid."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.model import AdaptiveOutput, AutoregressiveLikelihood, SpectrogramView
from vae_pipeline.scaffold.facts import AudioFacts, Facts, ImageFacts, TableFacts, TextFacts
from vae_pipeline.scaffold.suggestion import suggested
from vae_pipeline.system.errors import RecipeError

EXAMPLES = st.integers(1, 10**8)
SIDE = st.integers(1, 2048)
COUNT = st.integers(0, 2000)


@st.composite
def images(draw: st.DrawFn) -> ImageFacts:
    low = draw(st.integers(-1000, 1000))
    bounds = (float(low), float(low + draw(st.integers(1, 1000))))
    return ImageFacts(
        examples=draw(EXAMPLES),
        shape=(draw(st.integers(1, 8)), draw(SIDE), draw(SIDE)),
        dtype=draw(st.sampled_from(["uint8", "float32"])),
        range=bounds,
        binary=draw(st.booleans()),
        classes=draw(COUNT),
    )


TABLES = st.builds(
    TableFacts, examples=EXAMPLES, numbers=COUNT, booleans=COUNT, categories=COUNT, dates=COUNT, labelled=st.booleans()
)
RECORDINGS = st.builds(
    AudioFacts, EXAMPLES, st.integers(1, 192_000), st.integers(1, 2**20).map(lambda n: 1024 * n), COUNT
)
TEXTS = st.builds(TextFacts, EXAMPLES, st.integers(5, 10**6), st.integers(1, 5000), st.integers(1, 500))


def data_of(facts: Facts, labels: bool) -> dict[str, Any]:
    """The shortest section `data` of such data."""
    parts = {"valid": 0.1, "test": 0.2}
    match facts:
        case ImageFacts():
            part = {"images": {"path": "x.npy"}, "labels": {"path": "y.npy"} if labels else None}
            return {"kind": "arrays", "shape": facts.shape, "range": facts.range, "train": part, **parts}
        case AudioFacts():
            return {
                "kind": "audio", "rate_hz": facts.rate_hz, "seconds": facts.length / facts.rate_hz, "longer": "crop",
                "channels": "mono", "labels": "folders" if labels else "none", "corrupt": "fail",
                "train": {"path": "sounds"}, **parts,
            }  # fmt: skip
        case TableFacts():
            label = {"column": "y", "normal": "0"} if facts.labelled else None
            file = {"path": "rows.csv"}
            return {
                "kind": "table", "file": file, "label": label, "columns": {}, "scaling": "standard",
                "one_class": facts.labelled, **parts,
            }  # fmt: skip
        case TextFacts():
            words = {"kind": "words", "vocabulary": facts.vocabulary, "split": "blanks", "lower": False}
            return {
                "kind": "text", "column": None, "tokenizer": words, "limit": facts.longest + 1, "long": "truncate",
                "train": {"path": "lines.txt"}, **parts,
            }  # fmt: skip


def recipe_of(facts: Facts, conditional: bool = False) -> Recipe:
    sections = suggested(facts, conditional=conditional)
    return Recipe.model_validate({"about": "", "data": data_of(facts, conditional), **sections})


@given(st.one_of(images(), RECORDINGS, TABLES, TEXTS))
def test_any_facts_give_a_valid_recipe(facts: Facts) -> None:
    recipe = recipe_of(facts)

    assert recipe.train.steps is not None
    assert recipe.train.steps % 100 == 0
    if isinstance(facts, TextFacts):
        assert isinstance(recipe.model.likelihood, AutoregressiveLikelihood)
        output = recipe.model.likelihood.output
        assert not isinstance(output, AdaptiveOutput) or output.cutoffs[-1] < facts.vocabulary


@given(st.one_of(images(), RECORDINGS))
def test_a_conditional_model_needs_classes(facts: ImageFacts | AudioFacts) -> None:
    if facts.classes:
        assert recipe_of(facts, conditional=True).model.conditional
    else:
        with pytest.raises(RecipeError, match="labels"):
            suggested(facts, conditional=True)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100])
def test_frames_of_sound_last_20_to_35_ms(rate_hz: int) -> None:
    view = recipe_of(AudioFacts(1000, rate_hz, 8192, 0)).model.view
    assert isinstance(view, SpectrogramView) and 0.02 <= view.frame / rate_hz <= 0.035


@given(st.one_of(TABLES, TEXTS))
def test_tables_and_sentences_have_no_conditional_model(facts: Facts) -> None:
    with pytest.raises(RecipeError, match="labels"):
        suggested(facts, conditional=True)


@given(images(), EXAMPLES)
def test_more_images_never_get_a_shorter_run_or_fewer_latents(facts: ImageFacts, more: int) -> None:
    few, many = sorted((facts.examples, more))
    smaller, larger = (
        recipe_of(ImageFacts(count, facts.shape, facts.dtype, facts.range, facts.binary, facts.classes))
        for count in (few, many)
    )

    assert larger.train.steps >= smaller.train.steps  # type: ignore[operator]
    assert larger.model.posterior.latents >= smaller.model.posterior.latents  # type: ignore[union-attr]


def test_float_images_get_a_density_and_binary_ones_probabilities() -> None:
    kinds = {
        (dtype, binary): recipe_of(ImageFacts(1000, (1, 28, 28), dtype, (0, 1), binary, 0)).model.likelihood.kind
        for dtype in ("uint8", "float32")
        for binary in (False, True)
    }

    assert kinds == {
        ("uint8", False): "discretised_gaussian",
        ("uint8", True): "bernoulli",
        ("float32", False): "gaussian",
        ("float32", True): "bernoulli",
    }
