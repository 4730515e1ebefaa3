// The page's own part: takes what the server says of a channel and shows it. Gradio's buttons call `window.live`.

import { percent, showTop } from "./bars.js";
import { askPermission, startCamera, stopCamera } from "./camera.js";
import { showCosts } from "./costs.js";
import { drawRegion, mark } from "./region.js";
import * as timeline from "./timeline.js";

const find = (id) => document.getElementById(id);
const PHASES = { opening: "Opening…", engine: "Preparing the engine…", running: "Live", ended: "The video has ended", failed: "Failed", idle: "No source", waiting: "Waiting for frames…", lost: "Connecting again…" };
const QUIET_MS = 3000;

let socket = null; // of the channel that is shown
let token = "";
let state = null;
let frameAt = 0; // when media time last went on
let shownMediaS = null;
let mirrored = false;
let tries = 0;
let wasDown = false;
let started = false; // by the viewer

// Before Start: what has to happen in the page first. Returns the inputs, with source null where there is nothing to start.
async function prepare(source, address, upload, ...fields) {
  started = true;
  say("");
  try {
    if (source === "browser") await askPermission();
    if (source === "file") upload = await send(find("file").files[0]);
    return [source, address, upload, ...fields];
  } catch (error) {
    say(error.message);
    return [null, address, "", ...fields];
  }
}

function attach(given) {
  if (!given || given === token) return;
  clear(true);
  token = given;
  phase("opening");
  connect();
}

// What starts by itself when the page opens, unless the viewer was quicker.
function attachFirst(given) {
  if (!started) attach(given);
}

function detach() {
  const mine = token;
  clear();
  phase("idle");
  idle("Stopped", "Press Start to go on.");
  return mine;
}

const withToken = (_, ...fields) => [token, ...fields];

async function draw() {
  const before = document.querySelector("#region textarea, #region input").value;
  if (!state?.size_px?.[0]) {
    say("Start a source first; then draw on its picture.");
    return before;
  }
  find("stage").scrollIntoView({ behavior: "smooth", block: "nearest" });
  return (await drawRegion(find("marks"), find("stage"), state.size_px, mirrored)) ?? before;
}

// The button stands below the picture, which shows the countdown.
function record(...given) {
  find("stage").scrollIntoView({ behavior: "smooth", block: "nearest" });
  return withToken(...given);
}

window.live = { prepare, attach, attachFirst, detach, withToken, record, drawRegion: draw };

function send(file) {
  if (!file) throw new Error("Choose a video first.");
  if (file.size > 500 * 2 ** 20) throw new Error(`${file.name} has ${Math.round(file.size / 2 ** 20)} MB; at most 500 MB can be uploaded. Cut the video, or start the server with it.`);
  const bar = find("file-progress");
  bar.hidden = false;
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `live/upload?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => (bar.value = event.loaded / event.total);
    request.onload = () => (request.status === 200 ? resolve(JSON.parse(request.responseText).upload) : reject(new Error(problemOf(request))));
    request.onerror = () => reject(new Error("The upload was broken off. Check the connection and try again."));
    request.onloadend = () => (bar.hidden = true);
    request.send(file);
  });
}

function problemOf(request) {
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return `The upload was refused (${request.status}).`;
  }
}

function connect() {
  const mine = token;
  const address = new URL(`live/${mine}/state`, document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.onmessage = (event) => {
    tries = 0;
    hear(JSON.parse(event.data));
  };
  socket.onclose = (event) => {
    if (mine !== token) return;
    if (event.code === 4404 || event.code === 4401 || tries > 4) return lost(event);
    setTimeout(() => mine === token && connect(), 300 * 2 ** tries++);
  };
}

function lost(event) {
  clear();
  phase("failed");
  idle("The connection has ended", event.reason || "Check that the server runs, then press Start.");
}

function hear(next) {
  if (next.phase === "opening") return;
  if (next.note !== (state?.note ?? "")) say(next.note);
  const answered = state?.answer?.end_s !== next.answer?.end_s || state?.answer?.settled !== next.answer?.settled;
  if (!state) look(next.browser);
  state = next;
  if (next.media_s !== shownMediaS || next.phase !== "running") frameAt = performance.now();
  shownMediaS = next.media_s;
  timeline.tell(state);
  const down = state.connection && !state.connection.up && state.phase === "running";
  phase(down ? "lost" : state.phase);
  if (down || wasDown) say(down ? `The source was lost and is opened again as soon as it is there: ${state.connection.reason}` : "");
  wasDown = down;
  if (state.phase === "failed") stopCamera(find("mirror"));
  if (state.phase === "failed" && !state.size_px[0]) idle("That did not work", "See above for the reason, then press Start again.");
  caption(state.answer);
  settledLine(state);
  showTop(find("top"), state.answer);
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
  const which = `${told.label}, ${Math.min(told.clips + 1, told.of)} of ${told.of}`; // last: of a long name the end is cut off
  const left = Math.max(1, Math.ceil(told.left_s)); // rounded, the last frame before the end has none left
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
  if (!browser) {
    stopCamera(find("mirror"));
    find("picture").src = `live/${token}/picture`;
  } else startCamera(find("mirror"), token).catch((error) => say(error.message));
}

// `another`: one more channel follows, which may be of the same camera.
function clear(another = false) {
  token = "";
  socket?.close();
  socket = state = null;
  tries = 0;
  if (!another) stopCamera(find("mirror"));
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
  const words = name === "running" && state?.source ? `Live · ${state.source}` : PHASES[name];
  if (find("phase-text").textContent !== words) find("phase-text").textContent = words;
}

function say(problem) {
  find("problem").hidden = !problem;
  if (find("problem").textContent !== problem) find("problem").textContent = problem ?? "";
}

// Ten times a second is as fast as a minute's time line moves by a pixel; at every animation frame the page would be laid out and
// painted six times as often, beside an engine that may run on the same cores.
function everyTenth() {
  if (!find("timeline") || document.hidden) return;
  timeline.draw(find("timeline"));
  mark_();
  if (state?.phase === "running" && !wasDown && performance.now() - frameAt > QUIET_MS) phase("waiting");
}

let marked = "";
function mark_() {
  const stage = find("stage");
  if (stage.classList.contains("drawing")) return;
  const key = JSON.stringify([state?.size_px, state?.settings.region, mirrored, stage.clientWidth, stage.clientHeight]);
  if (key === marked) return;
  marked = key;
  mark(find("marks"), stage, state?.size_px, state?.settings.region, mirrored);
}

document.addEventListener("change", (event) => {
  if (event.target.id === "file") find("file-name").textContent = event.target.files[0]?.name ?? "";
  if (event.target.id === "flow-switch" && state) flowSwitch("flow" in state.by_stream);
});
setInterval(everyTenth, 100);
