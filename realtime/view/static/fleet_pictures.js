// The pictures of the cards that can be seen, each about once a second. A few are fetched at a time: on a slow network
// they come less often, and never late. The old one stays until the new one is decoded.

const EVERY_MS = 1000;
const LANES = 4; // a browser opens six connections to a server; the state needs one
const FETCHED_WITHIN_MS = 10_000;
const sleep = (ms) => new Promise((resume) => setTimeout(resume, ms));

export class Pictures {
  constructor() {
    this.paused = false;
    this.seen = new Set();
    this.cards = new WeakMap();
    this.observer = new IntersectionObserver((entries) => entries.forEach((entry) => this.look(entry)), { rootMargin: "150px" });
    for (let lane = 0; lane < LANES; lane++) this.run();
  }

  watch(card) {
    card.askedAt = -Infinity;
    this.cards.set(card.root, card);
    this.observer.observe(card.root);
  }

  forget(card) {
    this.observer.unobserve(card.root);
    this.seen.delete(card);
    card.gone = true;
    URL.revokeObjectURL(card.image.src);
  }

  look({ target, isIntersecting }) {
    const card = this.cards.get(target);
    if (isIntersecting && !card.gone) this.seen.add(card);
    else this.seen.delete(card);
  }

  async run() {
    for (;;) {
      const card = this.paused ? null : this.next();
      if (card) await this.fetch(card);
      else await sleep(100);
    }
  }

  // The one that has waited longest, of those that are due.
  next() {
    let found = null;
    for (const card of this.seen) {
      if (card.wants && !card.fetching && (!found || card.askedAt < found.askedAt)) found = card;
    }
    return found && performance.now() - found.askedAt >= EVERY_MS ? found : null;
  }

  async fetch(card) {
    card.askedAt = performance.now();
    card.fetching = true;
    try {
      const answer = await fetch(`live/fleet/picture/${card.key}`, { signal: AbortSignal.timeout(FETCHED_WITHIN_MS) });
      if (answer.status === 200) await show(card, URL.createObjectURL(await answer.blob()));
    } catch {
      await sleep(EVERY_MS); // the state says what is wrong
    } finally {
      card.fetching = false;
    }
  }
}

async function show(card, address) {
  const decoded = new Image();
  decoded.src = address;
  try {
    await decoded.decode();
  } catch {
    URL.revokeObjectURL(address); // no picture
    return;
  }
  const before = card.image.src;
  if (card.gone) URL.revokeObjectURL(address);
  else card.image.src = address;
  card.image.hidden = false;
  if (before) URL.revokeObjectURL(before);
}
