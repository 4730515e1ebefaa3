// The browser's webcam. Gradio's component sends its pictures. This module opens and closes the camera, writes into
// each picture's address when it was taken and for which channel (after the first one Gradio sends nothing but the
// picture), and shows the camera mirrored, as people expect, though the pictures are not.

const find = (id) => document.getElementById(id);
const GRANT = "#camera [title='grant webcam access'] button"; // of Gradio's component, before it has a camera
const CAPTURE = "#camera button[aria-label='capture photo']"; // ... and after
const STALE_MS = 150; // a background tab is no longer told of new pictures, though there are some

let newest = null; // of the newest picture: performance.now() when it was taken, and when that became known
let camera = null; // the open MediaStream
let channel = ""; // token of the channel that its pictures go to
let wanted = { video: true };
let waking = null; // promise that Gradio's component is taking pictures
let taker = null; // after that, its video element

const plain = HTMLCanvasElement.prototype.toDataURL;
HTMLCanvasElement.prototype.toDataURL = function (type, ...rest) {
  if (type !== "image/jpeg" || !camera) return plain.call(this, type, ...rest);
  return plain.call(this, type, 0.85).replace(";base64,", `;taken=${takenMs()};channel=${channel};base64,`);
};

function takenMs() {
  const now = performance.now();
  return performance.timeOrigin + (newest && now - newest.known < STALE_MS ? newest.taken : now);
}

// What to ask the browser for. Gradio's component asks for the same: two different requests could both get something
// else.
export function askFor(constraints) {
  wanted = constraints;
  find("camera").inert = true; // operated from here, not by the viewer
}

// Gradio's component would be silent if the camera is refused. A camera that opens after its start was abandoned is
// closed.
export async function openCamera(signal) {
  if (camera?.active) return;
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Error("This browser gives its camera only to pages from localhost or over https. Open the page that way, or choose another source.");
  const stream = await navigator.mediaDevices.getUserMedia(wanted).catch((error) => {
    throw new Error(why(error));
  });
  if (signal.aborted) end(stream);
  signal.throwIfAborted();
  camera = stream;
}

function why(error) {
  if (error.name === "NotAllowedError") return "The camera was refused. Allow it for this page (the camera sign in the address bar) and press Start again.";
  if (error.name === "NotFoundError") return "No camera was found. Connect one and press Start again, or choose another source.";
  if (error.name === "NotReadableError") return "The camera is in use by another program. Close that and press Start again.";
  return `The camera cannot be opened: ${error.message}`;
}

// Send the open camera's pictures to a channel, and show them.
export async function sendPictures(mirror, token) {
  const mine = camera;
  channel = token;
  if (mirror.srcObject === mine) return; // started again: its pictures continue, now to this channel
  mirror.srcObject = mine;
  mirror.play().catch(() => {}); // stopped before it began
  const follow = (now, frame) => {
    newest = { taken: frame.captureTime ?? now, known: performance.now() };
    if (camera === mine) mirror.requestVideoFrameCallback(follow);
  };
  mirror.requestVideoFrameCallback?.(follow);
  await wake();
  if (camera !== mine) return; // closed or replaced in the meantime
  taker.srcObject = mine;
  taker.play().catch(() => {});
}

export function closeCamera(mirror) {
  end(camera);
  camera = newest = mirror.srcObject = null;
  if (taker) taker.srcObject = null; // so that it sends nothing
}

function end(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

// Gradio's component sends what its video shows, once it has been given a camera and told to begin. That is done once;
// afterwards its video is set to our camera, or to none. Stop does not tell it to end, so that the next start cannot
// find it midway.
function wake() {
  waking ??= grantAndCapture().catch((error) => {
    waking = null;
    throw error;
  });
  return waking;
}

async function grantAndCapture() {
  const first = await appeared(`${GRANT}, ${CAPTURE}`);
  if (first.matches(GRANT)) first.click();
  // While playback is only starting, a change is an error.
  const video = await appeared("#camera video", (found) => found.currentTime > 0);
  const button = await appeared(CAPTURE);
  end(video.srcObject);
  video.srcObject = null;
  button.click();
  taker = video;
}

// No picture arrived: end Gradio's stream and begin another one.
export function beginAnew() {
  if (taker) for (const _ of ["end", "begin"]) document.querySelector(CAPTURE).click();
}

async function appeared(selector, ready = () => true) {
  for (let i = 0; i < 200; i++) {
    const found = document.querySelector(selector);
    if (found && ready(found)) return found;
    await new Promise((resume) => setTimeout(resume, 50));
  }
  throw new Error("The camera did not start within 10 seconds. Press Start again.");
}
