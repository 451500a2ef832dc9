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
function asJson(value, indent) {
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? JSON.rawJSON(String(part)) : part), indent);
}

/* The same over several lines, with lists of plain values on one. A text never holds a line's end as it is. */
function prettyJson(value) {
  const text = asJson(value, 2);
  if (text.length > MOST_PRETTY) return text;
  return text.replace(/"(?:[^"\\]|\\.)*"|\[\n(?:[^[\]{}"]|"(?:[^"\\]|\\.)*")*\]/g, (part) => (part[0] === "[" ? `[${part.slice(1, -1).replace(/\n\s*/g, " ").trim()}]` : part));
}

const isNumber = (value) => typeof value === "number" || typeof value === "bigint";
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

const brief = (value, most) => (isNumber(value) ? rounded(value) : clipLong(whole(value), most));

const milliseconds = (value) => (value < 100 ? value.toFixed(1) : rounded(Math.round(value))) + " ms";
