"use strict";
/* A run: its lineage, what it took and gave, its log as it grows. */

const MOST_LOG = 400000, LOOK = 1000;

/* One of five columns for each part of the way of the data, those that are empty left out. */
const COLUMNS = ["made by", "inputs", "this run", "outputs", "taken by"];
function graph({ nodes, edges, left_out: leftOut }, self) {
  const wide = 168, high = 46, apart = 50, below = 14, top = 26;
  const columns = COLUMNS.map((name, i) => ({ name, nodes: nodes.filter((node) => node.column === i) })).filter((column) => column.nodes.length);
  const tallest = Math.max(...columns.map((column) => column.nodes.length));
  const width = columns.length * wide + (columns.length - 1) * apart + 4, height = top + tallest * (high + below) + 2;
  const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Lineage of the run" });
  const places = new Map();
  columns.forEach((column, c) => {
    const x = 2 + c * (wide + apart), start = top + (tallest - column.nodes.length) * (high + below) / 2;
    svg.append(draw("text", { x: x + wide / 2, y: 14, class: "head" }, column.name));
    column.nodes.forEach((node, i) => places.set(node.key, { x, y: start + i * (high + below) }));
  });
  for (const edge of edges) {
    const from = places.get(edge.from), to = places.get(edge.to);
    if (!from || !to) continue;
    const x1 = from.x + wide, y1 = from.y + high / 2, x2 = to.x - 7, y2 = to.y + high / 2, bend = Math.max(30, (x2 - x1) / 2);
    const line = draw("path", { class: "edge", d: `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` });
    line.append(draw("title", {}, edge.label || ""));
    svg.append(line, draw("path", { class: "tip", d: `M${x2 - 1} ${y2 - 4} L${x2 + 7} ${y2} L${x2 - 1} ${y2 + 4} Z` }));
  }
  for (const node of nodes) {
    const { x, y } = places.get(node.key), isRun = node.type === "run";
    const box = draw("g", { class: node.key === self ? "node self" : "node" }, draw("title", {}, node.key),
      draw("rect", { x, y, width: wide, height: high, rx: 7 }),
      draw("text", { x: x + 12, y: y + 19 }, clip(node.label, 20)),
      draw("text", { x: x + (node.state ? 22 : 12), y: y + 35, class: "kind" }, clip(node.state ? (isRun ? "run · " : "") + node.state.toLowerCase() : node.kind, 26)));
    if (node.state) box.append(draw("circle", { cx: x + 15.5, cy: y + 31.5, r: 3.5, class: look(node.state) }));
    const place = node.key !== self && node.state !== "DELETED" && placeOf(node.key);
    svg.append(place ? draw("a", { href: href(...place), "aria-label": `${node.type} ${node.label}` }, box) : box);
  }
  const box = make("div", { className: "graph" });
  box.append(svg);
  if (leftOut) box.append(soft(`and ${leftOut} more`));
  return box;
}

/* The end of the log, and what is added to it while the run goes on. */
function logSection(project, run) {
  const pre = make("pre", { id: "log", tabIndex: 0, ariaLabel: "Log" }), follow = make("input", { type: "checkbox", id: "follow", checked: true });
  const whole = make("button", { type: "button", id: "earlier", hidden: true, textContent: "Show from the start" });
  let end = null;
  const add = (part) => {
    pre.append(part.text);
    while (pre.textContent.length > MOST_LOG && pre.childNodes.length > 1) pre.firstChild.remove();
    end = part.end;
    if (follow.checked) pre.scrollTop = pre.scrollHeight;
  };
  const next = async () => {
    const part = await get(project, "runs", run, "log", end === null ? {} : { offset: end });
    if (end === null) whole.hidden = part.start === 0;
    add(part);
    if (!pre.textContent) pre.dataset.empty = "yes";
    return part;
  };
  whole.addEventListener("click", async () => {
    whole.hidden = true;
    follow.checked = false;
    pre.replaceChildren();
    for (end = 0; ;) {
      const part = await get(project, "runs", run, "log", { offset: end });
      add(part);
      if (!part.text || part.end >= part.size || pre.textContent.length > MOST_LOG) break;
    }
    pre.scrollTop = 0;
  });
  const node = make("section", { ariaLabel: "Log" }, make("div", { className: "row" }, make("h2", { textContent: "Log" }),
    make("span", {}, whole, " ", make("label", {}, follow, " follow"))), pre);
  return { node, next };
}

function facts(document) {
  const { spec, status } = document, started = document.metadata.created;
  const isOver = ENDS.includes(status.state);
  const rows = { Started: moment(started), Took: isOver ? lasted(started, document.metadata.updated) : "goes on for " + lasted(started, new Date().toISOString()),
    Action: (/\+([a-z]+):/.exec(spec.task || "") || [])[1] || "–" };
  if (status.service) rows.Service = make("span", { className: "mono", textContent: status.service.url });
  if (status.cached_from) rows["Outputs of"] = keyLink(status.cached_from, "an earlier run");
  if (status.process) rows.Process = String(status.process);
  if (spec.python_version) rows.Python = spec.python_version.replace(/^PYTHON(\d)_(\d+)$/, "$1.$2");
  if (spec.requirements) rows.Requirements = spec.requirements.join(", ");
  return make("dl", {}, ...Object.entries(rows).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", {}, value)]));
}

const timeline = (steps) => make("dl", {}, ...steps.flatMap((step, i) => [make("dt", {}, i === steps.length - 1 ? pill(step.status) : make("span", { className: "state idle", textContent: step.status })),
  make("dd", {}, moment(step.time), i ? make("span", { className: "soft", textContent: " after " + lasted(steps[i - 1].time, step.time) }) : null)]));

async function showRun(project, id) {
  const mine = visit;
  crumbs([project, [project]], ["runs", [project, "runs"]], [id]);
  const log = logSection(project, id), body = make("div"), pieces = {};
  const fill = async () => {
    const [{ document: run, code }, lineage] = await Promise.all([get(project, "runs", id), get(project, "runs", id, "lineage")]);
    const { spec, status } = run, failed = status.error;
    const name = (/\/([^/:]+)(:|$)/.exec((spec.function || "").split("://")[1] || "") || [])[1] || "run";
    const where = failed && failed.file ? `\n${failed.file}:${failed.line}` : "";
    pieces.head = make("div", {}, make("div", { className: "title" }, make("h1", { textContent: name }), pill(status.state)), make("p", { className: "soft mono small", textContent: run.key }));
    const parts = [pieces.head,
      status.message && status.state !== "COMPLETED" ? make("div", { className: "problem", role: "alert", textContent: status.message + where }) : null,
      section("Lineage", graph(lineage, run.key)),
      make("div", { className: "pair" },
        section("Inputs", pairs(spec.inputs, (key) => keyLink(key)), ...(Object.keys(spec.parameters || {}).length ? [make("h3", { textContent: "Parameters" }), pairs(spec.parameters, valueOf)] : [])),
        section("Outputs", pairs(status.outputs, (key) => keyLink(key)), ...(Object.keys(status.results || {}).length ? [make("h3", { textContent: "Results" }), pairs(status.results, valueOf)] : []))),
      make("div", { className: "pair" }, section("Run", facts(run)), section("States", timeline(status.transitions || []))),
      status.metrics ? section("Metrics", pairs(status.metrics, valueOf)) : null,
      (status.attempts || []).length > 1 ? section("Attempts", pairs(Object.fromEntries(status.attempts.map((one, i) => [String(i + 1), one.error ? one.error.type + ": " + one.error.message : "completed"])), valueOf)) : null,
      log.node, code ? folded("Code", code) : null, folded("Document", JSON.stringify(run, null, 2))];
    const open = [...body.querySelectorAll("details")].map((node) => node.open);
    body.replaceChildren(...parts.filter(Boolean));
    body.querySelectorAll("details").forEach((node, i) => { node.open = Boolean(open[i]); });
    return status.state;
  };
  let state = await fill();
  let part = await log.next();
  const tick = async () => {
    if (mine !== visit) return;
    try {
      part = await log.next();
      if (part.state !== state) state = await fill();
    } catch (error) { if (mine === visit) complain(error); return; }
    if (mine === visit && (!part.is_over || (part.text && part.end < part.size))) timer = setTimeout(tick, LOOK);
  };
  return () => { put(body); $("log").scrollTop = $("log").scrollHeight; if (!part.is_over) timer = setTimeout(tick, LOOK); };
}
