"use strict";
/* Values as they are read: rounded for the eye, and whole when asked for. */

const MOST_TEXT = 300, MOST_PRETTY = 1 << 20;

/* JSON with the integers beyond 2^53 as BigInt, so that no digit is lost. */
function parseExact(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) => {
    const isLarge = typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "");
    return isLarge ? BigInt(context.source) : value;
  });
}

/* The JSON of a value, with all digits of what parseExact gave. */
function asJson(value, indent, shown = (part) => part) {
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? JSON.rawJSON(String(part)) : shown(part)), indent);
}

/* The same over several lines, with lists of plain values on one. A text never holds a line's end as it is. */
function prettyJson(value) {
  const text = asJson(value, 2), flat = /"(?:[^"\\]|\\.)*"|\[\n(?:[^[\]{}"]|"(?:[^"\\]|\\.)*")*\]/g;
  const onOneLine = (list) => `[${list.slice(1, -1).replace(/\n\s*/g, " ").trim()}]`;
  return text.length > MOST_PRETTY ? text : text.replace(flat, (part) => (part[0] === "[" ? onOneLine(part) : part));
}

const isNumber = (value) => typeof value === "number" || typeof value === "bigint";
const isTree = (value) => typeof value === "object" && value !== null;
const isMissing = (value) => value === null || value === undefined;

/* The whole value as text. */
function whole(value) {
  if (isMissing(value)) return "null";
  return typeof value === "string" ? value : asJson(value);
}

const clipLong = (text, most = MOST_TEXT) => (text.length > most ? `${text.slice(0, most)} … (${text.length} characters)` : text);

/* A number with five digits that count; integers keep theirs as far as one can read them. */
function rounded(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en", { useGrouping: Math.abs(value) >= 1e5 });
  const number = Number(value), size = Math.abs(number);
  if (size >= 1e15 || size < 1e-4) return number.toExponential(4).replace(/\.?0+e/, "e").replace("e+", "e");
  if (size >= 1e5) return Math.round(number).toLocaleString("en");
  return String(Number(number.toPrecision(5)));
}

/* The JSON of a value with the same digits of each fraction in it. */
const isFraction = (part) => typeof part === "number" && !Number.isInteger(part);
const roundedJson = (value) => asJson(value, 0, (part) => (isFraction(part) ? Number(part.toPrecision(5)) : part));

function brief(value, most) {
  return isNumber(value) ? rounded(value) : clipLong(isTree(value) ? roundedJson(value) : whole(value), most);
}

const milliseconds = (value) => (value < 100 ? value.toFixed(1) : rounded(Math.round(value))) + " ms";
