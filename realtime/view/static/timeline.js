// The last minute: leading labels as faint stretches, events solid over them, the current event, and gaps.

const SHOWN_S = 60;
const LETTER_PX = 6.5;
let state = null;
let heardAt = 0;
let built = "";

export function tell(next) {
  state = next;
  heardAt = performance.now();
}

// Called ten times a second: everything slides to the left while video arrives, and stops when it does not.
export function draw(box) {
  if (!state) return void box.replaceChildren();
  const lag = state.phase === "running" ? Math.min((performance.now() - heardAt) / 1000, 0.5) : 0;
  const now = state.media_s + lag;
  const parts = stretches(now);
  const key = parts.map((part) => part.kind + part.label + part.start).join("|");
  if (key !== built) {
    built = key;
    box.replaceChildren(...parts.map(make));
  }
  parts.forEach((part, i) => {
    const left = Math.max(0, 1 + (part.start - now) / SHOWN_S), right = Math.min(1, 1 + (part.end - now) / SHOWN_S);
    box.children[i].style.left = `${100 * left}%`;
    box.children[i].style.width = `${100 * Math.max(0, right - left)}%`;
    // Half a word is worse than none; the title has the whole of it.
    const room = box.clientWidth * (right - left) - 16;
    box.children[i].style.color = room < part.label.length * LETTER_PX ? "transparent" : "";
  });
}

function stretches(now) {
  const parts = state.trail.map(([label, start, end, , colour]) => ({ kind: "trail", label, start, end, colour }));
  parts.push(...state.events.map(([label, start, end, , colour]) => ({ kind: "event", label, start, end, colour })));
  const end = state.settled?.end_s ?? state.media_s;
  if (state.current) parts.push({ kind: "event current", label: state.current[0], start: state.current[1], end, colour: state.current[2] });
  parts.push(...state.gaps.map(([start, end]) => ({ kind: "gap", label: "", start, end })));
  return parts.filter((part) => part.end > now - SHOWN_S);
}

function make({ kind, label, start, end, colour }) {
  const part = document.createElement("i");
  part.className = kind;
  if (colour) part.style.background = colour;
  if (kind.startsWith("event")) part.textContent = label;
  part.title = label || `no frames for ${(end - start).toFixed(1)} s`;
  return part;
}
