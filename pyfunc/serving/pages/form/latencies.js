"use strict";
/* How long the requests of this page took: percentiles, and a bar for each of the last ones. */

const MOST_LATENCIES = 500, MOST_DRAWN = 40;
const latencies = [];

/* The least value that this share of them does not exceed. */
const percentile = (sorted, share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];

function noteLatency(time, status) {
  latencies.push({ milliseconds: time, status });
  if (latencies.length > MOST_LATENCIES) latencies.shift();
  showLatencies();
}

function showLatencies() {
  const sorted = latencies.map((item) => item.milliseconds).sort((a, b) => a - b);
  const figures = [["p50", .5], ["p90", .9], ["p99", .99]].map(([name, share]) => [name, percentile(sorted, share)]);
  const failed = latencies.filter((item) => item.status !== 200).length;
  const title = `The last ${count(latencies.length, "request")}${failed ? `, ${failed} refused or failed` : ""}, as seen by this browser.`;
  const figure = ([name, value]) => make("div", { title: `${value} ms` }, make("dt", { textContent: name }), make("dd", { textContent: milliseconds(value) }));
  const line = make("dl", { className: "percentiles" }, ...figures.map(figure));
  $("latencies").replaceChildren(line, sparkline(figures, title), soft(title));
}

function sparkline(figures, title) {
  const width = 320, height = 56, shown = latencies.slice(-MOST_DRAWN), most = Math.max(...shown.map((item) => item.milliseconds)) || 1;
  const y = (value) => height - Math.min(1, value / most) * (height - 4);
  const told = `${title} ${figures.map(([name, value]) => `${name} ${milliseconds(value)}`).join(", ")}`;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told, class: "sparkline" });
  const step = width / Math.max(shown.length, 20);
  shown.forEach((item, i) => {
    const top = y(item.milliseconds), place = { x: width - (shown.length - i) * step + 1, width: step - 2, y: top, height: height - top, rx: 1 };
    const tip = draw("title", {}, `${milliseconds(item.milliseconds)}, status ${item.status || "none"}`);
    svg.append(draw("rect", { class: item.status === 200 ? "bar" : "bar bad", ...place }, tip));
  });
  for (const [name, value] of figures) svg.append(draw("line", { x1: 0, x2: width, y1: y(value), y2: y(value), class: `rule ${name}` }));
  return svg;
}
