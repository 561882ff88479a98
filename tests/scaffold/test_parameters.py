"""A name is added to params.yaml, and nothing else changes."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_pipeline.scaffold.parameters import add_recipe
from vae_pipeline.system.errors import RecipeError

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), unique=True, max_size=4)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("recipes:\n- a  # one\nseed: 0\n", "recipes:\n- a  # one\n- b\nseed: 0\n"),
        ("recipes:\n  - a", "recipes:\n  - a\n  - b\n"),
        ("recipes: [a]  # here\nseed: 0\n", "recipes: [a, b]  # here\nseed: 0\n"),
        ("recipes: []\n", "recipes: [b]\n"),
        ("recipes:\nseed: 0\n", "recipes: [b]\nseed: 0\n"),
        ("seed: 0\nrecipes:\n- 'a'\n# the end\n", "seed: 0\nrecipes:\n- 'a'\n- b\n# the end\n"),
        ("recipes: [\n  a,\n  c\n]\n", "recipes: [\n  a,\n  c, b\n]\n"),
        ("recipes:\r\n- a\r\n", "recipes:\r\n- a\r\n- b\r\n"),
    ],
)
def test_the_rest_stays(before, after, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(before.encode())
    assert add_recipe(path, "b")
    assert path.read_bytes() == after.encode()
    assert not add_recipe(path, "b")


@settings(max_examples=25)
@given(NAMES, st.booleans(), st.sampled_from(["b", "new", "on", "1e3"]))
def test_any_list_has_one_name_more(tmp_path_factory, names, flow, new):
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump({"seed": 3, "recipes": names, "other": {"x": 1}}, default_flow_style=flow))
    assert add_recipe(path, new) == (new not in names)
    assert yaml.safe_load(path.read_text()) == {
        "seed": 3, "recipes": names if new in names else [*names, new], "other": {"x": 1},
    }  # fmt: skip


@pytest.mark.parametrize("content", ["seed: 0\n", "recipes: digits\n", "- digits\n"])
def test_what_is_no_list_is_refused(content, tmp_path):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(RecipeError, match="must be a list of names"):
        add_recipe(tmp_path / "params.yaml", "b")
