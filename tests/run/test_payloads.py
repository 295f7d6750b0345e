"""How outputs are written down and read again."""

from array import array
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import StepCrashed
from engine.model.items import SAME, File, Output
from engine.run.payloads import CHUNK, Payload, StoredOutputs, Whole, decode_batch, encode_batch, encode_outputs, show

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ITEMS = st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=5)
REPORT = File(hash="abc", name="report.xlsx", media_type="application/x", size=7)


def read_again(outputs):
    payload, _ = encode_outputs(outputs)
    stored = StoredOutputs(Payload(payload), lambda reference: [])
    return {port: stored[port] for port in stored}


@given(st.dictionaries(st.text(min_size=1), ITEMS, max_size=3))
def test_what_is_written_is_read(ports):
    """
    Every JSON item comes back as it was, port by port.
    """
    found = read_again({port: Output(items) for port, items in ports.items()})
    assert ports == {port: output.items for port, output in found.items()}


@given(st.lists(st.integers(-1, 2**31 - 1)) | st.integers(0, 99).flatmap(lambda first: st.just(list(range(first, first + 9)))))
def test_origins_come_back(indexes):
    """
    One index per item comes back, runs of numbers included.
    """
    found = read_again({"out": Output([{}] * len(indexes), {"in": array("i", indexes)})})
    assert indexes == list(found["out"].origins["in"])


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=4), min_size=1, max_size=6))
def test_several_origins_come_back(groups):
    """
    Several indexes per item come back, also empty ones.
    """
    found = read_again({"out": Output([{}] * len(groups), {"a": groups, "b": SAME})})
    assert groups == [list(group) for group in found["out"].origins["a"]]
    assert found["out"].origins["b"] is SAME


def test_from_the_whole_batch():
    """
    “Each came from all of them” takes no room and comes back.
    """
    payload, _ = encode_outputs({"out": Output([{}] * 1000, {"in": Whole(5000, 1000)})})
    origins = Payload(payload).origins("out")["in"]
    assert (1000, range(5000)) == (len(origins), origins[999])
    assert len(payload) < 4000


@pytest.mark.parametrize("offset", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK - 5, 10_000])
@pytest.mark.parametrize("limit", [0, 1, 7, CHUNK, 5000])
def test_a_page_is_read_without_the_rest(offset, limit):
    """
    Any page of a big batch is the slice it says.
    """
    items = [{"n": n} for n in range(3 * CHUNK + 11)]
    payload = Payload(encode_batch(items))
    assert items[offset : offset + limit] == payload.items("out", offset, limit)
    assert {"out": len(items)} == payload.counts


def test_a_batch_that_was_written_before_is_a_reference():
    """
    The very same list is not written again; an equal one is.
    """
    items = [{"n": 1}]
    known = {id(items): ("fetch", "out")}
    same, _ = encode_outputs({"out": Output(items)}, known)
    equal, _ = encode_outputs({"out": Output([{"n": 1}])}, known)
    assert ("fetch", "out") == Payload(same).reference("out")
    assert Payload(equal).reference("out") is None


def test_file_handles_come_back_whole():
    """
    A file in an item is a handle again, wherever it stands.
    """
    items = [{"report": REPORT, "more": [{"deep": REPORT}]}]
    assert items == decode_batch(encode_batch(items))


def test_a_look_alike_stays_plain_data():
    """
    What only looks like a file handle, because it came from outside, is not made one, not even beside a real one.
    """
    fake = REPORT.as_json()
    items = [{"real": REPORT, "fake": fake}, {"fake": fake, "nested": {"$file:0123456789abcdef": ["a", "b", "c", 1]}}]
    found = decode_batch(encode_batch(items))
    assert items == found
    assert type(found[0]["fake"]) is dict


def test_files_are_shown_as_json():
    """
    At the borders a handle is an object with `$file`.
    """
    assert {"report": {"$file": "abc", "name": "report.xlsx", "type": "application/x", "size": 7}} == show({"report": REPORT})


def test_foreign_values_become_json_at_once():
    """
    Dates, decimals and tuples come back as JSON values, in memory too, so that a resumed run sees the same.
    """
    items = [{"day": date(2026, 11, 23), "at": datetime(2026, 11, 23, tzinfo=UTC), "sum": Decimal("0.10"), "pair": (1, 2)}]
    _, outputs = encode_outputs({"out": Output(items)})
    expected = [{"day": "2026-11-23", "at": "2026-11-23T00:00:00+00:00", "sum": "0.10", "pair": [1, 2]}]
    assert expected == outputs["out"].items


@pytest.mark.parametrize("value", [object(), 2**80, {1: "a"}, "\ud800"])
def test_what_json_cannot_hold_is_an_error(value):
    """
    A value that cannot be written down is told with a sentence.
    """
    with pytest.raises(StepCrashed, match="JSON cannot hold"):
        encode_outputs({"out": Output([{"x": value}])})
