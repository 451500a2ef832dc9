"use strict";
/* Files that are dropped, opened or pasted: small tables fill the form, others are sent as they are. */

const KINDS = { csv: "text/csv", json: "application/json", parquet: "application/vnd.apache.parquet" };
const SUFFIXES = { csv: "csv", tsv: "csv", txt: "csv", json: "json", parquet: "parquet", pq: "parquet" };
const MOST_PREVIEW = 4 << 20, MOST_EDITED = 200000, PREVIEW_ROWS = 10;
let attached = null;

class FileError extends Error {}

/* The rows of a text with delimiters, quotes as in RFC 4180; the delimiter is the most frequent one of the first line. */
function parseDelimited(text) {
  const first = text.slice(0, text.search(/[\r\n]|$/));
  const delimiter = [",", "\t", ";"].reduce((best, one) => (first.split(one).length > first.split(best).length ? one : best));
  const cell = new RegExp(`("[^"]*(?:""[^"]*)*"|[^${delimiter}\\r\\n]*)([^${delimiter}\\r\\n]*)(${delimiter}|\\r\\n|\\n|\\r|$)`, "y");
  const rows = [[]];
  for (cell.lastIndex = text.startsWith("\ufeff") ? 1 : 0; cell.lastIndex < text.length;) {
    const [, value, more, end] = cell.exec(text);
    rows.at(-1).push((value.startsWith("\"") && value.length > 1 ? value.slice(1, -1).replaceAll("\"\"", "\"") : value) + more);
    if (end && end !== delimiter) rows.push([]);
    else if (end && cell.lastIndex === text.length) rows.at(-1).push("");
  }
  const [names = [], ...data] = rows.filter((row) => row.length > 1 || (row.length && row[0] !== ""));
  return { names, rows: data, delimiter };
}

/* The table that a body of JSON holds; null if it is none. */
function tableOf(tree) {
  const split = tree?.dataframe_split, records = Array.isArray(tree) ? tree : tree?.dataframe_records;
  if (Array.isArray(split?.columns) && Array.isArray(split.data)) return { names: split.columns.map(String), rows: split.data };
  const isRecord = (row) => row !== null && typeof row === "object" && !Array.isArray(row);
  return Array.isArray(records) && records.length && records.every(isRecord) ? table(records) : null;
}

const listed = (names) => clip(names.join(", "), 200);

/* The columns that the model must have and a table has not. */
function lackingIn(found) {
  return (model.columns ?? []).filter((column) => column.required && !found.names.includes(column.name)).map((column) => column.name);
}

/* Fill the form, if the table is one for it and not too long; return whether it was. */
function fillForm(found, params, source) {
  if (!hasForm() || found.rows.length > mostRows() || !found.rows.length) return false;
  const names = model.columns.map((column) => column.name), left = found.names.filter((name) => !names.includes(name));
  if (left.length === found.names.length) {
    throw new FileError(`${source} has none of the model's columns. It has ${listed(left)}; the model takes ${listed(names)}.`);
  }
  putRows(found.rows.map((row) => Object.fromEntries(found.names.map((name, i) => [name, row[i]]))));
  $("cut").textContent = "";
  for (const input of paramFields()) if (params && input.dataset.param in params) input.value = asJson(params[input.dataset.param]);
  setMode("form");
  const lacking = lackingIn(found);
  say(`The form holds ${count(found.rows.length, "row")} of ${source}.`
    + (left.length ? ` Left out, as the model does not take them: ${listed(left)}.` : "")
    + (lacking.length ? ` Not in it: ${listed(lacking)}.` : ""));
  formRows()[0].querySelector(".cell").focus();
  return true;
}

const say = (text) => { $("taken").textContent = text; };

/* Take a text of JSON or with delimiters; a file stands behind it where it can be sent as it is. */
function takeText(kind, text, source, file = null) {
  if (kind === "json") {
    let tree;
    try { tree = parseExact(text); } catch (error) { throw new FileError(`${source} is not JSON: ${error.message}`); }
    const found = tableOf(tree);
    if (found && fillForm(found, tree.params, source)) return;
    const body = Array.isArray(tree) ? prettyJson({ [found ? "dataframe_records" : "inputs"]: tree }) : text;
    if (body.length > MOST_EDITED && file && body === text) { attach(file, kind, found); return; }
    $("text").value = body;
    setMode("json");
    say(`The body is that of ${source}.`);
    return;
  }
  const found = parseDelimited(text), isWhole = !file || file.size <= MOST_PREVIEW;
  if (!isWhole) found.rows.pop(); /* cut in the middle */
  if (isWhole && fillForm(found, null, source)) return;
  if (!file || found.delimiter !== ",") {
    const rule = "only files with commas between the cells are sent as they are, and only small tables go into the form";
    throw new FileError(`${source} has ${count(found.rows.length, "row")}: ${rule}.`);
  }
  attach(file, kind, typed(found), isWhole);
}

/* Hold a file that the next request sends. */
function attach(file, kind, found = null, isWhole = true) {
  attached = { file, name: file.name, type: KINDS[kind] };
  const facts = [bytes(file.size), KINDS[kind]];
  if (found) facts.push(`${isWhole ? "" : "more than "}${count(found.rows.length, "row")}, ${count(found.names.length, "column")}`);
  const lacking = found ? lackingIn(found) : [];
  const head = make("p", { className: "name" }, make("strong", { textContent: clip(file.name, 120) }), soft(facts.join(" · "), "span"));
  $("attached").replaceChildren(head,
    lacking.length ? make("p", { className: "lacks", textContent: `Not in it, though the model takes them: ${listed(lacking)}` }) : "",
    found?.rows.length ? dataTable(found, { id: "preview", label: "Rows of the file", most: PREVIEW_ROWS }) : "");
  $("mode-file").hidden = $("modes").hidden = false;
  setMode("file");
  say(`${file.name} is sent as it is.`);
}

async function takeFile(file) {
  const kind = SUFFIXES[file.name.split(".").at(-1).toLowerCase()];
  if (!kind || !model.takes.includes(kind)) throw new FileError(`${file.name} is no file that this server reads: ${model.takes.join(", ")}.`);
  if (file.size > model.max_body_bytes) throw new FileError(`${file.name} has ${bytes(file.size)}; the server takes ${bytes(model.max_body_bytes)} at most.`);
  if (kind === "parquet") attach(file, kind);
  else takeText(kind, await (kind === "csv" && file.size > MOST_PREVIEW ? file.slice(0, MOST_PREVIEW) : file).text(), file.name, file);
}

/* What was dropped, opened or pasted becomes the request, or its problem is told. */
async function take(work) {
  if (!model) return;
  complain("");
  try { await work(); refresh(); }
  catch (error) { say(""); complain(error instanceof FileError ? error.message : "The file cannot be read: " + error.message); }
}

function takeTransfer(transfer) {
  const file = transfer.files[0], text = transfer.getData("text/plain");
  if (file) return take(() => takeFile(file));
  if (text.trim()) return take(() => takeText(/^\s*[[{]/.test(text) ? "json" : "csv", text.trim(), "the text"));
}

function watchFiles() {
  let depth = 0; /* of the elements that what is dragged has entered */
  const drag = (step) => { depth = Math.max(0, step); document.body.classList.toggle("dropping", depth > 0); };
  const has = (event, type) => event.dataTransfer.types.includes(type);
  const isOfUse = (event) => has(event, "Files") || (has(event, "text/plain") && !event.target.closest?.("input, textarea"));
  addEventListener("dragenter", (event) => { if (isOfUse(event)) drag(depth + 1); });
  addEventListener("dragleave", () => drag(depth - 1));
  addEventListener("dragover", (event) => { if (isOfUse(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    drag(0);
    if (!isOfUse(event)) return;
    event.preventDefault();
    takeTransfer(event.dataTransfer);
  });
  $("rows").addEventListener("paste", (event) => {
    if (!/[\t,;].*[\r\n]|^\s*[[{]/.test(event.clipboardData.getData("text/plain").trim())) return; /* one value */
    event.preventDefault();
    takeTransfer(event.clipboardData);
  });
  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    $("file").value = ""; /* so that the same one can be opened again */
    if (file) take(() => takeFile(file));
  });
}
