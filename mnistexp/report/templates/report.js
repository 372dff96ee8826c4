"use strict";

/* The theme: that of the system until the button is used. */
{
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.setAttribute("aria-label", "Switch between light and dark");
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    label();
  });
  dark.addEventListener("change", label);
  label();
  button.hidden = false;
}

/* Print the settings too, which are folded on the screen. */
for (const [event, open] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => { for (const each of document.querySelectorAll("details:has(pre)")) each.open = open; });
}

/* Tables: a button in each heading sorts; rows without a number always come last. */
function compare(one, other, column, direction) {
  const cells = [one.cells[column], other.cells[column]];
  const [a, b] = cells.map((cell) => cell.dataset.number === undefined ? null : Number(cell.dataset.number));
  if (a !== null && b !== null) return direction * (a - b);
  if (a !== null || b !== null) return a === null ? 1 : -1;
  const [left, right] = cells.map((cell) => cell.textContent);
  return direction * left.localeCompare(right, "en", { numeric: true });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const each of headings) each.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((one, other) => compare(one, other, column, ascending ? 1 : -1)));
    });
  });
}

/* Figures: show the values under the pointer, or under a cursor moved by the arrow keys. */
const SVG = "http://www.w3.org/2000/svg";

function shape(parent, name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

function stepsOf(panel) {
  if (panel.cells) {
    return panel.cells.map(([left, top, width, height, text]) => ({
      at: [left + width / 2, top + height / 2], text,
      mark: (group) => shape(group, "rect", { x: left, y: top, width, height, fill: "none", stroke: "#000000", "stroke-width": 2 }),
    }));
  }
  const steps = new Map();
  for (const line of panel.lines) {
    for (const [left, top, x, y] of line.points) {
      if (!steps.has(x)) steps.set(x, []);
      steps.get(x).push({ name: line.name, colour: line.colour, left, top, y });
    }
  }
  const [, top, , bottom] = panel.box;
  return [...steps].sort((one, other) => one[0] - other[0]).map(([x, values]) => {
    const middle = values.reduce((sum, { left }) => sum + left, 0) / values.length; // marks may stand side by side
    return {
      at: [middle, null],
      text: `${panel.x} ${x}: ${values.map(({ name, y }) => `${name} ${y}`).join(", ")}`,
      mark: (group) => {
        shape(group, "line", { x1: middle, x2: middle, y1: top, y2: bottom, stroke: "#767676", "stroke-width": 0.8 });
        for (const { left: cx, top: cy, colour } of values) {
          shape(group, "circle", { cx, cy, r: 3, fill: colour, stroke: "#ffffff", "stroke-width": 0.8 });
        }
      },
    };
  });
}

function nearest(panels, x, y) {
  const panel = panels.find(({ box: [left, top, right, bottom] }) => x >= left && x <= right && y >= top && y <= bottom);
  let best = null, distance = Infinity;
  for (const step of panel ? panel.steps : []) {
    const [left, top] = step.at;
    const away = Math.hypot(left - x, top === null ? 0 : top - y);
    if (away < distance) [best, distance] = [step, away];
  }
  return best;
}

for (const figure of document.querySelectorAll("figure:has(> script)")) {
  const plot = figure.querySelector(".plot");
  const svg = plot.querySelector("svg");
  const readout = figure.querySelector(".readout");
  const hint = readout.textContent;
  const panels = JSON.parse(figure.querySelector("script").textContent);
  for (const panel of panels) panel.steps = stepsOf(panel);
  const steps = panels.flatMap((panel) => panel.steps);
  const group = shape(svg, "g", { "pointer-events": "none", "aria-hidden": "true" });
  let current = -1;

  const show = (step) => {
    group.replaceChildren();
    current = steps.indexOf(step);
    readout.textContent = step ? step.text : hint;
    if (step) step.mark(group);
  };
  svg.addEventListener("pointermove", (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    readout.setAttribute("aria-live", "off");
    show(nearest(panels, place.x, place.y));
  });
  svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") show(null); });
  plot.addEventListener("blur", () => show(null));
  plot.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 };
    const targets = { Home: 0, End: steps.length - 1 };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in moves || event.key in targets)) return;
    event.preventDefault();
    readout.setAttribute("aria-live", "polite");
    const next = event.key in targets ? targets[event.key] : current + moves[event.key];
    show(steps[Math.max(0, Math.min(steps.length - 1, next))]);
  });
}
