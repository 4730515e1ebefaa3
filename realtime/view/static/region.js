// The part of the picture that the network sees: shown as corner marks, and drawn by the viewer.

const NS = "http://www.w3.org/2000/svg";

// Where the picture is within the stage, and how many screen px one px of it takes.
export function place(stage, [width, height]) {
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  return { scale, left: (stage.clientWidth - width * scale) / 2, top: (stage.clientHeight - height * scale) / 2 };
}

// Rectangles [x, y, w, h] in px of the shown picture that the network sees.
export function seen([width, height], region) {
  const side = Math.min(width, height);
  if (region === "full")
    return [0, 1, 2].map((i) => [((width - side) * i) / 2, ((height - side) * i) / 2, side, side]).slice(0, width === height ? 1 : 3);
  const [x, y, w, h] = region ?? [0, 0, width, height];
  const inner = Math.min(w, h) * (224 / 256);
  return [[x + (w - inner) / 2, y + (h - inner) / 2, inner, inner]];
}

export function mark(svg, stage, size, region, mirrored) {
  if (!size?.[0]) return void svg.replaceChildren();
  const { scale, left, top } = place(stage, size);
  svg.replaceChildren(...seen(size, region).map(([x, y, w, h]) => {
    const shown = mirrored ? size[0] - x - w : x;
    return box("seen", left + shown * scale, top + y * scale, w * scale, h * scale);
  }));
}

function box(kind, x, y, width, height) {
  const rect = document.createElementNS(NS, "rect");
  rect.setAttribute("class", kind);
  Object.entries({ x, y, width, height }).forEach(([name, value]) => rect.setAttribute(name, value.toFixed(1)));
  // Only the corners: dashes the length of a corner's arm, with gaps between them.
  if (kind === "seen") rect.setAttribute("stroke-dasharray", `14 ${width - 28} 14 0 14 ${height - 28} 14 0 14 ${width - 28} 14 0 14 ${height - 28} 14 0`);
  return rect;
}

// Where a pointer is, as shares of the picture's width and height. Asked again at every event: the page may be scrolled,
// laid out anew, or show a picture of another size while a button is held.
export function pointed({ clientX, clientY }, stage, { size, mirrored }) {
  const edge = stage.getBoundingClientRect(), { scale, left, top } = place(stage, size);
  const x = (clientX - edge.left - left) / (scale * size[0]), y = (clientY - edge.top - top) / (scale * size[1]);
  return [mirrored ? 1 - x : x, y];
}

// Let the viewer draw; resolves to [x, y, w, h] in px of the picture that is shown at the end, or null if they press
// Escape. `picture` tells { size, mirrored } of the one that is shown now.
export function drawRegion(svg, stage, picture) {
  return new Promise((resolve) => {
    let from = null;
    const at = (event) => pointed(event, stage, picture()).map((share) => Math.min(Math.max(share, 0), 1));
    const span = ([x, y]) => {
      const [width, height] = picture().size;
      return [Math.min(from[0], x) * width, Math.min(from[1], y) * height, Math.abs(from[0] - x) * width, Math.abs(from[1] - y) * height].map(Math.round);
    };
    const down = (event) => { from = at(event); stage.setPointerCapture(event.pointerId); event.preventDefault(); };
    const move = (event) => {
      if (!from) return;
      const [x, y, w, h] = span(at(event)), { size, mirrored } = picture(), { scale, left, top } = place(stage, size);
      svg.replaceChildren(box("drawn", left + (mirrored ? size[0] - x - w : x) * scale, top + y * scale, w * scale, h * scale));
    };
    const up = (event) => { if (from) finish(span(at(event))); };
    const key = (event) => { if (event.key === "Escape") finish(null); };
    const finish = (rect) => {
      stage.classList.remove("drawing");
      stage.removeEventListener("pointerdown", down);
      stage.removeEventListener("pointermove", move);
      stage.removeEventListener("pointerup", up);
      document.removeEventListener("keydown", key);
      resolve(rect && rect[2] >= 16 && rect[3] >= 16 ? rect : null);
    };
    stage.scrollIntoView({ behavior: "instant", block: "nearest" }); // else it would still move under the pointer
    stage.classList.add("drawing");
    stage.addEventListener("pointerdown", down);
    stage.addEventListener("pointermove", move);
    stage.addEventListener("pointerup", up);
    document.addEventListener("keydown", key);
  });
}
