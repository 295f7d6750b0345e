// From left to right, by dagre; ways back into a loop are left out so that they do not pull their step behind itself.
import dagre from "@dagrejs/dagre";
import { GRID, snap } from "./geometry.js";

export function tidy(nodes, edges) {
  if (!nodes.length) return [];
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 4 * GRID, ranksep: 9 * GRID, ranker: nodes.length > 300 ? "longest-path" : "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) graph.setNode(node.id, { width: node.dimensions.width, height: node.dimensions.height });
  for (const edge of edges) {
    const into = byId.get(edge.target)?.data.ports_in.find((port) => port.name === edge.targetHandle);
    if (!into?.loop && byId.has(edge.source) && byId.has(edge.target)) graph.setEdge(edge.source, edge.target);
  }
  dagre.layout(graph);
  // Cards of one rank line up at their titles, where their ports are, and the first card stays where it was.
  const corner = (node) => {
    const { x, y, width, height } = graph.node(node.id);
    return [node.id, x - width / 2, y - height / 2];
  };
  const places = nodes.map(corner);
  const left = Math.min(...places.map(([, x]) => x)) - Math.min(...nodes.map((node) => node.position.x));
  const top = Math.min(...places.map(([, , y]) => y)) - Math.min(...nodes.map((node) => node.position.y));
  return places
    .map(([id, x, y]) => [id, snap(x - left), snap(y - top)])
    .filter(([id, x, y]) => byId.get(id).position.x !== x || byId.get(id).position.y !== y);
}
