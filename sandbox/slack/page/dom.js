/** Small helpers to build the page; text always becomes text nodes, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("button", {class: "x", onclick: f, "aria-label": "…"}, "text", child, …); null children are left out. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

export function replace(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

/** One of the page's icons, drawn with strokes. */
const PATHS = {
  hash: "M9 3 7 21M17 3l-2 18M4 8h17M3 16h17",
  thread: "M4 5h16v11H9l-5 4z",
  code: "M8 7l-5 5 5 5M16 7l5 5-5 5",
  close: "M5 5l14 14M19 5L5 19",
  bolt: "M13 3L5 14h6l-1 7 8-11h-6z",
  send: "M4 12l16-8-6 16-3-6z",
  sun: "M12 7a5 5 0 100 10 5 5 0 000-10M12 1v3M12 20v3M1 12h3M20 12h3M4 4l2 2M18 18l2 2M4 20l2-2M18 6l2-2",
  link: "M10 14a4 4 0 006 0l4-4a4 4 0 00-6-6l-1 1M14 10a4 4 0 00-6 0l-4 4a4 4 0 006 6l1-1",
  stop: "M7 7h10v10H7z",
  home: "M4 11l8-7 8 7v9h-5v-6H9v6H4z",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  file: "M6 3h8l4 4v14H6zM14 3v5h4",
  up: "M7 11l5-7v7h6l-2 9H7zM4 11h3v9H4z",
  down: "M7 13l5 7v-7h6l-2-9H7zM4 4h3v9H4z",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  globe: "M12 3a9 9 0 100 18 9 9 0 000-18M3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18",
};

export function icon(name) {
  return s("svg", { class: `icon icon-${name}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}

/** A menu button: a list of items, closed by Escape, a choice, or a click elsewhere; arrows move. */
export function menu(label, items, { content, className = "" }) {
  const list = h("div", { class: "menu", role: "menu", hidden: true });
  const button = h(
    "button",
    { class: className, type: "button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": label, title: label },
    content,
  );
  const root = h("span", { class: "menu-root" }, button, list);
  const close = () => {
    list.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("click", outside);
  };
  const outside = (event) => root.contains(event.target) || close();
  for (const item of items) {
    list.append(
      h("button", { type: "button", role: "menuitem", tabindex: "-1", onclick: () => { close(); item.act(); } },
        h("span", null, item.label), item.description && h("small", null, item.description)),
    );
  }
  button.addEventListener("click", () => {
    if (!list.hidden) return close();
    list.hidden = false;
    button.setAttribute("aria-expanded", "true");
    list.firstElementChild?.focus();
    document.addEventListener("click", outside);
  });
  root.addEventListener("keydown", (event) => {
    const entries = [...list.children];
    const at = entries.indexOf(document.activeElement);
    if (event.key === "Escape") { close(); button.focus(); }
    else if (event.key === "ArrowDown" && !list.hidden) entries[(at + 1) % entries.length].focus();
    else if (event.key === "ArrowUp" && !list.hidden) entries[(at - 1 + entries.length) % entries.length].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return root;
}

/** A short message at the bottom of the page. */
export function toast(text, kind = "info") {
  const node = h("div", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), 6000);
}
