"use strict";
/* The form: fields for each row of data, and what in them differs from the input example. */

const MOST_FIELDS = 160, MOST_EXAMPLE_ROWS = 20;
const origins = new WeakMap(); /* from a row of the form to the row of the example that it came from */
let notes = 0;

const mostRows = () => Math.max(1, Math.min(MOST_EXAMPLE_ROWS, Math.floor(MOST_FIELDS / model.columns.length)));
const formRows = () => [...$("rows").tBodies[0].rows];
const cellsOf = (row) => [...row.querySelectorAll(".cell")];
const paramFields = () => [...document.querySelectorAll("[data-param]")];
const hasForm = () => Boolean(model.columns && model.columns.length && model.columns.length <= 200);

function exampleRows() {
  const split = model.example && model.example.dataframe_split;
  if (split && split.columns) return split.data.map((row) => Object.fromEntries(split.columns.map((name, i) => [name, row[i]])));
  return [];
}

function field(column, value) {
  if (column.type === "boolean") {
    const select = make("select", { className: "cell" });
    if (!column.required) select.append(new Option("missing", ""));
    select.append(new Option("false", "false"), new Option("true", "true"));
    select.value = cellText(column, value);
    return select;
  }
  const input = make("input", { className: "cell", type: "text", value: cellText(column, value), autocomplete: "off" });
  if (isNumeric(column)) input.inputMode = isFloat(column) ? "decimal" : "numeric";
  const form = { datetime: "2024-01-31T12:00:00", binary: "base64" }[column.type];
  input.placeholder = [form, column.required ? "" : "optional"].filter(Boolean).join(", ");
  return input;
}

const isFloat = (column) => ["float", "double"].includes(column.type);
const isNumeric = (column) => isFloat(column) || ["integer", "long"].includes(column.type);

/* What stands in the field of a value. */
function cellText(column, value) {
  if (value === null && column.required && isFloat(column)) return "NaN"; /* which has no other form in JSON */
  if (column.type !== "boolean") return isMissing(value) ? "" : typeof value === "object" ? asJson(value) : String(value);
  return isMissing(value) ? (column.required ? "false" : "") : String(value).trim().toLowerCase();
}

function labelRow(row, number) {
  row.cells[0].textContent = String(number);
  row.querySelector("button").setAttribute("aria-label", "Remove row " + number);
  cellsOf(row).forEach((cell, i) => cell.setAttribute("aria-label", `${model.columns[i].name}, row ${number}`));
}

function addRow(values, origin) {
  const row = make("tr", {}, make("th", { scope: "row" }));
  for (const column of model.columns) {
    const input = field(column, values[column.name]), id = `note-${++notes}`;
    input.setAttribute("aria-describedby", id);
    const name = make("span", { textContent: column.name, title: column.name });
    const label = make("span", { className: "label", ariaHidden: "true" }, name, typeNote(column.type));
    row.append(make("td", {}, label, input, make("div", { className: "notes", id })));
  }
  const remove = make("button", { type: "button", textContent: "Remove" });
  remove.addEventListener("click", () => {
    row.remove();
    formRows().forEach((other, i) => labelRow(other, i + 1));
    $("add").focus();
    refresh();
  });
  row.append(make("td", { className: "action" }, remove));
  if (origin) origins.set(row, origin);
  $("rows").tBodies[0].append(row);
  labelRow(row, formRows().length);
  return row;
}

/* Replace the rows; those beyond the rows of the example are compared with its last one. */
function putRows(rows) {
  const examples = exampleRows();
  $("rows").tBodies[0].replaceChildren();
  rows.forEach((row, i) => addRow(row, examples[Math.min(i, examples.length - 1)]));
}

function fillFromExample() {
  const examples = exampleRows(), most = mostRows();
  putRows(examples.length ? examples.slice(0, most) : [{}]);
  $("cut").textContent = examples.length > most ? `These are the first ${most} of ${examples.length} rows of the example.` : "";
}

/* Show the fields as a table, or as cards where a table has no room. */
function layFields() {
  const box = $("rows").parentElement;
  $("rows").classList.remove("cards");
  $("rows").classList.toggle("cards", innerWidth <= 640 || box.scrollWidth > box.clientWidth);
}

function buildForm() {
  if (!hasForm()) { setMode("json"); return; }
  const head = make("tr", {}, make("th", { scope: "col" }, make("span", { className: "unseen", textContent: "Row" })));
  for (const column of model.columns) {
    head.append(make("th", { scope: "col" }, column.name, typeNote(column.type + (column.required ? "" : ", optional"))));
  }
  head.append(make("th", { scope: "col" }, make("span", { className: "unseen", textContent: "Action" })));
  $("rows").tHead.append(head);
  fillFromExample();
  setMode("form");
}

function buildParameters() {
  if (!model.params.length) return;
  const box = $("parameters");
  box.append(make("h3", { textContent: "Parameters" }));
  for (const param of model.params) {
    const id = `param-${++notes}`, value = param.default === null ? "" : asJson(param.default);
    const input = make("input", { id, type: "text", value, autocomplete: "off", "aria-describedby": `${id}-note` });
    input.dataset.param = param.name;
    input.dataset.default = value;
    const label = make("label", { htmlFor: id }, param.name + " ", typeNote(`${param.type}${param.list ? " list" : ""}, JSON`));
    box.append(make("div", { className: "param" }, label, input, make("div", { className: "notes", id: `${id}-note` })));
  }
}

class FieldError extends Error { constructor(input, message) { super(message); this.input = input; } }

const nameOf = (input) => input.getAttribute("aria-label") ?? input.dataset.param;

function readCell(input, column) {
  const text = input.value;
  if (text.trim() === "" && !(column.type === "string" && column.required)) {
    if (!column.required) return null;
    throw new FieldError(input, nameOf(input) + " is empty.");
  }
  if (column.type === "boolean") return text === "true";
  if (column.type === "integer" || column.type === "long") {
    if (!/^\s*[+-]?\d+\s*$/.test(text)) throw new FieldError(input, nameOf(input) + " must be a whole number.");
    const number = Number(text);
    return Number.isSafeInteger(number) ? number : text.trim(); /* as text the server keeps all digits */
  }
  if (isFloat(column)) {
    if (/^\s*(NaN|[+-]?Infinity)\s*$/.test(text)) return text.trim(); /* as text, which the server reads */
    if (!Number.isFinite(Number(text))) throw new FieldError(input, nameOf(input) + " must be a number.");
    return Number(text);
  }
  return text;
}

function readForm() {
  const data = formRows().map((row) => cellsOf(row).map((input, i) => readCell(input, model.columns[i])));
  const body = { dataframe_split: { columns: model.columns.map((column) => column.name), data } };
  const params = readParameters();
  if (params) body.params = params;
  return asJson(body);
}

function readParameters() {
  const found = {};
  for (const input of paramFields()) {
    if (input.value.trim() === "") continue;
    try { found[input.dataset.param] = parseExact(input.value); }
    catch { throw new FieldError(input, input.dataset.param + " must be JSON, such as 5, \"text\" or [1, 2]."); }
  }
  return Object.keys(found).length ? found : null;
}

function isSame(column, text, was) {
  if (text.trim() === was.trim()) return true;
  const isExact = text.trim() !== "" && was.trim() !== "" && Math.abs(Number(text)) <= Number.MAX_SAFE_INTEGER;
  return isNumeric(column) && isExact && Number(text) === Number(was);
}

/* Say at a field what it was in the example, or nothing. */
function noteOrigin(input, was) {
  input.closest("td, .param").classList.toggle("differs", was !== null);
  const box = input.parentElement.querySelector(".notes");
  box.querySelector(".was")?.remove();
  if (was === null) return;
  box.append(make("small", { className: "was", textContent: `example: ${was === "" ? "empty" : clip(was, 60)}`, title: was }));
}

/* How many values of the form are not those of the example, each marked where it stands. */
function markFields() {
  let changed = 0;
  const mark = (input, was, differs) => { changed += differs; noteOrigin(input, differs ? was : null); };
  for (const row of formRows()) {
    const origin = origins.get(row);
    if (!origin) continue;
    cellsOf(row).forEach((input, i) => {
      const column = model.columns[i], was = cellText(column, origin[column.name]);
      mark(input, was, !isSame(column, input.value, was));
    });
  }
  for (const input of paramFields()) mark(input, input.dataset.default, input.value.trim() !== input.dataset.default);
  return changed;
}

/* Where two values of JSON are different. */
function* pathsOf(value, was, path = "") {
  if (isTree(value) && isTree(was) && Array.isArray(value) === Array.isArray(was)) {
    const below = (key) => (Array.isArray(was) ? `${path}[${key}]` : path ? `${path}.${key}` : key);
    for (const key of new Set([...Object.keys(was), ...Object.keys(value)])) yield* pathsOf(value[key], was[key], below(key));
  } else if (value !== was) yield path;
}

/* What of the request is not as in the input example, in words. */
function differences() {
  if (mode() === "json") {
    let body;
    try { body = parseExact($("text").value); } catch { return []; }
    const paths = model.example ? [...pathsOf(body, model.example)] : [];
    const more = paths.length > 3 ? ", …" : "";
    return paths.length ? [`${differ(paths.length)}: ${clip(paths.slice(0, 3).join(", "), 200)}${more}`] : [];
  }
  if (mode() !== "form") return [];
  const changed = markFields(), examples = exampleRows().length;
  const more = examples ? formRows().length - Math.min(examples, mostRows()) : 0;
  return [changed ? differ(changed) : "", more ? `${count(Math.abs(more), "row")} ${more > 0 ? "more" : "fewer"} than in it` : ""].filter(Boolean);
}

const differ = (number) => `${count(number, "value")} differ${number === 1 ? "s" : ""} from the example`;

function markDifferences() {
  const told = differences();
  $("changes").textContent = told.length ? told.join(", ") + "." : "";
  $("reset").hidden = !told.length;
}
