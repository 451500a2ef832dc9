"use strict";
/* The projects, and what is in one: tabs and tables. */

const ROWS = 100;
const TABS = [["runs", "Runs"], ["functions", "Functions"], ["dataitems", "Dataitems"], ["artifacts", "Artifacts"], ["models", "Models"], ["secrets", "Secrets"], ["tasks", "Tasks"]];

async function showProjects() {
  crumbs();
  const { root, projects } = await get();
  const cards = projects.map(({ name, metadata, counts }) => make("a", { className: "card", href: href(name) },
    make("strong", { textContent: name }),
    metadata.description ? soft(metadata.description) : null,
    make("div", { className: "numbers" }, ...["runs", "functions", "dataitems", "models"].map((type) =>
      make("div", {}, make("b", { textContent: counts[type] }), make("span", { textContent: type }))))));
  return () => put(make("h1", { textContent: "Projects" }), soft("The store in " + root),
    cards.length ? make("div", { className: "cards" }, ...cards)
      : make("section", { className: "empty", textContent: "There is no project here yet. get_or_create_project(\"name\") makes one." }));
}

function tabs(project, counts, current) {
  const nodes = TABS.filter(([type]) => counts[type] || type === current || type === "runs" || type === "functions").map(([type, text]) => {
    const node = make("a", { href: href(project, type) }, text, make("span", { className: "count", textContent: counts[type] }));
    if (type === current) node.setAttribute("aria-current", "page");
    return node;
  });
  return make("nav", { className: "tabs", ariaLabel: "What the project holds" }, ...nodes);
}

function runRow(run, project) {
  const said = run.message && run.state !== "COMPLETED" ? run.message.split("\n")[0]
    : run.cached_from ? "taken from an earlier run"
    : Object.entries(run.results).map(([name, value]) => name + " = " + asText(value)).concat(run.outputs).join(", ");
  const ended = ENDS.includes(run.state) ? run.updated : new Date().toISOString();
  return make("tr", {}, make("td", { className: "short" }, pill(run.state)),
    make("td", {}, link(run.function, project, "runs", run.id), make("div", { className: "id mono", textContent: clip(run.id, 13) })),
    make("td", { className: "short", textContent: run.action }),
    make("td", { className: "short" }, moment(run.created)),
    make("td", { className: "short", textContent: run.cached_from ? "–" : lasted(run.created, ended) }),
    make("td", { className: "wide", textContent: clip(said || "", 240) }));
}

function entityRow(item, project, type) {
  const place = type === "tasks" ? [project, type, item.id] : [project, type, item.name, item.id];
  return make("tr", {}, make("td", {}, link(item.name, ...place)), make("td", { className: "short", textContent: item.kind }),
    make("td", { className: "short" }, moment(item.created)), make("td", { className: "id mono", textContent: item.id }),
    make("td", { className: "wide", textContent: item.description || "" }));
}

async function showProject(project, type, query) {
  const offset = Number(query.get("offset")) || 0, state = query.get("state"), name = query.get("name");
  crumbs([project, [project]]);
  const asked = { limit: ROWS, offset, ...(state ? { state } : {}), ...(name ? { name } : {}) };
  const [about, found] = await Promise.all([get(project), get(project, type, asked)]);
  const isRuns = type === "runs";
  const heads = isRuns ? ["State", "Function", "Action", "Started", "Took", "Gave"] : ["Name", "Kind", "Logged", "Version", "Description"];
  const rows = found.items.map((item) => (isRuns ? runRow(item, project) : entityRow(item, project, type)));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col", textContent: head })))), make("tbody", {}, ...rows));
  const at = (more) => href(project, type) + "?" + new URLSearchParams(more);
  const chosen = (text, more, is) => {
    const node = make("a", { href: at(more), textContent: text });
    if (is) node.setAttribute("aria-current", "true");
    return node;
  };
  const filters = isRuns && Object.keys(about.states).length > 1 || state
    ? make("div", { className: "filters" }, chosen("all", {}, !state), ...Object.entries(about.states).map(([one, count]) => chosen(`${one} ${count}`, { state: one }, one === state))) : null;
  const step = (text, to) => make("a", { href: at({ ...(state ? { state } : {}), ...(name ? { name } : {}), offset: to }), textContent: text });
  const pager = found.total > found.items.length ? make("div", { className: "row" },
    make("span", { className: "soft small", textContent: `${found.total ? offset + 1 : 0} to ${offset + found.items.length} of ${found.total}` }),
    make("span", {}, offset > 0 ? step("newer", Math.max(0, offset - ROWS)) : null, " ", offset + ROWS < found.total ? step("older", offset + ROWS) : null)) : null;
  const goesOn = isRuns && found.items.some((run) => !ENDS.includes(run.state));
  if (goesOn) again(LOOK_AT_LISTS);
  return () => put(make("h1", { textContent: project }), about.metadata.description ? soft(about.metadata.description) : null,
    tabs(project, about.counts, type), filters,
    rows.length ? make("section", { className: "list", tabIndex: 0, role: "region", ariaLabel: type }, table)
      : make("section", { className: "empty", textContent: "There is nothing of this kind yet." }), pager);
}
