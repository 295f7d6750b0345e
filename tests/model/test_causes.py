"""Failures that have the same cause are found to have it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.model.causes import LONGEST, cause_of, masked

WORDS = st.lists(
    st.sampled_from(["Order", "has", "no", "total", "for", "the", "customer", "of", "can't", "be", "found:"]), min_size=1
)


def differing() -> st.SearchStrategy[tuple[str, str]]:
    """Two texts that differ in nothing but what is masked, of each kind."""
    number = st.one_of(st.integers(), st.floats(0, 1e9, allow_nan=False).map(lambda value: f"{value:.3f}")).map(str)
    ids = (
        st.uuids().map(str) | st.from_regex(r"\A[a-z]{2,5}_[0-9a-f]{6,12}[0-9]\Z") | st.from_regex(r"\A[A-Z]{2,4}-[0-9]{1,6}\Z")
    )
    letters = st.text(st.characters(codec="utf-8", exclude_characters='"“”'), max_size=20)
    kinds = [
        number,
        ids,
        st.datetimes().map(lambda at: at.isoformat(timespec="seconds") + "Z"),
        st.dates().map(str),
        letters.map(lambda text: f'"{text}"'),
        letters.map(lambda text: f"“{text}”"),
        st.from_regex(r"\Ahttps://[a-z]{1,10}\.example/[a-z0-9/?=&]{0,20}\Z"),
        st.from_regex(r"\A[a-z]{1,8}@[a-z]{1,8}\.example\Z"),
    ]
    return st.one_of(*(st.tuples(kind, kind) for kind in kinds))


@given(before=WORDS, pair=differing(), after=WORDS)
@example(before=["Order"], pair=("-0", "5"), after=["of"])
def test_texts_that_differ_in_values_alone_are_one(before, pair, after):
    """
    Numbers, ids, dates, addresses and quoted values do not part what belongs together.
    """
    one, other = (" ".join([*before, value, *after]) for value in pair)
    assert masked(one) == masked(other)


@given(text=st.text())
@example(text="‹n› 5 ‹")
@example(text="‹1‹›")
@example(text='"' * 301)
@example(text="5 " * 400)
@example(text="x" * 298 + " 17 18")
def test_masking_again_changes_nothing(text):
    """
    No digit is left, the length has an end, and a masked text is masked.
    """
    once = masked(text)

    assert not any(sign.isdecimal() for sign in once)
    assert len(once) <= LONGEST
    assert once == masked(once)


@given(words=st.lists(st.from_regex(r"\A[a-zA-Z]{1,12}\Z"), min_size=1, max_size=20))
def test_plain_words_stay(words):
    """
    What is said in words is what tells one cause from another.
    """
    assert " ".join(words) == masked(" ".join(words))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Order ORD-2024-17 has no total.", "Order ‹id› has no total."),
        ("shop.example answered 404 Not Found.", "shop.example answered ‹n› Not Found."),
        ("“Send mail” broke: KeyError: 'total'.", "‹value› broke: KeyError: ‹value›."),
        ("It can't be: don't do 3 things, or 1,000.50 of them", "It can't be: don't do ‹n› things, or ‹n› of them"),
        ("Could not reach https://shop.example/orders?id=7 at 12:30:01", "Could not reach ‹url› at ‹date›"),
        ("due 2026-11-23T07:00:00+01:00, was 23.11.2026", "due ‹date›, was ‹date›"),
        ("[Errno 111] Connection refused by 10.0.0.7:5432", "[Errno ‹n›] Connection refused by ‹n›"),
        ("ids 1, 2, 3 and 4 are gone", "ids ‹n› and ‹n› are gone"),
        ("took 30s", "took ‹id›"),
    ],
)
def test_masks(message, expected):
    """
    The rule by examples.
    """
    assert expected == masked(message)


def test_a_cause_is_step_status_code_and_message():
    """
    Each of the four parts one cause from the other; the status is the service's answer.
    """
    error = {"code": "refused", "message": "shop.example answered 404 Not Found.", "where": {"node": "get", "status": 404}}
    cause = cause_of(error, "http.request")

    assert ("http.request", "refused", "404") == (cause.step, cause.code, cause.status)
    others = [
        cause_of(error, "test.send"),
        cause_of({**error, "code": "unavailable"}, "http.request"),
        cause_of({**error, "where": {"status": 403}}, "http.request"),
        cause_of({**error, "message": "Something else."}, "http.request"),
    ]
    assert 5 == len({cause.id, *(other.id for other in others)})
    assert cause.id == cause_of({**error, "message": "shop.example answered 405 Not Found."}, "http.request").id


def test_an_error_without_a_form_has_a_cause():
    """
    Whatever stands in an old row, it lands in a group.
    """
    assert cause_of(None).id == cause_of({}).id == cause_of({"where": "nowhere"}).id
