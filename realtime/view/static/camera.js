// The browser's webcam: opens and closes it, shows it mirrored, as people expect, and gives its pictures, which are not
// mirrored, to a worker that sends them.

import { socketAddress } from "./server.js";

const STALE_MS = 150; // a background tab is no longer told of new pictures, though there are some

let camera = null; // the open MediaStream
let toldAt = 0; // performance.now() when the page was last told of a new picture
let wanted = { video: true };
let sender = null; // the worker

// What to ask the browser for.
export function askFor(constraints) {
  wanted = constraints;
}

// A camera that opens after its start was abandoned is closed.
export async function openCamera(signal) {
  if (camera?.active) return;
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Error("This browser gives its camera only to pages from localhost or over https. Open the page that way, or choose another source.");
  if (!window.OffscreenCanvas)
    throw new Error("This browser cannot send its camera's pictures. Use Chrome or Edge 69, Firefox 105, Safari 16.4 or newer, or choose another source.");
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
export function sendPictures(mirror, token) {
  const mine = camera;
  sender ??= newSender(mirror);
  sender.postMessage({ address: socketAddress(token, "camera") });
  if (mirror.srcObject === mine) return; // started again: its pictures continue, now to this channel
  mirror.srcObject = mine;
  mirror.play().catch(() => {}); // stopped before it began
  const follow = (now, frame) => {
    if (camera !== mine) return;
    toldAt = performance.now();
    take(mirror, frame.captureTime ?? now);
    mirror.requestVideoFrameCallback(follow);
  };
  mirror.requestVideoFrameCallback?.(follow);
}

export function closeCamera(mirror) {
  end(camera);
  camera = mirror.srcObject = null;
  sender?.postMessage({ address: "" });
}

function end(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

function newSender(mirror) {
  const worker = new Worker(new URL("camera_sender.js", import.meta.url));
  // Whenever a picture is due. Mostly the page has been told of one.
  worker.onmessage = () => {
    const now = performance.now();
    if (camera && now - toldAt > STALE_MS) take(mirror, now);
  };
  return worker;
}

// `at`: when it was taken, by performance.now().
async function take(mirror, at) {
  if (mirror.readyState < 2) return; // there is none yet
  const picture = window.VideoFrame ? new VideoFrame(mirror) : await createImageBitmap(mirror);
  sender.postMessage({ picture, takenMs: performance.timeOrigin + at }, [picture]);
}
