// Which lines may be drawn. This is feedback while dragging; Python decides.

const TAKES = {
  items: ["items", "any"],
  files: ["files", "any"],
  error: ["items", "any"],
  any: ["items", "files", "error", "any"],
};

/** Null when the line may be drawn, else the sentence that says why not. */
export function whyNot(connection, nodes, edges, except = null) {
  const { source, sourceHandle, target, targetHandle } = connection;
  if (source === target) return "A step cannot feed itself.";
  const out = findPort(nodes.get(source)?.data.ports_out, sourceHandle);
  const into = findPort(nodes.get(target)?.data.ports_in, targetHandle);
  if (!out || !into) return "There is no such port.";
  if (!(TAKES[out.kind] ?? TAKES.any).includes(into.kind)) {
    return `The port “${into.label ?? into.name}” takes ${into.kind}, not ${out.kind}.`;
  }
  const others = edges.filter((edge) => edge.id !== except);
  const same = (edge) =>
    edge.source === source && edge.target === target && edge.sourceHandle === sourceHandle && edge.targetHandle === targetHandle;
  if (others.some(same)) return "These two ports are connected already.";
  if (!into.loop && leadsTo(target, source, others, nodes)) {
    return "That line would close a circle; use a loop step to repeat things.";
  }
  return null;
}

/** The first input of `target` that a line from this output may end in, or null. */
export function firstFit(source, sourceHandle, target, nodes, edges) {
  for (const port of nodes.get(target)?.data.ports_in ?? []) {
    const connection = { source, sourceHandle, target, targetHandle: port.name };
    if (!whyNot(connection, nodes, edges)) return connection;
  }
  return null;
}

function findPort(ports, name) {
  return ports?.find((port) => port.name === name);
}

/** Whether items that leave `from` can reach `to`; ways back into a loop's port do not count. */
function leadsTo(from, to, edges, nodes) {
  const next = new Map();
  for (const edge of edges) {
    if (findPort(nodes.get(edge.target)?.data.ports_in, edge.targetHandle)?.loop) continue;
    if (!next.has(edge.source)) next.set(edge.source, []);
    next.get(edge.source).push(edge.target);
  }
  const seen = new Set();
  const open = [from];
  while (open.length) {
    const id = open.pop();
    if (id === to) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    open.push(...(next.get(id) ?? []));
  }
  return false;
}
