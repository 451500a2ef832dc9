"use strict";
/* The answer as a table, a chart or JSON. */

const MOST_BARS = 60, MOST_CHARTS = 6;
let answer, exampleAnswer; /* the last one, and the one to the input example */

/* Whether this is a dict of lists that are equally long, as models with several outputs give. */
function isOfColumns(value) {
  const columns = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.values(value) : [];
  return columns.length > 0 && columns.every((column) => Array.isArray(column) && column.length === columns[0].length);
}

/* Any prediction as rows of cells. */
function table(value) {
  if (isOfColumns(value)) {
    const columns = Object.values(value);
    return { names: Object.keys(value), rows: columns[0].map((_, r) => columns.map((column) => column[r])) };
  }
  const list = Array.isArray(value) ? value : [value];
  if (list.length && list.every((row) => row !== null && typeof row === "object" && !Array.isArray(row))) {
    const names = [...new Set(list.slice(0, MOST_ROWS).flatMap(Object.keys))];
    return { names, rows: list.map((row) => names.map((name) => row[name])) };
  }
  if (list.length && list.every(Array.isArray)) {
    const width = Math.max(...list.slice(0, MOST_ROWS).map((row) => row.length));
    return { names: Array.from({ length: width }, (_, i) => String(i)), rows: list };
  }
  return { names: ["prediction"], rows: list.map((item) => [item]) };
}

/* What the cells had in the answer to the example, where that has the same columns. */
function answeredBefore({ names }) {
  if (exampleAnswer === undefined || exampleAnswer === answer) return null;
  const old = table(exampleAnswer);
  return asJson(old.names) === asJson(names) ? (r, c) => old.rows[r]?.[c] : null;
}

/* Whether there is one short value, which is then shown large. */
function isSingle({ names, rows }) {
  const [[value] = []] = rows;
  return rows.length === 1 && names.length === 1 && !isTree(value) && whole(value).length < 40;
}

function showAnswer() {
  const view = document.querySelector("[name=view]:checked").value, found = table(answer);
  $("full-block").hidden = view !== "table";
  let node;
  if (view === "json") {
    const text = prettyJson(answer);
    node = make("pre", { textContent: text.length > 100000 ? text.slice(0, 100000) + "\n…" : text, tabIndex: 0, ariaLabel: "The answer as JSON" });
  } else if (view === "chart") node = charts(found);
  else if (!found.rows.length) node = soft("The prediction is empty.");
  else {
    node = dataTable(found, { id: "predictions", label: "The answer", isFull: $("full").checked, before: answeredBefore(found) });
    node.classList.toggle("single", isSingle(found));
  }
  $("answer").replaceChildren(node);
}

/* A chart of each column of numbers: bars of few rows, a histogram of many. */
function charts({ names, rows }) {
  const isDrawn = (c) => rows.length && rows.every((row) => isNumber(row[c]) || isMissing(row[c])) && rows.some((row) => isNumber(row[c]));
  const columns = names.map((_, c) => c).filter(isDrawn);
  if (!columns.length) return soft("The prediction has no numbers to draw.");
  const box = make("div", { className: "charts" }, ...columns.slice(0, MOST_CHARTS).map((c) => chart(clip(names[c], 60), rows.map((row) => row[c]))));
  if (columns.length > MOST_CHARTS) box.append(soft(`The first ${MOST_CHARTS} of ${columns.length} columns of numbers.`));
  return box;
}

function chart(name, values) {
  if (values.length > MOST_BARS) return make("figure", {}, make("figcaption", { textContent: name }), spread(values, name, 120));
  const drawn = values.map((value) => Number(value ?? 0)), ends = [Math.min(...drawn), Math.max(...drawn)].map(rounded);
  const title = `${name} of ${count(values.length, "row")}, from ${ends[0]} to ${ends[1]}`;
  return make("figure", {}, make("figcaption", { textContent: title }), bars(drawn, title, values.map((value, i) => `row ${i + 1}: ${whole(value)}`), 180));
}
