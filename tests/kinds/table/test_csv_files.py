import csv as standard
import gzip
import re

import numpy as np
import pandas as pd
import pytest
from tests.tables import table_recipe
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.table.files import find_rows
from vae_pipeline.system.errors import DataError

PLAIN = {"label": None, "columns": {}, "one_class": False}
draw = np.random.default_rng(0)
ROWS = pd.DataFrame({"a": draw.normal(size=30).round(4), "b": draw.normal(1e4, 2e3, size=30).round(2)})
GROUPED = [[f"{a}", f"{b:,.2f}"] for a, b in ROWS.to_numpy()]


def source(root, tmp_path, content, name="rows.csv", **data):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_source(table_recipe(root, tmp_path / name, **PLAIN | data).data, Finder(tmp_path), 0)


def lines(cells, separator):
    return f"a{separator}b\n" + "".join(f"{separator.join(row)}\n" for row in cells)


def german(text):
    return text.translate(str.maketrans(",.", ".,"))


def in_brackets(number, sign=""):
    """A number as accounts have it: in brackets for a minus."""
    return f"({sign}{-number})" if number < 0 else f"{sign}{number}"


ARABIC = str.maketrans("0123456789.", "٠١٢٣٤٥٦٧٨٩٫")
WRITTEN = {
    "semicolons": ROWS.to_csv(sep=";", index=False),
    "tabs": ROWS.to_csv(sep="\t", index=False),
    "bars": ROWS.to_csv(sep="|", index=False),
    "semicolons, decimal commas": ROWS.to_csv(sep=";", decimal=",", index=False),
    "decimal commas in quotes": ROWS.astype(str).map(german).to_csv(index=False, quoting=standard.QUOTE_ALL),
    "thousands": ROWS.assign(b=[row[1] for row in GROUPED]).to_csv(index=False),
    "thousands after a German fashion": lines([map(german, row) for row in GROUPED], ";"),
    "thousands after a French fashion": lines([[cell.replace(",", "\u202f") for cell in row] for row in GROUPED], ";"),
    "thousands after a Swiss fashion": lines([[cell.replace(",", "’") for cell in row] for row in GROUPED], ";"),
    "a currency before": ROWS.assign(b=[f"${b}" for b in ROWS.b]).to_csv(index=False),
    "a currency behind": ROWS.assign(b=[f"{b} €" for b in ROWS.b]).to_csv(index=False),
    "losses in brackets": ROWS.assign(a=[in_brackets(a) for a in ROWS.a]).to_csv(index=False),
    "losses in brackets, with a currency": ROWS.assign(a=[in_brackets(a, "$") for a in ROWS.a]).to_csv(index=False),
    "a currency before brackets": ROWS.assign(a=[f"€{in_brackets(a)}" for a in ROWS.a]).to_csv(index=False),
    "a minus behind": ROWS.assign(a=[f"{-a}-" if a < 0 else a for a in ROWS.a]).to_csv(index=False),
    "a blank after the minus": ROWS.assign(a=[f"- {-a}" if a < 0 else a for a in ROWS.a]).to_csv(index=False),
    "Arabic digits": ROWS.assign(a=[str(a).translate(ARABIC) for a in ROWS.a]).to_csv(index=False),
    "per cent": ROWS.assign(b=[f"{b}%" for b in ROWS.b]).to_csv(index=False),
    "a sep line": "sep=;\n" + ROWS.to_csv(sep=";", index=False),
    "comments": "# one, two\n# three\n" + ROWS.to_csv(index=False) + "# the end\n",
    "empty lines first": "\n\n" + ROWS.to_csv(index=False),
    "a separator after each row": ROWS.to_csv(index=False).replace("\n", ",\n"),
    "a separator after each row but the header": ROWS.to_csv(index=False).replace("\n", ",\n").replace("b,", "b"),
    "columns aligned by blanks": ROWS.to_string(index=False) + "\n",
    "no line end": ROWS.to_csv(index=False).rstrip("\n"),
    "lines of Windows": ROWS.to_csv(index=False, lineterminator="\r\n"),
    "pandas' index": ROWS.to_csv(),
    "R's row names": ROWS.set_axis(range(1, 31)).to_csv(quoting=standard.QUOTE_NONNUMERIC).replace('"",', "", 1),
    "UTF-8 with a mark": ROWS.to_csv(index=False).encode("utf-8-sig"),
    "UTF-16": ROWS.to_csv(index=False).encode("utf-16"),
    "UTF-16 without a mark": ROWS.to_csv(index=False).encode("utf-16-be"),
    "gzipped": gzip.compress(ROWS.to_csv(index=False).encode()),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_however_a_file_is_written_its_numbers_are_these(root, tmp_path, how):
    found = source(root, tmp_path, WRITTEN[how])
    assert [(column.name, column.kind) for column in found.columns] == [("a", "number"), ("b", "number")]
    np.testing.assert_allclose(found.rows, ROWS, rtol=1e-6)
    scored = find_rows(tmp_path / "rows.csv", spec_of(found))
    assert list(next(scored.file.frames()).columns[-2:]) == ["a", "b"] or found.ignored
    assert scored.written == (found.csv.decimal, found.csv.thousands)


def test_negative_numbers_in_brackets_are_told_and_brackets_around_all_are_none(root, tmp_path):
    found = source(root, tmp_path, WRITTEN["losses in brackets"])
    (note,) = found.notes
    assert "which is read as a negative number" in note and "data.columns.a" in note
    every = source(root, tmp_path, ROWS.assign(b=[f"({at % 3})" for at in range(30)]).to_csv(index=False))
    assert every.columns[1].values == ("(0)", "(1)", "(2)") and every.notes == ()


@pytest.mark.parametrize(
    ("name", "ids", "told"),
    [
        ("patient_id", 60, True),
        ("user", 60, True),
        ("customerNo", 60, True),
        ("userId", 60, True),
        ("grid", 60, False),
        ("town", 60, False),
        ("patient_id", 5, False),
        ("patient_id", 480, False),
    ],
)
def test_an_id_of_what_was_observed_several_times_is_told(root, tmp_path, name, ids, told):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({name: 1000 + draw.permutation(480) % ids, "x": draw.random(480)})
    found = source(root, tmp_path, frame.to_csv(index=False))
    assert any(f"data.split.groups {{column: {name}}}" in note for note in found.notes) is told


def spec_of(found):
    return TableSpec(found.columns, found.ignored, csv=found.csv, absent=found.absent)


def test_texts_with_separators_quotes_and_line_ends_in_them(root, tmp_path):
    names = ['Ana, "the first"', "Bo\nand Cy", "Dé", "E; F"]
    frame = ROWS.assign(name=[names[at % 4] for at in range(30)])
    assert source(root, tmp_path, frame.to_csv(index=False)).columns[2].values == tuple(sorted(names))
    assert source(root, tmp_path, frame.to_csv(index=False, quotechar="'")).columns[2].values == tuple(sorted(names))
    western = source(root, tmp_path, frame.to_csv(index=False).encode("cp1252"))
    assert western.columns[2].values == tuple(sorted(names))


TWO_WAYS = "a;b\n" + "1,234;5,678\n9,876;4,321\n" * 9
MISTAKES = {
    "a field too few": (ROWS.to_csv(index=False) + "0.5\n", "the row '0.5' has 1 fields, and its columns are 2"),
    "a field too many": (ROWS.to_csv(index=False) + "1,2,3\n", "the row '1,2,3' has 3 fields, and its columns are 2"),
    "equal names": ("a,a\n" + ROWS.to_csv(index=False, header=False), "two columns of the name 'a'"),
    "zero bytes": (ROWS.to_csv(index=False).replace("\n", "\n\0", 3), "line 2 holds a character of value 0"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(range(256)) * 9, "isn't text: a spreadsheet"),
    "a title": (
        "Sales of 2020\n\n" + ROWS.to_csv(index=False),
        "has 1 fields, and the next ones have 2: is it a comment",
    ),
    "a header alone": ("a,b\n", "holds no rows"),
    "commas": (TWO_WAYS, "may be a number of thousands or one with decimals.*data.csv.decimal"),
    "points": (german(TWO_WAYS), "data.csv.decimal"),
    "commas and points": ("a;b\n" + "0,5;1.5\n" * 9, "numbers aren't all written in one way"),
    "years above numbers": (
        "2019,2020\n" + "1,2\n3,5\n" * 9,
        "first row, 2019, 2020, names the columns.*data.csv.header",
    ),
    "an encoding": (
        "имя;x\nБоб;3\nИван;4\n".encode("koi8-r"),
        "isn't UTF-8; it may be .*reads 'имя', or cp1252, which reads 'ÉÍÑ'.*in data.csv.encoding",
    ),
    "two currencies": (ROWS.assign(b=["$1", "€2"] * 15).to_csv(index=False), r"numbers beside the signs \$, €"),
    "a gap": (ROWS.assign(b=["?", *ROWS.b[1:]]).to_csv(index=False), r"among them '\?'.*data.missing"),
    "two gaps": (ROWS.assign(b=["-", "low", *ROWS.b[2:]]).to_csv(index=False), "among them '-', 'low'.*data.missing"),
    "a date": (
        ROWS.assign(b=["2024-01-02"] * 29 + ["2.1.24"]).to_csv(index=False),
        "'2024-01-02', and among them '2.1.24'",
    ),
    "days or months": (ROWS.assign(b=["01/02/2024"] * 30).to_csv(index=False), "%d/%m/%Y or %m/%d/%Y: say which"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_may_be_read_in_two_ways_or_in_none_is_one_line(root, tmp_path, mistake):
    content, message = MISTAKES[mistake]
    with pytest.raises(DataError, match=message):
        source(root, tmp_path, content)


def test_what_is_told_is_not_found_anew(root, tmp_path):
    assert source(root, tmp_path, TWO_WAYS, csv={"decimal": ","}).rows[0].tolist() == pytest.approx([1.234, 5.678])
    assert source(root, tmp_path, TWO_WAYS, csv={"thousands": ",", "decimal": "."}).rows[0].tolist() == [1234, 5678]
    years = "2019,2020\n" + "1,2\n3,5\n" * 9
    assert [column.name for column in source(root, tmp_path, years, csv={"header": True}).columns] == ["2019", "2020"]
    assert len(source(root, tmp_path, years, csv={"header": False}).rows) == 19
    russian = ("имя;x\n" + "Боб;3\nИван;4\n" * 9).encode("koi8-r")
    assert source(root, tmp_path, russian, csv={"encoding": "koi8-r"}).columns[0].values == ("Боб", "Иван")
    gaps = ROWS.assign(b=["?", *ROWS.b[1:]]).to_csv(index=False)
    found = source(root, tmp_path, gaps, missing=["?"])
    assert found.columns[1].missing and np.isnan(found.rows[0, 1]) and np.isfinite(found.rows[1:]).all()
    dates = ROWS.assign(b=["01/02/2024", "03/04/2024"] * 15).to_csv(index=False)
    found = source(root, tmp_path, dates, columns={"b": {"kind": "date", "format": "%d/%m/%Y"}})
    assert found.rows[0, 1] == (pd.Timestamp("2024-02-01") - pd.Timestamp(0)).days


@pytest.mark.parametrize("header", [["a", "b"], ["0", "1"], ["a", "2020"], None])
def test_a_header_is_told_from_a_row(root, tmp_path, header):
    names = [column.name for column in source(root, tmp_path, ROWS.to_csv(index=False, header=header or False)).columns]
    assert names == (header or ["x0", "x1"])


def test_names_of_numbers_outweigh_one_that_its_column_holds_too(root, tmp_path):
    found = source(root, tmp_path, ROWS.assign(yes=["yes", "no"] * 15).to_csv(index=False))
    assert [column.name for column in found.columns] == ["a", "b", "yes"]
    with pytest.raises(DataError, match="names the columns can't be told"):
        source(root, tmp_path, ROWS[["a"]].assign(yes=["yes", "no"] * 15).to_csv(index=False))


def test_a_column_that_tells_rows_apart_is_left_out_and_may_be_kept(root, tmp_path):
    keys = {"id": [f"k{at}" for at in range(30)], "order_id": draw.permutation(30) + 700, "n": range(1, 31)}
    content = ROWS.assign(**keys).to_csv(index=False)
    found = source(root, tmp_path, content)
    assert found.ignored == ("id", "order_id", "n") and len(found.columns) == 2
    assert found.found["n"]["kind"] == "left out: it counts the rows"
    kept = source(root, tmp_path, content, columns={"order_id": "number"})
    assert [column.name for column in kept.columns] == ["a", "b", "order_id"]


def test_a_file_to_score_is_read_as_the_one_that_was_learnt_where_it_leaves_that_open(root, tmp_path):
    found = source(root, tmp_path, WRITTEN["thousands after a German fashion"])
    (tmp_path / "one.csv").write_text("a;b\n1.234;5.678\n")
    assert find_rows(tmp_path / "one.csv", spec_of(found)).written == (",", ".")
    (tmp_path / "other.csv").write_text("b,a\n5678.5,0.25\n")
    rows = find_rows(tmp_path / "other.csv", spec_of(found))
    assert rows.written == (".", "") and next(rows.file.frames()).b[0] == "5678.5"


def test_what_is_found_is_printed_by_check(root, tmp_path):
    content = ROWS.assign(kind=["x", "?"] * 15, n=range(30)).to_csv(sep=";", decimal=",", index=False)
    (tmp_path / "rows.csv").write_text(content)
    recipe = table_recipe(root, tmp_path / "rows.csv", **PLAIN)
    (tmp_path / "recipe.yaml").write_text(recipe.model_dump_json())
    printed = CliRunner().invoke(app, ["check", str(tmp_path / "recipe.yaml")], catch_exceptions=False).stdout
    assert "separator ';'" in printed and "decimal ','" in printed
    assert re.search(r"\nb +number +0 +30 ", printed) and re.search(r"\nn +left out: it counts the rows", printed)
    assert "column kind holds '?': if that stands for a missing value" in printed


def test_lines_of_json_and_folders_of_parquet_are_tables_too(root, tmp_path):
    (tmp_path / "rows.jsonl").write_text(ROWS.to_json(orient="records", lines=True))
    (tmp_path / "rows.parquet").mkdir()
    for at in (0, 1):
        ROWS[15 * at : 15 * at + 15].to_parquet(tmp_path / "rows.parquet" / f"part-{at}.parquet")
    for name in ("rows.jsonl", "rows.parquet"):
        found = open_source(table_recipe(root, tmp_path / name, **PLAIN).data, Finder(tmp_path), 0)
        np.testing.assert_array_equal(found.rows, ROWS)
        assert found.origins[str(tmp_path / name)].startswith("sha256:")
    for content, message in (("{\n", "line 1 isn't JSON"), ("[1, 2]\n", "line 1 isn't an object")):
        with pytest.raises(DataError, match=message):
            source(root, tmp_path, content, "new.jsonl")
