"""Which way items go, and how a run ends or answers."""

import pytest

from engine.errors import BadInput
from engine.model.items import SAME
from engine.steps.builtin.flow import switch_ports
from engine.steps.contract import ItemFailures, StopRun


def test_if_parts_the_batch(bench):
    """
    Every item leaves by one of two ports, in order, with its origin.
    """
    items = [{"v": 5}, {"v": 1}, {"v": 9}]
    ports = bench.ports("flow.if", {"when": "item.v > 3"}, items)
    assert [{"v": 5}, {"v": 9}] == ports["true"].items
    assert [{"v": 1}] == ports["false"].items
    assert [0, 2] == list(ports["true"].origins["in"])
    assert [1] == list(ports["false"].origins["in"])


def test_a_batch_that_goes_one_way_is_passed_on_as_it_is(bench):
    """
    Nothing is copied when nothing is taken out.
    """
    items = [{"v": 5}, {"v": 6}]
    taken = bench.ports("flow.if", {"when": "item.v > 3"}, items)["true"]
    assert items is taken.items
    assert SAME is taken.origins["in"]


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}])
def test_what_counts_as_false(bench, value):
    """
    A missing field, false, zero and empty things are no reason to go on.
    """
    assert [] == bench.ports("flow.if", {"when": "item.v"}, [{"v": value}])["true"].items


def test_if_lets_one_item_fail_alone(bench):
    """
    The item without an answer goes neither way.
    """
    with pytest.raises(ItemFailures) as caught:
        bench.raw("flow.if", {"when": "item.v > 3"}, [{"v": 5}, {"v": "x"}, {"v": 1}])
    assert [1] == list(caught.value.failed)
    assert [{"v": 5}] == caught.value.outputs["true"].items
    assert [{"v": 1}] == caught.value.outputs["false"].items


CASES = {"cases": {"big": "item.v > 100", "even": "item.v % 2 == 0"}}


def test_switch_takes_the_first_case_that_holds(bench):
    """
    An item leaves once, by the first case it meets; the rest leave by `otherwise`.
    """
    items = [{"v": 200}, {"v": 2}, {"v": 3}, {"v": 101}]
    ports = bench.ports("flow.switch", CASES, items)
    assert ["big", "even", "otherwise"] == list(ports)
    assert [[0, 3], [1], [2]] == [list(port.origins["in"]) for port in ports.values()]


def test_switch_asks_later_cases_only_for_what_is_left(bench):
    """
    A later case that would fail for an item already taken is not asked for it, and `index` still counts in the batch.
    """
    fields = {"cases": {"text": "kind(item.v) == 'text'", "odd": "item.v % 2 == 1", "third": "index == 2"}, "otherwise": "rest"}
    ports = bench.ports("flow.switch", fields, [{"v": "x"}, {"v": 1}, {"v": 2}, {"v": 4}])
    assert {"text": 1, "odd": 1, "third": 1, "rest": 1} == {name: len(port.items) for name, port in ports.items()}
    assert [{"v": 2}] == ports["third"].items


def test_switch_collects_failures_by_their_index(bench):
    """
    The index of a failure counts in the batch that came in, whichever case it failed in.
    """
    with pytest.raises(ItemFailures) as caught:
        bench.raw("flow.switch", CASES, [{"v": 200}, {"v": 3}, {"v": None}])
    assert [2] == list(caught.value.failed)


def test_switch_says_its_ports_before_it_runs():
    """
    The canvas draws a port per case and one for the rest; names that cannot be ports are left out.
    """
    assert ["a", "b", "rest"] == [port.name for port in switch_ports({"cases": {"a": "1", "b": "2"}, "otherwise": "rest"})]
    assert ["otherwise"] == [port.name for port in switch_ports({"cases": "not yet"})]
    assert ["otherwise"] == [port.name for port in switch_ports({"cases": {"no port!": "1"}})]


def test_respond_answers_and_passes_on(bench):
    """
    Body and headers are rendered with the first item; the batch goes on untouched.
    """
    items = [{"id": 17}, {"id": 18}]
    answer = bench.raw(
        "flow.respond", {"status": 201, "headers": {"x-id": "{{ item.id }}"}, "body": {"made": "{{ item.id }}"}}, items
    )
    assert (201, {"x-id": "17"}, {"made": 17}) == (answer.response.status, dict(answer.response.headers), answer.response.body)
    assert items is answer.outputs.items


def test_respond_gives_the_first_item_by_itself(bench):
    """
    Without a body the first item is the answer; without items there is none.
    """
    assert {"id": 1} == bench.raw("flow.respond", {}, [{"id": 1}]).response.body
    assert None is bench.raw("flow.respond", {}, []).response.body


def test_respond_refuses_a_status_that_is_none(bench):
    """
    99 is no HTTP status.
    """
    with pytest.raises(BadInput, match="at least 200"):
        bench.raw("flow.respond", {"status": 99})


@pytest.mark.parametrize(
    ("status", "expected"), [("failed", "Stopped by the workflow."), ("succeeded", "Ended early by the workflow.")]
)
def test_stop_ends_the_run(bench, status, expected):
    """
    It ends as told, with a reason; a default one when none is written.
    """
    with pytest.raises(StopRun, match="no rate for CHF") as caught:
        bench.raw("flow.stop", {"status": status, "message": "no rate for {{ item.c }}"}, [{"c": "CHF"}])
    assert status == caught.value.status
    with pytest.raises(StopRun, match=expected):
        bench.raw("flow.stop", {"status": status})
