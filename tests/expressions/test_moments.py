"""Dates, moments, durations and decimals inside expressions, and what is stored of them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expressions import ExpressionError, compile_expression, kind_of, to_json_value
from engine.model.items import File

NOON = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)


def value_of(source, item=None, zone="Europe/Vienna", now=NOON):
    return compile_expression(source).evaluate({"item": item or {}, "$now": lambda: now, "$timezone": zone})


def test_the_clock_is_handed_in():
    """
    now() and today() read the clock and the zone of the scope, so the engine can freeze time for a step.
    """
    assert "2026-11-24T00:30:00+01:00" == to_json_value(value_of("now()"))
    assert date(2026, 11, 24) == value_of("today()")
    assert date(2026, 11, 23) == value_of("today('UTC')")
    assert (date(2026, 11, 23), date(2026, 11, 25)) == tuple(value_of("[yesterday(), tomorrow()]"))


def test_time_stands_still_in_one_evaluation():
    """
    A clock that runs is read once.
    """
    ticks = iter(range(100))
    expression = compile_expression("[now(), now()].unique().length")
    assert 1 == expression.evaluate({"$now": lambda: NOON + timedelta(seconds=next(ticks))})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("item.due < today()", True),
        ("today() > item.due", True),
        ("item.due == date('2026-11-01')", True),
        ("item.created < now()", True),
        ("item.created >= date('2026-11-23')", True),
        ("item.created == datetime('2026-11-23T09:00:00+01:00')", True),
        ("item.due != today()", True),
        ("today() == 'not a date'", False),
        ("date('2026-11-23') == datetime('2026-11-23T00:00')", True),
        ("today() - item.due == days(23)", True),
        ("item.due - today() < days(0)", True),
        ("item.due + ''", "2026-11-01"),
        ("days_between(item.due, today())", 23),
        ("sort([today(), item.due, yesterday()])[0]", "2026-11-01"),
    ],
)
def test_iso_text_serves_as_a_date(source, expected):
    """
    Where a date is compared with a text, the text is read as ISO 8601; without an offset it is in the zone of the workflow.
    """
    assert expected == value_of(source, {"due": "2026-11-01", "created": "2026-11-23T08:00:00Z"})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("date('2026-01-31') + days(1)", "2026-02-01", id="a date moves by days"),
        pytest.param("date('2026-01-31') + hours(1)", "2026-01-31T01:00:00+01:00", id="by hours it becomes a moment"),
        pytest.param(
            "datetime('2026-03-28T12:00') + days(1)", "2026-03-29T12:00:00+02:00", id="whole days keep the clock on the wall"
        ),
        pytest.param("datetime('2026-03-28T12:00') + hours(25)", "2026-03-29T14:00:00+02:00", id="hours are real time"),
        pytest.param("datetime('2026-03-29T02:30')", "2026-03-29T03:30:00+02:00", id="a time that the clock skips"),
        pytest.param("datetime('2026-03-29T12:00') - datetime('2026-03-28T12:00')", "PT23H", id="a short day"),
        pytest.param("days(1) + hours(2)", "P1DT2H", id="durations add up"),
        pytest.param("hours(3) * 2 - minutes(1)", "PT5H59M", id="and multiply"),
        pytest.param("hours(3) / minutes(30)", 6.0, id="and divide"),
        pytest.param("-minutes(1)", "-PT1M", id="and turn round"),
        pytest.param("seconds(0)", "PT0S", id="nothing at all"),
        pytest.param("seconds(1.25)", "PT1.25S", id="fractions"),
        pytest.param(
            "add_months(datetime('2026-10-25T02:30:00+02:00'), 1)",
            "2026-11-25T02:30:00+02:00",
            id="months keep the offset given",
        ),
        pytest.param("start_of(datetime('2026-11-23T10:20:30'), 'day')", "2026-11-23T00:00:00+01:00", id="the start of a day"),
        pytest.param("end_of(date('2026-12-10'), 'quarter')", "2026-12-31", id="the end of a quarter"),
        pytest.param("end_of(date('2026-11-25'), 'week')", "2026-11-29", id="the end of a week"),
        pytest.param("datetime('2026-11-23T10:20:30.123456Z')", "2026-11-23T10:20:30.123456Z", id="microseconds"),
        pytest.param("decimal('0.10') + decimal('0.20')", "0.30", id="decimals keep their digits"),
        pytest.param("decimal('10') / 4", "2.5", id="a decimal and a number"),
        pytest.param("decimal('1e3') * 2", "2000", id="no exponents"),
        pytest.param("{a: [today()], b: 1}", {"a": ["2026-11-24"], "b": 1}, id="deep inside"),
    ],
)
def test_what_is_stored(source, expected):
    """
    Dates, moments, durations and decimals are stored as texts that can be read again.
    """
    assert expected == to_json_value(value_of(source))


def test_plain_json_is_stored_as_it_is():
    """
    What holds nothing to turn is handed on as the very same object, files included.
    """
    plain = {"a": [1, "x", None, {"b": 2.5}], "file": File(hash="a", name="b", media_type="c", size=1)}
    assert to_json_value(plain) is plain
    with pytest.raises(ExpressionError, match="cannot store"):
        to_json_value({1, 2})


@pytest.mark.parametrize("zone", ["Europe/Vienna", "+05:30", "UTC", "America/New_York"])
def test_zones(zone):
    """
    Zones are IANA names or offsets.
    """
    assert value_of("in_zone(now(), z)".replace("z)", f"'{zone}')")) == NOON


def test_an_unknown_zone_is_answered_with_the_nearest():
    """
    A zone that does not exist is an error that names one that does.
    """
    with pytest.raises(ExpressionError, match="no time zone “Wien/vienna”") as caught:
        value_of("now('Wien/vienna')")
    assert "did you mean “Europe/Vienna”?" == caught.value.hint


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_a_stored_moment_reads_back(moment):
    """
    Writing a moment and reading it again gives the same moment.
    """
    assert moment == compile_expression("datetime(t)").evaluate({"t": to_json_value(moment)})


@given(st.timedeltas(min_value=timedelta(days=-99_999), max_value=timedelta(days=99_999)))
def test_a_stored_duration_reads_back(duration):
    """
    Writing a duration and reading it again gives the same duration.
    """
    assert duration == compile_expression("duration(t)").evaluate({"t": to_json_value(duration)})


@given(st.dates(), st.sampled_from(["yyyy-MM-dd", "d.M.yyyy", "EEEE, d MMMM yyyy", "dd/MM/yyyy", "MMM d, yyyy"]))
def test_a_written_date_reads_back(day, pattern):
    """
    A date written by a pattern is read by the same pattern.
    """
    assert day == compile_expression("parse_date(format_date(d, p), p)").evaluate({"d": day, "p": pattern})


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=4))
def test_a_stored_decimal_reads_back(number):
    """
    A decimal reads back from its text, exactly.
    """
    assert number == compile_expression("decimal(t)").evaluate({"t": to_json_value(number)})


@given(st.decimals(min_value=0, max_value=10**9, places=2), st.integers(1, 50))
def test_the_parts_of_an_amount_add_up(amount, parts):
    """
    An amount that is split adds up to itself, to the cent.
    """
    shares = compile_expression("split_amount(a, n)").evaluate({"a": amount, "n": parts})
    assert amount == sum(shares, Decimal(0))
    assert max(shares) - min(shares) <= Decimal("0.01")


def test_kinds_have_names():
    """
    Every kind of value has words for a sentence.
    """
    assert "a moment" == kind_of(NOON)
    assert "a value of a kind the language does not know" == kind_of(object())
