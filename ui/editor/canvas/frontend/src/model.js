// Between the protocol's plain nodes and edges and the objects Vue Flow draws.
import { markRaw } from "vue";
import { dimensions, handleBounds } from "./geometry.js";
import { problems } from "./words.js";

export function edgeId(source, sourcePort, target, targetPort) {
  return `${source}.${sourcePort}->${target}.${targetPort}`;
}

/** `data` is raw: it is replaced whole when a label changes, never watched in depth. */
export function toFlowNode(node) {
  const { id, x, y, ...data } = node;
  return {
    id,
    type: "step",
    position: { x, y },
    dimensions: dimensions(data),
    handleBounds: handleBounds(id, data),
    data: markRaw(data),
    ariaLabel: describe(data),
  };
}

export function toFlowEdge(edge) {
  return {
    id: edge.id,
    type: "line",
    source: edge.source,
    target: edge.target,
    sourceHandle: edge.source_port,
    targetHandle: edge.target_port,
    ...(edge.mark ? { data: markRaw({ mark: edge.mark }) } : {}),
  };
}

/** The protocol's edge for a connection Vue Flow speaks of. */
export function toEdge({ source, sourceHandle, target, targetHandle }) {
  return {
    id: edgeId(source, sourceHandle, target, targetHandle),
    source,
    target,
    source_port: sourceHandle,
    target_port: targetHandle,
  };
}

export function setNodeData(node, change) {
  const data = { ...node.data, ...change };
  node.data = markRaw(data);
  node.ariaLabel = describe(data);
  if (change.ports_in || change.ports_out) {
    node.dimensions = dimensions(data);
    node.handleBounds = handleBounds(node.id, data);
  }
}

/** Culled cards have nobody who copies `position` to `computedPosition`, and lines are drawn from the latter. */
export function placeNode(node, x, y) {
  node.position = { x, y };
  node.computedPosition = { ...node.computedPosition, x, y };
}

export function describe(data) {
  const parts = [data.title, data.sub || data.use];
  if (data.disabled) parts.push("disabled");
  if (data.problems) parts.push(problems(data.problems));
  return parts.join(", ");
}
