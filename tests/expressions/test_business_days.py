"""Expressions that know calendars."""

from datetime import date

import pytest

from engine.expressions import compile_expression
from engine.expressions.errors import ExpressionError
from engine.model.calendar import Calendars

SCOPE = {
    "$calendars": Calendars({"office": {"working_days": ["mon", "tue", "wed", "thu"], "holidays": ["2026-11-24"]}}),
    "$timezone": "Europe/Vienna",
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('is_business_day("2026-11-23", "office")', True),
        ('is_business_day("2026-11-24", "office")', False),
        ('is_business_day("2026-11-27", "office")', False),
        ('is_business_day("2026-11-27")', True),
        ('is_business_day("2026-11-22T23:30:00Z", "weekdays")', True),
        ('"2026-11-23".add_business_days(1, "office")', date(2026, 11, 25)),
        ('text(add_business_days("2026-11-23T08:00:00Z", 1, "office"))', "2026-11-25T08:00:00Z"),
        ('add_business_days("2026-11-24", 0, "office")', date(2026, 11, 25)),
    ],
)
def test_by_a_calendar(source, expected):
    """
    A day is a business day by the calendar of that name; a moment counts where the workflow's clocks are.
    """
    assert expected == compile_expression(source).evaluate(SCOPE)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('is_business_day("2026-11-23", "ofice")', "there is no calendar"),
        ('add_business_days("2026-11-23", 1000000)', "at most"),
        ('add_business_days("9999-12-30", 20)', "no such business day"),
    ],
)
def test_what_cannot_be(source, said):
    """
    An unknown calendar, a move without end, the end of time.
    """
    with pytest.raises(ExpressionError, match=said):
        compile_expression(source).evaluate(SCOPE)
