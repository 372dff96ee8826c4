
/* The page of `mnistexp serve`: fetches a snapshot every second and shows it. Text is set as text, never as markup. */
const WIDTH = 480, HEIGHT = 170, LEFT = 58, RIGHT = 8, TOP = 10, BOTTOM = 22;
const COLOURS = ["#0072b2", "#d55e00"];
const place = (id) => document.getElementById(id);

/* The secret is now in a cookie: remove it from the address and the history. */
history.replaceState(null, "", location.pathname);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [size, name, smaller, below] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (whole < size) continue;
    const rest = Math.floor((whole % size) / smaller);
    return `${Math.floor(whole / size)} ${name}` + (rest ? ` ${rest} ${below}` : "");
  }
  return `${whole} s`;
}

/* An accuracy in per cent, another number with four decimals. */
const shown = (name, value) => (/accuracy|score/i.test(name) ? `${(100 * value).toFixed(1)}%` : value.toFixed(4));
const known = (values) => values.filter((value) => value !== null);

/* The progress of a run: done and total, in words, and its curves. */
function reached(run) {
  if (run.training) return reachedTraining(run.training);
  if (run.sweep) return reachedSweep(run.sweep);
  return { done: 0, total: 1, words: "starting", figures: [] };
}

function reachedTraining(training) {
  const { repeat, repeats, epoch, epochs, at, curves } = training;
  const words = (repeats > 1 ? [`training ${repeat + 1}/${repeats}`] : []).concat(`epoch ${epoch}/${epochs}`);
  const figures = ["loss", "accuracy"].map((name) => {
    const lines = [{ name: "training", x: at, y: curves[name] }, { name: "validation", x: at, y: curves[`val_${name}`] }];
    return { title: name[0].toUpperCase() + name.slice(1), x: "epoch", lines: lines.filter((line) => known(line.y).length) };
  });
  for (const figure of figures) {
    for (const line of figure.lines) {
      const last = line.y[line.y.length - 1];
      if (last !== null) words.push(`${line.name} ${figure.title.toLowerCase()} ${shown(figure.title, last)}`);
    }
  }
  return { done: repeat * epochs + epoch, total: repeats * epochs, words: words.join(", "), figures };
}

function reachedSweep(sweep) {
  const words = [`fit ${sweep.done}/${sweep.total ?? "?"}`];
  if (sweep.cached) words.push(`${sweep.cached} cached`);
  if (sweep.failed) words.push(`${sweep.failed} failed`);
  if (sweep.best !== null) {
    const word = (key) => key.replace(/\.name$/, "").split(".").pop().replace(/_(?!\d)/g, " ");
    const setting = Object.entries(sweep.best_params).map(([key, value]) => `${word(key)} ${value}`).join(", ");
    words.push(`best accuracy so far ${shown("accuracy", sweep.best)} (${setting || "as configured"})`);
  }
  const x = sweep.scores.map((_, index) => index + 1);
  let best = -Infinity;
  const lines = [
    { name: "trial", x, y: sweep.scores, dots: true },  // trials are independent: no line joins them
    { name: "best so far", x, y: sweep.scores.map((score) => (best = Math.max(best, score))) },
  ];
  const figures = sweep.scores.length ? [{ title: "Accuracy", x: "finished trial", lines }] : [];
  return { done: sweep.done, total: sweep.total ?? Math.max(1, sweep.done), words: words.join(", "), figures };
}

function cameOut(run) {
  const words = run.training || run.sweep ? [reached(run).words] : [];
  for (const [name, value] of Object.entries(run.result ?? {})) words.push(`${name.replaceAll("_", " ")} ${shown(name, value)}`);
  if (run.error) words.push(run.error);
  else if (run.state === "dead") words.push("its process has died");
  return words.join(", ");
}

/* One figure of up to two lines over epochs or trials. */
function draw(svg, figure) {
  const xs = figure.lines.flatMap((line) => line.x), ys = figure.lines.flatMap((line) => known(line.y));
  const [first, last] = [Math.min(...xs), Math.max(...xs)], [low, high] = [Math.min(...ys), Math.max(...ys)];
  const right = (x) => LEFT + (WIDTH - LEFT - RIGHT) * (last > first ? (x - first) / (last - first) : 0);
  const down = (y) => TOP + (HEIGHT - TOP - BOTTOM) * (high > low ? (high - y) / (high - low) : 0.5);
  svg.replaceChildren();
  for (const value of new Set([low, high])) {
    shape(svg, "line", { x1: LEFT, x2: WIDTH - RIGHT, y1: down(value), y2: down(value), stroke: "#cccccc" });
    shape(svg, "text", { x: LEFT - 6, y: down(value) + 4, "text-anchor": "end" }).textContent = shown(figure.title, value);
  }
  shape(svg, "text", { x: LEFT, y: HEIGHT - 4 }).textContent = `${figure.x} ${first}`;
  if (last > first) shape(svg, "text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }).textContent = `${last}`;
  figure.lines.forEach((line, index) => {
    const points = line.y.map((y, at) => (y === null ? null : `${right(line.x[at]).toFixed(1)},${down(y).toFixed(1)}`));
    const stroke = { fill: "none", stroke: COLOURS[index], "stroke-width": 2, "stroke-linejoin": "round" };
    if (!line.dots) shape(svg, "polyline", { points: points.filter(Boolean).join(" "), ...stroke });
    for (const point of line.dots ? points.filter(Boolean) : []) {
      const [cx, cy] = point.split(",");
      shape(svg, "circle", { cx, cy, r: 2, fill: COLOURS[index] });
    }
    const end = points.filter(Boolean).pop()?.split(",");
    if (end) shape(svg, "circle", { cx: end[0], cy: end[1], r: 3, fill: COLOURS[index] });
  });
  const ends = figure.lines.map((line) => `${line.name} ${shown(figure.title, known(line.y).pop())}`);
  svg.setAttribute("aria-label", `${figure.title} over ${figure.x}s up to ${last}: ${ends.join(", ")} at the end`);
}

function legend(figure) {
  const text = make("span", { class: "legend" });
  figure.lines.forEach((line, index) => {
    text.append(make("span", { class: `key ${index ? "second" : "first"}` }), make("span", {}, line.name));
  });
  return text;
}

function makeFigure(figure) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" })) svg.setAttribute(key, value);
  return make("figure", {}, make("figcaption", {}, `${figure.title} `, legend(figure)), svg);
}

/* A card for each running run, kept while it runs, so that layout and focus don't change. */
const cards = new Map();

function makeCard(run) {
  const bar = make("progress", { "aria-label": `Progress of ${run.id}` });
  const parts = { bar, words: make("p"), time: make("p", { class: "more" }), curves: make("div", { class: "curves" }) };
  const title = make("h3", {}, run.id);
  return { ...parts, shown: "", element: make("article", { class: "run" }, title, parts.words, bar, parts.time, parts.curves) };
}

function showCard(card, run, moment) {
  const { done, total, words, figures } = reached(run);
  card.bar.max = total;
  card.bar.value = done;
  say(card.words, words);
  const times = [`running for ${duration((Date.parse(moment) - Date.parse(run.started)) / 1000)}`];
  if (run.seconds_left !== null) times.push(`about ${duration(run.seconds_left)} left`);
  if (run.silent_seconds !== null) times.push(`heartbeat ${duration(run.silent_seconds)} ago`);
  say(card.time, times.join(", "));
  const names = figures.map((figure) => figure.title + figure.lines.length).join();
  if (card.shown !== names) card.curves.replaceChildren(...figures.map(makeFigure));
  card.shown = names;
  figures.forEach((figure, index) => { if (figure.lines.length) draw(card.curves.children[index].querySelector("svg"), figure); });
}

function makeRow(run) {
  const base = `runs/${encodeURIComponent(run.id)}`;
  const title = run.state === "damaged" ? run.id : make("a", { href: `${base}/report` }, run.id);
  const files = run.files.filter((name) => !run.files.includes(name.replace(/\.svg$/, ".png")) || !name.endsWith(".svg"));
  const links = files.map((name) => make("a", { href: `${base}/files/${encodeURIComponent(name)}` }, name));
  const row = make("tr", {}, make("th", { scope: "row" }, title));
  row.append(make("td", {}, run.state), make("td", {}, cameOut(run)), make("td"), make("td", {}, ...links));
  return row;
}

const rows = new Map();

function showRow(run, moment) {
  const key = JSON.stringify([run.state, run.ended, run.result, run.error, run.files, reached(run).words]);
  let kept = rows.get(run.id);
  if (kept?.key !== key) rows.set(run.id, (kept = { key, row: makeRow(run) }));
  const ago = duration((Date.parse(moment) - Date.parse(run.ended)) / 1000).split(" ", 2).join(" ");
  say(kept.row.cells[3], `${ago} ago`);
  return kept.row;
}

/* Put the children of a container into this order, moving only those out of place. */
function arrange(container, wanted) {
  for (const child of [...container.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((child, index) => {
    if (container.children[index] !== child) container.insertBefore(child, container.children[index] ?? null);
  });
}

function show(snapshot) {
  for (const run of snapshot.running) {
    if (!cards.has(run.id)) cards.set(run.id, makeCard(run));
    showCard(cards.get(run.id), run, snapshot.moment);
  }
  const ids = new Set(snapshot.running.map((run) => run.id));
  for (const id of cards.keys()) if (!ids.has(id)) cards.delete(id);
  arrange(place("running"), snapshot.running.map((run) => cards.get(run.id).element));
  arrange(place("ended"), snapshot.ended.map((run) => showRow(run, snapshot.moment)));
  place("nothing").hidden = snapshot.running.length > 0;
  say(document.querySelector("title"), `${snapshot.running.length || "No"} running - mnistexp`);
}

async function look() {
  const connection = place("connection");
  try {
    const answer = await fetch("live.json", { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (answer.ok) {
      show(await answer.json());
      say(connection, "Updated every second.");
    } else {
      say(connection, `Not up to date: ${await answer.text()}`);
    }
  } catch {
    say(connection, "Not up to date: mnistexp serve doesn't respond. Retrying.");
  }
  setTimeout(look, document.hidden ? 5000 : 1000);
}
look();
