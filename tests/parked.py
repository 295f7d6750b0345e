"""A run as a program leaves it that died in the middle of a change outside."""

from datetime import datetime

from engine.ids import NodeId, new_run_id
from engine.model.codec import document_hash, read_document
from engine.model.items import Output
from engine.model.run import Fact, FactKind, Run, RunId, RunStatus
from engine.protocols import Store
from engine.run.payloads import encode_batch, encode_outputs

APPEND = """treadle: 1
name: Diary
nodes:
  start:
    use: trigger.manual
  write:
    use: file.write
    with: {path: diary.txt, mode: append, content: "{{ item.line }}"}
edges:
  - start -> write
"""
ITEMS = [{"line": "Monday"}]


async def leave_behind(store: Store, now: datetime, *, status: RunStatus = RunStatus.RUNNING) -> RunId:
    """Write a run whose append began and never ended; as `needs_decision` it has been found already."""
    document = read_document(APPEND)
    run = Run(
        id=new_run_id(now),
        workflow_id=None,
        workflow_name=document.name,
        version_id=document_hash(document),
        status=status,
        trigger="manual",
        start_node=NodeId("start"),
        queued_at=now,
        started_at=now,
        error={"code": "uncertain", "message": "Nobody knows.", "hint": None, "where": {"node": "write"}},
    )
    payload, _ = encode_outputs({"out": Output(ITEMS)})
    gave = {"ports": {"out": 1}, "in": 1, "ms": 1.0}
    began, ended = FactKind.STEP_STARTED, FactKind.STEP_SUCCEEDED
    journal = store.journal
    journal.start(run, input=encode_batch(ITEMS), document=document)
    journal.append(Fact(run_id=run.id, seq=0, kind=ended, node=NodeId("start"), at=now, summary=gave, payload=payload), epoch=0)
    journal.append(Fact(run_id=run.id, seq=1, kind=began, node=NodeId("write"), at=now), epoch=0)
    await journal.barrier()
    return run.id
