// Rectangles [x, y, width, height] in px of the picture as the source stores it, and as the page shows it: turned
// upright and with square pixels. `turn` is the page's message of that name; `size` is of the picture that is shown.

export function stored([x, y, width, height], size, turn) {
  if (turn.flip_x) x = size[0] - x - width;
  if (turn.flip_y) y = size[1] - y - height;
  if (turn.transposed) [x, y, width, height] = [y, x, height, width];
  return [x / turn.pixel_aspect, y, width / turn.pixel_aspect, height].map(Math.round);
}

export function shown([x, y, width, height], size, turn) {
  x *= turn.pixel_aspect;
  width *= turn.pixel_aspect;
  if (turn.transposed) [x, y, width, height] = [y, x, height, width];
  if (turn.flip_x) x = size[0] - x - width;
  if (turn.flip_y) y = size[1] - y - height;
  return [x, y, width, height];
}
