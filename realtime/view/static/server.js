// The page's requests to the server outside Gradio. A refusal is an Error that can be shown to the viewer.

import { moved } from "./patience.js";

const LARGEST_MB = 500;
const find = (id) => document.getElementById(id);

let answered = Promise.resolve(); // the last requested start

// The token of a start. A start abandoned in the meantime is released when its token arrives. The next one waits
// briefly for that: otherwise abandoned starts would use up the server's channels.
export function askForStart(given, signal) {
  const before = answered;
  const asked = (async () => {
    await Promise.race([before, new Promise((resume) => setTimeout(resume, 1000))]);
    signal.throwIfAborted();
    const { token } = await post("live/start", given);
    if (signal.aborted) await letGo(token);
    signal.throwIfAborted();
    return token;
  })();
  answered = asked.catch(() => {});
  return asked;
}

// If this fails, a channel without viewers ends anyway, only later.
export const letGo = (token) => post(`live/${token}/stop`).catch(() => {});

// Of a channel's "state" or "camera".
export function socketAddress(token, name) {
  const address = new URL(`live/${token}/${name}`, document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  return address.href;
}

// `zone`: x, y, width and height in px of a picture with the size `of`, and `was`, its name before. The answer's
// `zone_changes` is that of the first state that includes the change.
export const putZone = (token, name, zone) => ask("PUT", `live/${token}/zones?name=${encodeURIComponent(name)}`, zone);
export const removeZone = (token, name) => ask("DELETE", `live/${token}/zones?name=${encodeURIComponent(name)}`);

const post = (path, body = null) => ask("POST", path, body);

async function ask(method, path, body = null) {
  let answer;
  try {
    answer = await fetch(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer. Check that it runs, then press Start again.");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `The server refused it (${answer.status}). Load the page again.`);
  return told;
}

// The key of the uploaded file.
export function upload(file, signal) {
  if (!file) throw new Error("Choose a video first.");
  if (file.size > LARGEST_MB * 2 ** 20) throw new Error(`${file.name} has ${Math.round(file.size / 2 ** 20)} MB; at most ${LARGEST_MB} MB can be uploaded. Cut the video, or start the server with it.`);
  const bar = find("file-progress");
  bar.hidden = false;
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `live/upload?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => {
      bar.value = event.loaded / event.total;
      moved();
    };
    request.onload = () => (request.status === 200 ? resolve(JSON.parse(request.responseText).upload) : reject(new Error(problemOf(request))));
    request.onerror = () => reject(new Error("The upload was interrupted. Check the connection and try again."));
    request.onabort = () => reject(signal.reason);
    request.onloadend = () => (bar.hidden = true);
    signal.addEventListener("abort", () => request.abort());
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
