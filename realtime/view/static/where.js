// What lies over the picture: a glow where the leading label is seen, or the one that the viewer asks about, and the
// names of several people. Drawn ten times a second at most, and only if something has changed.

import { percent } from "./bars.js";
import { joined, pixels } from "./glow.js";
import { show as showNames } from "./names.js";
import { place } from "./region.js";

const find = (id) => document.getElementById(id);
const KEPT = "i3d-live: show where";
const EASE = 0.4;
const small = document.createElement("canvas");

let state = null;
let asked = ""; // the label that the viewer asks about
let shown = null; // { squares, maps, colour }: what glows, on its way to what shall
let strength = 0;
let drawn = "";

const still = matchMedia("(prefers-reduced-motion: reduce)");
const step = () => (still.matches ? 1 : EASE);

export const remembered = () => {
  try {
    return localStorage.getItem(KEPT) === "yes";
  } catch {
    return false; // a browser that keeps nothing
  }
};

export function remember(on) {
  try {
    localStorage.setItem(KEPT, on ? "yes" : "no");
  } catch {
    // it holds until the page is left
  }
}

export function tell(next) {
  state = next;
  if (!next) asked = "";
}

export const question = () => asked;

// Ask about a label, or no longer.
export function ask(label) {
  asked = label === asked ? "" : label;
}

// `wanted`: whether the leading label glows while none is asked about.
export function draw(stage, wanted, mirrored) {
  for (const row of find("top").querySelectorAll("button")) row.setAttribute("aria-pressed", row.title === asked);
  const label = asked || (wanted ? state?.answer?.top[0][0] : "");
  const told = state?.where?.labels[label];
  question_(told);
  const moved = ease(told);
  const canvas = find("where"), ratio = window.devicePixelRatio || 1;
  const size = state?.size_px[0] ? state.size_px : [1, 1];
  const picture = place(stage, size);
  const inStage = ([x, y, w, h]) => [picture.left + (mirrored ? size[0] - x - w : x) * picture.scale, picture.top + y * picture.scale, w * picture.scale, h * picture.scale];
  const actions = (state?.answer?.actions ?? []).map((action) => ({ ...action, box: action.box && inStage(action.box) }));
  const marks = showNames(find("people"), actions, covered(stage));
  const key = JSON.stringify([stage.clientWidth, stage.clientHeight, ratio, size, mirrored, marks]);
  if (!moved && key === drawn) return;
  drawn = key;
  const [width, height] = [stage.clientWidth, stage.clientHeight].map((side) => Math.round(side * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, stage.clientWidth, stage.clientHeight);
  if (strength > 0) paint(pen, inStage, mirrored);
  for (const mark of marks) corners(pen, ...mark);
}

// Towards what shall glow. Returns whether anything has changed.
function ease(told) {
  const peak = told ? Math.max(...told[2].flat()) : 0;
  const goal = peak > 0 ? 1 : 0;
  const before = strength;
  strength += step() * (goal - strength);
  if (Math.abs(goal - strength) < 0.02) strength = goal;
  if (!goal) {
    if (!strength) shown = null;
    return strength !== before;
  }
  const squares = state.where.squares, maps = told[2].map((map) => map.map((score) => Math.max(score / peak, -1)));
  const colour = [1, 3, 5].map((at) => parseInt(told[1].slice(at, at + 2), 16));
  if (!before || JSON.stringify(shown?.squares) !== JSON.stringify(squares)) {
    shown = { squares, maps, colour };
    return true;
  }
  let change = Math.abs(strength - before);
  const towards = (now, to) => {
    change = Math.max(change, Math.abs(to - now));
    return now + step() * (to - now);
  };
  shown.maps = shown.maps.map((map, i) => map.map((score, j) => towards(score, maps[i][j])));
  shown.colour = shown.colour.map((part, i) => 255 * towards(part / 255, colour[i] / 255));
  return change > 0.005;
}

function paint(pen, inStage, mirrored) {
  const map = joined(shown.squares, shown.maps);
  if (small.width !== map.width || small.height !== map.height) Object.assign(small, { width: map.width, height: map.height });
  small.getContext("2d").putImageData(pixels(map, shown.colour, strength), 0, 0);
  const [x, y, w, h] = inStage(map.box);
  pen.save();
  pen.imageSmoothingQuality = "high";
  pen.translate(mirrored ? x + w : x, y);
  pen.scale(mirrored ? -1 : 1, 1);
  pen.drawImage(small, 0, 0, w, h);
  pen.restore();
}

// The corners of a box, seen on any picture: dark beneath the colour.
function corners(pen, [x, y, w, h], colour, provisional) {
  const arm = Math.min(18, w / 3, h / 3);
  pen.beginPath();
  for (const [cx, cy, right, down] of [[x, y, 1, 1], [x + w, y, -1, 1], [x + w, y + h, -1, -1], [x, y + h, 1, -1]]) {
    pen.moveTo(cx, cy + down * arm);
    pen.lineTo(cx, cy);
    pen.lineTo(cx + right * arm, cy);
  }
  pen.lineCap = pen.lineJoin = "round";
  pen.setLineDash(provisional ? [4, 4] : []);
  for (const [style, width] of [["#000000a0", 4.5], [colour, 2.5]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.stroke();
  }
}

// What else stands on the stage.
function covered(stage) {
  const edge = stage.getBoundingClientRect();
  const others = ["caption", "rate", "asked", "recorder"].map(find).filter((node) => node && !node.hidden);
  return [...others, ...find("zones").querySelectorAll(".tag")].map((node) => {
    const { left, top, width, height } = node.getBoundingClientRect();
    return [left - edge.left, top - edge.top, width, height];
  });
}

function question_(told) {
  const box = find("asked");
  box.hidden = !asked || !state;
  if (box.hidden) return;
  const leads = state.answer?.top[0][0] === asked;
  const nothing = told && Math.max(...told[2].flat()) <= 0 ? ": nothing here speaks for it" : "";
  const words = `${leads ? "Where" : "Why not"} ${asked}?${told ? ` ${percent(told[0])}` : ""}${nothing}`;
  if (find("asked-text").textContent !== words) find("asked-text").textContent = words;
  box.style.borderColor = told ? told[1] : "";
}
