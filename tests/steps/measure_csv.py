"""Parse a CSV file through `data.parse` and tell what memory it took: `python measure_csv.py FILE`."""

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.steps.builtin.parse import parse
from engine.steps.computed import bind_fields
from engine.steps.contract import BatchCall


def memory(kind: str) -> int:
    """Return bytes of memory in use now (`VmRSS`) or at the peak of this very process (`VmHWM`)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(kind + ":"))) * 1024


class OnDisk:
    """The file store, as far as reading one file needs it."""

    def __init__(self, path):
        self.at = path

    def open(self, file):
        return self.at.open("rb")


def main() -> None:
    """Parse, and write the numbers as JSON: bytes held by the items, bytes at the peak, seconds."""
    from types import SimpleNamespace

    from engine.model.items import File

    path = Path(sys.argv[1])
    file = File(hash="0", name=path.name, media_type="text/csv", size=path.stat().st_size)
    fields = bind_fields(parse, {}, {})
    batch = BatchCall(ports={"in": [{"file": file}]}, ctx=SimpleNamespace(files=OnDisk(path)))
    gc.collect()
    idle, started = memory("VmRSS"), time.perf_counter()
    items = []

    async def run() -> None:
        items.extend((await parse.call(batch, **fields)).items)

    asyncio.run(run())  # what it returns would be written out by `repr` in `signal.getsignal`, gigabytes of it
    seconds = time.perf_counter() - started
    held = memory("VmRSS") - idle
    peak = memory("VmHWM") - idle
    sys.stdout.write(json.dumps({"items": len(items), "held": held, "peak": peak, "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main()
