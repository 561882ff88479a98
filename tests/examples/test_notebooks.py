"""The notebooks run, and show what their kept outputs show."""

import os
import re
from itertools import groupby

import nbformat
import pytest
from nbclient import NotebookClient
from tests.lanes import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def kinds(notebook):
    """Of each cell of code, what its outputs are made of; what is printed may come in one piece or in several."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    made = [[sorted(output.get("data", [output.output_type])) for output in cell.outputs] for cell in cells]
    return [[kind for kind, _ in groupby(each)] for each in made]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def test_outputs_are_kept_and_name_no_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    numbers = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert not re.search(r"/(home|root|tmp|work)/|Traceback|Warning", path.read_text())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])
def test_notebooks_run(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    kept = kinds(notebook)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert kinds(notebook) == kept
    assert not list(tmp_path.iterdir())
