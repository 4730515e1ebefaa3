// What the page's buttons do: Gradio calls `window.live`. A start waits in turn for the viewer, the camera and the
// server, and each may be slow. The newest press counts: it aborts the signal of the previous start, which checks it
// after each wait and releases what it got.

import { openCamera, askFor } from "./camera.js";
import * as live from "./live.js";
import { settled, waitFor } from "./patience.js";
import { drawRegion } from "./region.js";
import { say } from "./say.js";
import { askForStart, upload } from "./server.js";
import { stored } from "./turned.js";
import { remembered } from "./where.js";

const find = (id) => document.getElementById(id);

let newest = null; // AbortController of the newest start; null before the first press

function renew() {
  newest?.abort();
  newest = new AbortController();
  return newest.signal;
}

function choose(source) {
  document.body.dataset.source = source;
}

// When the page is there. `atOnce`: the first source is the server's own, and starts by itself unless the viewer was quicker.
function open(webcam, atOnce, names, source, ...others) {
  askFor(webcam);
  if (remembered()) find("where-switch").checked = true; // the viewer may have been quicker
  document.body.dataset.source ??= source; // unless the viewer was quicker here too
  find("again").addEventListener("click", () => find("start").click());
  if (atOnce && !newest) start(names, source, ...others);
}

// `names`: of the settings, in the order of `values`.
async function start(names, source, address, ...values) {
  const signal = renew();
  settled();
  say("");
  live.makeWay();
  try {
    const sent = await gather(source, signal);
    waitFor("the server has not answered");
    const settings = Object.fromEntries(names.map((name, place) => [name, values[place]]));
    live.show(await askForStart({ source, address, upload: sent, settings }, signal));
  } catch (error) {
    if (!signal.aborted) live.giveUp(error.message);
  }
}

// What the page must obtain before it asks the server.
async function gather(source, signal) {
  if (source === "browser") {
    waitFor("the browser has not given its camera. It may be asking for your permission, near its address bar");
    await openCamera(signal);
  }
  if (source !== "file") return "";
  waitFor("the upload has not moved");
  return upload(find("file").files[0], signal);
}

function stop() {
  renew();
  live.stop();
}

const withToken = (_, ...fields) => [live.token, ...fields];

// The button is below the picture, which shows the countdown.
function record(...given) {
  find("stage").scrollIntoView({ behavior: "smooth", block: "nearest" });
  return withToken(...given);
}

async function draw() {
  const before = document.querySelector("#region textarea, #region input").value;
  let seen = live.picture();
  if (!seen.size_px) {
    say("Start a source first; then draw on its picture.");
    return before;
  }
  const drawn = await drawRegion(find("marks"), find("stage"), () => {
    if (live.picture().size_px) seen = live.picture(); // after a stop, the last one
    return { size: seen.size_px, mirrored: seen.mirrored };
  });
  return drawn ? stored(drawn, seen.size_px, seen.turn).join(",") : before;
}

window.live = { open, choose, start, stop, withToken, record, drawRegion: draw };
