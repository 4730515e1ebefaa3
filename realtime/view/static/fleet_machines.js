// The machines: how loaded each is, and what is wrong with it. A machine's name filters the cameras.

import { arrange, made, put, putOrHide } from "./fleet_list.js";

const FULL = 0.95; // of its cores: from here on a machine gives up cameras

export class Machines {
  constructor(list, chosen) {
    this.list = list;
    this.chosen = chosen;
    this.items = new Map();
  }

  show(machines) {
    const before = this.items;
    this.items = new Map(machines.map((machine) => [machine.name, before.get(machine.name) ?? this.item(machine.name)]));
    for (const machine of machines) fill(this.items.get(machine.name), machine);
    arrange(this.list, [...this.items.values()].map(({ root }) => root));
  }

  item(name) {
    const root = made("li", "machine");
    const button = made("button", "", name);
    button.type = "button";
    button.title = `Show the cameras of ${name}`;
    button.ariaLabel = `${name}: show its cameras`;
    button.addEventListener("click", () => this.chosen(name));
    const head = made("div", "machine-head");
    const [chip, bar, fill, facts, why] = [made("span", "chip"), made("div", "bar"), made("i"), made("p", "facts"), made("p", "why")];
    bar.setAttribute("aria-hidden", "true"); // the facts say it
    bar.append(fill);
    head.append(button, chip);
    root.append(head, bar, facts, why);
    return { root, chip, fill, facts, why };
  }
}

function fill(item, machine) {
  const share = machine.cores ? machine.used / machine.cores : 0;
  item.root.dataset.state = machine.state;
  putOrHide(item.chip, machine.state === "ready" ? "" : machine.state);
  item.fill.style.width = `${Math.min(100, 100 * share)}%`;
  item.fill.classList.toggle("full", share > FULL);
  putOrHide(item.facts, machine.cores ? facts(machine) : "");
  putOrHide(item.why, machine.why);
}

function facts({ used, cores, cameras, behind_s: behind }) {
  const parts = [`${used.toFixed(1)} of ${cores} core${cores === 1 ? "" : "s"}`, `${cameras} camera${cameras === 1 ? "" : "s"}`];
  if (behind >= 0.5) parts.push(`${behind.toFixed(1)} s behind`);
  return parts.join(" · ");
}
