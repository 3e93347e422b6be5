/** Interactive elements: in messages and Home they act at once, in a form's input blocks they hold a value. */

import { h, icon, menu, replace } from "./dom.js";
import { me, state } from "./state.js";
import { textObject } from "./text.js";

const label = (option) => (typeof option.text === "string" ? option.text : option.text.text);
const optionsOf = (element) => [...(element.options ?? []), ...(element.option_groups ?? []).flatMap((group) => group.options)];

/** Asks before acting, when the element wants it. */
export function confirmed(confirm, act) {
  if (!confirm) return act();
  const dialog = h("dialog", { class: "confirm", "aria-labelledby": "confirm-title" },
    h("h2", { id: "confirm-title" }, textObject(confirm.title)),
    h("div", { class: "confirm-text" }, textObject(confirm.text)),
    h("div", { class: "buttons" },
      h("button", { class: "button", type: "button", onclick: () => dialog.close() }, textObject(confirm.deny)),
      h("button", { class: `button ${confirm.style ?? "primary"}`, type: "button", onclick: () => { dialog.close(); act(); } }, textObject(confirm.confirm))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * One element. `context.act(element, block, value)` delivers its use; `context.hold(block, element, read)` is there in
 * input blocks of forms and registers how to read the value at submission; `context.kept(block, element)` gives what
 * was typed before the form was redrawn.
 */
export function interactive(element, block, context) {
  const draw = DRAW[element.type];
  return draw ? draw(element, block, context) : h("span", { class: "unknown" }, `[${element.type}]`);
}

const use = (element, block, context, value) => confirmed(element.confirm, () => context.act(element, block, value));

function button(element, block, context) {
  const press = (event) => {
    if (element.url) window.open(element.url, "_blank", "noopener,noreferrer");
    const pressed = event.currentTarget;
    confirmed(element.confirm, () => {
      pressed.classList.add("busy");
      setTimeout(() => pressed.classList.remove("busy"), 3000);
      context.act(element, block);
    });
  };
  return h("button", { class: `button ${element.style ?? ""}`, type: "button", "aria-label": element.accessibility_label, onclick: press, "data-action": element.action_id },
    textObject(element.text), element.url && icon("link"));
}

function iconButton(element, block, context) {
  if (element.visible_to_user_ids && !element.visible_to_user_ids.includes(state.user)) return null;
  const text = element.accessibility_label ?? element.text.text;
  return h("button", { class: "icon-button", type: "button", title: text, "aria-label": text, onclick: () => use(element, block, context) }, icon(element.icon));
}

function feedback(element, block, context) {
  const choice = (which, name) => h("button", { class: "icon-button", type: "button", title: which.text.text, "aria-label": which.accessibility_label ?? which.text.text,
    onclick: (event) => {
      for (const other of event.currentTarget.parentElement.children) other.classList.remove("chosen");
      event.currentTarget.classList.add("chosen");
      context.act(element, block, which.value);
    } }, icon(name));
  return h("span", { class: "feedback", role: "group", "aria-label": "Feedback" }, choice(element.positive_button, "up"), choice(element.negative_button, "down"));
}

function overflow(element, block, context) {
  const items = element.options.map((option) => ({ label: textObject(option.text), description: option.description?.text, act: () => {
    if (option.url) window.open(option.url, "_blank", "noopener,noreferrer");
    use(element, block, context, option.value);
  } }));
  return menu("More actions", items, { content: icon("more"), className: "icon-button framed" });
}

/** A native select over [value, label] pairs (in groups, perhaps). */
function choose(element, block, context, groups, initial) {
  const kept = context.kept?.(block, element);
  const start = kept ?? initial ?? "";
  const entry = ([value, text]) => h("option", { value }, text);
  const select = h("select", { "aria-label": element.placeholder?.text ?? "Choose", "data-action": element.action_id, id: context.id?.(block, element) },
    h("option", { value: "" }, element.placeholder?.text ?? "Choose an option"),
    groups.map((group) => (group.label ? h("optgroup", { label: group.label }, group.pairs.map(entry)) : group.pairs.map(entry))));
  select.value = start;
  if (context.hold) context.hold(block, element, () => select.value || null);
  else select.addEventListener("change", () => select.value && use(element, block, context, select.value));
  return h("span", { class: "select" }, select);
}

function staticSelect(element, block, context) {
  const pairs = (options) => options.map((option) => [option.value, label(option)]);
  const groups = element.option_groups
    ? element.option_groups.map((group) => ({ label: group.label.text, pairs: pairs(group.options) }))
    : [{ pairs: pairs(element.options) }];
  return choose(element, block, context, groups, element.initial_option?.value);
}

const people = () => state.directory.people.map((entry) => [entry.id, entry.name]);
const channels = () => state.directory.channels.map((entry) => [entry.id, `#${entry.name}`]);
const everywhere = () => [...channels(), ...(me().dm ? [[me().dm, state.directory.bot.name]] : [])];

const listed = (pairs, initial) => (element, block, context) => choose(element, block, context, [{ pairs: pairs() }], element[initial]);

/** Several choices as check boxes; in messages they act after each change. */
function several(element, block, context, pairs, initial, type = "checkbox") {
  const kept = context.kept?.(block, element);
  const start = kept ?? initial;
  const name = `${block.block_id}-${element.action_id}-${Math.random().toString(36).slice(2)}`;
  const boxes = pairs.map(([value, text, description]) => {
    const box = h("input", { type, name, value, checked: start.includes(value) });
    return { box, row: h("label", { class: "choice" }, box, h("span", null, text, description && h("small", null, description))) };
  });
  const chosen = () => boxes.filter(({ box }) => box.checked).map(({ box }) => box.value);
  const read = () => (type === "radio" ? chosen()[0] ?? null : chosen());
  const group = h("div", { class: "choices", role: type === "radio" ? "radiogroup" : "group", id: context.id?.(block, element) }, boxes.map(({ row }) => row));
  if (context.hold) context.hold(block, element, read);
  else group.addEventListener("change", () => use(element, block, context, read()));
  return group;
}

const ticked = (type) => (element, block, context) => {
  const pairs = element.options.map((option) => [option.value, textObject(option.text), textObject(option.description)]);
  const initial = (element.initial_options ?? (element.initial_option ? [element.initial_option] : [])).map((option) => option.value);
  return several(element, block, context, pairs, initial, type);
};

const multi = (pairs, initial) => (element, block, context) => several(element, block, context, pairs(element), element[initial] ?? []);

/** A typed input; in messages Enter (or leaving a date) acts. */
const field = (type, initial, extra = () => ({})) => (element, block, context) => {
  const multiline = element.multiline || element.type === "rich_text_input";
  const kept = context.kept?.(block, element);
  const props = { id: context.id?.(block, element), placeholder: element.placeholder?.text, "data-action": element.action_id, ...extra(element) };
  const input = multiline ? h("textarea", { ...props, rows: "4" }) : h("input", { ...props, type });
  input.value = kept ?? start(element, initial);
  const read = () => {
    if (!input.value) return null;
    if (element.type === "datetimepicker") return Math.round(new Date(input.value).valueOf() / 1000);
    if (element.type === "rich_text_input") return { type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text: input.value }] }] };
    return input.value;
  };
  if (context.hold) context.hold(block, element, read, () => input.value);
  else input.addEventListener("change", () => use(element, block, context, read()));
  return input;
};

function start(element, initial) {
  const value = element[initial];
  if (value === undefined || value === null || typeof value === "object") return "";
  if (element.type !== "datetimepicker") return value;
  const when = new Date(value * 1000);
  return new Date(when - when.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const elsewhere = (why) => () => h("span", { class: "unknown" }, why);
const numbers = (element) => ({ step: element.is_decimal_allowed ? "any" : "1", min: element.min_value, max: element.max_value });
const lengths = (element) => ({ maxlength: element.max_length, minlength: element.min_length });

const DRAW = {
  button,
  workflow_button: button,
  icon_button: iconButton,
  feedback_buttons: feedback,
  overflow,
  static_select: staticSelect,
  users_select: listed(people, "initial_user"),
  channels_select: listed(channels, "initial_channel"),
  conversations_select: listed(everywhere, "initial_conversation"),
  multi_static_select: (element, block, context) => several(element, block, context, optionsOf(element).map((o) => [o.value, label(o)]), (element.initial_options ?? []).map((o) => o.value)),
  multi_users_select: multi(people, "initial_users"),
  multi_channels_select: multi(channels, "initial_channels"),
  multi_conversations_select: multi(everywhere, "initial_conversations"),
  checkboxes: ticked("checkbox"),
  radio_buttons: ticked("radio"),
  plain_text_input: field("text", "initial_value", lengths),
  rich_text_input: field("text", "initial_value"),
  email_text_input: field("email", "initial_value"),
  url_text_input: field("url", "initial_value"),
  number_input: field("number", "initial_value", numbers),
  datepicker: field("date", "initial_date"),
  timepicker: field("time", "initial_time"),
  datetimepicker: field("datetime-local", "initial_date_time"),
  external_select: elsewhere("Options from the app's own server are not part of this workspace."),
  multi_external_select: elsewhere("Options from the app's own server are not part of this workspace."),
  file_input: elsewhere("Uploads by people are not part of this workspace."),
};

/** Shows a form's errors under their fields. */
export function showErrors(root, errors) {
  for (const slot of root.querySelectorAll("[data-error]")) {
    const text = errors[slot.dataset.error] ?? "";
    replace(slot, text);
    slot.parentElement.classList.toggle("invalid", Boolean(text));
  }
  root.querySelector(".invalid input, .invalid textarea, .invalid select")?.focus();
}
