"""The quick ways to make facts and runs give what the slow ways give."""

from dataclasses import fields, replace

from engine.clock import ManualClock
from engine.model.run import Fact, FactKind, Run, RunStatus
from engine.run.slots import altered, make_fact
from tests.run.workshop import a_document, a_run


def test_a_fact_made_quickly():
    """
    `make_fact` is `Fact`.
    """
    at = ManualClock().now()
    expected = Fact(
        run_id="r", seq=3, kind=FactKind.LOGGED, node="n", at=at, attempt=2, summary={"level": "info"}, payload=b"x"
    )
    assert expected == make_fact("r", 3, FactKind.LOGGED, "n", at, 2, {"level": "info"}, b"x")


def test_a_run_altered_quickly():
    """
    `altered` is `replace`, field by field.
    """
    clock = ManualClock()
    run = a_run(a_document([]), clock)
    changes = {"status": RunStatus.FAILED, "finished_at": clock.now(), "error": {"code": "x"}, "start_node": "a"}
    expected, found = replace(run, **changes), altered(run, **changes)
    assert expected == found
    assert all(getattr(found, field.name) == getattr(expected, field.name) for field in fields(Run))
