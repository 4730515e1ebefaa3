// Zones: drawn, named, moved, resized and deleted over the picture, by mouse, touch and keyboard; and a panel for each.
// The server keeps them. What is changed here is shown at once, until the server's words include it or it refuses it.

import { drawRegion, place, pointed } from "./region.js";
import { say } from "./say.js";
import { putZone, removeZone } from "./server.js";
import { frame, panel } from "./zone_parts.js";

const find = (id) => document.getElementById(id);
const LEAST_PX = 16; // of a side, in px of the picture
const STEP = 0.02; // of the picture, for an arrow key
const PAUSE_MS = 300; // after the last arrow key, until the server is told
const HANDLES = { nw: [1, 1, 0, 0], ne: [0, 1, 1, 0], se: [0, 0, 1, 1], sw: [1, 0, 0, 1] }; // which of left, top, right, bottom moves

let told = null; // the page's state
let token = "";
let view = null; // { scale, left, top, size, mirrored }
// By name: { box, from }, changed here; box null: deleted. `from`: the number of changes from which the server's words
// include this one; Infinity until it has answered. However late they come, what was changed here does not jump back.
const mine = new Map();
const shown = new Map(); // by name: { node, row, box }
const pauses = new Map();
let held = null; // what a pointer holds: { name, edges, from, box }, with places as shares of the picture
let focusNext = "";
let asked = Promise.resolve(); // the last request: the server gets them in order
let complained = false;

export function tell(state, its) {
  if (its !== token) for (const [name] of shown) forget(name);
  if (its !== token) mine.clear();
  told = state;
  token = its;
}

// A box with its [left, top, right, bottom] moved by (dx, dy) where `edges` has a 1, within the picture.
export function changed([x, y, w, h], edges, dx, dy, [width, height]) {
  const [left, top, right, bottom] = edges;
  const between = (low, v, high) => Math.min(Math.max(v, low), Math.max(low, high));
  if (left && right) return [between(0, x + dx, width - w), between(0, y + dy, height - h), w, h];
  const x1 = left ? between(0, x + dx, x + w - LEAST_PX) : x, y1 = top ? between(0, y + dy, y + h - LEAST_PX) : y;
  const x2 = right ? between(x + LEAST_PX, x + w + dx, width) : x + w, y2 = bottom ? between(y + LEAST_PX, y + h + dy, height) : y + h;
  return [x1, y1, x2 - x1, y2 - y1];
}

export function draw(stage, mirrored) {
  const size = told?.size_px[0] ? told.size_px : null;
  for (const id of ["draw-zone", "add-zone"]) find(id).disabled = !size;
  find("draw-zone").setAttribute("aria-pressed", stage.classList.contains("zoning"));
  if (size) view = { ...place(stage, size), size, mirrored };
  const zones = size ? present() : [];
  for (const [name] of shown) if (!zones.some((zone) => zone.name === name)) forget(name);
  find("zone-card").hidden = !zones.length;
  zones.forEach(show);
  if (focusNext && shown.has(focusNext)) shown.get(focusNext).node.focus(), (focusNext = "");
}

// What the server says, but for what has been changed here since.
function present() {
  const zones = (told.zones ?? []).map((zone) => ({ ...zone }));
  for (const [name, { box, from }] of mine) {
    const zone = zones.find((zone) => zone.name === name);
    if (told.zone_changes >= from) mine.delete(name);
    else if (zone) zone.box = box, (zone.gone = !box);
    else if (box) zones.push({ name, box, answer: null });
  }
  return zones.filter((zone) => !zone.gone);
}

function show(zone) {
  if (!shown.has(zone.name)) {
    const node = find("zones").appendChild(frame(zone.name, HANDLES));
    const row = find("zone-list").appendChild(panel(zone.name));
    shown.set(zone.name, { node, row });
  }
  const { node, row } = shown.get(zone.name);
  shown.get(zone.name).box = zone.box;
  node.hidden = !zone.box;
  if (zone.box) {
    const [x, y, w, h] = zone.box, { scale, left, top, size, mirrored } = view;
    const edges = [left + (mirrored ? size[0] - x - w : x) * scale, top + y * scale, w * scale, h * scale].map((px) => `${px.toFixed(1)}px`);
    [node.style.left, node.style.top, node.style.width, node.style.height] = edges;
  }
  node.tell(zone);
  row.tell(zone);
}

function forget(name) {
  const { node, row } = shown.get(name);
  node.remove();
  row.remove();
  shown.delete(name);
}

const change = (name, box) => mine.set(name, { box, from: Infinity });

// Tell the server, and show it meanwhile.
async function put(name, box, was = "") {
  unpause(name);
  change(name, box);
  if (was) change(was, null);
  if (shown.has(was)) forget(was);
  show({ ...present().find((zone) => zone.name === name), name, box });
  const [x, y, width, height] = box, of = view.size;
  await settle([name, was], () => putZone(token, name, { x, y, width, height, of, ...(was && { was }) }));
}

async function remove(name) {
  unpause(name);
  const next = [...shown.keys()].filter((other) => other !== name).pop();
  change(name, null);
  if (shown.get(name)?.node.contains(document.activeElement)) (shown.get(next)?.node ?? find("add-zone")).focus();
  await settle([name], () => removeZone(token, name));
}

async function settle(names, request) {
  const changes = names.map((name) => mine.get(name)); // one that is newer by then waits for its own answer
  asked = asked.then(request, request);
  try {
    const { zone_changes } = await asked;
    if (complained) say("");
    complained = false;
    for (const each of changes) if (each) each.from = zone_changes;
  } catch (error) {
    names.forEach((name, i) => mine.get(name) === changes[i] && mine.delete(name));
    if (names.includes(document.activeElement.dataset.name)) focusNext = names.at(-1); // the name before, if there was one
    complained = true;
    draw(find("stage"), view.mirrored);
    say(error.message);
  }
}

function freeName() {
  const taken = new Set([...shown.keys(), ...mine.keys()].map((name) => name.toLowerCase()));
  let number = 1;
  while (taken.has(`zone ${number}`)) number++;
  return `zone ${number}`;
}

function add() {
  const [width, height] = told.size_px, side = Math.round(Math.min(width, height) / 3);
  const name = freeName();
  put(name, [Math.round((width - side) / 2), Math.round((height - side) / 2), side, side]);
  focus(name);
}

async function drawOne(stage) {
  if (stage.classList.contains("drawing")) return document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
  stage.classList.add("zoning");
  const box = await drawRegion(find("marks"), stage, () => view);
  stage.classList.remove("zoning");
  if (!box || !told) return; // it may have been stopped meanwhile
  const name = freeName();
  put(name, box);
  rename(name);
}

function rename(name) {
  const was = shown.get(name);
  was?.node.rename((wanted, byKey) => {
    const other = wanted && wanted !== name;
    if (other) unpause(name);
    if (other) put(wanted, was.box, name);
    if (byKey) focus(other ? wanted : name);
  });
}

// By keyboard: arrows move, Shift and arrows resize.
function press(event, name) {
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter") rename(name);
  else if (event.key === "Delete" || event.key === "Backspace") remove(name);
  else if (arrow) nudge(name, arrow, event.shiftKey);
  else return;
  event.preventDefault();
}

function nudge(name, [across, down], resize) {
  const { size, mirrored } = view, { box } = shown.get(name);
  const dx = across * STEP * size[0] * (mirrored ? -1 : 1), dy = down * STEP * size[1];
  const to = changed(box, resize ? [mirrored, 0, !mirrored, 1] : [1, 1, 1, 1], dx, dy, size);
  change(name, to);
  shown.get(name).box = to;
  unpause(name);
  pauses.set(name, setTimeout(() => put(name, to), PAUSE_MS));
}

// Whether something was still to be told of it.
function unpause(name) {
  clearTimeout(pauses.get(name));
  return pauses.delete(name);
}

function grasp(event, node) {
  if (event.target.matches("input") || event.button) return;
  const name = node.dataset.name, { box } = shown.get(name), [width, height] = view.size;
  held = { name, edges: flipped(HANDLES[event.target.dataset.handle] ?? [1, 1, 1, 1]), from: pointed(event, find("stage"), view) };
  held.box = [box[0] / width, box[1] / height, box[2] / width, box[3] / height];
  if (unpause(name)) held.to = box;
  node.setPointerCapture(event.pointerId);
  node.focus({ preventScroll: true });
  event.preventDefault();
}

const flipped = ([left, top, right, bottom]) => (view.mirrored ? [right, top, left, bottom] : [left, top, right, bottom]);

function drag(event) {
  if (!held) return;
  const { edges, from, box: [x, y, w, h] } = held, [width, height] = view.size, now = pointed(event, find("stage"), view);
  const box = [x * width, y * height, w * width, h * height];
  held.to = changed(box, edges, (now[0] - from[0]) * width, (now[1] - from[1]) * height, view.size);
  change(held.name, held.to);
  const zone = present().find((zone) => zone.name === held.name);
  if (zone) show({ ...zone, box: held.to });
}

function drop() {
  if (held?.to) put(held.name, held.to);
  held = null;
}

const focus = (name) => shown.get(name)?.node.focus();
const zoneOf = (target) => target.closest?.(".zone");

document.addEventListener("pointerdown", (event) => zoneOf(event.target) && grasp(event, zoneOf(event.target)));
document.addEventListener("pointermove", drag);
document.addEventListener("pointerup", drop);
document.addEventListener("pointercancel", drop);
document.addEventListener("dblclick", ({ target }) => zoneOf(target) && rename(zoneOf(target).dataset.name));
document.addEventListener("keydown", (event) => zoneOf(event.target) && press(event, zoneOf(event.target).dataset.name));
document.addEventListener("click", ({ target }) => {
  if (target.closest("#add-zone")) add();
  if (target.closest("#draw-zone")) drawOne(find("stage"));
  const row = target.closest(".zone-row"), button = row && target.closest("button");
  if (!button) return;
  if (button.dataset.does === "delete") remove(row.dataset.name);
  else if (button.dataset.does === "rename") rename(row.dataset.name);
  else focus(row.dataset.name);
});
