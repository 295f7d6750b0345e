"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("1w 1d", timedelta(days=8)),
        ("250ms", timedelta(milliseconds=250)),
        ("1.5h", timedelta(minutes=90)),
        ("0s", timedelta(0)),
        (" 7 s ", timedelta(seconds=7)),
    ],
)
def test_parse_duration(text, expected):
    """Each unit at most once, the longer before the shorter, fractions allowed."""
    assert expected == parse_duration(text)


@pytest.mark.parametrize("text", ["", "30", "s", "30 seconds", "-5s", "1m1h", "1s1s", "1e3s", "99999w", "٣s", "1h" * 60, "5 M"])
def test_what_is_no_duration_is_refused(text):
    """The answer is a sentence, never a guess."""
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("length", "expected"), [(timedelta(seconds=90), "1m30s"), (timedelta(hours=36), "1d12h"), (timedelta(0), "0s")]
)
def test_format_duration(length, expected):
    """One spelling per length."""
    assert expected == format_duration(length)


def test_a_negative_length_is_not_written():
    """There is no spelling for it."""
    with pytest.raises(ValueError, match="not negative"):
        format_duration(timedelta(seconds=-1))


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)))
def test_what_is_written_is_read_back(length):
    """No length is lost or rounded."""
    assert length == parse_duration(format_duration(length))
