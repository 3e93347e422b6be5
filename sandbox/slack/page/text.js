/** Text as Slack shows it: mrkdwn, Markdown and rich text become elements; everything else stays plain text. */

import { h } from "./dom.js";
import { names } from "./state.js";

const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", rotating_light: "🚨", hourglass: "⌛",
  hourglass_flowing_sand: "⏳", arrow_up: "⬆️", arrow_down: "⬇️", arrow_right: "➡️", chart_with_upwards_trend: "📈",
  chart_with_downwards_trend: "📉", bar_chart: "📊", moneybag: "💰", money_with_wings: "💸", rocket: "🚀", eyes: "👀",
  tada: "🎉", bulb: "💡", lock: "🔒", mag: "🔍", bell: "🔔", no_bell: "🔕", calendar: "📅", clock3: "🕒", gear: "⚙️",
  wrench: "🔧", robot_face: "🤖", wave: "👋", "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", pray: "🙏",
  large_green_circle: "🟢", large_yellow_circle: "🟡", large_red_circle: "🔴", red_circle: "🔴", white_circle: "⚪",
  large_blue_circle: "🔵", information_source: "ℹ️", question: "❓", memo: "📝", page_facing_up: "📄", shield: "🛡️",
  rewind: "⏪", leftwards_arrow_with_hook: "↩️", arrows_counterclockwise: "🔄", double_vertical_bar: "⏸️",
  arrow_forward: "▶️", octagonal_sign: "🛑", seedling: "🌱", sparkles: "✨", heavy_minus_sign: "➖", speech_balloon: "💬",
};

export const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

/** A text object ({type, text}) or a plain string. */
export function textObject(value) {
  if (!value) return null;
  if (typeof value === "string") return emojis(value);
  return value.type === "mrkdwn" ? mrkdwn(value.text) : emojis(value.text);
}

export function emojis(text) {
  return text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => EMOJI[name] ?? whole);
}

export function emoji(name) {
  return EMOJI[name] ?? `:${name}:`;
}

function safeLink(url, label) {
  if (!/^(https?:|mailto:)/i.test(url)) return document.createTextNode(label ?? url);
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label ?? url);
}

/** What is between < and >: a mention, a channel, a broadcast, a date or a link. */
function control(inside) {
  const [target, label] = inside.split("|");
  if (target.startsWith("@")) return h("span", { class: "mention" }, `@${label ?? names.get(target.slice(1)) ?? target.slice(1)}`);
  if (target.startsWith("#")) return h("span", { class: "mention" }, `#${label ?? names.get(target.slice(1)) ?? target.slice(1)}`);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return h("span", { class: "mention broadcast" }, `@${(label ?? target.slice(1)).replace(/^@/, "")}`);
  return safeLink(unescape(target), label && unescape(label));
}

const DATE_STYLES = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date: { year: "numeric", month: "long", day: "numeric" },
  date_short: { year: "numeric", month: "short", day: "numeric" },
  date_long: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  time: { hour: "numeric", minute: "2-digit" },
  time_secs: { hour: "numeric", minute: "2-digit", second: "2-digit" },
};

function date(target, fallback) {
  const [, stamp, format] = target.split("^");
  const when = new Date(Number(stamp) * 1000);
  if (!format || Number.isNaN(when.valueOf())) return document.createTextNode(fallback ?? target);
  const shown = format.replace(/\{(\w+)\}/g, (whole, name) => {
    if (name === "ago") return ago(when);
    const style = DATE_STYLES[name.replace("_pretty", "")];
    if (!style) return whole;
    return (name.endsWith("_pretty") && nearDay(when)) || when.toLocaleString([], style);
  });
  return h("time", { datetime: when.toISOString(), title: when.toLocaleString() }, shown);
}

function nearDay(when) {
  const day = (value) => new Date(value.getFullYear(), value.getMonth(), value.getDate()).valueOf();
  const distance = Math.round((day(when) - day(new Date())) / 86_400_000);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[distance];
}

function ago(when) {
  const minutes = Math.round((when - Date.now()) / 60_000);
  const format = new Intl.RelativeTimeFormat([], { numeric: "auto" });
  if (Math.abs(minutes) < 60) return format.format(minutes, "minute");
  return Math.abs(minutes) < 1440 ? format.format(Math.round(minutes / 60), "hour") : format.format(Math.round(minutes / 1440), "day");
}

const INLINE = /<([^<>\n]+)>|`([^`\n]+)`|(?<![\w*])\*([^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])|(?<![\w_])_([^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])|(?<![\w~])~([^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])/g;
const INLINE_TAGS = ["strong", "em", "s"];

function inline(text) {
  const nodes = [];
  let position = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(emojis(unescape(text.slice(position, found.index))));
    position = found.index + found[0].length;
    if (found[1] !== undefined) nodes.push(control(found[1]));
    else if (found[2] !== undefined) nodes.push(h("code", null, unescape(found[2])));
    else nodes.push(...INLINE_TAGS.flatMap((tag, i) => (found[i + 3] === undefined ? [] : [h(tag, null, inline(found[i + 3]))])));
  }
  nodes.push(emojis(unescape(text.slice(position))));
  return nodes;
}

/** Slack's mrkdwn. */
export function mrkdwn(text) {
  const parts = text.split("```");
  return parts.map((part, index) => {
    if (index % 2 === 1) return h("pre", null, unescape(part.replace(/^\n/, "").replace(/\n$/, "")));
    return quoted(part);
  });
}

function quoted(text) {
  const nodes = [];
  let quote = [];
  const lines = text.split("\n");
  const flush = () => {
    if (quote.length) nodes.push(h("blockquote", null, quote.flatMap((line, i) => (i ? [h("br"), ...inline(line)] : inline(line)))));
    quote = [];
  };
  lines.forEach((line, index) => {
    const found = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (found) return quote.push(found[1]);
    const afterQuote = quote.length > 0;
    flush();
    if (index > 0 && !afterQuote) nodes.push(h("br"));
    nodes.push(...inline(line));
  });
  flush();
  return nodes;
}

const MD_INLINE = /<([@#!][^<>\n]+|https?:[^<>\s]+)>|`([^`\n]+)`|\[([^\]\n]+)\]\((\S+?)\)|\*\*([^\n]+?)\*\*|~~([^\n]+?)~~|(?<![\w*])\*([^\s*][^*\n]*?)\*(?![\w*])|(?<![\w_])_([^\s_][^_\n]*?)_(?![\w_])|(https?:\/\/[^\s<>)]+)/g;

function mdInline(text) {
  const nodes = [];
  let position = 0;
  for (const found of text.matchAll(MD_INLINE)) {
    nodes.push(emojis(unescape(text.slice(position, found.index))));
    position = found.index + found[0].length;
    const [, angle, code, label, url, bold, strike, star, under, bare] = found;
    if (angle) nodes.push(control(angle));
    else if (code) nodes.push(h("code", null, unescape(code)));
    else if (label) nodes.push(safeLink(url, label));
    else if (bold) nodes.push(h("strong", null, mdInline(bold)));
    else if (strike) nodes.push(h("s", null, mdInline(strike)));
    else if (bare) nodes.push(safeLink(bare));
    else nodes.push(h("em", null, mdInline(star ?? under)));
  }
  nodes.push(emojis(unescape(text.slice(position))));
  return nodes;
}

/** Standard Markdown, as the markdown block carries it. */
export function markdown(text) {
  const lines = text.split("\n");
  const nodes = [];
  let at = 0;
  const take = (pattern) => {
    const taken = [];
    while (at < lines.length && pattern.test(lines[at])) taken.push(lines[at++]);
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (!line.trim()) at++;
    else if (line.startsWith("```")) {
      at++;
      const code = take(/^(?!```)/);
      at++;
      nodes.push(h("pre", null, code.join("\n")));
    } else if (heading) { nodes.push(h("p", { class: `md-h${Math.min(heading[1].length, 3)}` }, mdInline(heading[2]))); at++; }
    else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) { nodes.push(h("hr")); at++; }
    else if (/^\s*\|.*\|\s*$/.test(line)) nodes.push(mdTable(take(/^\s*\|.*\|\s*$/)));
    else if (/^\s*(?:[-*+]|\d+\.)\s/.test(line)) nodes.push(mdList(take(/^\s*(?:[-*+]|\d+\.)\s|^\s{2,}\S/)));
    else if (/^>/.test(line)) nodes.push(h("blockquote", null, mdLines(take(/^>/).map((l) => l.replace(/^>\s?/, "")))));
    else nodes.push(h("p", null, mdLines(take(/^(?!\s*$|#{1,6}\s|```|>|\s*(?:[-*+]|\d+\.)\s|\s*\|.*\|\s*$)/))));
  }
  return nodes;
}

const mdLines = (lines) => lines.flatMap((line, i) => (i ? [h("br"), ...mdInline(line)] : mdInline(line)));

function mdList(lines) {
  const ordered = /^\s*\d+\./.test(lines[0]);
  const items = [];
  for (const line of lines) {
    const found = /^(\s*)(?:[-*+]|\d+\.)\s+(.*)$/.exec(line);
    if (found && (found[1].length < 2 || !items.length)) items.push({ text: found[2], inner: [] });
    else items.at(-1).inner.push(found ? line.slice(2) : line.trim());
  }
  return h(ordered ? "ol" : "ul", null, items.map((item) => {
    const nested = item.inner.some((line) => /^\s*(?:[-*+]|\d+\.)\s/.test(line));
    return h("li", null, mdInline(item.text), item.inner.length > 0 && (nested ? mdList(item.inner) : [h("br"), mdLines(item.inner)]));
  }));
}

function mdTable(lines) {
  const rows = lines.map((line) => line.trim().slice(1, -1).split("|").map((cell) => cell.trim()));
  const [head, ...rest] = rows;
  const body = rest.filter((row) => !row.every((cell) => /^:?-+:?$/.test(cell)));
  return h("div", { class: "scroll" }, h("table", null,
    h("thead", null, h("tr", null, head.map((cell) => h("th", { scope: "col" }, mdInline(cell))))),
    h("tbody", null, body.map((row) => h("tr", null, row.map((cell) => h("td", null, mdInline(cell))))))));
}

/** A rich_text block. */
export function richText(block) {
  return block.elements.map((part) => {
    if (part.type === "rich_text_list") {
      const items = part.elements.map((item) => h("li", null, item.elements.map(richInline)));
      return h(part.style === "ordered" ? "ol" : "ul", { class: `indent-${part.indent ?? 0}`, start: part.offset ? part.offset + 1 : null }, items);
    }
    const inside = part.elements.map(richInline);
    if (part.type === "rich_text_preformatted") return h("pre", null, inside);
    if (part.type === "rich_text_quote") return h("blockquote", null, inside);
    return h("p", { class: "rich" }, inside);
  });
}

function richInline(element) {
  let node = richNode(element);
  const style = element.style ?? {};
  for (const [name, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "s"], ["underline", "u"]]) {
    if (style[name]) node = h(tag, null, node);
  }
  return node;
}

function richNode(element) {
  switch (element.type) {
    case "text": return element.text.split("\n").flatMap((line, i) => (i ? [h("br"), line] : [line]));
    case "link": return safeLink(element.url, element.text);
    case "user": return control(`@${element.user_id}`);
    case "usergroup": return control(`@${element.usergroup_id}`);
    case "channel": return control(`#${element.channel_id}`);
    case "broadcast": return control(`!${element.range}`);
    case "emoji": return emoji(element.name);
    case "date": return date(`!date^${element.timestamp}^${element.format}`, element.fallback);
    case "color": return h("code", null, element.value);
    default: return `[${element.type}]`;
  }
}
