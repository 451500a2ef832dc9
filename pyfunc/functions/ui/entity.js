"use strict";
/* A function, dataitem, artifact, model or secret, with the head of its file. */

function previewOf(found) {
  if (found.kind === "text") return make("div", {}, make("pre", { className: "code", tabIndex: 0, textContent: found.text }), found.more ? soft(`and ${bytes(found.more)} more`) : null);
  if (found.kind === "folder") {
    const rows = found.entries.map((entry) => make("tr", {}, make("td", { className: "mono", textContent: entry.path }), make("td", { className: "number", textContent: bytes(entry.size) })));
    return make("div", {}, make("div", { className: "scroll" }, make("table", { className: "data" }, make("tbody", {}, ...rows))), found.more ? soft("and more") : null);
  }
  if (found.kind !== "table") return soft("There is no preview: " + found.reason + ".");
  const rows = found.rows.length, said = found.total === null ? `The first ${rows} rows.` : found.total > rows ? `The first ${rows} of ${found.total} rows.` : `${found.total} rows.`;
  return make("div", {}, dataTable(typed({ names: found.columns, rows: found.rows }), { id: "preview", label: "Preview", mostText: 400 }),
    soft(said + (found.more_columns ? ` ${found.more_columns} columns are left out.` : "")));
}

async function showEntity(project, type, name, id) {
  const isTask = type === "tasks";
  crumbs([project, [project]], [type, [project, type]], [isTask ? id : name]);
  const path = isTask ? [type, id] : [type, name, id];
  const { document: entity, code, file } = await get(project, ...path);
  const rows = { Kind: entity.kind, Logged: moment(entity.metadata.created) };
  if (file) { rows.File = make("span", { className: "mono", textContent: file.path || "nothing is there" }); rows.Size = bytes(file.size); }
  for (const relation of entity.metadata.relationships || []) rows[relation.type.replace("_", " ")] = keyLink(relation.dest);
  for (const part of ["python_version", "requirements", "image"]) if (entity.spec[part]) rows[part.replace("_", " ")] = asText(entity.spec[part]);
  if (entity.spec.source) rows.Handler = make("span", { className: "mono", textContent: entity.spec.source.handler || "" });
  if (type === "secrets") rows.Value = "is not shown";
  const parts = [make("h1", { textContent: entity.name }), make("p", { className: "soft mono small", textContent: entity.key }),
    entity.metadata.description ? soft(entity.metadata.description) : null,
    section("", make("dl", {}, ...Object.entries(rows).flatMap(([key, value]) => [make("dt", { textContent: key }), make("dd", {}, value)])))];
  if (file && file.path) {
    let preview;
    try { preview = previewOf(await get(project, ...path, "preview")); } catch (error) { preview = soft("There is no preview: " + error.message); }
    parts.push(section("Preview", preview));
  }
  if (code) parts.push(section("Code", make("pre", { className: "code", tabIndex: 0, textContent: code })));
  if (type === "functions") {
    const runs = (await get(project, "runs", { name, limit: 20 })).items.map((run) => runRow(run, project));
    if (runs.length) parts.push(make("section", { className: "list" }, make("table", {}, make("thead", {}, make("tr", {}, ...["State", "Run", "Action", "Started", "Took", "Gave"].map((head) => make("th", { scope: "col", textContent: head })))), make("tbody", {}, ...runs))));
  }
  if (!isTask) {
    const versions = (await get(project, type, { name, limit: 20 })).items;
    if (versions.length > 1) parts.push(section("Versions", make("dl", {}, ...versions.flatMap((one) => [make("dt", {}, moment(one.created)), make("dd", { className: "mono small" }, one.id === id ? make("span", { textContent: one.id + " (this one)" }) : link(one.id, project, type, name, one.id))]))));
  }
  parts.push(folded("Document", JSON.stringify(entity, null, 2)));
  return () => put(...parts.filter(Boolean));
}
