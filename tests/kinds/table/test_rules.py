"""Rules of rows against what pandas says of the same table."""

import numpy as np
import pandas as pd
import pytest

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.table.exact import exact
from vae_pipeline.kinds.table.frames import decode
from vae_pipeline.kinds.table.grammar import Grammar
from vae_pipeline.kinds.table.keys import Keys
from vae_pipeline.kinds.table.rules import require_possible
from vae_pipeline.system.errors import DataError

LINE = ((0.0, 0.0), (1.0, 1.0))
DAY = pd.Timestamp("2026-01-01", tz="UTC")
FIRST = float((DAY - pd.Timestamp(0, tz="UTC")).days)
SPEC = TableSpec(
    (
        Column("age", "number", True, LINE, step=1.0, extent=(17.0, 90.0), cells=((17.0, 30.0), (32.0, 90.0))),
        Column("net", "number", False, LINE, step=0.01, extent=(0.0, 99.0)),
        Column("total net", "number", False, LINE, step=0.01, extent=(0.0, 199.0)),
        Column("ratio", "number", False, LINE, extent=(0.0, 1.0)),
        Column("sex", "category", True, LINE, ("Female", "Male", "<=50K")),
        Column("home-sex", "category", False, LINE, ("Male", "Other", "Female")),
        Column("sex code", "number", False, LINE, step=1.0, extent=(0.0, 3.0)),
        Column("new", "boolean", True, LINE),
        Column("start", "date", True, LINE, offset=FIRST, step=1.0, extent=(0.0, 60.0)),
        Column("end", "date", False, LINE, step=1.0, extent=(FIRST, FIRST + 90), written="%d.%m.%Y"),
    ),
    ("id",),
)


@pytest.fixture(scope="module")
def rows():
    draw, count = np.random.default_rng(0), 3000
    tenths = draw.integers(0, 40, count) / 100
    found = np.stack([
        draw.integers(17, 91, count), tenths, tenths + draw.integers(0, 2, count) / 10, draw.integers(0, 9, count) / 10,
        draw.integers(0, 3, count), draw.integers(0, 3, count), draw.integers(0, 4, count), draw.integers(0, 2, count),
        FIRST + draw.integers(0, 61, count), FIRST + draw.integers(0, 91, count),
    ], axis=1).astype(np.float32).astype(float)  # fmt: skip
    for index in (0, 4, 7, 8):
        found[draw.random(count) < 0.2, index] = np.nan
    return found


@pytest.fixture(scope="module")
def frame(rows):
    return decode(rows, SPEC.columns, steps=True)


@pytest.fixture(scope="module")
def values(rows):
    return {column.name: exact(rows[:, index], column) for index, column in enumerate(SPEC.columns)}


def day(text):
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize(
    ("text", "meant", "known"),
    [
        ("age>=60", lambda f: f.age >= 60, ["age"]),
        ("age != 60", lambda f: f.age != 60, ["age"]),
        (" age in 20, 30 ,40", lambda f: f.age.isin([20, 30, 40]), ["age"]),
        ("60 < age", lambda f: f.age > 60, ["age"]),
        ("ratio > 0.1", lambda f: f.ratio.astype("float32") > np.float32(0.1), []),  # float32's 0.1 isn't over 0.1
        ("ratio = .3", lambda f: f.ratio.astype("float32") == np.float32(0.3), []),
        ("sex=Female", lambda f: f.sex == "Female", ["sex"]),
        ("sex==<=50K", lambda f: f.sex == "<=50K", ["sex"]),
        ("sex = '<=50K'", lambda f: f.sex == "<=50K", ["sex"]),
        ('sex in "<=50K", Male', lambda f: f.sex.isin(["<=50K", "Male"]), ["sex"]),
        ("sex != home-sex", lambda f: f.sex != f["home-sex"], ["sex"]),
        ("sex code >= 2", lambda f: f["sex code"] >= 2, []),
        ("sex is missing", lambda f: f.sex.isna(), []),
        ("sex is  not missing", lambda f: f.sex.notna(), []),
        ("new = TRUE", lambda f: f.new == True, ["new"]),  # noqa: E712 (it may be missing)
        ("start >= 2026-02-01", lambda f: f.start >= day("2026-02-01"), ["start"]),
        ("end < 01.03.2026", lambda f: f.end < day("2026-03-01"), []),
        ('"start" <= `end`', lambda f: f.start <= f.end, ["start"]),
        ("end - start <= 30", lambda f: (f.end - f.start).dt.days <= 30, ["start"]),
        ("total net = net + 0.1", lambda f: (f["total net"] * 100).round() == (f.net * 100).round() + 10, []),
        ("-(net*2 - total net)/2 + 1 > 3*3.04e-1", lambda f: -(f.net * 2 - f["total net"]) / 2 + 1 > 0.912, []),
        ("net / 0 >= 1", lambda f: f.net > 0, ["net above 0"]),
    ],
)
def test_a_rule_holds_where_pandas_says_so(text, meant, known, frame, values):
    verdict = Grammar(SPEC).rule(text).verdict(values)
    open_ = frame.net == 0 if known == ["net above 0"] else frame[known].isna().any(axis=1)
    assert (np.isnan(verdict) == open_.to_numpy()).all()
    wanted = meant(frame).fillna(False).to_numpy(bool)
    assert (verdict[~open_] == wanted[~open_]).all() and 0 < wanted[~open_].sum() < len(frame)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no rule: wanted a column"),
        ("age", "is no rule: wanted a column"),
        (3, "3 was given; a rule is a text"),
        (">= 3", "there is no column|is no rule"),
        ("agee>=60", "there is no column 'agee': did you mean 'age'\\?"),
        ("hours per week > 3", "there is no column 'hours per week'; there are age, net"),
        ("total nett > 3", "there is no column 'total nett': did you mean 'total net'\\?"),
        ("id = 3", "the column id isn't drawn, as the model doesn't see it"),
        ("age = old", "age is a number, from 17 to 90 in training rows, and 'old' is none"),
        ("age >=", "and '' is none"),
        ("age > 1e999", "'1e999' is none"),
        ("age > nan", "'nan' is none"),
        ("age>=60 and sex=Male", "give each rule by itself"),
        ("sex = female", "a category, of Female, Male, <=50K, and 'female' is none: did you mean 'Female'\\?"),
        ("sex in Male,Femal", "did you mean 'Female'"),
        ("sex = sax", "did you mean 'sex'|and 'sax' is none$"),
        ("new = net 3", "and 'net 3' is none$"),
        ("age = 3 or age = 4", "is none: one of some values is written as `age in A, B`"),
        ("net > €50", "and '€50' is none: write it plainly, such as 1000.5"),
        ("sex in", "'' is none"),
        ("sex > Male", "> is of numbers and dates"),
        ("sex + 1 > 2", "sex is a category, of Female, Male, <=50K, and no number"),
        ("new = perhaps", "new is a boolean, true or false, and 'perhaps' is none"),
        ("start >= soon", "start is a date, from 2026-01-01 to 2026-03-02 in training rows, and 'soon' is none"),
        ("start >= 2026-13-01", "'2026-13-01' is none"),
        ("age is nothing", "wanted `is missing`"),
        ("age + net in 3", "`in` stands after the name of one column"),
        ("1 = 1", "names no column"),
        ("(age > 3", "is missing|isn't understood|no column"),
        ("age > (3", "a \\) is missing"),
        ("age > 3 +", "it ends where"),
        ("net > " + "(" * 5000, "isn't understood"),
        ("unique(id2)", "there is no column 'id2'"),
        ("unique()", "there is no column ''"),
        ("__import__('os') = 1", "there is no column|no column"),
    ],
)
def test_what_is_no_rule_is_told(text, told):
    with pytest.raises(DataError, match=told):
        Grammar(SPEC).check(text)


def test_columns_may_have_names_of_the_grammar():
    columns = Column("is missing", "boolean", True, LINE), Column("age in", "number", True, LINE)
    grammar = Grammar(TableSpec(columns, ()))
    values = {"is missing": np.array([1.0, np.nan]), "age in": np.array([np.nan, 3.0])}
    for text, met in [
        ("age in is missing", [True, False]),
        ("is missing is missing", [False, True]),
        ('"is missing" is not  missing', [True, False]),
        ("age in in 3, 4", [False, True]),
        ("is missing = true", [True, False]),
    ]:
        assert grammar.rule(text).met(values).tolist() == met, text


def test_numbers_of_float32_are_told_in_few_digits():
    column = Column("net", "number", False, LINE, extent=(float(np.float32(2.61)), 144.25))
    with pytest.raises(DataError, match=r"a number, from 2\.61 to 144\.25 in training rows"):
        Grammar(TableSpec((column,), ())).check("net = much")


def test_a_whole_tables_rule_is_no_condition():
    assert Grammar(SPEC).check('unique("total net", sex)').columns == ("total net", "sex")
    with pytest.raises(DataError, match="make it a check"):
        Grammar(SPEC).rule("unique(age)")


@pytest.mark.parametrize(
    ("rules", "possible"),
    [
        (["age>=60", "age<20"], False),
        (["age>60", "age<61"], False),
        (["age>60", "age<62"], True),
        (["age>=200"], False),
        (["age=31"], False),  # between the cells
        (["age=17"], True),
        (["net>=200"], True),  # of a family that isn't bounded
        (["net>=1e300"], False),
        (["net>0.5", "net<0.501"], False),
        (["ratio>0.5", "ratio<0.501"], True),
        (["sex=Male", "sex=Female"], False),
        (["sex!=Male", "sex!=Female", "sex!=<=50K"], False),
        (["sex!=Male", "sex!=Female"], True),
        (["sex is missing"], True),
        (["sex is missing", "sex=Male"], False),
        (["net is missing"], False),
        (["new=1", "new=0"], False),
        (["start>2026-01-05", "start<2026-01-06"], False),
        (["end>31.01.2026", "end<2026-02-02"], True),
    ],
)
def test_conditions_that_no_row_can_meet_are_told_at_once(rules, possible):
    found = [Grammar(SPEC).rule(text) for text in rules]
    if possible:
        require_possible(found, SPEC.columns)
        return
    with pytest.raises(DataError, match="no value of") as told:
        require_possible(found, SPEC.columns)
    assert all(text in str(told.value) for text in rules)


@pytest.mark.parametrize("columns", [1, 3])
def test_keys_are_those_that_pandas_finds_twice(columns):
    draw = np.random.default_rng(columns)
    rows = draw.integers(-6 if columns == 3 else -4000, 6 if columns == 3 else 4000, (5000, columns)) * 0.5
    rows[::7] *= -0.0 if columns == 1 else 1.0
    keys = Keys()
    found = np.concatenate([keys.seen(piece) for piece in np.array_split(rows, 37)])
    assert (found == pd.DataFrame(rows).duplicated()).all() and 0 < found.sum() < 5000
