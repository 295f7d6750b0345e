// From left to right, by dagre; ways back into a loop are left out so that they do not pull their step behind itself.
// A long workflow goes on in the next row, like text, when it could not be read in one.
import dagre from "@dagrejs/dagre";
import { GRID, snap } from "./geometry.js";

const GAP = 9 * GRID; // between ranks
const ROW_GAP = 11 * GRID;
const READABLE = 0.55;
const MOST_ROWS = 4;

/** The places that differ from where the cards are: `[[id, x, y], …]`; `view` is what they shall be seen in. */
export function tidy(nodes, edges, view) {
  if (!nodes.length) return [];
  const places = wrapped(ranked(nodes, edges), edges, view);
  const left = Math.min(...places.map((place) => place.x)) - Math.min(...nodes.map((node) => node.position.x));
  const top = Math.min(...places.map((place) => place.y)) - Math.min(...nodes.map((node) => node.position.y));
  const before = new Map(nodes.map((node) => [node.id, node.position]));
  return places
    .map(({ id, x, y }) => [id, snap(x - left), snap(y - top)])
    .filter(([id, x, y]) => before.get(id).x !== x || before.get(id).y !== y);
}

function ranked(nodes, edges) {
  const graph = new dagre.graphlib.Graph();
  const ranker = nodes.length > 300 ? "longest-path" : "network-simplex";
  graph.setGraph({ rankdir: "LR", nodesep: 4 * GRID, ranksep: GAP, ranker });
  graph.setDefaultEdgeLabel(() => ({}));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const { id, dimensions } of nodes) graph.setNode(id, { width: dimensions.width, height: dimensions.height });
  for (const edge of edges) {
    const into = byId.get(edge.target)?.data.ports_in.find((port) => port.name === edge.targetHandle);
    if (!into?.loop && byId.has(edge.source) && byId.has(edge.target)) graph.setEdge(edge.source, edge.target);
  }
  dagre.layout(graph);
  return nodes.map(({ id }) => {
    const { x, y, width, height } = graph.node(id);
    return { id, x: x - width / 2, y: y - height / 2, width, height };
  });
}

/** In as many rows as make it readable: one if that will do, else the number that can be seen largest. */
function wrapped(places, edges, view) {
  const columns = [...new Set(places.map((place) => Math.round(place.x)))].sort((a, b) => a - b);
  let best = places;
  let bestZoom = zoomOf(places, view);
  for (let rows = 2; bestZoom < READABLE && rows <= MOST_ROWS && columns.length >= rows * 3; rows += 1) {
    const next = inRows(places, breaks(places, edges, columns, rows));
    const zoom = zoomOf(next, view);
    if (zoom > bestZoom * 1.15) [best, bestZoom] = [next, zoom];
  }
  return best;
}

/** The first column of each further row: near an even division, where the fewest lines are cut. */
function breaks(places, edges, columns, rows) {
  const columnOf = new Map(places.map((place) => [place.id, columns.indexOf(Math.round(place.x))]));
  const cut = (column) => edges.filter((edge) => columnOf.get(edge.source) < column && columnOf.get(edge.target) >= column).length;
  return Array.from({ length: rows - 1 }, (_, row) => {
    const even = Math.round(((row + 1) * columns.length) / rows);
    const [best] = [even, even - 1, even + 1].sort((a, b) => cut(a) - cut(b)); // stable: the even one wins a draw
    return columns[best];
  });
}

function inRows(places, starts) {
  const rowOf = (place) => starts.filter((x) => Math.round(place.x) >= x).length;
  let below = 0;
  return Array.from({ length: starts.length + 1 }, (_, row) => places.filter((place) => rowOf(place) === row))
    .filter((row) => row.length)
    .flatMap((row) => {
      const left = Math.min(...row.map((place) => place.x));
      const top = Math.min(...row.map((place) => place.y));
      const moved = row.map((place) => ({ ...place, x: place.x - left, y: place.y - top + below }));
      below = Math.max(...moved.map((place) => place.y + place.height)) + ROW_GAP;
      return moved;
    });
}

function zoomOf(places, { width, height }) {
  const right = Math.max(...places.map((place) => place.x + place.width)) - Math.min(...places.map((place) => place.x));
  const bottom = Math.max(...places.map((place) => place.y + place.height)) - Math.min(...places.map((place) => place.y));
  return Math.min(width / (right + 100), height / (bottom + 100));
}
