"""What code hands back becomes plain JSON, or a sentence that says where it is not; looked at without a cage."""

import datetime
import decimal
import enum
import math
import uuid

import pytest

from engine.code.frames import FileHandle
from engine.code.inside.files import File
from engine.code.inside.values import NotJson, Plain, kind_name

MARK = "$file:7"


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Column:
    """What numpy's arrays and numbers have in common."""

    def __init__(self, values):
        self.values = values

    def tolist(self):
        return self.values


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({}, id="an empty one"),
        pytest.param({"a": 1, "b": "x", "c": None, "d": True, "e": 0.5}, id="a flat one"),
        pytest.param({"least": -(2**63), "most": 2**64 - 1}, id="the ends of what numbers can be"),
    ],
)
def test_an_item_that_is_json_already_is_the_very_same(item):
    """
    Nothing is copied where nothing has to change.
    """
    assert item is Plain(MARK).item(item)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param((1, (2, 3)), [1, [2, 3]], id="tuples are lists"),
        pytest.param({"a": {"b": [{"c": (1,)}]}}, {"a": {"b": [{"c": [1]}]}}, id="deep inside"),
        pytest.param(datetime.date(2026, 11, 24), "2026-11-24", id="a day"),
        pytest.param(datetime.datetime(2026, 11, 24, 7, 30, tzinfo=datetime.UTC), "2026-11-24T07:30:00+00:00", id="a moment"),
        pytest.param(datetime.time(7, 30), "07:30:00", id="a time"),
        pytest.param(datetime.timedelta(minutes=2), 120.0, id="a duration in seconds"),
        pytest.param(decimal.Decimal("0.10"), "0.10", id="a decimal keeps its places"),
        pytest.param(uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007", id="a UUID"),
        pytest.param(Colour.RED, "red", id="a text of a class of its own"),
        pytest.param([Level.HIGH], [3], id="a number of a class of its own"),
        pytest.param(Column([1, Column(2.5)]), [1, 2.5], id="columns and numbers of numpy"),
    ],
)
def test_what_has_one_form_in_json_gets_it(value, expected):
    """
    The type is the plain one too: no enum and no number of a library goes on.
    """
    made = Plain(MARK).item({"v": value})["v"]
    assert repr(expected) == repr(made)


def test_a_file_becomes_its_mark():
    """
    An item carries the number of a file under the mark of this call, and the caller is told that there was one.
    """
    plain = Plain(MARK)
    assert {"n": 1} == plain.item({"n": 1})
    assert not plain.has_files
    file = File.arrived(3, FileHandle("report.csv", "text/csv", 3, "a" * 64))
    assert {"files": [{MARK: 3}], "n": 1} == plain.item({"files": [file], "n": 1})
    assert plain.has_files


@pytest.mark.parametrize(
    ("item", "told"),
    [
        pytest.param({"a": [{"b": {1, 2}}]}, "“a[0].b” is a set", id="a set, and where"),
        pytest.param({"a": b"x"}, "“a” is bytes", id="bytes"),
        pytest.param({"a": math.nan}, "“a” is nan", id="no number"),
        pytest.param({"a": [math.inf]}, "“a[0]” is inf", id="without end"),
        pytest.param({"a": 2**64}, "“a” is a number of 20 digits", id="too big a number"),
        pytest.param({"a": [-(2**63) - 1]}, "“a[0]” is a number of 19 digits", id="too small a number"),
        pytest.param({1: "x"}, "What was handed back has the key 1, which is an int", id="a key that is no text"),
        pytest.param({"a": {None: "x"}}, "“a” has the key None, which is a NoneType", id="a key that is nothing"),
        pytest.param({"a": object()}, "“a” is an object, which JSON does not have", id="anything else"),
        pytest.param({"a": Column({1})}, "“a” is a set", id="what a column was made of"),
    ],
)
def test_what_json_cannot_hold_is_told_with_its_place(item, told):
    """
    The sentence names the place, the kind, and what to do.
    """
    with pytest.raises(NotJson) as caught:
        Plain(MARK).item(item)
    assert str(caught.value).startswith(told)


def test_a_value_that_holds_itself_has_an_end():
    """
    Lists, objects and columns that lead back to themselves are refused at the two hundredth level.
    """
    ring, circle, column = [], {}, Column(None)
    ring.append(ring)
    circle["me"] = circle
    column.values = column
    for value in (ring, circle, column):
        with pytest.raises(NotJson, match="more than 200 levels"):
            Plain(MARK).item({"a": value})


def test_kinds_have_names_people_know():
    """
    “A list”, not “list”; of other things the name of their class.
    """
    shown = [kind_name(value) for value in (None, True, 1, 0.5, "x", [], {}, Level.HIGH, b"")]
    assert [
        "nothing (None)",
        "true or false",
        *["a number"] * 2,
        "a text",
        "a list",
        "an object",
        "a Level",
        "a bytes",
    ] == shown
