// The page of a fleet: asks for its state once a second, and shows it. One question at a time: the next one is asked a
// second after the last was answered.

import { Cameras } from "./fleet_cameras.js";
import { Machines } from "./fleet_machines.js";
import { put } from "./fleet_list.js";

const EVERY_MS = 1000;
const ANSWERED_WITHIN_MS = 12_000;
const find = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resume) => setTimeout(resume, ms));

const cameras = new Cameras(find("cameras"));
const machines = new Machines(find("machines"), filterBy);
let answeredAt = null;

// The state, or an Error whose message is for the viewer.
async function ask() {
  let answer;
  try {
    answer = await fetch("live/fleet/state", { signal: AbortSignal.timeout(ANSWERED_WITHIN_MS) });
  } catch {
    throw new Error("The server of this page does not answer; see whether i3d-live fleet view still runs.");
  }
  if (answer.status === 401) location.reload(); // to the login
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`${told.error ?? `The server of this page failed (${answer.status})`}.`);
  return told;
}

function show(state) {
  answeredAt = new Date();
  say(state.error ? `The supervisor of the fleet says: ${state.error}` : "");
  put(find("summary"), state.summary);
  put(find("counts"), counts(state));
  put(find("machines-count"), String(state.nodes.length));
  document.title = `${title(state.cameras)}i3d-live fleet`;
  machines.show(state.nodes);
  cameras.show(state.cameras);
  filter();
}

const some = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;
const counts = ({ moves, lost_nodes: lost }) => `${some(moves, "move")} · ${some(lost, "machine")} lost`;

function title(shown) {
  const bad = shown.filter(({ state }) => ["failed", "lost", "waits"].includes(state)).length;
  return bad ? `(${bad}) ` : "";
}

function say(problem) {
  const line = find("problem");
  line.hidden = !problem;
  put(line, problem);
}

function sayStale(problem) {
  const since = answeredAt ? ` What you see is from ${answeredAt.toLocaleTimeString()}.` : "";
  say(`${problem}${since} The page keeps trying.`);
}

function filterBy(text) {
  find("filter").value = text;
  filter();
}

function filter() {
  const text = find("filter").value;
  const [shown, all] = cameras.filter(text);
  put(find("matches"), text.trim() ? `${shown} of ${all}` : "");
  const none = find("none");
  none.hidden = shown > 0 || answeredAt === null;
  put(none, all ? "No camera matches the filter." : "The fleet watches no camera. Add one: i3d-live fleet add NAME=SOURCE");
}

async function follow() {
  for (;;) {
    let stale = false;
    try {
      show(await ask());
    } catch (problem) {
      sayStale(problem.message);
      stale = true;
    }
    document.body.classList.toggle("stale", stale);
    cameras.pause(stale || document.hidden);
    await sleep(EVERY_MS);
    while (document.hidden) await shownAgain();
  }
}

const shownAgain = () => new Promise((resume) => document.addEventListener("visibilitychange", resume, { once: true }));

find("filter").addEventListener("input", filter);
document.addEventListener("visibilitychange", () => cameras.pause(document.hidden || document.body.classList.contains("stale")));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.activeElement === find("filter")) filterBy("");
});
follow();
