// Run state lives apart from the graph: a push touches only the cards and lines it is about.
import { computed, reactive, shallowReactive } from "vue";

export function useLive() {
  const nodes = new Map();
  const counts = shallowReactive(new Map());
  const problems = shallowReactive(new Map());

  function of(id) {
    let status = nodes.get(id);
    if (!status) {
      status = shallowReactive({ state: null, items: null, ms: null, error: null, passes: "" });
      nodes.set(id, status);
    }
    return status;
  }

  function push({ nodes: rows = {}, edges = {} }) {
    for (const [id, [state, items, ms, error, passes = ""]] of Object.entries(rows)) Object.assign(of(id), { state, items, ms, error, passes });
    for (const [id, count] of Object.entries(edges)) counts.set(id, count);
  }

  function clear() {
    for (const status of nodes.values()) Object.assign(status, { state: null, items: null, ms: null, error: null, passes: "" });
    counts.clear();
  }

  function setProblems(messages) {
    for (const id of [...problems.keys()]) if (!messages[id]) problems.delete(id);
    for (const [id, texts] of Object.entries(messages)) problems.set(id, texts);
  }

  return { of, counts, problems, push, clear, setProblems };
}

/** Which outputs have a line: cards without one offer a “+”. */
export function useConnected() {
  const counts = reactive(new Map());
  const key = (id, port) => `${id}\n${port}`;
  return {
    has: (id, port) => (counts.get(key(id, port)) ?? 0) > 0,
    count(edge, by) {
      const at = key(edge.source, edge.sourceHandle ?? edge.source_port);
      counts.set(at, (counts.get(at) ?? 0) + by);
    },
    clear: () => counts.clear(),
  };
}

export function useFar(viewport, below = 0.35) {
  return computed(() => viewport.value.zoom < below);
}
