// The channel that is shown: receives its state from the server, and puts it on the page.

import { percent, showTop } from "./bars.js";
import { closeCamera, sendPictures } from "./camera.js";
import { showCosts } from "./costs.js";
import { moved, overdue, settled, waitFor } from "./patience.js";
import { mark } from "./region.js";
import { showResting } from "./resting.js";
import { say } from "./say.js";
import { letGo, socketAddress } from "./server.js";
import * as timeline from "./timeline.js";
import { shown } from "./turned.js";
import * as where from "./where.js";
import * as zones from "./zones.js";

const find = (id) => document.getElementById(id);
const PHASES = { opening: "Opening…", engine: "Preparing the engine…", running: "Live", resting: "Resting", ended: "The video has ended", failed: "Failed", idle: "No source", waiting: "Waiting for frames…", lost: "Reconnecting…" };
const QUIET_MS = 3000;

export let token = ""; // of the channel that is shown
let socket = null;
let state = null;
let arriving = false; // it is the newest start's, and not live yet
let frameAt = 0; // when media time last advanced
let shownMediaS = null;
let mirrored = false;
let tries = 0;
let wasDown = false;

export function show(given) {
  leave(true);
  token = given;
  arriving = true;
  moved();
  phase("opening");
  connect();
}

// Before another start. A live channel is shown until the next one is there; one that is not live yet is released.
export function makeWay() {
  if (arriving || !state) leave();
  else if (!state.browser) closeCamera(find("mirror"));
  if (state?.phase !== "running") phase("opening");
  if (!token) idle("Starting…", "");
}

// A start failed. A live channel continues.
export function giveUp(why) {
  settled();
  say(why);
  if (!state?.browser) closeCamera(find("mirror"));
  if (token) return phase(state.phase);
  phase("idle");
  idle("That did not work", "See above for the reason, then press Start again.");
}

export function stop() {
  settled();
  say("");
  leave();
  phase("idle");
  idle("Stopped", "Press Start to continue.");
}

export const picture = () => ({ size_px: state?.size_px[0] ? state.size_px : null, turn: state?.turn, mirrored });

// `another`: another channel follows, perhaps from the same camera.
function leave(another = false) {
  if (token) letGo(token);
  clear(another);
}

function connect() {
  const mine = token;
  socket = new WebSocket(socketAddress(mine, "state"));
  socket.onopen = () => where.question() && ask();
  socket.onmessage = (event) => {
    if (mine !== token) return;
    tries = 0;
    hear(JSON.parse(event.data));
  };
  socket.onclose = (event) => {
    if (mine !== token) return;
    if (event.code === 4404 || event.code === 4401 || tries > 4) return lost(event);
    setTimeout(() => mine === token && connect(), 300 * 2 ** tries++);
  };
}

// The server is told of the label that the viewer asks about: it may not be among the likeliest.
function ask(label) {
  if (label) where.ask(label);
  if (socket?.readyState === 1) socket.send(`where ${where.question()}`);
}

function lost(event) {
  if (arriving) settled();
  clear();
  phase("failed");
  idle("The connection has ended", event.reason || "Check that the server runs, then press Start.");
}

// What a channel waits for before its first frame. Building an engine for the first time may take long.
function follow({ phase, browser }) {
  if (!arriving) return;
  arriving = ["opening", "waiting", "engine"].includes(phase);
  if (phase === "opening") waitFor("the source has not opened");
  else if (phase === "waiting") waitFor(browser ? "no picture of your camera has reached the server" : "no picture has come from the source");
  else settled();
}

function hear(next) {
  follow(next);
  if (next.phase === "opening") return;
  if (next.note !== (state?.note ?? "")) say(next.note);
  const answered = state?.answer?.end_s !== next.answer?.end_s || state?.answer?.settled !== next.answer?.settled;
  if (!state) look(next.browser);
  state = next;
  if (next.media_s !== shownMediaS || next.phase !== "running") frameAt = performance.now();
  shownMediaS = next.media_s;
  timeline.tell(state);
  where.tell(state);
  zones.tell(state, token);
  const down = state.connection && !state.connection.up && state.phase === "running";
  const rests = showResting(find("resting"), state);
  phase(down ? "lost" : rests ? "resting" : state.phase);
  if (down || wasDown) say(down ? `The source was lost; it will be reopened as soon as it is back: ${state.connection.reason}` : "");
  wasDown = down;
  if (state.phase === "failed") closeCamera(find("mirror"));
  if (state.phase === "failed" && !state.size_px[0]) idle("That did not work", "See above for the reason, then press Start again.");
  caption(state.answer);
  settledLine(state);
  showTop(find("top"), state.answer, rests);
  find("top-kind").textContent = state.answer ? (state.answer.settled ? "settled" : "provisional") : "";
  streams(state.by_stream);
  showCosts(find, state);
  flowSwitch("flow" in state.by_stream);
  recording(state.recording);
  find("rate").hidden = !state.cost.fps || state.phase !== "running";
  find("rate").textContent = `${state.cost.fps} fps · ${state.size_px.join(" × ")}`;
  if (state.size_px[0]) find("stage").style.aspectRatio = `${state.size_px[0]} / ${state.size_px[1]}`;
  if (answered) requestAnimationFrame(() => socket?.readyState === 1 && socket.send(String(next.number)));
}

function caption(answer) {
  find("caption").hidden = !answer;
  if (!answer) return;
  const [label, p] = answer.top[0];
  find("caption").classList.toggle("provisional", !answer.settled);
  find("label").textContent = label;
  find("percent").textContent = percent(p);
  const missing = answer.dropped_frames ? ` · ${answer.dropped_frames} frames missing` : "";
  find("kind").textContent = (answer.settled ? "settled" : "provisional") + missing;
  find("bar").style.width = `${100 * p}%`;
  find("bar").style.background = answer.colours[label];
}

function recording(told) {
  const box = find("recorder");
  box.hidden = !told;
  if (!told) return;
  // Comes last in the text, where a long name is cut off.
  const which = `${told.label}, ${Math.min(told.clips + 1, told.of)} of ${told.of}`;
  const left = Math.max(1, Math.ceil(told.left_s)); // rounded, the last frame before the end would have none left
  const words = {
    countdown: `In ${left}: ${which}`,
    recording: `● ${left} s: ${which}`,
    done: `${told.clips} ${told.clips === 1 ? "clip" : "clips"} of ${told.label} recorded`,
    failed: `Recording stopped: ${told.problem}`,
  }[told.phase];
  box.dataset.phase = told.phase;
  if (box.textContent !== words) box.textContent = words;
}

function settledLine({ answer, settled, current, media_s }) {
  const ago = settled ? Math.max(0, media_s - settled.end_s).toFixed(1) : 0;
  find("settled").textContent = settled && !answer?.settled ? `Settled, ${ago} s ago: ${settled.top[0][0]}, ${percent(settled.top[0][1])}` : "";
  const words = current ? `Now: ${current[0]}` : "";
  if (find("said").textContent !== words) find("said").textContent = words;
}

function streams(by) {
  const rows = ["rgb", "flow", "both"].map((name) => {
    const row = document.createElement("tr");
    const [label, p] = by[name]?.[0] ?? ["not running", null];
    row.className = p == null ? "off" : "";
    for (const [tag, value] of [["th", name === "rgb" ? "RGB" : name], ["td", label], ["td", p == null ? "" : percent(p)]])
      row.appendChild(document.createElement(tag)).textContent = value;
    return row;
  });
  find("streams").tBodies[0].replaceChildren(...rows);
}

function flowSwitch(runs) {
  const box = find("flow-switch");
  box.disabled = !runs;
  const wanted = runs && box.checked;
  find("flow-box").hidden = !wanted;
  const address = wanted ? `live/${token}/flow` : "";
  if ((find("flow").getAttribute("src") ?? "") !== address) address ? (find("flow").src = address) : find("flow").removeAttribute("src");
}

function look(browser) {
  mirrored = browser;
  find("idle").hidden = true;
  find("picture").hidden = browser;
  find("mirror").hidden = !browser;
  if (browser) sendPictures(find("mirror"), token);
  else {
    closeCamera(find("mirror"));
    find("picture").src = `live/${token}/picture`;
  }
}

function clear(another) {
  token = "";
  arriving = false;
  socket?.close();
  socket = state = null;
  where.tell(null);
  zones.tell(null, "");
  tries = 0;
  if (!another) closeCamera(find("mirror"));
  find("picture").removeAttribute("src");
  find("picture").hidden = find("mirror").hidden = find("caption").hidden = find("rate").hidden = find("recorder").hidden = true;
  flowSwitch(false);
  showTop(find("top"), null);
  find("settled").textContent = find("label").textContent = "";
}

function idle(title, text) {
  find("idle").hidden = false;
  find("idle-title").textContent = title;
  find("idle-text").textContent = text;
}

function phase(name) {
  find("phase").dataset.phase = name;
  const words = ["running", "resting"].includes(name) && state?.source ? `${PHASES[name]} · ${state.source}` : PHASES[name];
  if (find("phase-text").textContent !== words) find("phase-text").textContent = words;
}

// A timeline of one minute moves by a pixel about ten times a second. At every animation frame the page would be laid
// out and painted six times as often, on cores that an engine may need.
function everyTenth() {
  if (!find("timeline") || document.hidden) return;
  timeline.draw(find("timeline"));
  const late = overdue();
  find("late").hidden = !late;
  if (find("late-text").textContent !== late) find("late-text").textContent = late;
  mark_();
  requestAnimationFrame(() => {
    if (!find("where") || !find("zone-card")) return;
    zones.draw(find("stage"), mirrored);
    where.draw(find("stage"), find("where-switch").checked, mirrored);
  });
  if (state?.phase === "running" && !wasDown && performance.now() - frameAt > QUIET_MS) phase("waiting");
}

let marked = "";
function mark_() {
  const stage = find("stage");
  if (stage.classList.contains("drawing")) return void (marked = "");
  const region = state?.settings.region;
  const key = JSON.stringify([state?.size_px, state?.turn, region, mirrored, stage.clientWidth, stage.clientHeight]);
  if (key === marked) return;
  marked = key;
  mark(find("marks"), stage, state?.size_px, Array.isArray(region) ? shown(region, state.size_px, state.turn) : region, mirrored);
}

document.addEventListener("change", (event) => {
  if (event.target.id === "file") find("file-name").textContent = event.target.files[0]?.name ?? "";
  if (event.target.id === "where-switch") where.remember(event.target.checked);
  if (event.target.id === "flow-switch" && state) flowSwitch("flow" in state.by_stream);
});
document.addEventListener("click", ({ target }) => {
  const row = target.closest("#top button");
  if (row) ask(row.title);
  if (target.closest("#asked")) ask(where.question());
});
setInterval(everyTenth, 100);
