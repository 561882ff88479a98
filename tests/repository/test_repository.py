"""The repository says of itself what is true."""

import ast
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections import defaultdict

import pytest
from benchmarks.store import Store
from tests.generated import GENERATED
from tests.lanes import ROOT
from typer.main import get_command

import vae_pipeline
from vae_pipeline.cli.main import app
from vae_pipeline.recipe import Recipe

RECIPES = sorted((ROOT / "pipeline").glob("*.yaml"))
PAGES = sorted(
    [
        *(
            ROOT / "README.md",
            ROOT / "CONTRIBUTING.md",
            ROOT / "pipeline" / "README.md",
            ROOT / "examples" / "README.md",
        ),
        *ROOT.glob("docs/**/*.md"),
    ]
)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_validates_and_opens_with_its_command(path):
    Recipe.load(path)
    assert path.read_text().startswith(f"# dvc repro export@{path.stem} ")
    assert f"vae-pipeline prepare pipeline/{path.name} " in path.read_text()


def test_every_recipe_stands_in_the_table_of_recipes():
    page = (ROOT / "docs" / "recipes.md").read_text()
    assert [path.stem for path in RECIPES if f"| `{path.stem}` |" not in page] == []


@pytest.mark.parametrize("name", GENERATED)
def test_generated_files_are_current(name):
    assert (ROOT / name).read_text(encoding="utf-8") == GENERATED[name](), "run `make docs`"


def commands_in(page):
    text = page.read_text()
    if page.name != "log.md":  # an entry has the commands of its day
        for inline in re.findall(r"`((?:vae-pipeline(?! some`)|make) [^`\n]+)`", text):  # `some` is a detector's name
            yield shlex.split(inline)
    for block in re.findall(r"```(?:sh|shell|bash)\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_in_the_pages_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    ours = get_command(app).commands
    for words in commands_in(page):
        if words[0] == "make" and len(words) > 1 and not words[1].startswith(("-", "PYTHON")):
            assert re.search(rf"^{re.escape(words[1])}:", makefile, flags=re.MULTILINE), words
        if words[0] == "vae-pipeline" and not words[1].startswith("-"):
            command = ours[words[1]]
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            known |= {"--help"}
            used = {word for word in words[2:] if word.startswith("-") and not re.match(r"-\d|-$", word)}
            assert used <= known, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_in_the_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


TWICE = ["models", "recipe"], ["estimators", "models"]


def test_no_two_public_classes_share_a_name():
    """A section of a recipe and the module in `models` that is built from it are one thing said twice, and may; so are
    the model and the estimator that has it, VAE."""
    source = ROOT / "src" / "vae_pipeline"
    homes = defaultdict(list)
    for path in sorted(source.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path.relative_to(source).parts[0])
    assert {name: found for name, found in homes.items() if found not in ([found[0]], *TWICE)} == {}


PUBLIC = {
    "vae_pipeline": ["VAE", "Bundle", "Denoiser", "Recipe", "VAEDetector", "VAESynthesizer", "__version__", "load"],
    "vae_pipeline.runtime": ["Bundle", "Choice", "Detection", "Encoding", "Morph", "Scores", "alarms", "path_between"],
    "vae_pipeline.detector": ["VAEDetector"],
    "vae_pipeline.sentences": ["Choice"],
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_declared(name):
    module = importlib.import_module(name)
    assert module.__all__ == PUBLIC[name]
    assert all(getattr(module, each).__doc__ for each in module.__all__)


def test_the_version_stands_in_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog or f"## [{vae_pipeline.__version__}]" in changelog


OLDER = [
    "from vae_pipeline.sentences import Choice",
    "from vae_pipeline.runtime import Bundle",
    "from vae_pipeline.detector import VAEDetector",
    "from vae_pipeline.metrics.out_of_distribution import complexity",
]
"""Import lines of earlier versions of the pages, by which others may have written programs."""


def test_the_import_lines_of_the_pages_work():
    found = {
        line for page in PAGES for line in re.findall(r"^\s*((?:from|import) vae_pipeline.*)", page.read_text(), re.M)
    }
    assert found
    for line in sorted(found | set(OLDER)):
        exec(line, {})


def test_every_dependency_is_locked_and_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    reasons = (ROOT / "docs" / "adr" / "0002-dependencies.md").read_text()
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name = re.split(r"[<>=!~\[ ]", requirement)[0]
        assert re.search(rf"^{re.escape(name)}==", lock, flags=re.MULTILINE), name
        assert name in reasons, name
    assert "torch==2.13.0\n" in lock


def test_nothing_of_a_machine_is_written_down():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not listed:
        pytest.skip("not a git work tree")
    texts = [ROOT / name for name in listed.split("\0") if name and not name.startswith("tests/")]
    for path in texts:
        if path.suffix not in {".png", ".gif"} and path.is_file():
            assert not re.search(r"/(home|root)/\w|file:///\w", path.read_text(encoding="utf-8")), path


HELP = """
import sys
import vae_pipeline.cli.main
sys.argv = ["vae-pipeline", "--help"]
try:
    vae_pipeline.cli.main.main()
except SystemExit:
    pass
heavy = {"torch", "mlflow", "numpy", "matplotlib", "pydantic", "onnxruntime", "soundfile", "soxr"}
print("loaded:", sorted(heavy & set(sys.modules)))
"""


ROOT_IMPORT = """
import sys
before = set(sys.modules)
import vae_pipeline
assert set(vae_pipeline.__all__) <= set(dir(vae_pipeline))
loaded = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
vae_pipeline.Bundle
import vae_pipeline.kinds.observations
print(sorted(loaded), sorted({"torch", "soundfile", "soxr"} & set(sys.modules)))
"""


def test_importing_the_package_loads_nothing_and_using_a_bundle_neither_torch_nor_what_reads_sound():
    done = subprocess.run([sys.executable, "-c", ROOT_IMPORT], capture_output=True, text=True, check=True)
    assert done.stdout == "['vae_pipeline'] []\n"
    with pytest.raises(AttributeError, match="has no attribute 'VEA'; it has VAE, Bundle"):
        vae_pipeline.VEA  # noqa: B018


def test_help_loads_no_torch():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: []\n")


HEAVY = {
    *("torch", "torch._dynamo", "torch._inductor", "sympy", "onnx", "onnxscript", "onnxruntime", "scipy", "sklearn"),
    *("pandas", "pyarrow", "clevercsv", "tokenizers", "PIL", "matplotlib", "soundfile", "soxr", "mlflow"),
}
"""Modules that take tens of milliseconds to seconds to import, and as many MiB."""


@pytest.mark.parametrize(
    ("stage", "needed"),
    [
        ("prepare", {"scipy"}),
        ("train", {"torch"}),
        ("export", {"torch", "onnx", "onnxscript", "sympy", "onnxruntime", "scipy"}),
    ],
)
def test_a_stage_loads_what_it_uses_alone(stage, needed):
    """A stage imports what only some recipes need where it is used."""
    told = f"import sys, vae_pipeline.stages.{stage}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert HEAVY.intersection(done.stdout.split()) == needed


def test_running_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "vae_pipeline", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"vae-pipeline {vae_pipeline.__version__}\n"


def test_the_table_of_recipes_tells_of_likelihoods_what_was_measured():
    page = (ROOT / "docs" / "recipes.md").read_text()
    rows = Store.of("quality").rows("likelihood")
    told = {name: next(line for line in page.splitlines() if line.startswith(f"| `{name}` |")) for name in rows}
    for name, row in rows.items():
        bound = f"{row['importance_bound']:.2f} ± {row['importance_bound_standard_error']:.2f}"
        assert f"| {row['elbo']:.2f} | {bound}" in told[name]
