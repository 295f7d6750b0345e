"""Steps that can make far more of what they get: they stop with a sentence before the memory does."""

import threading

import pytest

from engine.errors import TooLarge, TreadleError
from engine.steps.builtin import join, shape


def test_keys_that_all_meet(bench, monkeypatch):
    """
    Where every key is equal, merging makes the product of both sides; it ends at the limit, not at the end of the memory.
    """
    monkeypatch.setattr(join, "MOST_ITEMS", 10_000)
    many = [{"k": 1, "n": number} for number in range(200)]
    fields = {"mode": "by_key", "left": "item.k"}
    with pytest.raises(TooLarge, match="10,000"):
        bench.out("flow.merge", fields, a=many, b=many)
    assert 10_000 == len(bench.out("flow.merge", fields, a=many[:100], b=many[:100]))


def test_lists_in_lists(bench, monkeypatch):
    """
    Splitting ends at the limit too, and no item is asked for its list after that.
    """
    monkeypatch.setattr(shape, "MOST_ITEMS", 10_000)
    monkeypatch.setattr(shape, "AT_ONCE", 10)
    with pytest.raises(TreadleError, match="10,000"):
        bench.out("data.split", {"list": "range(100)"}, [{}] * 101)
    found = bench.ports("data.split", {"list": "range(item.n)"}, [{"n": number % 3} for number in range(25)])["out"]
    assert [index for index in range(25) for _ in range(index % 3)] == list(found.origins["in"])
    assert [place for index in range(25) for place in range(index % 3)] == [item["value"] for item in found.items]


def test_a_failing_list_among_many(bench, monkeypatch):
    """
    Which item failed is told by its place in the whole batch, wherever the batch is parted.
    """
    monkeypatch.setattr(shape, "AT_ONCE", 2)
    with pytest.raises(TreadleError) as caught:
        bench.out("data.split", {"list": "item.l"}, [{"l": [1]}, {"l": [2]}, {"l": [3]}, {"l": "text"}, {"l": None}])
    assert [3] == list(caught.value.failed)
    assert [{"value": 1}, {"value": 2}, {"value": 3}] == caught.value.outputs.items


def test_many_items_are_made_beside_everything_else(bench, monkeypatch):
    """
    Making a million items does not hold up the webhooks: it is done in a thread.
    """
    seen: list[str] = []
    real = shape._filled

    def filled(*given, **options):
        seen.append(threading.current_thread().name)
        return real(*given, **options)

    monkeypatch.setattr(shape, "_filled", filled)
    assert [{"n": 0}, {"n": 1}] == bench.out("data.generate", {"count": 2, "item": {"n": "index"}})
    assert 50_000 == len(bench.out("data.generate", {"count": 50_000, "item": {"n": "index"}}))
    assert [True, False] == [name == threading.main_thread().name for name in seen]
