// The browser's webcam. Gradio's component sends its pictures; this opens and closes the camera, writes into each picture's address
// the time at which it was taken and whose it is (Gradio sends nothing but the picture after the first one), and shows the camera
// mirrored, as people expect, while the pictures themselves are not.

const find = (id) => document.getElementById(id);
const GRANT = "#camera [title='grant webcam access'] button"; // of Gradio's component, before it has a camera
const CAPTURE = "#camera button[aria-label='capture photo']"; // and then
const STALE_MS = 150; // a tab in the background is not told of new pictures any more, though there are some

let newest = null; // performance.now() at which the newest picture was taken, and at which that became known
let camera = null; // the open one, a MediaStream
let channel = ""; // token of where its pictures go
let wanted = { video: true };
let waking = null; // promise that Gradio's component takes pictures
let taker = null; // from then on its video element

const plain = HTMLCanvasElement.prototype.toDataURL;
HTMLCanvasElement.prototype.toDataURL = function (type, ...rest) {
  if (type !== "image/jpeg" || !camera) return plain.call(this, type, ...rest);
  return plain.call(this, type, 0.85).replace(";base64,", `;taken=${takenMs()};channel=${channel};base64,`);
};

function takenMs() {
  const now = performance.now();
  return performance.timeOrigin + (newest && now - newest.known < STALE_MS ? newest.taken : now);
}

// What to ask the browser for. Gradio's component asks for the same: two who differ could both be given something else.
export function askFor(constraints) {
  wanted = constraints;
  find("camera").inert = true; // it is worked from here, not by the viewer
}

// Gradio's component would say nothing when the camera is refused. A camera that comes after its start was given up is closed.
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

// Take the open camera's pictures to a channel, and show them.
export async function sendPictures(mirror, token) {
  const mine = camera;
  channel = token;
  if (mirror.srcObject === mine) return; // started again: its pictures go on, now to this channel
  mirror.srcObject = mine;
  mirror.play().catch(() => {}); // stopped before it began
  const follow = (now, frame) => {
    newest = { taken: frame.captureTime ?? now, known: performance.now() };
    if (camera === mine) mirror.requestVideoFrameCallback(follow);
  };
  mirror.requestVideoFrameCallback?.(follow);
  await wake();
  if (camera !== mine) return; // closed in the meantime, or another one
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

// Gradio's component sends what its video shows, once it has been given a camera and told to begin: that is done once, and then it
// is shown our camera, or none. Not told to end by each Stop, it cannot be in the middle of that when the next start comes.
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
  const video = await appeared("#camera video", (found) => found.currentTime > 0); // as long as it only begins to play, a change is an error
  const button = await appeared(CAPTURE);
  end(video.srcObject);
  video.srcObject = null;
  button.click();
  taker = video;
}

// No picture came through: end Gradio's stream and begin another one.
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
