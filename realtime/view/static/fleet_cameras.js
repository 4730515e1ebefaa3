// A card for each camera, in the order of the server: trouble first. What does not match the filter is hidden.

import { arrange, made, put, putOrHide } from "./fleet_list.js";
import { Pictures } from "./fleet_pictures.js";

const WITHOUT_PICTURE = ["failed", "waits"];

export class Cameras {
  constructor(list) {
    this.list = list;
    this.cards = new Map();
    this.pictures = new Pictures();
  }

  pause(wanted) {
    this.pictures.paused = wanted;
  }

  show(cameras) {
    const before = this.cards;
    this.cards = new Map(cameras.map((camera) => [camera.key, before.get(camera.key) ?? this.card(camera)]));
    for (const [key, card] of before) if (!this.cards.has(key)) this.pictures.forget(card);
    for (const camera of cameras) this.fill(this.cards.get(camera.key), camera);
    arrange(this.list, [...this.cards.values()].map(({ root }) => root));
  }

  // How many match, of how many. Each word must be in the name, the action, the machine or the state.
  filter(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of this.cards.values()) {
      const matches = words.every((word) => card.text.includes(word));
      if (card.root.hidden === matches) card.root.hidden = !matches;
      shown += matches;
    }
    return [shown, this.cards.size];
  }

  card({ key, name }) {
    const root = made("li", "card");
    const picture = made("div", "picture");
    const image = made("img");
    image.alt = `Newest picture of ${name}`;
    image.hidden = true;
    const [chip, title, now] = [made("span", "chip"), made("h3", "", name), made("p", "now")];
    const [why, event, facts, machine] = [made("p", "why"), made("p", "event"), made("p", "facts"), made("p", "on")];
    title.title = name;
    picture.append(image, chip);
    root.append(picture, title, now, why, event, facts, machine);
    const card = { key, root, image, chip, now, why, event, facts, machine, wants: true, text: "" };
    this.pictures.watch(card);
    return card;
  }

  fill(card, camera) {
    card.root.dataset.state = camera.state;
    card.wants = !WITHOUT_PICTURE.includes(camera.state);
    card.root.classList.toggle("late", camera.level !== null);
    putOrHide(card.chip, camera.state === "runs" ? camera.level && "late" : camera.state);
    card.now.classList.toggle("nothing", camera.now === null);
    putOrHide(card.now, nowOf(camera));
    putOrHide(card.why, camera.why ?? (camera.level && `does less: ${camera.level}`));
    putOrHide(card.event, camera.event && `last event: ${camera.event}`);
    putOrHide(card.facts, camera.state === "runs" ? `${camera.fps.toFixed(1)} fps · ${camera.lag_s.toFixed(1)} s behind` : "");
    put(card.machine, camera.node ?? "no machine");
    card.machine.title = camera.moved ? `Last move: ${camera.moved}` : "";
    card.text = [camera.name, camera.now, camera.event, camera.node, camera.state, camera.level && "late"].join(" ").toLowerCase();
  }
}

function nowOf({ state, rests, now }) {
  if (state === "runs") return rests ? "nothing moves" : (now ?? "no prediction yet");
  return state === "starts" ? "no prediction yet" : "";
}
