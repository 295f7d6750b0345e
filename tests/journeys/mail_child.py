"""One life of a Treadle that sends five hundred letters and will be killed in the middle of it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from app.build import build
from app.config import load_settings
from engine.access import OWNER
from engine.model.codec import read_document
from engine.model.run import RunStatus
from engine.protocols import RunFilter

ITEMS = 500
AT_ONCE = 8

DOCUMENT = """treadle: 1
name: Letters by {method}
nodes:
  start:
    use: trigger.manual
  send:
    use: http.request
    with: {{method: {method}, url: "{url}/{method}", body: {{n: "{{{{ item.n }}}}"}}, concurrency: {at_once}}}
edges:
  - start -> send
"""


def mark(folder: Path, **what: object) -> None:
    """Write down what happened, with one call, so that a kill leaves whole lines."""
    file = os.open(folder / "marks", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (json.dumps(what) + "\n").encode())
    os.close(file)


async def live(folder: Path, url: str) -> None:
    """Take up what is open, or begin; answer what is asked with “again”, and note each question with what the ledger says."""
    treadle = build(load_settings(data=folder / "data", environment={}))
    await treadle.start(triggers=False)
    studio = treadle.studio(OWNER)
    runs = await studio.runs.list_page(RunFilter())
    if len(runs) < 2:
        have = {run.workflow_name for run in runs}
        for method in ("POST", "PUT"):
            document = read_document(DOCUMENT.format(method=method, url=url, at_once=AT_ONCE))
            if document.name not in have:
                await studio.runs.start_document(document, [{"n": n} for n in range(ITEMS)])
        runs = await studio.runs.list_page(RunFilter())
    mark(folder, ready=True)

    async def follow(run_id: str) -> None:
        while True:
            run = await studio.runs.wait(run_id, None)
            if run.status is not RunStatus.NEEDS_DECISION:
                break
            assert run.error is not None
            items = run.error["where"]["items"]
            page = await studio.runs.receipts(run_id, "send", limit=ITEMS)
            told = [receipt.item for receipt in page.receipts if receipt.state == "uncertain"]
            mark(folder, asked=items, told=told, name=run.workflow_name)
            await studio.runs.decide(run_id, "retry", node="send", items=items)
        outputs = (await studio.runs.finished(run_id))["outputs"]["send"]["out"]
        mark(folder, over=run.status.value, name=run.workflow_name, gave=[item["body"]["n"] for item in outputs], id=run_id)

    await asyncio.gather(*(follow(run.id) for run in runs))
    await treadle.stop()


def main(folder: str, url: str) -> None:
    """Live one life."""
    asyncio.run(live(Path(folder), url))
