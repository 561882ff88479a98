"""A recipe that was shipped once still loads, and still means the same experiment."""

import json

import pytest
from tests.recipe.freeze import MEANING, OLD

from vae_pipeline.recipe import Recipe

FILES = [
    "data.file",
    *("data.train", "data.valid", "data.test"),
    *("data.train.images", "data.train.labels", "data.test.images", "data.test.labels", "data.valid.images"),
    *("data.images.train.images", "data.images.test.images"),
]
"""Places of files in the recipes that are kept."""
LATER: dict[str, object] = {
    "data.attributes": None,
    "data.crop": None,
    "data.flat": "rows",
    "data.images.flat": "rows",
    "data.overlap": 0,
    **{f"{file}.{field}": None for file in FILES for field in ("name", "repacked")},
}
"""Fields that came after a recipe was kept, and the default that leaves its numbers as they were.

A place is the way to the field in the recipe, such as "train.ema"; "*" stands for every place in a list.
"""
KEPT = json.loads(MEANING.read_text())


def fields(value, way=()):
    """Each value that is no section or list of sections, by its way there."""
    if not value or not isinstance(value, dict | list):
        return {way: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {place: leaf for key, part in items for place, leaf in fields(part, (*way, key)).items()}


def differences(recipe, kept):
    """The values in which a recipe differs from what it meant: {place: (meant, means)}; later fields are left out."""
    now, then = fields(recipe.model_dump(mode="json")), fields(kept)
    absent = object()
    found = {}
    for way in now.keys() | then.keys():
        meant, means = then.get(way, absent), now.get(way, absent)
        place = ".".join("*" if isinstance(key, int) else key for key in way)
        added = way not in then and place in LATER and LATER[place] == means
        if meant != means and not added:
            found[place] = (meant, means)
    return found


def test_every_old_recipe_is_kept_with_its_meaning():
    assert {path.relative_to(OLD).with_suffix("").as_posix() for path in OLD.glob("*/*.yaml")} == set(KEPT)


@pytest.mark.parametrize("name", KEPT)
def test_an_old_recipe_means_what_it_meant(name):
    assert differences(Recipe.load(OLD / f"{name}.yaml"), KEPT[name]) == {}


@pytest.mark.parametrize("name", KEPT)
def test_a_recipe_that_was_stored_complete_means_what_it_meant(name):
    assert differences(Recipe.model_validate(KEPT[name]), KEPT[name]) == {}


def test_a_later_field_is_one_that_an_old_recipe_lacks():
    """A place in LATER that no old recipe has got would excuse nothing."""
    loaded = [fields(Recipe.load(OLD / f"{name}.yaml").model_dump(mode="json")) for name in KEPT]
    places = {".".join("*" if isinstance(key, int) else key for key in way) for found in loaded for way in found}
    assert LATER.keys() <= places


@pytest.mark.parametrize("way", ["train.ema", "data.valid", "evaluate.samples"])
def test_another_value_and_a_field_that_nobody_named_are_differences(way):
    kept = json.loads(json.dumps(KEPT["2026-11-28/mnist_conv"]))
    recipe = Recipe.model_validate(kept)
    section, field = way.split(".")
    kept[section][field] = "another"
    assert set(differences(recipe, kept)) == {way}
    del kept[section][field]
    assert set(differences(recipe, kept)) == {way}
