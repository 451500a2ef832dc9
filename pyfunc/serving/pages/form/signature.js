"use strict";
/* The signature beside the form: name, type and an example of each input, output and parameter. */

const specRows = new Map(); /* from what is listed to its row */

const typeNote = (text) => make("span", { className: "mono type", textContent: text });

/* The value that the input example has for an input; undefined if it has none. */
function exampleOf(spec, place) {
  const { dataframe_split: split, inputs } = model.example ?? {};
  if (split) {
    const at = spec.name === null ? place : (split.columns ?? []).indexOf(spec.name);
    return split.data?.[0]?.[at];
  }
  if (inputs === undefined || inputs === null) return undefined;
  if (spec.name !== null && typeof inputs === "object" && !Array.isArray(inputs)) return inputs[spec.name];
  return spec.name === null && model.inputs.length === 1 ? (Array.isArray(inputs) ? inputs[0] : inputs) : undefined;
}

function specTable(title, specs, { empty = "", examples = null, head = "Example" } = {}) {
  const box = make("div", {}, make("h3", { textContent: specs.length > 1 ? `${title} · ${specs.length}` : title }));
  if (!specs.length) { box.append(soft(empty)); return box; }
  const body = make("tbody"), shows = examples && specs.some((spec, i) => examples(spec, i) !== undefined);
  specs.slice(0, MOST_ROWS).forEach((spec, i) => {
    const value = shows ? examples(spec, i) : undefined;
    const name = make("th", { scope: "row", textContent: spec.name === null ? "–" : clipLong(spec.name) });
    const type = make("td", {}, typeNote(clipLong(spec.type) + (spec.list ? " list" : "")), spec.required === false ? soft(", optional", "span") : null);
    const isGiven = shows && value !== undefined;
    const shown = isGiven ? { textContent: clip(brief(value, Infinity), 60), title: clipLong(whole(value)) } : {};
    const row = make("tr", {}, name, type, shows ? make("td", { className: "example", ...shown }) : null);
    specRows.set(spec, row);
    body.append(row);
  });
  const names = ["Name", "Type", ...(shows ? [head] : [])];
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col", textContent: name })))), body);
  box.append(make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: title }, table));
  if (specs.length > MOST_ROWS) box.append(soft(`and ${specs.length - MOST_ROWS} more`));
  return box;
}

function describe() {
  document.title = model.name + " – model server";
  $("name").textContent = $("here").textContent = model.name;
  const parts = [...(model.libraries.length ? model.libraries : ["Python function"]), `loaded by ${model.kind}`];
  if (model.saved) parts.push(`saved ${model.saved.slice(0, 19)} UTC`);
  parts.push(`server ${model.server}`);
  $("about").replaceChildren(...parts.map((part) => make("span", { className: "tag", textContent: part })));
  $("metrics").hidden = !model.metrics;
  $("signature").append(
    specTable("Inputs", model.inputs, { empty: "The model does not say what it takes.", examples: exampleOf }),
    specTable("Outputs", model.outputs, { empty: "The model does not say what it gives." }));
  if (model.params.length) $("signature").append(specTable("Parameters", model.params, { examples: (spec) => spec.default, head: "Default" }));
}
