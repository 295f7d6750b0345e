"""Where boxes stand that were never placed: columns by how far they are from a start, rows in document order."""

from __future__ import annotations

from engine.model.workflow import Document

COLUMN = 300
ROW = 130


def places(document: Document) -> dict[str, tuple[float, float]]:
    """Return a place for every node: the stored one, else a free one in the column after its sources."""
    at: dict[str, tuple[float, float]] = {str(node): (float(x), float(y)) for node, (x, y) in document.layout.items()}
    if all(node in at for node in document.nodes):
        return at
    depth = _depths(document)
    taken = {(round(x / COLUMN), round(y / ROW)) for x, y in at.values()}
    for node in sorted(document.nodes, key=lambda node: depth[node]):
        if node in at:
            continue
        column, row = depth[node], 0
        while (column, row) in taken:
            row += 1
        taken.add((column, row))
        at[node] = (column * COLUMN, row * ROW)
    return at


def _depths(document: Document) -> dict[str, int]:
    """Return for each node the longest way to it from a node without sources; circles are cut where they are met."""
    waits = dict.fromkeys(map(str, document.nodes), 0)
    after: dict[str, list[str]] = {}
    for edge in document.edges:
        if edge.source in waits and edge.target in waits:
            after.setdefault(edge.source, []).append(edge.target)
            waits[edge.target] += 1
    depth = dict.fromkeys(waits, 0)
    ready = [node for node, count in waits.items() if not count]
    while ready:
        node = ready.pop()
        for target in after.get(node, ()):
            depth[target] = max(depth[target], depth[node] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return depth
