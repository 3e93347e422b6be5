/** table and data_table blocks; data tables sort by column and turn pages. */

import { h, replace } from "./dom.js";
import { emojis, richText } from "./text.js";

const cellContent = (cell) => (cell.type === "rich_text" ? richText(cell) : emojis(cell.text));
const cellText = (cell) => (cell.type === "rich_text" ? JSON.stringify(cell.elements) : cell.text);
const isNumber = (cell) => cell.type === "raw_number";

export function plainTable(block) {
  const [head, ...body] = block.rows;
  const side = (i) => block.column_settings?.[i]?.align ?? (body.length && body.every((row) => isNumber(row[i])) ? "right" : "left");
  return h("div", { class: "scroll" }, h("table", { class: "block-table" },
    h("thead", null, h("tr", null, head.map((cell, i) => h("th", { scope: "col", class: `to-${side(i)}` }, cellContent(cell))))),
    h("tbody", null, body.map((row) => h("tr", null, row.map((cell, i) => h("td", { class: `to-${side(i)}` }, cellContent(cell))))))));
}

export function dataTable(block) {
  const [head, ...body] = block.rows;
  const size = block.page_size ?? 5;
  const keyColumn = block.row_header_column_index ?? 0;
  const numeric = head.map((_, i) => body.every((row) => isNumber(row[i])));
  const now = { page: 0, column: null, down: false };
  const root = h("div", { class: "data-table" });

  const ordered = () => {
    if (now.column === null) return body;
    const compare = (a, b) => (numeric[now.column]
      ? a[now.column].value - b[now.column].value
      : cellText(a[now.column]).localeCompare(cellText(b[now.column]), undefined, { numeric: true }));
    return [...body].sort((a, b) => (now.down ? -compare(a, b) : compare(a, b)));
  };
  const sortBy = (column) => {
    now.down = now.column === column ? !now.down : numeric[column];
    now.column = column;
    now.page = 0;
    draw();
    root.querySelectorAll("thead button")[column].focus();
  };
  const header = (cell, i) => {
    const direction = now.column === i ? (now.down ? "descending" : "ascending") : "none";
    const mark = { none: "", ascending: " ↑", descending: " ↓" }[direction];
    return h("th", { scope: "col", class: numeric[i] ? "to-right" : "", "aria-sort": direction },
      h("button", { type: "button", onclick: () => sortBy(i) }, cellContent(cell), h("span", { "aria-hidden": "true" }, mark)));
  };
  const row = (cells) => h("tr", null, cells.map((cell, i) => h(i === keyColumn ? "th" : "td",
    { scope: i === keyColumn ? "row" : null, class: numeric[i] ? "to-right" : "" }, cellContent(cell))));
  const turn = (step) => { now.page += step; draw(); };
  const draw = () => {
    const pages = Math.ceil(body.length / size);
    const shown = ordered().slice(now.page * size, (now.page + 1) * size);
    replace(root,
      h("div", { class: "scroll" }, h("table", { class: "block-table" }, h("caption", null, block.caption),
        h("thead", null, h("tr", null, head.map(header))), h("tbody", null, shown.map(row)))),
      pages > 1 && h("div", { class: "pager" },
        h("button", { class: "quiet", type: "button", disabled: now.page === 0, onclick: () => turn(-1) }, "Previous"),
        h("span", null, `Page ${now.page + 1} of ${pages} · ${body.length} rows`),
        h("button", { class: "quiet", type: "button", disabled: now.page >= pages - 1, onclick: () => turn(1) }, "Next")));
  };
  draw();
  return root;
}
