// Keys of the canvas. Each does what its name says; `does` is what the canvas can do.
import { GRID } from "./geometry.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function onKey(event, does) {
  const { target, key } = event;
  if (event.defaultPrevented || target.closest?.("input, textarea, select, [contenteditable=true], .cm-editor")) return;
  const isButton = target.closest?.("button, a[href], [role=button]");
  if (isButton && (key === "Enter" || key === " ")) return;
  const handler = event.ctrlKey || event.metaKey ? withControl(event, does) : event.altKey ? withAlt(event, does) : plain(event, does);
  if (!handler) return;
  event.preventDefault();
  event.stopPropagation();
  handler();
}

function withControl(event, does) {
  switch (event.key.toLowerCase()) {
    case "a":
      return does.selectAll;
    case "z":
      return event.shiftKey ? does.redo : does.undo;
    case "y":
      return does.redo;
    case "d":
      return does.duplicate;
    case "enter":
      return () => does.command("test");
    case "s":
      return () => does.command("save");
    case "k":
      return () => does.command("search");
    default:
      return null; // c, x and v come as clipboard events
  }
}

function withAlt(event, does) {
  const arrow = ARROWS[event.key];
  return arrow ? () => does.followLine(arrow) : null;
}

function plain(event, does) {
  const arrow = ARROWS[event.key];
  if (arrow) {
    const by = event.shiftKey ? 5 * GRID : GRID;
    return () => does.arrow(arrow, by);
  }
  switch (event.key) {
    case "Delete":
    case "Backspace":
      return does.remove;
    case "Enter":
      return does.enter;
    case " ":
      return does.toggle;
    case "Escape":
      return does.escape;
    case "F2":
      return () => does.command("rename");
    case "/":
      return () => does.command("search");
    case "c":
      return does.startLine;
    case "l":
      return does.nextLine;
    case "d":
      return () => does.command("disable");
    case "+":
    case "=":
      return does.zoomIn;
    case "-":
      return does.zoomOut;
    case "T":
      return does.tidy;
  }
  if (event.shiftKey && event.code === "Digit0") return does.zoomReset;
  if (event.shiftKey && event.code === "Digit1") return does.fit;
  return null;
}

/** The node nearest to `from` in a direction, judged by distance with sideways steps counting double. */
export function nearest(from, direction, nodes) {
  const [dx, dy] = direction;
  let best = null;
  let bestCost = Infinity;
  for (const node of nodes) {
    const x = node.position.x - from.x;
    const y = node.position.y - from.y;
    const ahead = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    const cost = ahead + 2 * aside;
    if (ahead > 0 && cost < bestCost) {
      best = node;
      bestCost = cost;
    }
  }
  return best;
}

/** Top to bottom within columns, left to right: the order in which people read a workflow. */
export function readingOrder(nodes) {
  return [...nodes].sort((a, b) => a.position.x - b.position.x || a.position.y - b.position.y);
}
