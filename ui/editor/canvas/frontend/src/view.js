// Zoom, fit and finding a card again.
import { nextTick } from "vue";

const MANY = 120; // above this only what is in sight is mounted, and a graph opens at its start instead of fitted
const START_ZOOM = 0.8;

export function isMany(count) {
  return count > MANY;
}

export function useView(flow, root) {
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const duration = () => (calm.matches ? 0 : 200);

  function fit(options = {}) {
    return flow.fitView({ padding: 0.12, minZoom: 0.03, maxZoom: 1, duration: duration(), ...options });
  }

  /** The first look at a graph. */
  function open() {
    const nodes = flow.nodes.value;
    if (!isMany(nodes.length)) return fit({ duration: 0 });
    const left = Math.min(...nodes.map((node) => node.position.x));
    const starts = nodes.filter((node) => node.position.x < left + 300).map((node) => node.position.y);
    const top = Math.min(...starts);
    return flow.setViewport({ x: 60 - left * START_ZOOM, y: 60 - top * START_ZOOM, zoom: START_ZOOM });
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

  return {
    open,
    fit,
    focusNode,
    zoomIn: () => flow.zoomIn({ duration: duration() }),
    zoomOut: () => flow.zoomOut({ duration: duration() }),
    zoomReset: () => flow.zoomTo(1, { duration: duration() }),
    zoomTo: (value) => flow.zoomTo(value, { duration: duration() }),
  };
}
