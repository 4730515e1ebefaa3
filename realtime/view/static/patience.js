// A start that is not live yet: what it waits for, and whether it has waited too long.

const PATIENCE_MS = 10_000;

let awaited = ""; // what has not happened yet, in words that follow "for 10 s"; empty if nothing is awaited
let since = 0; // performance.now() of the last progress

// Waiting for something new counts as progress.
export function waitFor(words) {
  if (words !== awaited) moved();
  awaited = words;
}

export function moved() {
  since = performance.now();
}

// Nothing is awaited: it is live, it has failed, it was stopped, or the server is doing work that may take a minute.
export function settled() {
  awaited = "";
}

export const overdue = () => (awaited && performance.now() - since >= PATIENCE_MS ? `Not live yet: for 10 s ${awaited}.` : "");
