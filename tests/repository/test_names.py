"""A name in backticks on a page is there: a module, an attribute, a file, a key of a recipe."""

import builtins
import importlib
import json
import re
import tomllib
from itertools import takewhile

import pytest
from tests.lanes import ROOT
from tests.repository.names import SOURCE, Names, source

# docs/log.md isn't among them: an entry has the names of its day.
PAGES = sorted(
    path
    for pattern in ("*.md", "*/README.md", "docs/**/*.md")
    for path in ROOT.glob(pattern)
    if path.name not in ("CHANGELOG.md", "log.md")
)
SCHEMA = json.loads((ROOT / "pipeline" / "schema.json").read_text())
VALUES = {"spec": ("ImageSpec", "TableSpec", "TextSpec")}
"""Values that pages call by a name, and the classes of which each has some of the members."""
OTHERS = ("torch", "numpy")
"""Packages whose names pages give; each is looked up."""
MADE = (
    "dist/",
    "site/",
    "data/raw",
    "data/prepared",
    "reports",
    "exports",
    "studies",
    "sweeps",
    "answers",
    "benchmarks/.envs",
    "benchmarks/.models",
)
"""Folders that the pipeline and the benchmarks fill."""
EXAMPLES = {"test/dog", "train/dog", "digit.json", "dvc.lock", "test_masks.npy"}
FOREIGN = {
    "Clip",
    "ConstantOfShape",
    "IsNaN",
    "Min",
    "ReduceSum",
    "DecompressionStream",
    "ModelConfig",
    "NaN",
    "Independent",
    "AutoencoderKL",
    "AutoencoderTiny",
    "AsymmetricAutoencoderKL",
}
"""ONNX's operators, classes of a browser, of Triton, of torch and of diffusers, and a number."""


def quoted(page):
    """The texts in backticks, blocks of code apart."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))


def parts(node):
    """A node of the schema, with every choice that it leaves."""
    if "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    yield node
    for choice in (*node.get("anyOf", ()), *node.get("oneOf", ()), *([node["items"]] if "items" in node else ())):
        yield from parts(choice)


def is_key(name):
    """True if a recipe, or one of its sections, has that key."""
    nodes = [SCHEMA, *SCHEMA["$defs"].values()]
    for word in name.split("."):
        found = [part.get("properties", {}) for node in nodes for part in parts(node)]
        nodes = [properties[word] for properties in found if word in properties]
    return bool(nodes)


def is_file(name):
    """True if there is such a file or folder, from the root or from the package; NAME stands for any."""
    pattern = re.sub(r"\b[A-Z]{3,}\b", "*", name.rstrip("/"))
    within = pattern if "/" in pattern else f"**/{pattern}"
    folders = [SOURCE, *(ROOT / name for name in ("tests", "benchmarks", "pipeline", "docs", "examples"))]
    return any(ROOT.glob(pattern)) or any(path for folder in folders for path in folder.glob(within))


def is_made(name):
    """True if the source names the file that it writes, or the pipeline fills its folder."""
    return name in source().strings or name.startswith(MADE)


def is_of_others(name):
    package, *words = name.split(".")
    value = importlib.import_module(package) if package in OTHERS else None
    for word in words:
        value = getattr(value, word, None)
    return value is not None


def is_member_of_value(name):
    value, _, member = name.partition(".")
    return any(source().has(f"{of}.{member}") for of in VALUES.get(value, ()))


WAYS = (lambda name: source().has(name), is_key, is_file, is_made, is_of_others, is_member_of_value)


def stale(names):
    """Those that look like a name of ours (dotted, or a path, or a class) and lead nowhere."""
    found = set()
    for name in names:
        dotted = re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", name)
        path = re.fullmatch(r"[A-Za-z_][\w.-]*(/[\w.*-]+)+/?|[a-z_]+/", name)
        placeholder = re.fullmatch(r"[A-Z]+\.\w+", name)
        if (dotted or path) and not placeholder and name not in EXAMPLES and not any(way(name) for way in WAYS):
            found.add(name)
        if (
            re.fullmatch(r"[A-Z][a-z]+[A-Za-z]*", name)
            and name not in FOREIGN
            and not hasattr(builtins, name)
            and not source().defines(name)
        ):
            found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_in_backticks_are_there(page):
    assert stale(quoted(page)) == set()


@pytest.mark.parametrize(
    "name",
    ["stages.evaluate.check_gates", "models.vae.Scaling", "stages.tables", "Net", "Bundle.reconstructs", "train.epoch",
     "models/posterior.py", "nets.dense", "torch.compiled", "spec.lowest"],
)  # fmt: skip
def test_a_stale_name_is_found(name):
    assert stale([name]) == {name}


def test_members_are_read_from_every_form_that_a_class_has(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text("from nets.dense import Dense as Wide\n")
    (tmp_path / "nets" / "dense.py").write_text(
        "class Base:\n    size: int\n    def __init__(self):\n        self.kept = 1\n"
        "class Dense(Base):\n    KIND = 'dense'\n    def go(self): ...\n"
    )
    names = Names(tmp_path)
    there = ("nets", "nets.dense", "nets.Wide", "nets.dense.Dense.size", "Dense.kept", "Dense.go", "Dense.KIND")
    assert [name for name in there if not names.has(name)] == []
    assert not any(names.has(name) for name in ("nets.wide", "Base.go", "Dense.going", "dense.Dense"))


def test_the_floors_in_contributing_are_those_that_are_enforced():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = next(contract["layers"] for contract in contracts if contract["containers"] == ["vae_pipeline"])
    lines = (ROOT / "CONTRIBUTING.md").read_text().split("```\n")[1].splitlines()
    assert list(takewhile(bool, lines)) == [layer for layer in floors if layer != "__main__"]
