// The canvas's sentences in one place.

export const STATES = {
  queued: { label: "Queued", icon: "schedule" },
  running: { label: "Running", icon: "autorenew" },
  waiting: { label: "Waiting", icon: "hourglass_empty" },
  needs_decision: { label: "Needs a decision", icon: "help_outline" },
  succeeded: { label: "Done", icon: "check" },
  failed: { label: "Failed", icon: "priority_high" },
  cancelled: { label: "Cancelled", icon: "close" },
  skipped: { label: "Skipped", icon: "redo" },
  added: { label: "Added", icon: "add" },
  removed: { label: "Removed", icon: "remove" },
  changed: { label: "Changed", icon: "edit" },
};

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function count(number) {
  return number < 100_000 ? whole.format(number) : short.format(number);
}

export function items(number) {
  return number === 1 ? "1 item" : `${count(number)} items`;
}

export function took(ms) {
  if (ms < 1) return "<1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

export function steps(number) {
  return number === 1 ? "1 step" : `${number} steps`;
}

export function problems(number) {
  return number === 1 ? "1 problem" : `${number} problems`;
}

/** What one batch of ops did, for people who listen. */
export function told(ops, titleOf) {
  const sentences = [];
  for (const op of ops) {
    if (op.op === "add" && op.nodes?.length) {
      sentences.push(op.nodes.length === 1 ? `${op.nodes[0].title} added.` : `${steps(op.nodes.length)} added.`);
    } else if (op.op === "add" && op.edges?.length) {
      const [edge] = op.edges;
      sentences.push(`${titleOf(edge.source)} connected to ${titleOf(edge.target)}.`);
    } else if (op.op === "del" && op.nodes?.length) {
      sentences.push(`${steps(op.nodes.length)} deleted.`);
    } else if (op.op === "del" && op.edges?.length) {
      sentences.push(op.edges.length === 1 ? "Line removed." : `${op.edges.length} lines removed.`);
    } else if (op.op === "move" && op.to.length) {
      sentences.push(op.to.length === 1 ? `${titleOf(op.to[0][0])} moved.` : `${steps(op.to.length)} moved.`);
    }
  }
  return sentences.join(" ");
}
