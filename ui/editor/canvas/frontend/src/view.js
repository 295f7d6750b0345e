// Zoom, fit and finding a card again.
import { computed, nextTick } from "vue";

const MANY = 120; // above this only what is in sight is mounted, and a graph opens at its start instead of fitted
const START_ZOOM = 0.8;
const READABLE = 0.5;
const MARGIN = 50;

function bounds(nodes) {
  const x = Math.min(...nodes.map((node) => node.position.x));
  const y = Math.min(...nodes.map((node) => node.position.y));
  const right = Math.max(...nodes.map((node) => node.position.x + node.dimensions.width));
  const bottom = Math.max(...nodes.map((node) => node.position.y + node.dimensions.height));
  return nodes.length ? { x, y, width: right - x, height: bottom - y } : { x: 0, y: 0, width: 0, height: 0 };
}

export function isMany(count) {
  return count > MANY;
}

export function useView(flow, root) {
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const duration = () => (calm.matches ? 0 : 200);

  function fit(options = {}) {
    return flow.fitView({ padding: 0.12, minZoom: 0.03, maxZoom: 1, duration: duration(), ...options });
  }

  /** The first look at a graph: all of it while it can be read, else its beginning (the minimap shows the rest). */
  function open() {
    const box = bounds(flow.nodes.value);
    const { width, height } = flow.dimensions.value;
    const zoom = Math.min(width / (box.width + 2 * MARGIN), height / (box.height + 2 * MARGIN));
    if (!box.width || (zoom >= READABLE && !isMany(flow.nodes.value.length))) return fit({ duration: 0 });
    const isHigh = box.height * START_ZOOM + 2 * MARGIN > height;
    const y = isHigh ? MARGIN - startTop(box) * START_ZOOM : (height - box.height * START_ZOOM) / 2 - box.y * START_ZOOM;
    return flow.setViewport({ x: MARGIN - box.x * START_ZOOM, y, zoom: START_ZOOM });
  }

  /** Where the leftmost cards are: a high graph opens there, not at its upper edge. */
  function startTop(box) {
    return Math.min(...flow.nodes.value.filter((node) => node.position.x < box.x + 300).map((node) => node.position.y));
  }

  async function focusNode(id) {
    const node = flow.findNode(id);
    if (!node) return;
    if (!isInSight(node)) {
      const zoom = Math.max(flow.viewport.value.zoom, 0.5);
      await flow.setCenter(node.position.x + node.dimensions.width / 2, node.position.y + node.dimensions.height / 2, {
        zoom,
        duration: duration(),
      });
    }
    await nextTick();
    root.value?.querySelector(`.vue-flow__node[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });
  }

  function isInSight(node) {
    const { x, y, zoom } = flow.viewport.value;
    const { width, height } = flow.dimensions.value;
    const left = node.position.x * zoom + x;
    const top = node.position.y * zoom + y;
    return left > 0 && top > 0 && left + node.dimensions.width * zoom < width && top + node.dimensions.height * zoom < height;
  }

  const box = computed(() => bounds(flow.nodes.value));
  /** Whether nothing lies outside the view: then the minimap would only be in the way. */
  const isAllInSight = computed(() => {
    const { x, y, zoom } = flow.viewport.value;
    const { width, height } = flow.dimensions.value;
    const [left, top] = [box.value.x * zoom + x, box.value.y * zoom + y];
    return left >= 0 && top >= 0 && left + box.value.width * zoom <= width && top + box.value.height * zoom <= height;
  });

  return {
    isAllInSight,
    open,
    fit,
    focusNode,
    zoomIn: () => flow.zoomIn({ duration: duration() }),
    zoomOut: () => flow.zoomOut({ duration: duration() }),
    zoomReset: () => flow.zoomTo(1, { duration: duration() }),
    zoomTo: (value) => flow.zoomTo(value, { duration: duration() }),
  };
}
