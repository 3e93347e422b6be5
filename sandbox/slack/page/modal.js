/** Forms of the app: the modal on top, its inputs, the errors of Slack's form and of the app, and what follows. */

import { post, reason } from "./api.js";
import { blocks } from "./blocks.js";
import { h, icon, replace } from "./dom.js";
import { showErrors } from "./elements.js";
import { state } from "./state.js";
import { textObject } from "./text.js";

let dialog = null;
let shown = null;
let readers = new Map();

/** Shows, updates or closes the dialog so that it is the view on top of the acting person's stack. */
export function updateModal() {
  const view = state.views.at(-1) ?? null;
  if (!view) return close();
  if (shown && shown.id === view.id && shown.hash === view.hash && shown.user === state.user) return;
  const kept = shown && shown.id === view.id ? keep() : new Map();
  shown = { id: view.id, hash: view.hash, user: state.user };
  if (!dialog) {
    dialog = h("dialog", { class: "modal", "aria-labelledby": "modal-title" });
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); dismiss(); });
    document.body.append(dialog);
    dialog.showModal();
  }
  draw(view, kept);
}

const place = (block, element) => `${block.block_id}/${element.action_id}`;

function keep() {
  return new Map([...readers].map(([name, reader]) => [name, reader.raw()]));
}

function draw(view, kept) {
  readers = new Map();
  const context = {
    act: (element, block, value) => post("click", { user: state.user, view_id: view.id, action_id: element.action_id, block_id: block.block_id, value }),
    kept: (block, element) => kept.get(place(block, element)),
    id: (block, element) => `field-${place(block, element)}`,
  };
  const holding = { ...context, hold: (block, element, read, raw = read) => readers.set(place(block, element), { block, element, read, raw }) };
  const body = h("div", { class: "modal-body" }, view.blocks.map((block) => blocks([block], block.type === "input" ? holding : context)));
  const problem = h("p", { class: "modal-problem", role: "alert" });
  const submit = view.submit && h("button", { class: "button primary", type: "button", onclick: () => send(view, body, submit, problem) }, textObject(view.submit));
  replace(dialog,
    h("header", null, h("h2", { id: "modal-title" }, textObject(view.title)),
      state.views.length > 1 && h("span", { class: "badge" }, `Step ${state.views.length}`),
      h("button", { class: "icon-button", type: "button", "aria-label": "Close", title: "Close", onclick: dismiss }, icon("close"))),
    body, problem,
    h("footer", null, h("button", { class: "button", type: "button", onclick: dismiss }, view.close ? textObject(view.close) : "Cancel"), submit));
  body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.tagName === "INPUT" && submit) submit.click();
  });
  (body.querySelector("input, textarea, select") ?? dialog.querySelector("footer .button:last-child"))?.focus();
}

async function send(view, body, button, problem) {
  const values = {};
  for (const { block, element, read } of readers.values()) (values[block.block_id] ??= {})[element.action_id] = read();
  button.disabled = true;
  button.classList.add("busy");
  const result = await post("submit", { user: state.user, view_id: view.id, values }, { quiet: true });
  button.disabled = false;
  button.classList.remove("busy");
  showErrors(body, result.errors ?? {});
  replace(problem, result.ok || result.errors ? "" : reason(result));
}

function dismiss() {
  if (shown) post("close", { user: state.user, view_id: shown.id });
}

function close() {
  dialog?.close();
  dialog?.remove();
  dialog = null;
  shown = null;
  readers = new Map();
}
