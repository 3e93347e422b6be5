/** data_visualization blocks as inline SVG that follows the theme, each with the same numbers as a table. */

import { h, s } from "./dom.js";

const WIDTH = 620;
const HEIGHT = 240;
const LEFT = 58;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 42;

export function chartBlock(block) {
  const { chart } = block;
  const picture = h("div", { class: "chart-picture" }, chart.type === "pie" ? pie(block) : axes(block));
  const numbers = h("div", { class: "scroll", hidden: true }, chartTable(block));
  const toggle = h("button", { class: "quiet", type: "button", "aria-pressed": "false", onclick: () => {
    numbers.hidden = !numbers.hidden;
    picture.hidden = !numbers.hidden;
    toggle.setAttribute("aria-pressed", String(!numbers.hidden));
    toggle.textContent = numbers.hidden ? "View as table" : "View as chart";
  } }, "View as table");
  return h("figure", { class: "chart" }, h("figcaption", null, h("strong", null, block.title), toggle), picture, numbers);
}

export const compact = (value) => new Intl.NumberFormat("en", { notation: Math.abs(value) >= 10_000 ? "compact" : "standard", maximumFractionDigits: Math.abs(value) < 10 ? 2 : 1 }).format(value);
const exact = (value) => new Intl.NumberFormat("en", { maximumFractionDigits: 4 }).format(value);

function chartTable({ title, chart }) {
  const columns = chart.type === "pie" ? [{ name: "Value", data: chart.segments }] : chart.series;
  const labels = columns[0].data.map((point) => point.label);
  return h("table", null, h("caption", { class: "hidden" }, title),
    h("thead", null, h("tr", null, h("th", { scope: "col" }, chart.axis_config?.x_label ?? ""), columns.map((c) => h("th", { scope: "col", class: "number" }, c.name)))),
    h("tbody", null, labels.map((label, i) => h("tr", null, h("th", { scope: "row" }, label), columns.map((c) => h("td", { class: "number" }, exact(c.data[i].value)))))));
}

/** Round tick values that cover the range, about five of them. */
function ticks(low, high) {
  const span = high - low || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let value = Math.floor(low / step) * step; value <= high + step * 0.999; value += step) found.push(Math.abs(value) < step / 1e6 ? 0 : value);
  return found;
}

function axes(block) {
  const { chart } = block;
  const { categories, x_label: xLabel, y_label: yLabel } = chart.axis_config;
  const values = chart.series.flatMap((series) => series.data.map((point) => point.value));
  const low = Math.min(...values);
  const closeUp = chart.type === "line" && low > 0 && low > Math.max(...values) * 0.5;
  const marks = ticks(closeUp ? low - (Math.max(...values) - low || low * 0.1) * 0.3 : Math.min(0, low), Math.max(...values, closeUp ? low : 0));
  const [bottom, top] = [marks[0], marks.at(-1)];
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - bottom) / (top - bottom || 1));
  const slot = (WIDTH - LEFT - RIGHT) / categories.length;
  const x = (index) => LEFT + slot * (index + 0.5);
  const every = Math.ceil((Math.max(...categories.map((c) => c.length)) * 7 + 10) / slot);
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary(block) },
    marks.map((mark) => [
      s("line", { class: mark === 0 ? "axis" : "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(mark), y2: y(mark) }),
      s("text", { class: "tick", x: LEFT - 8, y: y(mark) + 4, "text-anchor": "end" }, compact(mark)),
    ]),
    categories.map((label, i) => i % every === 0 && s("text", { class: "tick", x: x(i), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, label)),
    xLabel && s("text", { class: "axis-title", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, xLabel),
    yLabel && s("text", { class: "axis-title", transform: `translate(11 ${(HEIGHT - BOTTOM + TOP) / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel),
    chart.type === "bar" ? bars(chart, x, y, slot) : lines(chart, x, y, bottom));
  const legend = chart.series.length > 1 && h("ul", { class: "legend" }, chart.series.map((series, i) => h("li", null, h("span", { class: `swatch k${i}` }), series.name)));
  return [svg, legend];
}

function bars(chart, x, y, slot) {
  const count = chart.series.length;
  const width = Math.min(36, (slot * 0.72) / count);
  return chart.series.map((series, k) => series.data.map((point, i) => {
    const left = x(i) - (width * count) / 2 + width * k;
    const [from, to] = [y(Math.max(0, point.value)), y(Math.min(0, point.value))];
    return s("rect", { class: `fill k${k}`, x: left + 0.75, y: from, width: width - 1.5, height: Math.max(to - from, 0.5), rx: 2 }, tip(series.name, point));
  }));
}

function lines(chart, x, y, bottom) {
  return chart.series.map((series, k) => {
    const points = series.data.map((point, i) => `${x(i).toFixed(1)},${y(point.value).toFixed(1)}`);
    const floor = y(Math.max(0, bottom));
    return s("g", null,
      chart.type === "area" && s("polygon", { class: `area k${k}`, points: `${x(0)},${floor} ${points.join(" ")} ${x(points.length - 1)},${floor}` }),
      s("polyline", { class: `line k${k} dash-${k}`, points: points.join(" ") }),
      series.data.map((point, i) => s("circle", { class: `fill k${k}`, cx: x(i), cy: y(point.value), r: points.length > 14 ? 2.2 : 3 }, tip(series.name, point))));
  });
}

const tip = (name, point) => s("title", null, `${name} – ${point.label}: ${exact(point.value)}`);

function pie(block) {
  const { segments } = block.chart;
  const total = segments.reduce((sum, segment) => sum + segment.value, 0);
  let turn = -Math.PI / 2;
  const slices = segments.map((segment, k) => {
    const share = segment.value / total;
    const [from, to] = [turn, (turn += share * 2 * Math.PI)];
    const at = (angle, radius) => `${(110 + radius * Math.cos(angle)).toFixed(2)} ${(110 + radius * Math.sin(angle)).toFixed(2)}`;
    const large = share > 0.5 ? 1 : 0;
    const end = share > 0.9999 ? to - 0.001 : to;
    return s("path", { class: `fill k${k} slice`, d: `M${at(from, 100)}A100 100 0 ${large} 1 ${at(end, 100)}L${at(end, 56)}A56 56 0 ${large} 0 ${at(from, 56)}Z` },
      tip(block.title, segment));
  });
  const svg = s("svg", { class: "pie", viewBox: "0 0 220 220", role: "img", "aria-label": summary(block) }, slices,
    s("text", { class: "total", x: 110, y: 116, "text-anchor": "middle" }, compact(total)));
  const legend = h("ul", { class: "legend column" }, segments.map((segment, k) => h("li", null, h("span", { class: `swatch k${k}` }), segment.label,
    h("b", null, compact(segment.value)), h("small", null, `${((segment.value / total) * 100).toFixed(1)} %`))));
  return h("div", { class: "pie-row" }, svg, legend);
}

function summary({ title, chart }) {
  if (chart.type === "pie") return `${title}. Pie chart: ${chart.segments.map((p) => `${p.label} ${exact(p.value)}`).join(", ")}.`;
  const told = chart.series.map((series) => {
    const [first, last] = [series.data[0], series.data.at(-1)];
    return `${series.name} from ${exact(first.value)} (${first.label}) to ${exact(last.value)} (${last.label})`;
  });
  return `${title}. ${chart.type} chart: ${told.join("; ")}.`;
}
