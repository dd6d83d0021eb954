"use strict";
// Everything shown comes from the JSON in #data and enters the page as text, never as markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const panel = document.getElementById("panel"), tip = document.getElementById("tip"), tabs = document.getElementById("tabs");
const SVG = document.getElementById("drawing").namespaceURI;
const WARM = ["--learner", "#e11d48", "#d99a06", "#8b5cf6", "#be4bdb", "#a8623a", "#ef6f9f", "#7f8c1f"];
const OWN = ["--own", "#65a30d", "#14b8a6", "#166534"];
const COOL = ["--rule", "#0e9488", "#6d7ff0", "#3f9b3f", "#8795a8", "#1b98c9", "#5b6abf", "#6fa35b"];
const state = { tab: 0, sort: {}, off: {}, risk: {}, find: "", hidden: new Set() };

// Building blocks ------------------------------------------------------------------------------------------------

function put(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const el = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => put(document.createElementNS(SVG, tag), attributes, children);
const percent = (value, digits = 1) => value === null ? "–" : (100 * value).toFixed(digits) + " %";
const number = (value, digits = 0) => value === null ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const span = (one, show) => one === null ? "–" : `${show(one[0])} (${show(one[1])} to ${show(one[2])})`;
const three = (value) => number(value, 3);
const colour = (text) => text.startsWith("--") ? `var(${text})` : text;
const linear = (a, b, from, to) => (value) => from + (to - from) * (value - a) / (b - a || 1);

function steps(low, high, wanted) {
  const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw)), rest = raw / power;
  const step = power * (rest > 5 ? 10 : rest > 2 ? 5 : rest > 1 ? 2 : 1), found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9; i++) found.push(Number((i * step).toPrecision(10)));
  return found;
}

function showTip(lines, x, y) {
  tip.replaceChildren(...lines.map((line, i) => el(i ? "span" : "b", {}, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(6, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = Math.max(6, y + 16 + box.height > innerHeight ? y - box.height - 12 : y + 16) + "px";
}
function hideTip() { tip.hidden = true; }

function heat(agent) {
  panel.classList.toggle("hot-one", agent !== null);
  for (const node of panel.querySelectorAll("[data-agent]")) node.classList.toggle("hot", node.dataset.agent === agent);
}

// A mark of an agent: hovering or focusing it says its figures and dims the others in every chart.
function mark(agent, lines, node) {
  node.setAttribute("data-agent", agent);
  node.addEventListener("pointerenter", (event) => { showTip(lines, event.clientX, event.clientY); heat(agent); });
  node.addEventListener("pointermove", (event) => showTip(lines, event.clientX, event.clientY));
  node.addEventListener("pointerleave", () => { hideTip(); heat(null); });
  return node;
}
function focusable(agent, lines, node) {
  node.setAttribute("tabindex", "0");
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", lines.join(", "));
  node.addEventListener("focus", () => { const b = node.getBoundingClientRect(); showTip(lines, b.right, b.bottom); heat(agent); });
  node.addEventListener("blur", () => { hideTip(); heat(null); });
  return mark(agent, lines, node);
}
function figures(row) {
  return [row.agent, `${row.kind}, ${row.seeds} ${row.seeds === 1 ? "run" : "runs"} of ${row.episodes} episodes`,
    `score ${span(row.score, three)}`, `share of clairvoyant ${span(row.share, percent)}`,
    `violated ${percent(row.violation)}, short ${percent(row.shortfall, 2)}`, `budget used ${percent(row.budget, 0)}`];
}

function card(title, note, className, ...children) {
  return el("section", { class: "card " + className }, title ? el("h2", {}, title) : null, note ? el("p", { class: "note" }, note) : null, ...children);
}
function canvas(width, height, label) {
  return draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, height, role: "group", "aria-label": label });
}
function xAxis(svg, ticks, x, top, bottom, show, label, left, right) {
  for (const tick of ticks) {
    svg.append(draw("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: bottom }),
      draw("text", { x: x(tick), y: bottom + 16, "text-anchor": x(tick) > right - 12 ? "end" : "middle", dx: x(tick) > right - 12 ? 12 : 0 }, show(tick)));
  }
  svg.append(draw("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }),
    draw("text", { x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" }, label));
}
function yAxis(svg, ticks, y, left, right, show, label) {
  for (const tick of ticks) {
    svg.append(draw("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }),
      draw("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, show(tick)));
  }
  svg.append(draw("text", { x: 0, y: 12 }, label));
}

// Charts ---------------------------------------------------------------------------------------------------------

function dots(width, items, low, high, lines, label, show) {
  const left = Math.min(0.4 * width, 14 + 7.1 * Math.max(...items.map((item) => item.row.agent.length))), right = width - (lines.length > 1 ? 44 : 14), top = 20;
  const bottom = top + 21 * items.length + 4, svg = canvas(width, bottom + 42, label), x = linear(low, high, left, right);
  xAxis(svg, steps(low, high, Math.max(3, (right - left) / 90)), x, top, bottom, show, label, left, right);
  lines.forEach(({ at, text, tone, dash }, i) => {
    svg.append(draw("line", { x1: x(at), x2: x(at), y1: top, y2: bottom, stroke: `var(${tone})`, "stroke-width": 1.6, "stroke-dasharray": dash }),
      draw("text", { x: x(at) + (i === lines.length - 1 && i ? 4 : -4), y: 13, style: `fill: var(${tone})`,
        "text-anchor": i === lines.length - 1 && i || x(at) < left + 60 ? "start" : "end" }, text));
  });
  items.forEach(({ row, value, says }, i) => {
    const y = top + 21 * i + 13;
    svg.append(focusable(row.agent, says, draw("g", { class: row.kind },
      draw("rect", { x: 0, y: y - 10, width, height: 21, fill: "transparent" }),
      draw("text", { class: "tone-text", x: left - 9, y: y + 4, "text-anchor": "end" }, row.agent),
      draw("line", { class: "span", x1: x(value[1]), x2: x(value[2]), y1: y, y2: y, "stroke-width": 7 }),
      draw("circle", { class: "point", cx: x(value[0]), cy: y, r: 4.5 }))));
  });
  return svg;
}

function scoreChart(task, width) {
  const rows = task.rows.filter((row) => row.kind !== "reference");
  const lines = [{ at: 1, text: "nothing", tone: "--reference", dash: "2 3" }];
  for (const [agent, text, tone, dash] of [["clairvoyant", "clairvoyant", "--clairvoyant", "6 4"], ["upper_bound", "bound", "--bound", null]]) {
    const found = task.rows.find((row) => row.agent === agent);
    if (found) lines.push({ at: found.score[0], text, tone, dash });
  }
  const all = [...rows.flatMap((row) => row.score), ...lines.map((line) => line.at)];
  const low = Math.min(...all), high = Math.max(...all), room = 0.05 * (high - low || 1);
  return dots(width, rows.map((row) => ({ row, value: row.score, says: figures(row) })), low - room, high + 1.6 * room, lines,
    "score as a multiple of doing nothing", (v) => number(v, high - low < 1 ? 2 : 1));
}

function chanceChart(task, width) {
  const rows = task.chances.map((one) => ({ row: task.rows.find((row) => row.agent === one.rule), value: one.chance,
    says: [`${task.learner} against ${one.rule}`, `scores more with probability ${span(one.chance, percent)}`] }));
  return dots(width, rows, 0, 1, [{ at: 0.5, text: "even odds", tone: "--reference", dash: "5 4" }],
    `probability that ${task.learner} scores more on the same episode`, (v) => percent(v, 0));
}

function profileChart(task, width) {
  const left = 46, right = width - 12, top = 26, bottom = 300, svg = canvas(width, bottom + 42, "performance profiles");
  const xs = task.profile.x, x = linear(xs[0], xs[xs.length - 1], left, right), y = linear(0, 1, bottom, top);
  xAxis(svg, steps(xs[0], xs[xs.length - 1], 6), x, top, bottom, (v) => percent(v, 0), "share of the clairvoyant's gain above doing nothing", left, right);
  yAxis(svg, [0, 0.25, 0.5, 0.75, 1], y, left, right, (v) => percent(v, 0), "share of episodes above it");
  const shown = task.profile.agents.filter((one) => !state.off[task.name].has(one.agent));
  for (const one of shown) {
    const path = one.value.map((v, i) => `${i ? "L" : "M"}${x(xs[i]).toFixed(1)} ${y(v).toFixed(1)}`).join("");
    const band = one.low.map((v, i) => `${i ? "L" : "M"}${x(xs[i]).toFixed(1)} ${y(v).toFixed(1)}`).join("")
      + one.high.map((v, i) => [v, i]).reverse().map(([v, i]) => `L${x(xs[i]).toFixed(1)} ${y(v).toFixed(1)}`).join("") + "Z";
    const group = draw("g", {}, draw("path", { d: band, style: `fill: ${colour(one.tone)}`, opacity: 0.12 }),
      draw("path", { d: path, fill: "none", style: `stroke: ${colour(one.tone)}`, "stroke-width": 2, "stroke-dasharray": one.dash }),
      draw("path", { d: path, fill: "none", stroke: "transparent", "stroke-width": 11 }));
    group.setAttribute("data-agent", one.agent);
    group.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), at = (event.clientX - box.left) * width / box.width;
      const i = Math.max(0, Math.min(xs.length - 1, Math.round((at - left) / (right - left) * (xs.length - 1))));
      showTip([one.agent, `above ${percent(xs[i], 0)} of the clairvoyant's gain in ${percent(one.value[i])} of episodes`,
        `95 % band ${percent(one.low[i])} to ${percent(one.high[i])}`], event.clientX, event.clientY);
      heat(one.agent);
    });
    group.addEventListener("pointerleave", () => { hideTip(); heat(null); });
    svg.append(group);
  }
  return svg;
}

function profileCard(task, width) {
  const holder = el("div", {}, profileChart(task, width)), off = state.off[task.name];
  const keys = el("div", { class: "keys", role: "group", "aria-label": "agents shown" });
  const refresh = () => {
    holder.replaceChildren(profileChart(task, width));
    for (const key of keys.querySelectorAll("[data-key]")) key.setAttribute("aria-pressed", String(!off.has(key.dataset.key)));
  };
  for (const one of task.profile.agents) {
    keys.append(el("button", { type: "button", "data-key": one.agent, "aria-pressed": String(!off.has(one.agent)),
      onclick: () => { if (!off.delete(one.agent)) off.add(one.agent); refresh(); },
      onpointerenter: () => heat(off.has(one.agent) ? null : one.agent), onpointerleave: () => heat(null) },
    el("i", { style: `border-color: ${colour(one.tone)}; border-top-style: ${one.dash ? "dashed" : "solid"}` }), one.agent));
  }
  const all = (keep) => () => { off.clear(); for (const one of task.profile.agents) if (!keep) off.add(one.agent); refresh(); };
  keys.append(el("button", { type: "button", onclick: all(true) }, "all"), el("button", { type: "button", onclick: all(false) }, "none"));
  return card("Performance profiles", "Higher is better. Choose whom to compare; where curves cross, who is better depends on the merchant.", "", holder, keys);
}

function frontierChart(task, width) {
  const rows = task.rows.filter((row) => row.kind !== "reference" && row.violation !== null);
  const left = 46, right = width - 14, top = 26, bottom = 330, svg = canvas(width, bottom + 42, "score against violation rate");
  const highest = Math.max(0.1, ...rows.map((row) => row.violation)), end = Math.min(1, 1.08 * highest);
  const squash = (v) => Math.sqrt(v + 0.002), x = (v) => linear(squash(0), squash(end), left + 12, right)(squash(v));
  const all = rows.flatMap((row) => row.score), low = Math.min(...all), high = Math.max(...all), room = 0.06 * (high - low || 1);
  const y = linear(low - room, high + room, bottom, top);
  svg.append(draw("rect", { x: left, y: top, width: x(Math.min(end, task.bar)) - left, height: bottom - top, style: "fill: var(--safe)" }));
  xAxis(svg, [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1].filter((v) => v <= end && (width > 520 || v !== 0.02)), x, top, bottom, (v) => percent(v, 0),
    `episodes with ROI under 0.98 of the target (shaded: at most ${percent(task.bar, 0)})`, left, right);
  yAxis(svg, steps(low - room, high + room, 5), y, left, right, (v) => number(v, high - low < 1 ? 2 : 1), "score, multiple of doing nothing");
  let path = "";
  task.frontier.forEach((agent, i) => {
    const row = rows.find((one) => one.agent === agent);
    path += i ? `H${x(row.violation)}V${y(row.score[0])}` : `M${x(row.violation)} ${y(row.score[0])}`;
  });
  if (path) svg.append(draw("path", { d: path + `H${right}`, fill: "none", style: "stroke: var(--soft)", "stroke-width": 1.3 }));
  for (const family of Object.values(Object.groupBy ? Object.groupBy(rows, (row) => row.family) : {})) {
    if (family.length < 2) continue;
    family.sort((a, b) => a.violation - b.violation);
    svg.append(draw("polyline", { class: family[0].kind, fill: "none", style: "stroke: var(--tone)", "stroke-dasharray": "2 3",
      points: family.map((row) => `${x(row.violation)},${y(row.score[0])}`).join(" ") }));
  }
  const chosen = pick(task), boxes = rows.map((row) => [x(row.violation) - 5, y(row.score[0]) - 5, x(row.violation) + 5, y(row.score[0]) + 5]);
  for (const row of rows) {
    const cx = x(row.violation), group = draw("g", { class: row.kind });
    if (row.seeds > 1) for (const [score, violation] of row.runs) group.append(draw("circle", { class: "faint", cx: x(Math.min(end, violation)), cy: y(score), r: 3 }));
    group.append(draw("line", { class: "thin", x1: cx, x2: cx, y1: y(row.score[1]), y2: y(row.score[2]) }),
      draw("circle", { class: "point" + (chosen && chosen.agent === row.agent ? " chosen" : ""), cx, cy: y(row.score[0]), r: 5.5 }));
    svg.append(focusable(row.agent, figures(row), group));
  }
  for (const row of [...rows].sort((a, b) => b.score[0] - a.score[0])) {
    const place = free(x(row.violation), y(row.score[0]), 6.3 * row.agent.length, boxes, left, right, top - 12, bottom);
    if (place) svg.append(draw("text", { class: "mark", x: place[0], y: place[1] + 11, "data-agent": row.agent }, row.agent));
  }
  return svg;
}

// Where a name fits beside its point without lying on another name or point; null if nowhere.
function free(x, y, width, boxes, left, right, top, bottom) {
  for (const [dx, dy] of [[9, -7], [-9 - width, -7], [9, -19], [9, 5], [-9 - width, -19], [-9 - width, 5], [-width / 2, -22], [-width / 2, 8], [9, -31], [9, 17]]) {
    const box = [x + dx, y + dy, x + dx + width, y + dy + 13];
    if (box[0] < left || box[2] > right || box[1] < top || box[3] > bottom) continue;
    if (boxes.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])) continue;
    boxes.push(box);
    return box;
  }
  return null;
}

function pick(task) {
  const limit = state.risk[task.name];
  const safe = task.rows.filter((row) => row.kind !== "reference" && row.violation !== null && row.violation <= limit + 1e-12);
  return safe.reduce((one, row) => !one || row.score[0] > one.score[0] ? row : one, null);
}

function riskCard(task, width) {
  const holder = el("div", {}), says = el("output", { for: "risk" });
  const refresh = () => {
    const one = pick(task);
    says.textContent = `At most ${percent(state.risk[task.name])} of episodes violated: ` + (one
      ? `${one.agent} (${one.kind}), score ${three(one.score[0])}, violated ${percent(one.violation)}, mean shortfall ${percent(one.shortfall, 2)}`
        + (one.share ? `, ${percent(one.share[0])} of the clairvoyant's gain.` : ".") : "nobody.");
    holder.replaceChildren(frontierChart(task, width));
  };
  const stops = [0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1];
  const input = el("input", { id: "risk", type: "range", min: 0, max: stops.length - 1, step: 1, "aria-label": "violation rate you accept",
    value: Math.max(0, stops.indexOf(state.risk[task.name])) });
  input.addEventListener("input", () => { state.risk[task.name] = stops[Number(input.value)]; refresh(); });
  refresh();
  return card("Score against risk", "A policy that sits exactly on the target misses it by a hair half the time. Choose the violation rate you accept; "
    + "nobody is above the line for less risk. Pale points are single training runs.", "", el("div", { class: "risk" }, input, says), holder);
}

function headroomChart(task, width) {
  const left = Math.min(210, 0.45 * width), right = width - 60, svg = canvas(width, 27 * task.headroom.length + 6, "headroom of " + task.name);
  const x = linear(0, Math.max(...task.headroom.map((level) => level.score[2])), left, right);
  const tones = { "nothing": "--reference", "best constant": "--soft", "best rule": "--rule", "best learner": "--learner", "clairvoyant": "--clairvoyant", "upper bound": "--bound" };
  task.headroom.forEach((level, i) => {
    const y = 27 * i + 4, text = level.name.startsWith("best ") && level.name !== "best constant" ? `${level.name}: ${level.agent}` : level.name;
    const most = Math.floor((left - 8) / 6.6), short = text.length > most ? text.slice(0, most - 1) + "…" : text;
    const says = [text, `score ${span(level.score, three)}`, `${percent(level.score[0] - 1, 0)} above doing nothing`];
    if (level.fresh) says.push(`on fresh noise ${span(level.fresh, three)}`);
    svg.append(focusable(level.agent, says, draw("g", {},
      draw("text", { class: "name", x: left - 8, y: y + 15, "text-anchor": "end" }, short),
      draw("rect", { x: left, y, width: x(level.score[0]) - left, height: 20, rx: 3, style: `fill: var(${tones[level.name]})`, opacity: 0.85 }),
      draw("line", { class: "name", x1: x(level.score[1]), x2: x(level.score[2]), y1: y + 10, y2: y + 10, style: "stroke: var(--ink)" }),
      ...(level.fresh ? [draw("path", { d: `M${x(level.fresh[0])} ${y + 4}l6 6l-6 6l-6 -6z`, style: "fill: var(--card); stroke: var(--ink)" })] : []),
      draw("text", { class: "name", x: x(level.score[2]) + 6, y: y + 15 }, number(level.score[0], 2)))));
  });
  return svg;
}

// The table ------------------------------------------------------------------------------------------------------

const COLUMNS = [
  ["agent", (r) => r.agent, (r) => r.agent, "left"], ["kind", (r) => r.kind, (r) => r.kind, "left"], ["score", (r) => r.score[0], (r) => three(r.score[0])],
  ["95 % CI", (r) => r.score[1], (r) => `${three(r.score[1])}–${three(r.score[2])}`],
  ["over rule", (r) => r.overRule && r.overRule[0], (r) => percent(r.overRule && r.overRule[0])],
  ["share of clairvoyant", (r) => r.share && r.share[0], (r) => percent(r.share && r.share[0])], ["share of bound", (r) => r.bound && r.bound[0], (r) => percent(r.bound && r.bound[0])],
  ["violated", (r) => r.violation, (r) => percent(r.violation), "violation"], ["short", (r) => r.shortfall, (r) => percent(r.shortfall, 2), "shortfall"],
  ["budget", (r) => r.budget, (r) => percent(r.budget, 0)], ["Δ GMV, CNY", (r) => r.gmv, (r) => number(r.gmv)],
  ["profit, CNY", (r) => r.profit, (r) => number(r.profit)],
  ["Δ profit", (r) => r.profitGain, (r) => percent(r.profitGain, 0)], ["losing", (r) => r.losing, (r) => percent(r.losing)],
  ["ticks, M", (r) => r.ticks, (r) => r.ticks === null ? "–" : number(r.ticks / 1e6, 1)], ["CPU s", (r) => r.cpu, (r) => number(r.cpu)],
  ["runs", (r) => r.seeds, (r) => String(r.seeds)]];

function resultTable(task) {
  const holder = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "results of " + task.name });
  const refresh = () => {
    const [column, down] = state.sort[task.name], key = COLUMNS[column][1];
    const word = state.find.toLowerCase();
    const rows = task.rows.filter((row) => !state.hidden.has(row.kind) && row.agent.toLowerCase().includes(word)).sort((a, b) => {
      const one = key(a), two = key(b);
      if (one === null || two === null) return (one === null) - (two === null);
      return (typeof one === "string" ? one.localeCompare(two) : one - two) * (down ? -1 : 1);
    });
    const heads = COLUMNS.map(([name, , , role], i) => el("th", { scope: "col", class: role === "left" ? "left" : null,
      "aria-sort": i === column ? (down ? "descending" : "ascending") : "none" },
    el("button", { type: "button", onclick: () => {
      state.sort[task.name] = [i, i === column ? !down : i > 1];
      refresh();
      holder.querySelectorAll("th button")[i].focus();
    } }, name)));
    const body = rows.map((row) => {
      const cells = COLUMNS.map(([, , show, role], i) => el("td", { class: role === "left" ? "left"
        : (role === "violation" && row.violation > task.bar) || (role === "shortfall" && row.shortfall > task.shortfallBar) ? "over" : null },
      i ? null : el("span", { class: "dot" }), show(row)));
      const line = el("tr", { class: row.kind, "data-agent": row.agent }, ...cells);
      line.addEventListener("pointerenter", () => heat(row.agent));
      line.addEventListener("pointerleave", () => heat(null));
      return line;
    });
    holder.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...body)),
      rows.length ? "" : el("p", { class: "note" }, "No agent is chosen."));
  };
  const find = el("input", { type: "search", placeholder: "find an agent", "aria-label": "show agents whose name contains", value: state.find,
    oninput: () => { state.find = find.value; refresh(); } });
  const kinds = ["learner", "own", "shift", "rule", "reference"].filter((kind) => task.rows.some((row) => row.kind === kind)).map((kind) => {
    const key = el("button", { type: "button", class: kind, "aria-pressed": String(!state.hidden.has(kind)), onclick: () => {
      if (!state.hidden.delete(kind)) state.hidden.add(kind);
      key.setAttribute("aria-pressed", String(!state.hidden.has(kind)));
      refresh();
    } }, el("i", { style: "border-color: var(--tone)" }), kind === "own" ? "your own" : kind + "s");
    return key;
  });
  refresh();
  return el("div", {}, el("div", { class: "keys", role: "group", "aria-label": "rows shown" }, find, ...kinds), holder);
}

// Pages ----------------------------------------------------------------------------------------------------------

function headroomPage(width, wide) {
  const cards = DATA.tasks.map((task) => card(task.name, task.gap === null ? null : `The bound allows ${percent(task.gap)} more mean gain than the clairvoyant found.`,
    "", headroomChart(task, width)));
  const heads = ["task", "best learner", "best rule", "share of clairvoyant", "better than the rule", "violations", "bars met"];
  const rows = DATA.tasks.map((task) => {
    const of = (name) => task.headroom.find((level) => level.name === name), bar = (name) => task.bars.find((one) => one.name === name);
    const known = task.bars.filter((one) => one.met !== null);
    const show = (level) => level ? `${level.agent} ${three(level.score[0])}` : "–";
    const text = (name) => bar(name) ? bar(name).text : "–";
    return el("tr", {}, ...[task.name, show(of("best learner")), show(of("best rule")), text("share of clairvoyant"), text("better than the best rule"),
      text("violations"), known.length ? `${known.filter((one) => one.met).length} of ${known.length}` : "–"].map((word) => el("td", {}, word)));
  });
  const table = el("div", { class: "scroll", tabindex: 0 }, el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((word) => el("th", { scope: "col" }, word)))), el("tbody", {}, ...rows)));
  return [card("Tasks", null, "wide", table), ...cards];
}

function taskPage(task, width) {
  const chips = task.bars.map((bar) => el("li", { class: bar.met === null ? null : bar.met ? "met" : "missed" },
    `${bar.met === null ? "?" : bar.met ? "✓" : "✗"} ${bar.name}: ${bar.text}`));
  const parts = [card(null, null, "wide", el("p", { class: "lead" }, task.verdict), el("ul", { class: "chips", "aria-label": "bars of the best learner" }, ...chips),
    task.leftOut ? el("p", { class: "note" }, task.leftOut) : null),
  card("Scores", "Inter-quartile mean with its 95 % interval; learners orange, rules blue, shifts of a rule violet, references as lines.", "", scoreChart(task, width))];
  if (task.rows.some((row) => row.kind !== "reference" && row.violation !== null)) parts.push(riskCard(task, width));
  if (task.profile.agents.length) parts.push(profileCard(task, width));
  if (task.chances.length) parts.push(card("Probability of improvement", "The best learner against each rule on the same merchant and random numbers.", "", chanceChart(task, width)));
  parts.push(card("All results", "Click a head to sort; losing rows are kept.", "wide", resultTable(task)));
  return parts;
}

function show(tab, focus) {
  state.tab = tab;
  hideTip();
  panel.classList.remove("hot-one");
  [...tabs.children].forEach((button, i) => {
    button.setAttribute("aria-selected", String(i === tab));
    button.setAttribute("tabindex", i === tab ? "0" : "-1");
  });
  if (focus) tabs.children[tab].focus();
  const inner = Math.min(innerWidth, 1400), width = Math.max(290, Math.round(inner > 900 ? (inner - 62) / 2 - 38 : inner - 64));
  panel.setAttribute("aria-labelledby", "tab-" + tab);
  panel.replaceChildren(...(tab === 0 ? headroomPage(width) : taskPage(DATA.tasks[tab - 1], width)));
}

function paintTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.getElementById("theme").textContent = dark ? "Light" : "Dark";
}

function begin() {
  for (const task of DATA.tasks) {
    state.sort[task.name] = [2, true];
    state.risk[task.name] = task.bar;
    const counts = { learner: 0, own: 0, shift: 0, rule: 0, reference: 0 };
    for (const one of task.profile.agents) {
      const i = counts[one.kind]++, tones = one.kind === "learner" ? WARM : one.kind === "own" ? OWN : COOL;
      one.tone = tones[i % tones.length];
      one.dash = one.kind === "learner" || one.kind === "own" ? (i < tones.length ? null : "2 3") : (i < COOL.length ? "6 3" : "2 3");
    }
    state.off[task.name] = new Set(task.profile.agents.filter((one) => !one.shown).map((one) => one.agent));
  }
  ["Headroom", ...DATA.tasks.map((task) => task.name)].forEach((name, i) => tabs.append(
    el("button", { type: "button", role: "tab", id: "tab-" + i, "aria-controls": "panel", onclick: () => { location.hash = i ? encodeURIComponent(name) : ""; show(i); } }, name)));
  tabs.addEventListener("keydown", (event) => {
    const count = tabs.children.length, move = { ArrowRight: state.tab + 1, ArrowLeft: state.tab - 1 + count, Home: 0, End: count - 1 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    show(move % count, true);
  });
  const wished = matchMedia("(prefers-color-scheme: dark)");
  let dark = wished.matches;
  wished.addEventListener("change", () => { dark = wished.matches; paintTheme(dark); });
  document.getElementById("theme").addEventListener("click", () => { dark = !dark; paintTheme(dark); });
  paintTheme(dark);
  document.getElementById("legend").textContent = DATA.legend;
  let waiting = 0, last = innerWidth;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => { if (innerWidth !== last) { last = innerWidth; show(state.tab); } }, 120); });
  addEventListener("keydown", (event) => { if (event.key === "Escape") { hideTip(); heat(null); } });
  const named = DATA.tasks.findIndex((task) => "#" + encodeURIComponent(task.name) === location.hash);
  show(named + 1);
}
begin();
