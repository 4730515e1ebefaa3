// The figures of the card "What it costs".

const PARTS = [["look-ahead", "#8b5cf6"], ["waiting", "#e69f00"], ["flow", "#cc79a7"], ["engine", "#0f9d74"], ["page", "#56b4e9"]];
const seconds = (s) => (s < 1 ? `${Math.round(1000 * s)} ms` : `${s.toFixed(2)} s`);
const count = (n) => n.toLocaleString("en");

export function showCosts(find, state) {
  const { cost, settings } = state;
  const latency = cost.latency_s;
  find("p50").textContent = latency ? seconds(latency.p50) : "–";
  find("p95").textContent = latency ? seconds(latency.p95) : "–";
  find("load").textContent = cost.load == null ? "–" : `${Math.round(100 * cost.load)} %`;
  find("load").className = cost.load > 1 ? "bad-news" : "";
  showSplit(find, latency);
  const facts = [
    ["frames in", count(cost.frames ?? 0)],
    ["used", count(cost.used ?? 0)],
    ["dropped", dropped(cost.dropped ?? {})],
    ["gaps", count(cost.gaps ?? 0)],
    ["mode", settings.mode + (settings.mode === "window" ? `, stride ${settings.stride}` : "")],
    ["engine", state.engine.split(" (")[0].split(";")[0] || "–"],
    ["flow health", cost.flow ? cost.flow.verdict : "no flow"],
  ];
  if (state.connection) facts.push(["reconnects", count(state.connection.reconnects)]);
  if (state.level !== "all") facts.push(["level", state.level]);
  if (state.level_steps) facts.push(["level changes", count(state.level_steps)]);
  find("facts").replaceChildren(...facts.flatMap(([name, value]) => [text("dt", name), text("dd", value)]));
  find("facts").title = state.engine;
}

function showSplit(find, latency) {
  const whole = latency ? PARTS.reduce((sum, [part]) => sum + latency[part], 0) || 1 : 1;
  find("split").replaceChildren(...PARTS.map(([part, colour]) => {
    const bar = document.createElement("i");
    bar.style.cssText = `background:${colour};width:${latency ? (100 * latency[part]) / whole : 0}%`;
    return bar;
  }));
  find("split-list").replaceChildren(...PARTS.map(([part, colour]) => {
    const item = document.createElement("li");
    item.innerHTML = `<i style="background:${colour}"></i>`;
    item.append(`${part} ${latency ? seconds(latency[part]) : "–"}`);
    return item;
  }));
}

function dropped(causes) {
  const entries = Object.entries(causes);
  const all = entries.reduce((sum, [, n]) => sum + n, 0);
  const list = entries.map(([cause, n]) => (entries.length > 1 ? `${count(n)} ${cause}` : cause)).join(", ");
  return all ? `${count(all)} (${list})` : "0";
}

function text(tag, value) {
  const node = document.createElement(tag);
  node.textContent = value;
  return node;
}
