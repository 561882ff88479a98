import datetime
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from vae_pipeline.kinds.raw import checked
from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.table.columns import Outline
from vae_pipeline.kinds.table.frames import decode, encode
from vae_pipeline.kinds.table.spec import centre
from vae_pipeline.kinds.table.store import fit_column
from vae_pipeline.system.errors import DataError

DAYS = ("2024-02-01", "1969-12-31", "9999-12-31", "0001-01-01")
SINCE = [19754.0, -1.0, 2932896.0, -719162.0]


def read(values, told=None, written=""):
    """A column's kind, and what stands for its values."""
    from vae_pipeline.kinds.table.frames import plain

    frame = plain(pd.DataFrame({"c": values}), "here")
    outline = Outline("c", told, written)
    outline.add(frame.c)
    column = outline.column()
    return column, encode(frame, [column], "here")[:, 0].tolist()


TYPES = {
    "Int64 with a gap": (pd.array([1, None, 3], "Int64"), "number", [1, np.nan, 3]),
    "Float64": (pd.array([1.5, None, 3], "Float64"), "number", [1.5, np.nan, 3]),
    "boolean with a gap": (pd.array([True, None, False], "boolean"), "boolean", [1, np.nan, 0]),
    "category of texts": (pd.Categorical(["b", None, "a"]), "category", [1, np.nan, 0]),
    "category of numbers": (pd.Categorical([3, 1, 3]), "number", [3, 1, 3]),
    "interval": (pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]), "category", [0, 1, 2]),
    "period": (pd.period_range("1970-01", periods=3, freq="M"), "date", [0, 31, 59]),
    "timedelta": (pd.to_timedelta(["1h", None, "1s"]), "number", [3600, np.nan, 1]),
    "date with a zone": (pd.to_datetime(["1970-01-02T01:00+01:00", None]), "date", [1, np.nan]),
    "sparse": (pd.arrays.SparseArray([0.0, 0, 5]), "number", [0, 0, 5]),
    "decimals": ([Decimal("1.25"), None, Decimal(2)], "number", [1.25, np.nan, 2]),
    "dates of Python": ([datetime.date(1970, 1, 2), datetime.date(9999, 12, 31)], "date", [1, 2932896]),
    "times of a day": ([datetime.time(1), datetime.time(0, 0, 2)], "number", [3600, 2]),
    "bytes": ([b"a", b"b"], "category", [0, 1]),
    "big-endian": (np.array([1, 2], ">f8").astype("<f8"), "number", [1, 2]),
    "numbers and texts": ([1, "x", 1.0], "category", [0, 1, 0]),
    "ISO dates": (DAYS, "date", SINCE),
    "a month in letters": (["19-Sep-03", "20-Sep-03"], "date", [12314, 12315]),
    "a month first": (["Jan 1 2000", "Feb 11 2000"], "date", [10957, 10998]),
    "a day over twelve": (["01/02/2024", "31/01/2024"], "date", [19754, 19753]),
    "with a time": (["31.01.2024 12:00", "01.02.2024 00:00"], "date", [19753.5, 19754]),
    "durations": (["0 days 00:01:00", "1 days 00:00:01"], "number", [60, 86401]),
    "hours and minutes": (["08:15", "23:59"], "number", [29700, 86340]),
    "truths": (["TRUE", "false"], "boolean", [1, 0]),
    "yes and no": (["yes", "no"], "category", [1, 0]),
    "signed": (["$-1.5", "-$1.5", "$ 2"], "number", [-1.5, -1.5, 2]),
}


@pytest.mark.parametrize("case", TYPES)
def test_whatever_type_a_column_has(case):
    values, kind, wanted = TYPES[case]
    column, found = read(values)
    assert column.kind == kind
    np.testing.assert_array_equal(found, wanted)


def test_seconds_that_a_model_wrote_are_read_as_durations_again():
    column = Column("c", "number", False, (), written="duration")
    found = encode(pd.DataFrame({"c": ["5640", "1:34:00", "86401.0"]}), [column], "rows.csv")
    np.testing.assert_array_equal(found[:, 0], [5640, 5640, 86401])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1], [2, 3]], "column c holds values of type list"),
        ([{"a": 1}, None], "column c holds values of type dict"),
        (np.array([1 + 2j]), "column c holds complex numbers"),
        (["12%", "$3"], r"numbers beside the signs \$, %"),
    ],
)
def test_what_no_column_holds_is_one_line(values, message):
    with pytest.raises(DataError, match=message):
        read(values)


def test_a_whole_number_is_one_category_however_it_is_written():
    column, _ = read(["1", "2", "3"], "category")
    for values in (["1.0", "3.0", "2"], [1.0, 3.0, np.nan], pd.array([1, 3, None], "Int64")):
        assert encode(pd.DataFrame({"c": values}), [column], "here")[:2, 0].tolist() == [0, 2]


def test_an_empty_frame_has_no_rows():
    column, _ = read([1.0, 2.0])
    assert encode(pd.DataFrame({"c": []}), [column], "here").shape == (0, 1)


def test_sampled_dates_beyond_the_calendar_are_its_ends():
    column = Column("c", "date", False, ((0.0, 0.0), (1.0, 1.0)))
    found = decode(np.array([[4e5], [0.25], [9e9], [-9e9]]), [column]).c
    later = str(datetime.datetime(1970, 1, 1) + datetime.timedelta(4e5))
    wanted = [later, "1970-01-01 06:00:00", "9999-12-31 00:00:00", "0001-01-01 00:00:00"]
    assert [str(date)[:19] for date in found] == wanted


NORMAL = np.random.default_rng(0).normal(size=400)
FAR = {
    "millions": 1e6 + NORMAL,
    "hundreds of millions": 1e8 + NORMAL,
    "seconds since 1970": 1.7e9 + np.round(1e4 * NORMAL),
    "instants of a day": 19723 + np.random.default_rng(0).permutation(86400)[:400] / 86400,
    "below nought": -1e9 + NORMAL / 100,
    "numbers of sixteen million": 1.6e7 + np.round(3 * NORMAL),
    "near": 100 + NORMAL,
    "whole days": 20000 + np.round(30 * NORMAL),
}


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
@pytest.mark.parametrize("case", FAR)
def test_values_far_from_nought_stay_apart(case, scaling):
    values = FAR[case]
    column = fit_column(Column("c", "number", False, ()), values, scaling)
    stored = centre(values[:, None], [column])
    assert len(np.unique(stored)) == len(np.unique(values))
    spec = TableSpec((column,), ())
    np.testing.assert_allclose(spec.natural(stored)[:, 0], values, rtol=0, atol=1e-5 * values.std())
    assert (column.offset == 0) == (case in ("near", "whole days"))
    np.testing.assert_array_equal(checked(values[:, None], spec), checked(stored, spec, centred=True))
    scaled = np.interp(stored[:, 0], *zip(*column.knots, strict=True))
    assert 0.7 < scaled.std() < 1.2 and abs(scaled.mean()) < 0.15
    assert TableSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_values_whose_scaling_float32_cannot_hold_are_refused(scaling):
    wide = np.concatenate([NORMAL, [2.9e38, -2.9e38, 2.9e38] * 100])
    with pytest.raises(DataError, match=r"from -2.9e\+38 to 2.9e\+38, .*give them in a larger unit"):
        fit_column(Column("c", "number", False, ()), wide, scaling)
    column = fit_column(Column("c", "number", False, ()), NORMAL * 1e36, scaling)
    assert np.isfinite(np.diff(np.array(column.knots, np.float32), axis=0)).all()


def test_values_that_float32_cannot_tell_apart_are_refused():
    with pytest.raises(DataError, match=r"values that differ by .*e-300.*give them in a smaller unit"):
        fit_column(Column("c", "number", False, ()), (NORMAL + 5) * 1e-300, "standard")
    with pytest.raises(DataError, match="offset"):
        spec = TableSpec(
            (replace(fit_column(Column("c", "number", False, ()), NORMAL, "standard"), offset=np.inf),), ()
        )
        TableSpec.from_dict(spec.to_dict())


@pytest.mark.parametrize(
    ("least", "step", "count"),
    [(221.2, 0.1, 7_000), (54.09, 0.01, 6_000), (8.597, 0.001, 20_000), (-1234.75, 0.25, 9_000), (0.05, 0.1, 50),
     (19.99, 10.0, 300), (2_000_000.3, 0.1, 4_000)],
)  # fmt: skip
def test_drawn_numbers_are_written_as_the_data_write_them(least, step, count):
    """Whatever float32 makes of the least of them."""
    decimals = 3 if step == 0.001 else 2
    wanted = np.round(least + step * np.random.default_rng(0).permutation(count), decimals)
    column = fit_column(Column("c", "number", False, ()), wanted, "standard")
    assert column.step == pytest.approx(step)
    drawn = (wanted - column.offset).astype(np.float32).astype(np.float64) + column.offset
    found = decode(drawn[:, None], [column]).c
    assert found.to_csv(index=False).split()[1:] == [str(each) for each in wanted]


def test_numbers_of_float32_are_told_by_few_digits_and_those_with_an_offset_by_all():
    knots = ((0.0, 0.0), (1.0, 1.0))
    columns = [
        Column("free", "number", False, knots),
        Column("stepped", "number", False, knots, step=0.01, extent=(0.0, 20.0)),
        Column("far", "number", False, knots, offset=1e9),
    ]
    x = np.array([[np.float32(0.1), np.float32(11.102152), 1e9 + 0.125]])
    assert decode(x, columns, short=True).to_csv(index=False).splitlines()[1] == "0.1,11.102152,1000000000.125"
    assert decode(x, columns, steps=True, short=True).stepped[0] == 11.1
    assert decode(x, columns).free[0] == np.float32(0.1)
