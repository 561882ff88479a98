"""Keep today's recipes as old ones, with what they mean: python -m tests.recipe.freeze 2026-11-28.

The recipes are copied to `old/DATE` as they are written, and `old/meaning.json` gets each of them as it is read, with
every default filled in. What is kept already is never written again: test_old_recipes.py holds the code to it.
"""

import json
import shutil
import sys
from pathlib import Path

from vae_pipeline.recipe import Recipe

SHIPPED = Path(__file__).parents[2] / "pipeline"
OLD = Path(__file__).parent / "old"
MEANING = OLD / "meaning.json"


def freeze(date: str) -> None:
    """Copy the recipes that are shipped.

    Raises:
        FileExistsError: recipes of that date are kept already.
    """
    (OLD / date).mkdir(parents=True)
    meaning = json.loads(MEANING.read_text()) if MEANING.is_file() else {}
    for path in sorted(SHIPPED.glob("*.yaml")):
        shutil.copy(path, OLD / date)
        meaning[f"{date}/{path.stem}"] = Recipe.load(path).model_dump(mode="json")
    MEANING.write_text(json.dumps(meaning, indent=1) + "\n")


if __name__ == "__main__":
    freeze(sys.argv[1])
