// Of several people: each one's action and its probability, beside them. No name covers another or leaves the stage.

import { percent } from "./bars.js";

const EASE = 0.45; // share of the way to its goal that a mark goes in a tenth of a second
const APART = 4; // px
const people = new Map(); // by number of the action, or by label while it has none

// Where names go. `wanted`: { box: [x, y, w, h], width, height, side } each, likeliest first; `taken`: rectangles that
// are to stay free. Returns { x, y, side } each; `side` keeps a name where it was while there is room.
export function places(wanted, room, taken) {
  const filled = [...taken];
  return wanted.map(({ box: [x, y, w, h], width, height, side }) => {
    const inside = ([x, y]) => [Math.min(Math.max(x, APART), room[0] - width - APART), Math.min(Math.max(y, APART), room[1] - height - APART)];
    const free = ([x, y]) => filled.every(([l, t, w, h]) => x + width + APART <= l || l + w + APART <= x || y + height + APART <= t || t + h + APART <= y);
    const sides = [[x, y - height - APART], [x + APART, y + APART], [x, y + h + APART], [x + APART, y + h - height - APART]];
    const rows = [...Array(Math.floor(room[1] / (height + APART))).keys()].map((row) => [x, row * (height + APART) + APART]);
    rows.sort((a, b) => Math.abs(a[1] - y) - Math.abs(b[1] - y));
    const all = [...sides, ...rows].map(inside);
    const found = all[side] && free(all[side]) ? side : Math.max(0, all.findIndex(free));
    filled.push([...all[found], width, height]);
    return { x: all[found][0], y: all[found][1], side: found };
  });
}

// `actions`: as the server says, with `box` in px of the stage or null. Returns [box, colour, provisional] of each mark.
export function show(holder, actions, taken) {
  const shown = actions.length > 1 ? actions.filter((action) => action.box) : [];
  const keys = shown.map(({ id, label }) => id ?? label);
  for (const [key, person] of people) if (!keys.includes(key)) person.node.remove(), people.delete(key);
  shown.forEach((action, i) => follow(holder, keys[i], action));
  const all = [...new Set(keys)].map((key) => people.get(key));
  const wanted = all.map(({ box, node, side }) => ({ box, width: node.offsetWidth, height: node.offsetHeight, side }));
  places(wanted, [holder.clientWidth, holder.clientHeight], taken).forEach(({ x, y, side }, i) => {
    all[i].side = side;
    all[i].node.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
  });
  return all.map(({ box, colour, provisional }) => [box, colour, provisional]);
}

function follow(holder, key, { label, p, box, colour, id }) {
  if (!people.has(key)) people.set(key, { node: holder.appendChild(document.createElement("div")), box });
  const person = people.get(key);
  person.box = person.box.map((edge, i) => (Math.abs(box[i] - edge) < 1 ? box[i] : edge + EASE * (box[i] - edge)));
  person.colour = colour;
  person.provisional = id == null;
  const words = `${label}\u2002${percent(p)}`;
  if (person.node.textContent !== words) person.node.textContent = words;
  person.node.className = person.provisional ? "who provisional" : "who";
  person.node.style.borderColor = colour;
}
