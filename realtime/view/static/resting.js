// While nothing moves and the engines rest, the picture says since when.

let since = null; // media seconds, and what is said of them
let words = "";

// Whether they rest. The time of day is worked out once for each rest: messages come a little early or late.
export function showResting(box, { resting_since_s, media_s, phase }) {
  const rests = resting_since_s != null && phase === "running";
  if (rests && since !== resting_since_s) {
    const at = new Date(Date.now() - 1000 * (media_s - resting_since_s));
    words = `Resting since ${at.toLocaleTimeString()}: nothing moves`;
  }
  since = rests ? resting_since_s : null;
  box.hidden = !rests;
  const shown = rests ? words : "";
  if (box.textContent !== shown) box.textContent = shown;
  return rests;
}
