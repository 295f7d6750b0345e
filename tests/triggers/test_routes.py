"""Which webhook answers which address."""

import pytest

from engine.errors import BadInput, Conflict
from engine.ids import NodeId, VersionId, WorkflowId
from engine.protocols import TriggerState
from engine.triggers.routes import Match, OtherMethods, RouteTable, check_free, parse_methods, parse_path


def a_webhook(path, methods=("POST",), *, workflow="Orders", node="hook"):
    return TriggerState(
        workflow_id=WorkflowId(f"wf_{workflow}"),
        workflow_name=workflow,
        version_id=VersionId("v1"),
        node=NodeId(node),
        kind="trigger.webhook",
        path=parse_path(path),
        methods=methods,
    )


TABLE = RouteTable(
    [
        a_webhook("orders/{id}", node="one"),
        a_webhook("orders/new", node="new"),
        a_webhook("orders/{id}", ("GET",), node="read"),
        a_webhook("{kind}/new", ("PUT",), node="any"),
        a_webhook("shops/{shop}/orders/{order}", node="deep"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "node", "params"),
    [
        pytest.param("POST", "orders/17", "one", {"id": "17"}, id="a parameter"),
        pytest.param("POST", "orders/new", "new", {}, id="a literal wins over a parameter"),
        pytest.param("GET", "orders/new", "read", {"id": "new"}, id="unless it lacks the method"),
        pytest.param("PUT", "orders/new", "any", {"kind": "orders"}, id="a parameter further left comes last"),
        pytest.param("POST", "shops/7/orders/ä b", "deep", {"shop": "7", "order": "ä b"}, id="two parameters"),
        pytest.param("POST", "orders/17/", "one", {"id": "17"}, id="a slash at the end does not matter"),
    ],
)
def test_a_request_finds_its_trigger(method, path, node, params):
    """
    The most specific path that has the method answers.
    """
    found = TABLE.find(method, path)
    assert isinstance(found, Match)
    assert (node, params) == (found.trigger.node, found.params)


def test_what_is_not_there():
    """
    An unknown path is not found; a known one with another method says which it has.
    """
    assert TABLE.find("POST", "nowhere") is None
    assert TABLE.find("POST", "orders") is None
    assert TABLE.find("POST", "orders//") is None
    assert OtherMethods(("GET", "POST")) == TABLE.find("DELETE", "orders/17")


def test_two_workflows_cannot_have_one_address():
    """
    The same path and method is a conflict that names who has it, whatever the parameters are called.
    """
    with pytest.raises(Conflict, match="“Orders”"):
        check_free([a_webhook("orders/{number}", workflow="Other")], [a_webhook("orders/{id}")])
    check_free([a_webhook("orders/{number}", ("GET",), workflow="Other")], [a_webhook("orders/{id}")])
    with pytest.raises(Conflict, match="this workflow"):
        check_free([a_webhook("a", node="one"), a_webhook("a", node="two")], [])


@pytest.mark.parametrize("path", ["", "/", "a//b", "../a", "a b", "{id}/{id}", "{1}", "a?b", "a{id}", "x" * 501, None])
def test_paths_that_cannot_be(path):
    """
    A path with odd characters, empty parts or twin parameters is refused at its field.
    """
    with pytest.raises(BadInput) as caught:
        parse_path(path)
    assert "path" == caught.value.field


def test_methods():
    """
    Methods come as a list or a text, in any case; nothing means POST.
    """
    assert ("GET", "POST") == parse_methods(["get", "POST", "GET"])
    assert ("PUT",) == parse_methods("put")
    assert ("POST",) == parse_methods(None)
    with pytest.raises(BadInput, match="FETCH"):
        parse_methods(["FETCH"])
