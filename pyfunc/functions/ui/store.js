"use strict";
/* What of a store is asked for, and the small parts that all views are made of. */

const ENDS = ["COMPLETED", "ERROR", "STOPPED"];

const href = (...parts) => "#/" + parts.map(encodeURIComponent).join("/");
const link = (text, ...parts) => make("a", { href: href(...parts), textContent: text });
const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));

async function get(...parts) {
  const query = parts.length && typeof parts.at(-1) === "object" ? "?" + new URLSearchParams(parts.pop()) : "";
  const response = await fetch("api/projects" + parts.map((part) => "/" + encodeURIComponent(part)).join("") + query);
  const tree = await response.json();
  if (!response.ok) throw new Error(tree.message || "status " + response.status);
  return tree;
}

/* store://project/type/kind/name:id and store://project/run/kind/id, as a place of this page. */
function placeOf(key) {
  const match = /^store:\/\/([^/]+)\/([a-z]+)\/[^/]+\/([^/:]+)(?::([^/:]+))?$/.exec(key);
  if (!match) return null;
  const [, project, type, name, id] = match;
  return id ? [project, type + "s", name, id] : [project, type + "s", name];
}

/* What a key names: name, kind and the start of the version, with the key itself to be pointed at. */
function keyLink(key, text) {
  const place = placeOf(key);
  if (!place) return make("span", { textContent: text || key });
  const [, types, name, id] = place, kind = key.split("/")[4];
  const node = link(text || (id ? name : types.slice(0, -1)), ...place);
  node.title = key;
  return make("span", {}, node, make("span", { className: "id mono", textContent: `  ${id ? kind + " · " : ""}${clip(id || name, 13)}` }));
}

const look = (state) => ({ COMPLETED: "good", ERROR: "bad", RUNNING: "busy", BUILT: "busy", CREATED: "busy" })[state] || "idle";
const pill = (state) => make("span", { className: "state " + look(state), textContent: state || "–" });

function moment(text) {
  const time = new Date(text);
  if (!text || Number.isNaN(time.getTime())) return make("span", { textContent: text || "–" });
  return make("time", { dateTime: text, title: text, textContent: time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) });
}

function lasted(from, to) {
  const seconds = (new Date(to) - new Date(from)) / 1000;
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 1) return Math.round(seconds * 1000) + " ms";
  if (seconds < 60) return seconds.toFixed(1) + " s";
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function section(title, ...children) {
  return make("section", {}, title && make("h2", { textContent: title }), ...children);
}

function pairs(values, show) {
  const entries = Object.entries(values || {});
  if (!entries.length) return soft("none");
  return make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", {}, show(value))]));
}

function valueOf(value) {
  if (value !== null && typeof value === "object") return make("pre", { textContent: JSON.stringify(value, null, 1) });
  return make("span", { className: typeof value === "string" ? "" : "mono", textContent: asText(value) });
}

function crumbs(...parts) {
  const nodes = [make("a", { className: "home", href: "#/", textContent: "Functions" })];
  parts.forEach(([text, place], i) => {
    nodes.push(make("span", { className: "slash", ariaHidden: "true", textContent: "/" }));
    const last = i === parts.length - 1;
    nodes.push(place && !last ? link(text, ...place) : make("span", { className: "here", textContent: text }));
  });
  $("path").replaceChildren(...nodes);
  document.title = [...parts.map(([text]) => text).reverse(), "Functions"].join(" – ");
}

function put(...nodes) { $("main").replaceChildren(...nodes.filter(Boolean)); }

const folded = (title, text) => make("section", {}, make("details", {}, make("summary", { textContent: title }), make("pre", { className: "code", tabIndex: 0, textContent: text })));
