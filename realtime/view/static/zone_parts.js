// How a zone looks: its frame over the picture, and its panel beside it.

import { percent } from "./bars.js";

const LONGEST_NAME = 40;

function make(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent?.appendChild(node);
  return node;
}

function write(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

const words = ({ answer, box }) => (answer ? `${answer.label} ${percent(answer.p)}` : box ? "" : "outside the picture");

// A node with two methods: `tell(zone)` shows what the server says, `rename(done)` lets the viewer type a name; `done`
// gets it, or "" if they press Escape, and whether a key ended it.
export function frame(name, handles) {
  const node = make("div", "zone");
  node.dataset.name = name;
  node.tabIndex = 0;
  node.setAttribute("role", "group");
  node.setAttribute("aria-roledescription", "zone");
  const tag = make("span", "tag", node), title = make("b", "", tag), said = make("span", "", tag);
  title.textContent = name;
  for (const handle of Object.keys(handles)) make("i", `handle ${handle}`, node).dataset.handle = handle;
  node.tell = (zone) => {
    write(said, words(zone));
    said.className = zone.answer && !zone.answer.settled ? "provisional" : "";
    node.style.setProperty("--of-label", zone.answer?.colour ?? "#fff");
    const label = `${name}${zone.answer ? `: ${words(zone)}` : ""}. Arrow keys move it, with Shift they resize it; Enter renames, Delete removes it.`;
    if (node.getAttribute("aria-label") !== label) node.setAttribute("aria-label", label);
  };
  node.rename = (done) => {
    if (node.querySelector("input")) return;
    const input = make("input", "", tag);
    Object.assign(input, { value: name, maxLength: LONGEST_NAME, spellcheck: false, size: 14 });
    input.setAttribute("aria-label", `New name of ${name}`);
    title.hidden = said.hidden = true;
    const end = (value, byKey) => {
      if (!input.isConnected) return;
      input.onblur = null;
      input.remove();
      title.hidden = said.hidden = false;
      done(value, byKey);
    };
    input.onblur = () => end(input.value.trim(), false);
    input.onkeydown = (event) => {
      if (event.key === "Enter") end(input.value.trim(), true);
      else if (event.key === "Escape") end("", true);
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    input.focus();
    input.select();
  };
  return node;
}

// A node with `tell(zone)`.
export function panel(name) {
  const row = make("li", "zone-row");
  row.dataset.name = name;
  const line = make("div", "row", row);
  const pick = make("button", "zone-name", line);
  pick.textContent = name;
  pick.setAttribute("aria-label", `Go to ${name} in the picture`);
  for (const [does, sign, title] of [["rename", "✎", "Rename"], ["delete", "×", "Delete"]]) {
    const button = make("button", "zone-tool", line);
    Object.assign(button, { textContent: sign, title });
    button.dataset.does = does;
    button.setAttribute("aria-label", `${title} ${name}`);
  }
  for (const button of line.children) button.type = "button";
  const answer = make("div", "row", row), said = make("span", "", answer), value = make("span", "value", answer);
  const fill = make("div", "fill", make("div", "rail", row));
  row.tell = (zone) => {
    write(said, zone.answer?.label ?? (zone.box ? "no prediction yet" : "outside the picture"));
    write(value, zone.answer ? percent(zone.answer.p) : "");
    row.classList.toggle("provisional", Boolean(zone.answer && !zone.answer.settled));
    fill.style.width = `${100 * (zone.answer?.p ?? 0)}%`;
    fill.style.background = zone.answer?.colour ?? "";
  };
  return row;
}
