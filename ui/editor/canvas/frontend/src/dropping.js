// A palette step dragged over the canvas: where it would land, and which line it would split.
import { ref } from "vue";
import { CARD_HEIGHT, CARD_WIDTH, snap } from "./geometry.js";

export const STEP_TYPE = "application/x-treadle-step";

export function useDropping({ flow, readonly, emit }) {
  const dropEdge = ref(null);
  const isOver = ref(false);

  function over(event) {
    if (readonly() || !event.dataTransfer?.types.includes(STEP_TYPE)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    isOver.value = true;
    dropEdge.value = edgeAt(event.clientX, event.clientY);
  }

  function leave(event) {
    if (event.currentTarget.contains(event.relatedTarget)) return;
    isOver.value = false;
    dropEdge.value = null;
  }

  function drop(event) {
    const use = event.dataTransfer?.getData(STEP_TYPE);
    const edge = edgeAt(event.clientX, event.clientY);
    isOver.value = false;
    dropEdge.value = null;
    if (!use || readonly()) return;
    event.preventDefault();
    const { x, y } = flow.screenToFlowCoordinate({ x: event.clientX, y: event.clientY });
    emit("drop", { use, x: snap(x - CARD_WIDTH / 2), y: snap(y - CARD_HEIGHT / 2), edge });
  }

  /** The line under the pointer, or close to where the card would lie. */
  function edgeAt(x, y) {
    for (const element of document.elementsFromPoint(x, y)) {
      if (element.closest(".vue-flow__node")) return null;
      const line = element.closest(".vue-flow__edge");
      if (line) return line.dataset.id;
    }
    return null;
  }

  return { dropEdge, isOver, over, leave, drop };
}
