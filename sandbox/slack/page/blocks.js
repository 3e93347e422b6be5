/** Blocks of messages, forms and Home as elements; a type that is not known is shown as such. */

import { chartBlock } from "./chart.js";
import { h } from "./dom.js";
import { interactive } from "./elements.js";
import { dataTable, plainTable } from "./table.js";
import { markdown, richText, textObject } from "./text.js";

/** All blocks, for a context (see elements.js). */
export function blocks(list, context) {
  return list.map((block) => {
    const draw = DRAW[block.type];
    const inside = draw ? draw(block, context) : h("span", { class: "unknown" }, `[${block.type}]`);
    return h("div", { class: `block ${block.type}`, "data-block": block.block_id }, inside);
  });
}

function section(block, context) {
  return [
    h("div", { class: "section-body" },
      block.text && h("div", { class: "text" }, textObject(block.text)),
      block.fields && h("div", { class: "fields" }, block.fields.map((field) => h("div", null, textObject(field))))),
    block.accessory && h("div", { class: "accessory" }, element(block.accessory, block, context)),
  ];
}

function element(entry, block, context) {
  if (entry.type === "image") return image(entry);
  if (entry.type === "mrkdwn" || entry.type === "plain_text") return h("span", null, textObject(entry));
  return interactive(entry, block, context);
}

function image(entry) {
  if (/^data:image\/|^\//.test(entry.image_url ?? "")) return h("img", { src: entry.image_url, alt: entry.alt_text });
  return h("span", { class: "image-away", role: "img", "aria-label": entry.alt_text, title: entry.image_url }, entry.alt_text);
}

function input(block, context) {
  const id = context.id?.(block, block.element);
  return [
    h("label", { class: "label", for: id }, textObject(block.label), block.optional && h("span", { class: "optional" }, " (optional)")),
    interactive(block.element, block, context),
    block.hint && h("p", { class: "hint" }, textObject(block.hint)),
    h("p", { class: "error", role: "alert", "data-error": block.block_id }),
  ];
}

const STATUS = { pending: "Pending", in_progress: "In progress", complete: "Done", error: "Failed" };

function task(card) {
  const status = card.status ?? "pending";
  const more = card.details || card.output || card.sources;
  const head = [h("span", { class: `state ${status}`, role: "img", "aria-label": STATUS[status], title: STATUS[status] }), h("span", { class: "task-title" }, card.title)];
  if (!more) return h("div", { class: "task" }, h("div", { class: "task-head" }, head));
  return h("details", { class: "task", open: status === "in_progress" || status === "error" },
    h("summary", { class: "task-head" }, head),
    h("div", { class: "task-more" },
      card.details && richText(card.details),
      card.output && h("div", { class: "output" }, richText(card.output)),
      card.sources && h("ul", { class: "sources" }, card.sources.map((source) => h("li", null, textObject({ type: "mrkdwn", text: `<${source.url}|${source.text}>` }))))));
}

function card(block, context) {
  return h("article", { class: "card-body" },
    block.hero_image && h("div", { class: "hero" }, image(block.hero_image)),
    h("div", { class: "card-head" }, block.icon && image(block.icon),
      h("div", null, block.title && h("strong", null, textObject(block.title)), block.subtitle && h("small", null, textObject(block.subtitle)))),
    block.body && h("div", { class: "text" }, textObject(block.body)),
    block.actions && h("div", { class: "buttons" }, block.actions.map((entry) => interactive(entry, block, context))));
}

function container(block, context) {
  const head = [
    block.icon && image(block.icon),
    h("div", null, h("strong", null, block.rich_text_title ? richText(block.rich_text_title) : textObject(block.title)),
      block.subtitle && h("small", null, textObject(block.subtitle))),
  ];
  const inside = h("div", { class: "container-body" }, blocks(block.child_blocks, context));
  if (!block.is_collapsible) return [h("div", { class: "container-head" }, head), inside];
  return h("details", { open: !block.default_collapsed }, h("summary", { class: "container-head" }, head), inside);
}

const ALERTS = { default: "Note", info: "Information", warning: "Warning", error: "Error", success: "Success" };

const DRAW = {
  section,
  input,
  card,
  container,
  header: (block) => h(`h${Math.min((block.level ?? 2) + 1, 5)}`, null, textObject(block.text)),
  divider: () => h("hr"),
  image: (block) => h("figure", null, block.title && h("figcaption", null, textObject(block.title)), image(block)),
  context: (block, context) => block.elements.map((entry) => element(entry, block, context)),
  actions: (block, context) => block.elements.map((entry) => interactive(entry, block, context)),
  context_actions: (block, context) => block.elements.map((entry) => interactive(entry, block, context)),
  markdown: (block) => markdown(block.text),
  rich_text: (block) => richText(block),
  table: plainTable,
  data_table: dataTable,
  data_visualization: chartBlock,
  task_card: task,
  plan: (block) => [h("div", { class: "plan-title" }, block.title), h("div", { class: "plan-tasks" }, (block.tasks ?? []).map(task))],
  alert: (block) => h("div", { class: `alert-body ${block.level ?? "default"}`, role: "note" }, h("strong", null, ALERTS[block.level ?? "default"]), h("span", null, textObject(block.text))),
  carousel: (block, context) => h("div", { class: "cards", role: "list", tabindex: "0", "aria-label": "Cards" }, block.elements.map((entry) => h("div", { role: "listitem" }, card(entry, context)))),
  file: (block) => h("span", { class: "unknown" }, `File ${block.external_id}`),
};
