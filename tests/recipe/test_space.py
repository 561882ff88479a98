import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lanes import ROOT

from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.rewriting import rewritten
from vae_pipeline.recipe.space import Choices, Range, Space, changed, recipe_of
from vae_pipeline.system.errors import RecipeError

SMOKE = ROOT / "pipeline" / "smoke.yaml"


@pytest.fixture(scope="module")
def raw():
    return yaml.safe_load(SMOKE.read_text())


whole = st.integers(1, 10**6)
real = st.floats(1e-6, 1e6)


@given(st.tuples(whole, whole).map(sorted) | st.tuples(real, real).map(sorted), st.booleans())
def test_a_range_has_the_type_that_its_ends_are_written_in(ends, log):
    low, high = ends
    space = Space.parse([f"train.batch={low}..{high}{':log' if log else ''}"])
    (found,) = space.dimensions.values()
    assert found == Range(low, high, log) and [type(end) for end in found.corners[:1]] == [type(low)]
    assert found.whole == isinstance(low, int)
    assert Space.parse([f"train.batch={found}"]).dimensions["train.batch"] == found


values = st.none() | st.booleans() | whole | st.floats(1e-3, 1e3) | st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
sections = st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), values, min_size=1, max_size=3)


@settings(max_examples=30)
@given(st.lists(values | sections | st.lists(whole, max_size=3), min_size=1, max_size=5, unique_by=repr))
def test_choices_are_what_yaml_has_them_for(choices):
    text = yaml.safe_dump(choices, default_flow_style=True, width=10**6).strip()[1:-1]
    read = yaml.safe_load(f"[{text}]")
    (found,) = Space.parse([f"a.b={text}"]).dimensions.values()
    assert list(found.values.values()) == read
    assert [found.value(each) for each in found.corners] == read


def test_numbers_without_dots_between_them_are_choices():
    space = Space.parse(["a=8,16,32", "b=1e-3", "c=prior,{kind: mixture, components: 5}", "d=null,0.9"])
    assert space.dimensions["a"] == Choices({"8": 8, "16": 16, "32": 32})
    assert space.values({"a": "16", "b": "1e-3", "c": "{kind: mixture, components: 5}", "d": "null"}) == {
        "a": 16, "b": "1e-3", "c": {"kind": "mixture", "components": 5}, "d": None,
    }  # fmt: skip
    assert Space.parse(["a=4..12:step=4"]).dimensions["a"].all == range(4, 13, 4)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "nothing to search"),
        (["a"], "--set a: wanted KEY=VALUES"),
        (["a="], "--set a=: wanted KEY=VALUES"),
        (["=1"], "--set =1: wanted KEY=VALUES"),
        (["a= "], "there is no choice"),
        (["a=1,,2"], "aren't YAML with commas between them"),
        (["a=" + "[" * 700], "aren't YAML with commas between them"),
        (["a=1,1"], "one choice is given twice"),
        (["a=3..1"], "from its lower to its higher"),
        (["a=1..1e999"], "from its lower to its higher"),
        (["a=0..1:log"], ":log needs a lower end over 0"),
        (["a=1..4:step=2"], "leads from one end to the other"),
        (["a=0.1..0.5:step=1"], ":step is for whole numbers"),
        (["a=1", "a=2"], "--set a and --set a set the same value"),
        (["a.b=1", "a=2"], "--set a and --set a.b set the same value"),
    ],
)
def test_a_text_that_is_none_is_one_clear_line(texts, message):
    with pytest.raises(RecipeError, match=message.replace("[", r"\[")):
        Space.parse(texts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model.posterior.latent=8",
            r"posterior\.latent: unknown key; did you mean latents\? valid keys: kind, ",
        ),
        ("trian.epochs=8", r"trian: unknown key; did you mean train\? valid keys: about, data"),
        ("train.learning_rate=-1.0..1.0", r"train\.learning_rate: input should be greater than 0; given -1\.0"),
        ("train.batch=16,many", "train.batch: "),
        ("sampler.components=3", "sampler is 'prior' in the recipe: set sampler as a whole"),
        ("model.posterior.kind=gaussian,bent", "unknown kind 'bent'"),
        ("train.batch=1..4:step=1", None),
    ],
)
def test_a_key_or_a_value_that_is_always_refused_is_one_clear_line(raw, text, message):
    space = Space.parse([text, "train.epochs=2,3"])
    if message is None:
        assert space.require_valid(raw) == 0
        return
    with pytest.raises(RecipeError, match=message) as refused:
        space.require_valid(raw)
    assert "\n" not in str(refused.value)


def test_values_that_are_refused_together_alone_are_counted(raw):
    space = Space.parse(["train.keep=best,last", "data.valid=0,0.2", "train.learning_rate=0.001..0.1"])
    assert space.require_valid(raw) == 2  # the best epoch without a validation part, at each end of the range
    with pytest.raises(RecipeError, match="spans over 10,000 corners"):
        Space.parse([f"k{index}=0..1" for index in range(14)]).require_valid(raw)


def test_combinations_are_counted_where_they_are_few(raw):
    space = Space.parse(["train.batch=16,32", "train.epochs=1..3"])
    assert len(space.combinations()) == 6 and {"train.batch": "16", "train.epochs": 3} in space.combinations()
    assert Space.parse(["train.learning_rate=0.1..0.2"]).combinations() is None
    assert space.touches("train") and space.touches("train.batch") and not space.touches("model", "train.b")
    assert Space.parse(["model={kind: ladder},{kind: flat}"]).touches("model.likelihood")


def test_a_recipe_of_other_values_is_the_recipe_with_them(raw):
    values = {"model.posterior.latents": 3, "sampler": {"kind": "mixture", "components": 2}, "train.ema": 0.9}
    found = recipe_of(raw, values)
    assert (found.model.posterior.latents, found.sampler.components, found.train.ema) == (3, 2, 0.9)
    kept = found.model_dump(mode="json")
    for key in values:
        *path, last = key.split(".")
        section = kept
        for name in path:
            section = section[name]
        section[last] = changed(raw, {})[path[0]][last] if path == ["train"] else section[last]
    assert Recipe.model_validate(raw).train == found.train.model_copy(update={"ema": None})


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "pipeline").glob("*.yaml")))
def test_a_rewritten_recipe_has_the_values_and_keeps_its_comments(name):
    text = (ROOT / "pipeline" / f"{name}.yaml").read_text()
    values = {"train.batch": 7, "about": "Other: words, # with signs"}
    found = rewritten(text, values, ["head"])
    assert found.startswith("# head\n")
    assert yaml.safe_load(found) == changed(yaml.safe_load(text), values)
    comments = re.findall(r"(?m)(?<=\S)[ \t]+# .*$", text)
    assert all(comment in found for comment in comments)


def test_every_line_of_the_head_is_a_comment():
    found = rewritten("a: 1\n", {"a": 2}, ["one\n  two", "bell \a, next \x85line\u2028end, byte \udcff"])
    assert found == "# one\n#   two\n# bell \\x07, next \n# line\n# end, byte \\udcff\na: 2\n"
    assert yaml.safe_load(found.encode()) == {"a": 2}


@pytest.mark.parametrize(
    "values", [{"train.ema": None}, {"model.posterior": {"kind": "gaussian", "latents": 2}}, {"x": 1}]
)
def test_what_cannot_be_put_in_place_is_written_anew(values):
    text = "# old\na: &one {b: 1}\ntrain: *one\nmodel:\n  posterior:\n    kind: flow\n"
    found = rewritten(text, values, [])
    assert yaml.safe_load(found) == changed(yaml.safe_load(text), values) and "old" not in found
