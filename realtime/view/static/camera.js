// The browser's webcam. Gradio's component sends its pictures; this starts and stops it, writes into each picture's address the
// time at which it was taken and whose it is (Gradio sends nothing but the picture after the first one), and shows the camera
// mirrored, as people expect, while the pictures themselves are not.

const STALE_MS = 150; // a tab in the background is not told of new pictures any more, though there are some

let newest = null; // performance.now() at which the newest picture was taken, and at which that became known
let video = null;
let channel = "";

const plain = HTMLCanvasElement.prototype.toDataURL;
HTMLCanvasElement.prototype.toDataURL = function (type, ...rest) {
  if (type !== "image/jpeg" || !video) return plain.call(this, type, ...rest);
  return plain.call(this, type, 0.85).replace(";base64,", `;taken=${takenMs()};channel=${channel};base64,`);
};

function takenMs() {
  const now = performance.now();
  return performance.timeOrigin + (newest && now - newest.known < STALE_MS ? newest.taken : now);
}

// Ask for permission first: Gradio's component says nothing when it is refused.
export async function askPermission() {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Error("This browser gives its camera only to pages from localhost or over https. Open the page that way, or choose another source.");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true });
    stream.getTracks().forEach((track) => track.stop());
  } catch (error) {
    throw new Error(why(error));
  }
}

function why(error) {
  if (error.name === "NotAllowedError") return "The camera was refused. Allow it for this page (the camera sign in the address bar) and press Start again.";
  if (error.name === "NotFoundError") return "No camera was found. Connect one and press Start again, or choose another source.";
  if (error.name === "NotReadableError") return "The camera is in use by another program. Close that and press Start again.";
  return `The camera cannot be opened: ${error.message}`;
}

export async function startCamera(mirror, token) {
  channel = token;
  if (mirror.srcObject?.active) return; // started again: Gradio's component goes on, now for this channel
  (await appeared("#camera [title='grant webcam access'] button, #camera [title='grant webcam access'] *")).click();
  video = await appeared("#camera video", (found) => found.srcObject && found.videoWidth);
  const follow = (now, frame) => {
    newest = { taken: frame.captureTime ?? now, known: performance.now() };
    if (video) mirror.requestVideoFrameCallback(follow);
  };
  mirror.requestVideoFrameCallback?.(follow);
  mirror.srcObject = video.srcObject;
  mirror.play().catch(() => {}); // stopped before it began
  (await appeared("#camera button[aria-label='capture photo']")).click();
}

export function stopCamera(mirror) {
  video?.srcObject?.getTracks().forEach((track) => track.stop());
  mirror.srcObject = null;
  video = newest = null;
}

async function appeared(selector, ready = () => true) {
  for (let i = 0; i < 200; i++) {
    const found = document.querySelector(selector);
    if (found && ready(found)) return found;
    await new Promise((resume) => setTimeout(resume, 50));
  }
  throw new Error("The camera did not start within 10 seconds. Press Stop and Start again.");
}
