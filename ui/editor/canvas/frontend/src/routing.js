// Lines that go back (to the next row, or round a loop) take the free band between the cards instead of crossing them.
import { getBezierPath, getSmoothStepPath } from "@vue-flow/core";

const BACK = 40; // how far left of its start a line has to end to count as going back
const OUT = 14; // how far it leaves the port before it turns: before the “+” of a neighbouring port
const BELOW = 24; // what a card writes under itself

/** `[path, labelX, labelY, …]` between two ports; `cards()` are the boxes that may be in the way, asked for only then. */
export function route({ sourceX, sourceY, targetX, targetY }, cards) {
  const ends = { sourceX, sourceY, targetX, targetY, sourcePosition: "right", targetPosition: "left" };
  if (targetX >= sourceX - BACK) return getBezierPath({ ...ends, curvature: 0.3 });
  const near = cards().filter((card) => card.x < sourceX + BACK && card.x + card.width > targetX - BACK);
  const centerY = targetY > sourceY + 60 ? bandBetween(sourceY, targetY, near) : bandBelow(sourceY, targetY, near);
  return getSmoothStepPath({ ...ends, borderRadius: 12, offset: OUT, centerY });
}

/** The middle of the widest strip between two heights that no card covers. */
function bandBetween(top, bottom, cards) {
  const covered = cards
    .map((card) => [card.y, card.y + card.height + BELOW])
    .filter(([from, to]) => to > top && from < bottom)
    .sort((a, b) => a[0] - b[0]);
  let [best, width, free] = [(top + bottom) / 2, 0, top];
  for (const [from, to] of [...covered, [bottom, bottom]]) {
    if (from - free > width) [best, width] = [(from + free) / 2, from - free];
    free = Math.max(free, to);
  }
  return best;
}

/** Under every card that stands beside the line's two ends. */
function bandBelow(sourceY, targetY, cards) {
  const [high, low] = [Math.min(sourceY, targetY), Math.max(sourceY, targetY)];
  const beside = cards.filter((card) => card.y < low && card.y + card.height > high);
  return Math.max(low, ...beside.map((card) => card.y + card.height + BELOW)) + 16;
}
