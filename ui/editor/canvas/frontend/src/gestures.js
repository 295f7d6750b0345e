// What the keys do: moving, choosing, deleting, and drawing a line without a mouse.
import { ref } from "vue";
import { nearest, readingOrder } from "./keyboard.js";
import { firstFit, whyNot } from "./rules.js";
import { toEdge } from "./model.js";

export function useGestures({ flow, changes, emit, say, readonly, view, clipboard, focusNode, focusCanvas }) {
  const starting = ref(null); // { id, port } while a line is being drawn by keys

  const selected = () => flow.getSelectedNodes.value;
  const focused = () => flow.findNode(document.activeElement?.closest?.(".vue-flow__node")?.dataset.id);
  const current = () => focused() ?? selected()[0];
  const title = (id) => flow.findNode(id)?.data.title ?? id;

  function choose(node, tell = true) {
    if (!node) return;
    flow.removeSelectedElements();
    flow.addSelectedNodes([node]);
    focusNode(node.id);
    if (tell) say(node.ariaLabel);
  }

  function arrow(direction, by) {
    const here = current();
    const chosen = selected();
    if (starting.value) {
      const next = nearest((here ?? flow.findNode(starting.value.id)).position, direction, flow.nodes.value);
      if (next) focusNode(next.id);
      if (next) say(`To ${next.data.title}? Enter draws the line.`);
    } else if (chosen.length && !readonly.value) {
      const to = chosen.map(({ id, position }) => [id, position.x + direction[0] * by, position.y + direction[1] * by]);
      changes.perform([{ op: "move", to }]);
    } else if (here) {
      choose(nearest(here.position, direction, flow.nodes.value));
    } else {
      choose(readingOrder(flow.nodes.value)[0]);
    }
  }

  function followLine([dx, dy]) {
    const here = current();
    if (!here) return;
    const forward = dx > 0 || dy > 0;
    const ends = flow.edges.value
      .filter((edge) => (forward ? edge.source : edge.target) === here.id)
      .map((edge) => flow.findNode(forward ? edge.target : edge.source));
    if (ends.length) choose(ends.sort((a, b) => a.position.y - b.position.y)[dy > 0 ? ends.length - 1 : 0]);
    else say(forward ? "No line leads on from here." : "No line leads here.");
  }

  function startLine() {
    const here = current();
    if (!here || readonly.value) return;
    const ports = here.data.ports_out;
    if (!ports.length) return say(`${here.data.title} has no output.`);
    const again = starting.value?.id === here.id ? ports.findIndex((port) => port.name === starting.value.port) + 1 : 0;
    const port = ports[again % ports.length];
    starting.value = { id: here.id, port: port.name };
    say(`Line from ${here.data.title}, ${port.label ?? port.name}. Choose the next step with the arrows, Enter draws the line.`);
  }

  function endLine() {
    const { id, port } = starting.value;
    const target = focused();
    starting.value = null;
    if (!target || target.id === id) return say("No line drawn.");
    const nodes = flow.nodeLookup.value;
    const fit = firstFit(id, port, target.id, nodes, flow.edges.value);
    if (fit) return changes.perform([{ op: "add", nodes: [], edges: [toEdge(fit)] }]);
    const first = target.data.ports_in[0];
    const connection = { source: id, sourceHandle: port, target: target.id, targetHandle: first?.name };
    say(first ? whyNot(connection, nodes, flow.edges.value) : `${target.data.title} has no input.`);
  }

  function nextLine() {
    const here = current();
    const lines = flow.edges.value.filter((edge) => edge.source === here?.id || edge.target === here?.id);
    if (!lines.length) return;
    const at = lines.findIndex((edge) => edge.selected);
    const next = lines[(at + 1) % lines.length];
    flow.removeSelectedElements();
    flow.addSelectedEdges([next]);
    say(`Line from ${title(next.source)} to ${title(next.target)}. Delete removes it.`);
  }

  function remove() {
    if (readonly.value) return;
    const nodes = selected().map((node) => node.id);
    const goners = new Set(nodes);
    const edges = flow.edges.value
      .filter((edge) => edge.selected || goners.has(edge.source) || goners.has(edge.target))
      .map((edge) => edge.id);
    if (!nodes.length && !edges.length) return;
    changes.perform([{ op: "del", nodes, edges }]);
    focusCanvas(); // the focused card is gone; without this the next key goes to the page's body
  }

  function selectAll() {
    flow.addSelectedNodes(flow.nodes.value);
    say(`All ${flow.nodes.value.length} steps selected.`);
  }

  function enter() {
    if (starting.value) return endLine();
    const here = current();
    if (!here) return;
    choose(here, false);
    emit("open", { id: here.id });
  }

  function toggle() {
    const here = focused();
    if (!here) return;
    if (here.selected) flow.removeSelectedNodes([here]);
    else flow.addSelectedNodes([...selected(), here]);
  }

  function escape() {
    if (starting.value) say("No line drawn.");
    starting.value = null;
    flow.removeSelectedElements();
    flow.nodesSelectionActive.value = false;
    flow.endConnection(undefined, true);
  }

  function command(name) {
    const nodes = selected().map((node) => node.id);
    const needsNodes = name === "disable" || name === "rename";
    if (needsNodes && (readonly.value || !nodes.length)) return;
    emit("command", { name, nodes });
  }

  const unlessReadonly = (act) => () => readonly.value || act();
  const does = {
    ...view,
    arrow,
    followLine,
    startLine,
    nextLine,
    remove,
    selectAll,
    enter,
    toggle,
    escape,
    command,
    undo: unlessReadonly(() => emit("undo")),
    redo: unlessReadonly(() => emit("redo")),
    duplicate: unlessReadonly(() => clipboard.duplicate()),
  };
  return { does, starting };
}
