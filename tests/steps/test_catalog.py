"""Every kind of step, found by name."""

import pytest

from engine.errors import NotFound
from engine.steps.builtin import builtin_steps
from engine.steps.builtin.paths import drop, get, put
from engine.steps.catalog import Catalog

CATALOG = Catalog(builtin_steps())


@pytest.mark.parametrize(
    ("name", "expected"), [("data.fliter", "data.filter"), ("shape.summarize", "data.summarize"), ("zzz", None)]
)
def test_the_nearest_name(name, expected):
    """
    By its letters, else by its last word.
    """
    assert expected == CATALOG.nearest(name)


def test_a_wrong_name_is_answered_with_the_nearest():
    """
    The error helps.
    """
    with pytest.raises(NotFound, match=r"no step “data\.fliter”") as caught:
        CATALOG.get("data.fliter")
    assert "Did you mean “data.filter”?" == caught.value.hint
    assert CATALOG.get("data.filter") is CATALOG.find("data.filter")
    assert len(list(CATALOG)) == len(CATALOG)


def test_two_steps_of_one_name_are_a_mistake():
    """
    Found when the catalog is filled.
    """
    with pytest.raises(ValueError, match=r"two steps are named 'trigger\.manual'"):
        Catalog([*builtin_steps(), *builtin_steps()])


def test_paths_leave_the_old_item_alone():
    """
    Putting and dropping make new objects along the way, and nothing at all where there is nothing to do.
    """
    item = {"a": {"b": 1, "c": 2}, "d": 3}
    assert {"a": {"c": 2}, "d": 3} == drop(item, ("a", "b"))
    assert {"a": {"b": 5, "c": 2}, "d": 3} == put(item, ("a", "b"), 5)
    for path in (("x",), ("d", "e"), ("a", "x")):
        assert item is drop(item, path)
    assert [(True, 1), (False, None), (False, None)] == [get(item, path) for path in (("a", "b"), ("a", "x"), ("d", "e"))]
    assert {"a": {"b": 1, "c": 2}, "d": 3} == item
