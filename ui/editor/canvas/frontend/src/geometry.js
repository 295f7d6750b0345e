// The size of a card and the place of its ports follow from its ports alone. That is what makes large graphs fast: Vue Flow
// never measures, and lines can be drawn to cards that are not mounted. protocol.py knows the same numbers.

export const CARD_WIDTH = 220;
export const CARD_HEIGHT = 60;
export const ROW_HEIGHT = 20;
const FIRST_ROW = 54; // rows begin a little inside the head, whose lower edge is empty
export const GRID = 10;
const PORT = 12;

export function cardHeight(data) {
  const rows = Math.max(data.ports_in.length, data.ports_out.length);
  return rows <= 1 ? CARD_HEIGHT : FIRST_ROW + ROW_HEIGHT * rows + 2;
}

/** Vertical middle of a port: beside the title when it is the only one, else in its own row. */
export function portY(ports, index) {
  return ports.length === 1 ? CARD_HEIGHT / 2 : FIRST_ROW + ROW_HEIGHT * index + ROW_HEIGHT / 2;
}

export function dimensions(data) {
  return { width: CARD_WIDTH, height: cardHeight(data) };
}

/** Vue Flow's `handleBounds`; lines end where the port's shape begins. */
export function handleBounds(id, data) {
  const bound = (type, position, x) => (port, index, ports) => ({
    id: port.name,
    type,
    nodeId: id,
    position,
    x,
    y: portY(ports, index) - PORT / 2,
    width: PORT,
    height: PORT,
  });
  return {
    source: data.ports_out.map(bound("source", "right", CARD_WIDTH - PORT / 2 - 2)),
    target: data.ports_in.map(bound("target", "left", -PORT / 2 + 2)),
  };
}

export function snap(value) {
  return Math.round(value / GRID) * GRID;
}
