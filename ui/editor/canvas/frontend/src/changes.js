// Ops: applied to Vue Flow's store, and sent to Python as one batch per gesture.
import { placeNode, setNodeData, toFlowEdge, toFlowNode } from "./model.js";

export function useChanges(flow, connected, emit, settled) {
  let seq = 0;
  const dragging = new Set();
  const inFlight = new Map(); // seq -> ids moved by a batch Python has not answered yet

  function load({ nodes, edges }) {
    connected.clear();
    inFlight.clear();
    flow.setEdges([]);
    flow.setNodes(nodes.map(toFlowNode));
    flow.setEdges(edges.map(toFlowEdge));
    for (const edge of edges) connected.count(edge, 1);
    settled();
  }

  function apply(ops, isOwn = false) {
    for (const op of ops) {
      if (op.op === "add") add(op);
      else if (op.op === "del") remove(op);
      else if (op.op === "move") move(op, isOwn);
      else if (op.op === "set") set(op);
    }
    settled();
  }

  function add({ nodes = [], edges = [] }) {
    const freshNodes = nodes.filter((node) => !flow.findNode(node.id));
    const freshEdges = edges.filter((edge) => !flow.findEdge(edge.id));
    if (freshNodes.length) flow.addNodes(freshNodes.map(toFlowNode));
    if (freshEdges.length) flow.addEdges(freshEdges.map(toFlowEdge));
    for (const edge of freshEdges) connected.count(edge, 1);
  }

  function remove({ nodes = [], edges = [] }) {
    const goners = new Set(nodes);
    const lines = new Set(edges);
    for (const edge of flow.edges.value) if (goners.has(edge.source) || goners.has(edge.target)) lines.add(edge.id);
    const known = [...lines].map((id) => flow.findEdge(id)).filter(Boolean);
    for (const edge of known) connected.count(edge, -1);
    if (known.length) flow.removeEdges(known.map((edge) => edge.id));
    if (nodes.length) flow.removeNodes(nodes.filter((id) => flow.findNode(id)));
    flow.nodesSelectionActive.value = false;
  }

  /** A card that is held, or whose own move is under way, does not jump back to where somebody else saw it. */
  function move({ to }, isOwn) {
    const held = new Set(isOwn ? [] : [...dragging, ...[...inFlight.values()].flat()]);
    for (const [id, x, y] of to) {
      const node = flow.findNode(id);
      if (node && !held.has(id)) placeNode(node, x, y);
    }
  }

  function set({ id, data }) {
    const node = flow.findNode(id);
    if (node) setNodeData(node, data);
  }

  /** Draw a gesture at once and tell Python, which acknowledges or puts it right. */
  function perform(ops) {
    apply(ops, true);
    report(ops);
  }

  /** Tell Python of something that is drawn already (a drag moved the cards itself). */
  function report(ops) {
    seq += 1;
    inFlight.set(
      seq,
      ops.filter((op) => op.op === "move").flatMap((op) => op.to.map(([id]) => id)),
    );
    emit("ops", { seq, ops });
  }

  /** Python answered the batch `number`. */
  function answered(number) {
    inFlight.delete(number);
  }

  return { load, apply, perform, report, answered, dragging };
}
