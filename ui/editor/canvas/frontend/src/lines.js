// Drawing lines with the pointer: from port to port, onto a card, or onto nothing (which asks for the next step).
import { CARD_HEIGHT, CARD_WIDTH, portY, snap } from "./geometry.js";
import { toEdge } from "./model.js";
import { firstFit, whyNot } from "./rules.js";

const CLICK = 24; // pixels: less is a click on a port, not a line drawn to nowhere

export function useLines({ flow, changes, emit, tell, readonly }) {
  let begun = null;
  let moved = null; // the line one of whose ends is being carried

  const why = (connection) => whyNot(connection, flow.nodeLookup.value, flow.edges.value, moved);
  const isValid = (connection) => why(connection) === null;

  function connect(connection) {
    if (begun) begun.isDone = true;
    const reason = why(connection);
    if (reason) tell(reason);
    else changes.perform([{ op: "add", nodes: [], edges: [toEdge(connection)] }]);
  }

  function start({ event, nodeId, handleId, handleType }) {
    begun = { nodeId, handleId, handleType, x: event?.clientX ?? 0, y: event?.clientY ?? 0, isDone: false };
  }

  function end(event) {
    const line = begun;
    begun = null;
    if (!line || line.isDone || line.handleType !== "source" || moved || event?.clientX === undefined) return;
    if (Math.hypot(event.clientX - line.x, event.clientY - line.y) < CLICK) return;
    const under = document.elementFromPoint(event.clientX, event.clientY);
    const port = under?.closest(".vue-flow__handle.target");
    if (port) return endOnPort(line, port.dataset);
    const card = under?.closest(".vue-flow__node")?.dataset.id;
    if (card) return endOnCard(line, card);
    if (!under?.closest(".vue-flow__pane")) return;
    const { x, y } = flow.screenToFlowCoordinate({ x: event.clientX, y: event.clientY });
    const place = { x: snap(x), y: snap(y - CARD_HEIGHT / 2), left: event.clientX, top: event.clientY };
    emit("quick_add", { source: line.nodeId, port: line.handleId, edge: null, ...place });
  }

  /** Only a refused line ends here: one that may be drawn has been. */
  function endOnPort(line, { nodeid, handleid }) {
    const reason = why({ source: line.nodeId, sourceHandle: line.handleId, target: nodeid, targetHandle: handleid });
    if (reason) tell(reason);
  }

  function endOnCard(line, card) {
    if (card === line.nodeId) return;
    const fit = firstFit(line.nodeId, line.handleId, card, flow.nodeLookup.value, flow.edges.value);
    if (fit) return connect(fit);
    const first = flow.findNode(card)?.data.ports_in[0];
    const target = { source: line.nodeId, sourceHandle: line.handleId, target: card, targetHandle: first?.name };
    tell(first ? why(target) : "A trigger has no input.");
  }

  // Carrying the end of a line elsewhere; let go over nothing it is pulled off.

  function updateStart({ edge }) {
    moved = edge.id;
    flow.isValidConnection.value = isValid; // only now: the store would also judge what Python loads
  }

  function update({ edge, connection }) {
    const reason = why(connection);
    release();
    if (reason) return tell(reason);
    changes.perform([
      { op: "del", nodes: [], edges: [edge.id] },
      { op: "add", nodes: [], edges: [toEdge(connection)] },
    ]);
  }

  function updateEnd({ event, edge }) {
    const wasOpen = moved !== null;
    release();
    const under = document.elementFromPoint(event.clientX, event.clientY);
    if (wasOpen && under?.closest(".vue-flow__pane") && !under.closest(".vue-flow__edge")) removeEdge(edge.id);
  }

  function release() {
    moved = null;
    flow.isValidConnection.value = null;
  }

  function removeEdge(id) {
    if (!readonly.value) changes.perform([{ op: "del", nodes: [], edges: [id] }]);
  }

  function insertInto(id, event) {
    const edge = flow.findEdge(id);
    const x = snap((edge.sourceX + edge.targetX - CARD_WIDTH) / 2);
    const y = snap((edge.sourceY + edge.targetY - CARD_HEIGHT) / 2);
    emit("quick_add", { source: null, port: null, edge: id, x, y, left: event.clientX, top: event.clientY });
  }

  /** The “+” of an output. */
  function addAfter({ source, port, left, top }) {
    const node = flow.findNode(source);
    const index = node.data.ports_out.findIndex((each) => each.name === port);
    const x = snap(node.position.x + CARD_WIDTH + 90);
    const y = snap(node.position.y + portY(node.data.ports_out, index) - CARD_HEIGHT / 2);
    emit("quick_add", { source, port, edge: null, x, y, left, top });
  }

  return { isValid, connect, start, end, updateStart, update, updateEnd, removeEdge, insertInto, addAfter };
}
