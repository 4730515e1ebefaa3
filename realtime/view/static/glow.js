// What a label scores in the cells of the picture, as a soft glow: seven by seven numbers a square, enlarged so that
// no cell can be told from the next. Scores of zero and below do not glow.

const CELLS = 7;
const FINE = 8; // px of the enlarged map in a cell
const MOST = 0.66; // opacity at the peak
const FEATHER = 6; // px of the enlarged map over which it fades towards the end of what the network sees

// `cells`: 49 numbers, row by row. `x`, `y`: in cells. Bilinear between the middles of the cells.
export function sample(cells, x, y) {
  const at = (v) => Math.min(Math.max(v - 0.5, 0), CELLS - 1);
  const left = Math.floor(at(x)), top = Math.floor(at(y));
  const right = Math.min(left + 1, CELLS - 1), below = Math.min(top + 1, CELLS - 1);
  const across = at(x) - left, down = at(y) - top;
  const row = (y) => cells[y * CELLS + left] * (1 - across) + cells[y * CELLS + right] * across;
  return row(top) * (1 - down) + row(below) * down;
}

// The maps of all squares as one: { box: [x, y, w, h] in px of the picture, width, height, values }. Where squares
// overlap, the higher score counts; where there is none, nothing glows.
export function joined(squares, maps) {
  const left = Math.min(...squares.map(([x]) => x)), top = Math.min(...squares.map(([, y]) => y));
  const right = Math.max(...squares.map(([x, , w]) => x + w)), bottom = Math.max(...squares.map(([, y, , h]) => y + h));
  const step = squares[0][2] / (CELLS * FINE);
  const width = Math.max(1, Math.round((right - left) / step)), height = Math.max(1, Math.round((bottom - top) / step));
  const values = new Float32Array(width * height).fill(-Infinity);
  squares.forEach(([x, y], number) => {
    const across = Math.round((x - left) / step), down = Math.round((y - top) / step);
    for (let j = 0; j < CELLS * FINE && down + j < height; j++)
      for (let i = 0; i < CELLS * FINE && across + i < width; i++) {
        const place = (down + j) * width + across + i;
        values[place] = Math.max(values[place], sample(maps[number], (i + 0.5) / FINE, (j + 0.5) / FINE));
      }
  });
  return { box: [left, top, right - left, bottom - top], width, height, values };
}

// The glow as pixels. `colour`: [r, g, b]. `strength`: from 0 to 1. A score of 1 is the peak.
export function pixels({ width, height, values }, colour, strength) {
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const score = Math.min(values[y * width + x], 1);
      if (!(score > 0)) continue;
      const rise = (score * score * (3 - 2 * score)) ** 1.4; // no edge at either end
      const edge = Math.min(x + 1, y + 1, width - x, height - y, FEATHER) / FEATHER;
      const light = 0.35 * rise * rise; // towards white in the middle
      const at = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) image.data[at + c] = colour[c] + (255 - colour[c]) * light;
      image.data[at + 3] = 255 * MOST * strength * rise * edge;
    }
  return image;
}
