"""What changed between two documents."""

from engine.ids import NodeId
from engine.model.changes import ABSENT
from engine.model.codec import read_document
from engine.model.diff import Difference, DocumentDiff, diff_documents
from engine.model.workflow import Document, Edge

BEFORE = """
treadle: 1
name: Orders
nodes:
  fetch: {use: http.request, with: {url: a, query: {page: 1}}, timeout: 30s}
  old: {use: data.set}
edges: [fetch -> old]
layout: {fetch: [0, 0]}
"""
AFTER = """
treadle: 1
name: Late orders
nodes:
  fetch: {use: http.request, with: {url: a, query: {page: 1.0, size: 5}}, on_error: route}
  new: {use: data.set}
edges: [fetch.error -> new]
settings: {concurrency: 2}
layout: {fetch: [10, 0]}
"""


def a_document(text: str = BEFORE) -> Document:
    return read_document(text)


def test_every_difference_is_named_down_to_the_field():
    """Before and after stand side by side; 1 and 1.0 are two values."""
    fetch, old, new = NodeId("fetch"), NodeId("old"), NodeId("new")
    expected = DocumentDiff(
        added=(new,),
        removed=(old,),
        changed={
            fetch: (
                Difference(("with", "query", "page"), 1, 1.0),
                Difference(("with", "query", "size"), ABSENT, 5),
                Difference(("timeout",), "30s", ABSENT),
                Difference(("on_error",), ABSENT, "route"),
            )
        },
        added_edges=(Edge(fetch, new, "error"),),
        removed_edges=(Edge(fetch, old),),
        document=(Difference(("name",), "Orders", "Late orders"), Difference(("settings",), ABSENT, {"concurrency": 2})),
        moved=(fetch,),
    )
    assert expected == diff_documents(a_document(), a_document(AFTER))


def test_the_same_document_has_no_difference():
    """Two readings of one text say the same."""
    assert diff_documents(a_document(), a_document()).is_empty


def test_an_order_that_changed_is_told():
    """Nothing was added or changed, and still the text differs."""
    swapped = BEFORE.replace("url: a, query: {page: 1}", "query: {page: 1}, url: a")
    assert DocumentDiff(is_reordered=True) == diff_documents(a_document(), a_document(swapped))
