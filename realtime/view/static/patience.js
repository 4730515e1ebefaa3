// A start on its way to being live: what it waits for, and whether it has waited for that too long.

const PATIENCE_MS = 10_000;

let awaited = ""; // what has not happened yet, in words that follow "for 10 s"; empty where nothing is waited for
let since = 0; // performance.now() of the last progress

// Something else to wait for is progress.
export function waitFor(words) {
  if (words !== awaited) moved();
  awaited = words;
}

export function moved() {
  since = performance.now();
}

// There is nothing to wait for: it is live, it has failed, it was stopped, or the server works on what may honestly take a minute.
export function settled() {
  awaited = "";
}

export const overdue = () => (awaited && performance.now() - since >= PATIENCE_MS ? `Not live yet: for 10 s ${awaited}.` : "");
