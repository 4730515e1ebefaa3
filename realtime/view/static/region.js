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

// Let the viewer draw; resolves to [x, y, w, h] in px of the shown picture, or null if they press Escape.
export function drawRegion(svg, stage, size, mirrored) {
  return new Promise((resolve) => {
    const { scale, left, top } = place(stage, size);
    let from = null;
    const at = (event) => {
      const edge = stage.getBoundingClientRect();
      const x = (event.clientX - edge.left - left) / scale, y = (event.clientY - edge.top - top) / scale;
      return [Math.min(Math.max(mirrored ? size[0] - x : x, 0), size[0]), Math.min(Math.max(y, 0), size[1])];
    };
    const span = (to) => [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])].map(Math.round);
    const down = (event) => { from = at(event); stage.setPointerCapture(event.pointerId); event.preventDefault(); };
    const move = (event) => {
      if (!from) return;
      const [x, y, w, h] = span(at(event));
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
