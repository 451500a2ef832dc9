"use strict";
/* Making nodes. Everything that comes from a model, a store or a user becomes text, never markup. */

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

/* An element with these properties, or attributes where it has no such property. Children that are null are left out. */
function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value; else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/* The same of SVG. */
function draw(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const soft = (text, tag = "p") => make(tag, { className: "soft", textContent: text });
const clip = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

function bytes(size) {
  if (size === null || size === undefined) return "–";
  for (const unit of ["bytes", "KiB", "MiB", "GiB"]) {
    if (size < 1024 || unit === "GiB") return (unit === "bytes" ? size : size.toFixed(1)) + " " + unit;
    size /= 1024;
  }
}
