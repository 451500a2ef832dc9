"use strict";
/* Rows of values as a table: numbers rounded and in line, a histogram above each column of many rows,
   and the whole value of the cell that is pointed at or reached with the arrow keys. */

const MOST_ROWS = 100, MANY_ROWS = 8, MOST_CELL = 120, MOST_FILLED = 5;

const decimalsOf = (text) => (/^-?[\d,]+\.(\d+)$/.exec(text)?.[1].length ?? 0);

/* How many decimals a column shows where its numbers stand in line; 0 where one of them has too many. */
function mostDecimals(values) {
  const most = Math.max(0, ...values.map((value) => (isNumber(value) ? decimalsOf(brief(value)) : 0)));
  return most > MOST_FILLED ? 0 : most;
}

/* What fills a rounded number up so that the points stand below each other; it is not seen or read. */
function filled(text, decimals) {
  const own = decimalsOf(text);
  if (own >= decimals || !/^-?[\d,.]+$/.test(text)) return null;
  return make("span", { className: "ghost", ariaHidden: "true", textContent: (own ? "" : ".") + "0".repeat(decimals - own) });
}

/* Columns of texts as numbers where all of them are, so that they are drawn as such. */
function typed({ names, rows }) {
  const isNumeral = (text) => /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text);
  const isNumericAt = names.map((_, c) => rows.some((row) => row[c]) && rows.every((row) => !row[c] || isNumeral(row[c])));
  return { names, rows: rows.map((row) => names.map((_, c) => (isNumericAt[c] ? (row[c] ? parseExact(row[c]) : null) : row[c] ?? null))) };
}

/* Options: id; isFull shows whole values; before gives the value that a cell had for the example. */
function dataTable({ names, rows }, { id, label, isFull = false, before = null, most = MOST_ROWS, mostText = MOST_CELL }) {
  const shownNames = names.slice(0, MOST_ROWS), shown = rows.slice(0, most);
  const corner = make("th", { scope: "col" }, make("span", { className: "unseen", textContent: "Row" }));
  const head = make("tr", {}, corner, ...shownNames.map((name) => make("th", { scope: "col", textContent: clipLong(name) })));
  const decimals = shownNames.map((_, c) => mostDecimals(shown.map((row) => row[c])));
  const body = make("tbody");
  let changed = 0;
  shown.forEach((row, r) => {
    const cells = shownNames.map((name, c) => {
      const value = row[c], was = before?.(r, c);
      const cell = valueCell(value, isFull ? Infinity : mostText, decimals[c]);
      if (was !== undefined && whole(was) !== whole(value)) {
        changed += 1;
        cell.classList.add("differs");
        cell.title += `\nfor the example: ${clipLong(whole(was))}`;
      }
      return cell;
    });
    body.append(make("tr", {}, make("th", { scope: "row", textContent: String(r + 1) }), ...cells));
  });
  const table = make("table", { id, className: "data", role: "grid", ariaLabel: label }, make("thead", {}, head, spreads(shownNames, rows)), body);
  const detail = make("output", { className: "detail", hidden: true });
  walk(table, detail, shownNames, rows, before);
  const notes = [];
  if (rows.length > most) notes.push(`The first ${most} of ${rows.length} rows.`);
  if (names.length > MOST_ROWS) notes.push(`The first ${MOST_ROWS} of ${names.length} columns.`);
  if (changed) notes.push(`${count(changed, "value")} differ${changed === 1 ? "s" : ""} from the answer to the example.`);
  return make("div", {}, make("div", { className: "scroll" }, table), detail, notes.length ? soft(notes.join(" ")) : null);
}

function valueCell(value, mostText, decimals) {
  const isFull = mostText === Infinity, text = isFull ? whole(value) : brief(value, mostText);
  const cell = make("td", { tabIndex: -1, title: clipLong(whole(value)) }, text);
  if (isMissing(value)) cell.className = "null";
  else if (text.length > 30 && !isNumber(value)) cell.className = "long";
  if (isNumber(value)) {
    cell.className = "number";
    if (!isFull) cell.append(filled(text, decimals) ?? "");
  }
  return cell;
}

function spreads(names, rows) {
  if (rows.length < MANY_ROWS) return null;
  const cell = (name, c) => make("td", {}, spread(rows.map((row) => row[c]), clip(name, 60)));
  return make("tr", { className: "spreads" }, make("td"), ...names.map(cell));
}

const STEPS = {
  ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
  Home: [0, -Infinity], End: [0, Infinity], PageUp: [-10, 0], PageDown: [10, 0],
};

/* One cell can be tabbed to, the arrow keys go on from there, and the detail shows the whole value of the one in focus. */
function walk(table, detail, names, rows, before) {
  const body = table.tBodies[0];
  const within = (place, length) => Math.max(0, Math.min(length - 1, place));
  const at = (r, c) => body.rows[within(r, body.rows.length)].cells[1 + within(c, names.length)];
  if (body.rows.length && names.length) at(0, 0).tabIndex = 0;
  const placeOfCell = (cell) => [cell.parentElement.sectionRowIndex, cell.cellIndex - 1];
  const show = (cell) => {
    const [r, c] = placeOfCell(cell), was = cell.classList.contains("differs") ? soft(`for the example: ${clipLong(whole(before(r, c)))}`, "span") : "";
    body.querySelectorAll("[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
    cell.tabIndex = 0;
    detail.hidden = false;
    detail.replaceChildren(soft(`${clip(names[c], 60)}, row ${r + 1}`, "span"), make("span", { className: "mono", textContent: whole(rows[r][c]) }), was);
  };
  body.addEventListener("focusin", (event) => { if (event.target.tagName === "TD") show(event.target); });
  body.addEventListener("keydown", (event) => {
    const step = STEPS[event.key], cell = event.target;
    if (!step || cell.tagName !== "TD" || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const [r, c] = placeOfCell(cell);
    at(r + step[0], c + step[1]).focus();
  });
}
