"use strict";
/* Small charts in SVG, each with its content as text for those who do not see it. */

const MOST_BINS = 12, MOST_KINDS = 6;

/* Upright bars around zero, with a line and a number at the lowest, zero and the highest. */
function bars(values, title, labels, height) {
  const width = 720, left = 64, top = 8, bottom = 8;
  const low = Math.min(0, ...values), high = Math.max(0, ...values), span = high - low || 1;
  const y = (value) => top + (high - value) / span * (height - top - bottom);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, class: "bars" });
  const step = (width - left) / values.length;
  for (const mark of new Set([low, 0, high])) {
    svg.append(draw("line", { x1: left, x2: width, y1: y(mark), y2: y(mark), class: "rule" }));
    svg.append(draw("text", { x: left - 8, y: y(mark) + 4, "text-anchor": "end" }, rounded(mark)));
  }
  values.forEach((value, i) => {
    const thick = Math.min(step * .8, 44), top = Math.min(y(value), y(0)), tall = Math.max(Math.abs(y(value) - y(0)), 1);
    const place = { x: left + (i + .5) * step - thick / 2, width: thick, y: top, height: tall, rx: Math.min(2, thick / 4) };
    svg.append(draw("rect", { class: "bar", ...place }, draw("title", {}, labels[i])));
  });
  return svg;
}

/* How often values fall into each of a few ranges: [{ from, to, count }]. */
function binsOf(numbers) {
  let low = Infinity, high = -Infinity, isWhole = true;
  for (const value of numbers) {
    low = Math.min(low, value);
    high = Math.max(high, value);
    isWhole &&= Number.isInteger(value);
  }
  const each = isWhole && high - low < MOST_BINS;
  const size = low === high ? 1 : each ? high - low + 1 : MOST_BINS, step = each ? 1 : high / size - low / size;
  const bins = Array.from({ length: size }, (_, i) => ({ from: low + i * step, to: each ? low + i : low + (i + 1) * step, count: 0 }));
  for (const value of numbers) bins[Math.min(size - 1, Math.floor(value / step - low / step) || 0)].count += 1;
  return bins;
}

/* How often each value stands, the most frequent first. */
function kindsOf(texts) {
  const counts = new Map();
  for (const text of texts) counts.set(text, (counts.get(text) || 0) + 1);
  return [...counts].map(([kind, times]) => ({ kind, count: times })).sort((a, b) => b.count - a.count);
}

function histogram(bins, label, told, height) {
  const width = bins.length * 10, most = Math.max(...bins.map((bin) => bin.count));
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label, class: "histogram" });
  bins.forEach((bin, i) => {
    const tall = bin.count && Math.max(1.5, bin.count / most * (height - 1));
    svg.append(draw("rect", { class: "bar", x: i * 10 + .5, width: 9, y: height - tall, height: tall }, draw("title", {}, told(bin))));
  });
  svg.append(draw("rect", { class: "base", x: 0, y: height - .5, width, height: .5 }));
  return svg;
}

/* A histogram of a column with what stands at its ends; null where there is nothing to draw. */
function spread(values, name, height = 34) {
  const given = values.filter((value) => !isMissing(value) && !LACKING.includes(value));
  if (!given.length) return null;
  const missing = values.length - given.length, all = `${name}: ${count(given.length, "value")}`;
  const lacking = missing ? `, ${missing.toLocaleString("en")} missing` : "";
  return given.every(isNumber) ? spreadOfNumbers(given, all, lacking, height) : spreadOfKinds(given.map(whole), all, lacking, height);
}

const LACKING = ["", "NaN", "Infinity", "-Infinity"]; /* what stands for no number among numbers */

function spreadOfNumbers(given, all, lacking, height) {
  const numbers = Float64Array.from(given, Number).sort();
  const [low, middle, high] = [0, .5, 1].map((part) => rounded(numbers[Math.floor(part * (numbers.length - 1))]));
  const label = `${all} from ${low} to ${high}, median ${middle}${lacking}`;
  const range = (bin) => (bin.from === bin.to ? rounded(bin.from) : `${rounded(bin.from)} to ${rounded(bin.to)}`);
  return spreadBox(label, histogram(binsOf(numbers), label, (bin) => `${range(bin)}: ${bin.count}`, height), low, high);
}

function spreadOfKinds(texts, all, lacking, height) {
  const kinds = kindsOf(texts), share = Math.round(kinds[0].count / texts.length * 100);
  const first = clip(kinds[0].kind, 40), short = clip(first, 12), different = `${kinds.length.toLocaleString("en")} different`;
  const label = `${all}, ${different}, most often ${first} (${share} %)${lacking}`;
  const drawn = histogram(kinds.slice(0, MOST_KINDS), label, (kind) => `${clip(kind.kind, 80)}: ${kind.count}`, height);
  if (kinds.length === 1) return spreadBox(label, drawn, `always ${short}`, "");
  if (kinds.length === texts.length) return spreadBox(label, null, "all different", ""); /* equal bars tell nothing */
  return spreadBox(label, drawn, `${short} ${share} %`, different);
}

function spreadBox(label, drawn, left, right) {
  const ends = make("div", { className: "ends" }, make("span", { textContent: left }), make("span", { textContent: right }));
  return make("div", { className: "spread", title: label }, drawn, ends);
}
