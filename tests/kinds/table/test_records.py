"""Records of plain values, read without pandas, beside what pandas makes of them."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.table.frames import encoded_rows
from vae_pipeline.kinds.table.records import plain_records
from vae_pipeline.system.errors import DataError

KNOTS = ((0.0, 0.0), (1.0, 1.0))
SPEC = TableSpec(
    columns=(
        Column("amount", "number", True, KNOTS),
        Column("new", "boolean", True, KNOTS),
        Column("country", "category", True, KNOTS, ("NO", "7", "2.5")),
        Column("when", "date", True, KNOTS),
    ),
    ignored=("id",),
)
NUMBERS = st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9) | st.just(float("nan"))
MOMENTS = st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1), timezones=st.none() | st.just(UTC))
RECORDS = st.fixed_dictionaries(
    {
        "amount": NUMBERS | NUMBERS.map(np.float64) | st.none(),
        "new": st.sampled_from([True, False, "true", "False", " 1 ", 0, 1.0, None]),
        "country": st.sampled_from(["NO", "SE", " NO ", "7", "7.0", 7, 7.0, 2.5, None]),
        "when": MOMENTS.map(datetime.isoformat) | MOMENTS.map(lambda moment: moment.date().isoformat()) | st.none(),
    },
    optional={"id": st.text()},
)


@settings(max_examples=8, deadline=None)
@given(st.lists(RECORDS, min_size=10, max_size=15))
def test_plain_records_are_the_numbers_that_pandas_makes_of_them(records):
    if all(record["when"] is None for record in records):  # pandas knows no type of nothing, and refuses dates of it
        records[0]["when"] = "2026-11-28"
    np.testing.assert_array_equal(plain_records(records, SPEC, "the table"), encoded_rows(records, SPEC, "the table"))


@pytest.mark.parametrize(
    "moment",
    [date(2026, 11, 28), datetime(2026, 11, 28, 6), datetime(2026, 11, 28, 6, tzinfo=timezone(timedelta(hours=2)))],
)
def test_dates_are_days_since_1970(moment):
    wanted = {date: 20785.0, datetime: 20785.25}[type(moment)] - (2 / 24 if getattr(moment, "tzinfo", None) else 0)
    rows = [{"amount": 1, "new": True, "country": "NO", "when": moment}]
    assert plain_records(rows, SPEC, "the table")[0, 3] == pytest.approx(wanted, abs=1e-9)
    np.testing.assert_array_equal(plain_records(rows, SPEC, "the table"), encoded_rows(rows, SPEC, "the table"))


@pytest.mark.parametrize(
    "value",
    [{"amount": "12"}, {"amount": Decimal(3)}, {"amount": 1e39}, {"amount": True}, {"new": "maybe"}, {"when": 3}],
)
def test_what_is_not_plain_is_left_to_pandas(value):
    rows = [{"amount": 1, "new": True, "country": "NO", "when": "2026-11-28", **value}]
    assert plain_records(rows, SPEC, "the table") is None


def test_columns_that_are_missing_or_unknown_are_refused():
    with pytest.raises(DataError, match=r"the table lacks the columns new, country, when$"):
        plain_records([{"amount": 1}], SPEC, "the table")
    whole = dict.fromkeys(("amount", "new", "country", "when", "more"), None)
    with pytest.raises(DataError, match="has the column more, which the model doesn't know"):
        plain_records([whole], SPEC, "the table")
