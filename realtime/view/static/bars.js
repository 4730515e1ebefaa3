// The five likeliest labels as bars that do not jump about: a label keeps its place until another is clearly ahead.

const MARGIN = 0.05;
const PATIENCE = 4; // predictions after which a smaller lead counts too
const ROW_PX = 42;

// The order in which to show `top` ([label, probability] each), given the order so far. Labels that stay keep their
// places, new ones take the free places, and neighbours swap only if the lower one leads by `margin`.
export function arrange(before, top, margin = MARGIN) {
  const chance = new Map(top);
  const fresh = top.map(([label]) => label).filter((label) => !before.includes(label));
  const order = before.map((label) => (chance.has(label) ? label : fresh.shift())).filter(Boolean);
  order.push(...fresh);
  for (let pass = 0; pass < order.length; pass++)
    for (let i = 0; i + 1 < order.length; i++)
      if (chance.get(order[i + 1]) > chance.get(order[i]) + margin)
        [order[i], order[i + 1]] = [order[i + 1], order[i]];
  return order;
}

// Never rounds up to 100 % or down to 0.
export function percent(p) {
  if (p > 0.99 && p < 1) return "> 99 %";
  return p > 0 && p < 0.01 ? "< 1 %" : `${Math.round(100 * p)} %`;
}

const rows = new Map();
let order = [];
let unsorted = 0; // consecutive predictions not shown in their own order

export function showTop(list, answer, rests) {
  if (!answer) {
    rows.clear();
    order = [];
    const why = rests ? "Nothing is predicted while nothing moves." : "Predictions appear a moment after the video starts.";
    list.innerHTML = `<li class="none">${why}</li>`;
    return;
  }
  if (!rows.size) list.replaceChildren();
  list.classList.toggle("provisional", !answer.settled);
  order = arrange(order, answer.top, unsorted < PATIENCE ? MARGIN : 0);
  unsorted = answer.top.some(([label], i) => label !== order[i]) ? unsorted + 1 : 0;
  const chance = new Map(answer.top);
  for (const [label, row] of rows) if (!chance.has(label)) row.remove(), rows.delete(label);
  order.forEach((label, place) => {
    if (!rows.has(label)) rows.set(label, list.appendChild(makeRow(label, place)));
    const row = rows.get(label);
    row.value = place + 1;
    row.style.transform = `translateY(${place * ROW_PX}px)`;
    row.querySelector(".value").textContent = percent(chance.get(label));
    row.querySelector(".fill").style.width = `${100 * chance.get(label)}%`;
    row.querySelector(".fill").style.background = answer.colours[label];
  });
}

function makeRow(label, place) {
  const row = document.createElement("li");
  row.style.transform = `translateY(${place * ROW_PX}px)`;
  row.innerHTML = '<button type="button" aria-pressed="false"><div class="row"><span></span><span class="value"></span></div><div class="rail"><div class="fill"></div></div></button>';
  row.querySelector("span").textContent = row.firstChild.title = label;
  return row;
}
