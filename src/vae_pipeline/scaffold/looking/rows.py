"""A look at a table: its columns, and what is to be decided where their values leave it open."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.table.columns import UndecidedColumnError
from vae_pipeline.kinds.table.repeats import duplicates_of
from vae_pipeline.kinds.table.source import TableSurvey, survey
from vae_pipeline.recipe.data import TableData
from vae_pipeline.recipe.data.table import Csv
from vae_pipeline.scaffold.facts import TableFacts
from vae_pipeline.scaffold.looking.found import Found, Places, require_enough
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.explain import explain

ABSENT = ("?", "??", "-", "--", ".", "..", "*")  # signs that stand for a missing value where nothing says otherwise
OTHERWISE = "(data.split.duplicates says otherwise)"
PLURALS = {"number": "numbers", "boolean": "booleans", "category": "categories", "date": "dates"}


def look_at_rows(
    path: Path,
    places: Places,
    label: tuple[str, str] | None,
    ignored: Mapping[str, str],
    told: Mapping[str, Any],
    csv: Mapping[str, Any],
) -> Found:
    """The columns of a table; `label` names the column that tells normal rows, and the value that these have there.

    `ignored` are columns that aren't learned, and why; `told` says what some columns are, and `csv` how a text of rows
    is written. Where values leave open what a column is, the remedy that the reader names first is taken, and told.

    Raises:
        DataError: the table can't be read, or is too short.
    """
    data: dict[str, Any] = {
        "kind": "table",
        "file": {"path": str(path)},
        "label": None if label is None else {"column": label[0], "normal": label[1]},
        **({"csv": _written(csv)} if csv else {}),
        "columns": {**dict.fromkeys(ignored, "ignored"), **told},
        "missing": [],
        "scaling": "standard",
        "one_class": label is not None,
        "valid": 0.2,
        "test": 0.2 if label is None else 0.4,
        "split": {"size": "exact", "duplicates": "together"},
    }
    seen, decided = _survey(data)
    decided += [
        f"column {name} holds {text!r}, which is read as a negative number (data.columns says otherwise)"
        for name, text in seen.below.items()
    ]
    decided += [
        f"column {name} names {count:,} units in {seen.rows:,} rows: rows of one may be both learned from and measured "
        f"on, which data.split.groups {{column: {name}}} prevents"
        for name, count in seen.units.items()
    ]
    decided += _divided(data, seen)
    kinds = Counter(column.kind for column in seen.columns)
    labels = 0 if seen.labels is None else int(seen.labels.sum())
    reasons = {name: seen.found[name]["kind"].partition("it ")[2] for name in seen.left_out} | dict(ignored)
    absent = sum(found["missing"] for name, found in seen.found.items() if name not in seen.left_out)
    left_out = [f"left out: column {name}, which {reason}" for name, reason in reasons.items()]
    said = [
        f"{seen.rows:,} rows of {len(seen.columns)} columns: "
        + ", ".join(f"{count} {kind if count == 1 else PLURALS[kind]}" for kind, count in kinds.items()),
        f"{absent:,} values are missing: a gap is modelled, as unlikely as it is rare" if absent else "",
        *left_out,
        "no column is known to tell normal rows from others: all are learned (--label COLUMN=NORMAL names one)"
        if label is None
        else f"{labels:,} rows are anomalies, as {label[0]} isn't {label[1]}: they are kept for the test part",
        *decided,
        *require_enough(seen.rows - labels, "rows" if label is None else "normal rows", path),
    ]  # fmt: skip
    facts = TableFacts(
        seen.rows, kinds["number"], kinds["boolean"], kinds["category"], kinds["date"], labelled=label is not None
    )
    data["file"] = {"path": places.written(path)}
    if not data["missing"]:
        del data["missing"]
    about = f"{seen.rows:,} rows of {len(seen.columns)} columns"
    return Found(facts, data, about, [line for line in said if line], (*left_out, *decided))


def _written(csv: Mapping[str, Any]) -> dict[str, Any]:
    """The section that says how a text of rows is written, of what was told."""
    try:
        return Csv.model_validate(csv).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        raise DataError(f"how the rows are written, {dict(csv)}, can't be: {explain(Csv, error)}") from error


def _survey(data: dict[str, Any]) -> tuple[TableSurvey, list[str]]:
    """A survey of a table, whose section is settled until the reader takes it, and what was decided for that."""
    decided: dict[str, str] = {}
    while True:
        try:
            seen = survey(TableData.model_validate(data), Finder(Path()))
        except UndecidedColumnError as error:
            decided[error.column] = f"{str(error).partition(':')[0]}: {_settled(data, error.settled)}"
            continue
        if codes := {name: found for name, found in seen.codes.items() if name not in decided}:
            name, (code, kind) = next(iter(codes.items()))
            decided[name] = f"column {name} holds {code!r}, as codes do: {_settled(data, {'columns': {name: kind}})}"
        elif doubts := {name: sign for name, sign in seen.doubts.items() if sign in ABSENT}:
            name, sign = next(iter(doubts.items()))
            decided[name] = f"column {name} holds {sign!r}: {_settled(data, {'missing': [sign]})}"
        else:
            return seen, [line + _lost(seen, name) for name, line in decided.items()]


def _lost(seen: TableSurvey, name: str) -> str:
    """The number of a column's values that are missing, by what was decided too."""
    missing = seen.found[name]["missing"] if name in seen.found else 0
    return f"; {missing:,} of its {seen.rows:,} values are missing so" if missing else ""


def _divided(data: dict[str, Any], seen: TableSurvey) -> list[str]:
    """Let equal rows fall where they do if they come about by chance, and say so."""
    first = next(seen.file.frames())[[column.name for column in seen.columns]]
    data["split"]["duplicates"] = duplicates_of(first)
    if data["split"]["duplicates"] == "together":
        return []
    return [f"so few different rows can be that equal ones are chance: each falls where it does {OTHERWISE}"]


def _settled(data: dict[str, Any], keys: Mapping[str, Any]) -> str:
    """Take up keys into a section, and say so."""
    data["missing"] += keys.get("missing", [])
    data["columns"] |= keys.get("columns", {})
    told = [f"{text!r} is taken for a missing value" for text in keys.get("missing", [])]
    told += [
        f"it is taken as {kind if isinstance(kind, str) else kind['format']}"
        for kind in keys.get("columns", {}).values()
    ]
    return f"{', '.join(told)} (data.{', data.'.join(keys)} says otherwise)"
