// A list whose items stay the same elements while what they show changes, so that nothing flickers and the focus stays.

// A text, only if it has changed: a screen reader says what is written anew.
export function put(node, text) {
  if (node.textContent !== (text ?? "")) node.textContent = text ?? "";
}

// An element with a class and a text.
export function made(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}

// A text that takes no room while it is empty.
export function putOrHide(node, text) {
  put(node, text);
  node.hidden = !text;
}

// Puts the elements into this order, and moves only those that are not in their place.
export function arrange(list, wanted) {
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const kept = new Set(wanted);
  for (const node of [...list.children]) if (!kept.has(node)) node.remove();
  let place = list.firstElementChild;
  for (const node of wanted) {
    if (node === place) place = place.nextElementSibling;
    else list.insertBefore(node, place);
  }
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}
