/** Conversations: the list of messages, one message, its thread line, the composer, and what the agent is doing. */

import { post } from "./api.js";
import { blocks } from "./blocks.js";
import { h, icon, menu, replace, toast } from "./dom.js";
import { actAs, changed, conversation, find, isDirect, list, me, person, prompts, replies, session, state } from "./state.js";
import { emoji, mrkdwn } from "./text.js";

const GROUP_SECONDS = 300;

/** How elements of a message deliver: as clicks of the acting person. */
const inMessage = (message) => ({
  act: (element, block, value) =>
    post("click", { user: state.user, channel: message.channel, ts: message.ts, action_id: element.action_id, block_id: block.block_id, value }),
});

export function avatar(id, size = "") {
  const entry = person(id);
  if (!entry) return h("span", { class: `avatar bot ${size}`, "aria-hidden": "true" }, id === "USLACKBOT" ? "S" : icon("bolt"));
  const initials = entry.name.split(" ").map((word) => word[0]).slice(0, 2).join("");
  return h("span", { class: `avatar a${state.directory.people.indexOf(entry) % 6} ${size}`, "aria-hidden": "true" }, initials);
}

const author = (message) => person(message.user)?.name ?? (message.bot ? "OptiInfra" : "Slackbot");
const when = (ts) => new Date(Number(ts) * 1000);
const clock = (ts) => when(ts).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const day = (ts) => when(ts).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });

/** A list that keeps the elements of messages that did not change, and stays at its end when it was there. */
export function messageList(labelled) {
  const root = h("div", { class: "messages", role: "log", "aria-label": labelled, tabindex: "0" });
  let drawn = new Map();
  let before = "";
  return {
    root,
    update(messages, { inThread = false, place = "", empty = null, tail = [] } = {}) {
      const atEnd = place !== before || root.scrollHeight - root.scrollTop - root.clientHeight < 80;
      const previous = place === before ? drawn : new Map();
      drawn = new Map();
      const nodes = [];
      let last = null;
      for (const message of messages) {
        if (!inThread && (!last || day(last.ts) !== day(message.ts))) nodes.push(h("div", { class: "day", role: "separator" }, h("span", null, day(message.ts))));
        const joined = last && last.user === message.user && brief(last) && brief(message) && !message.ephemeral_to && !last.ephemeral_to && day(last.ts) === day(message.ts) && message.ts - last.ts < GROUP_SECONDS && !(replies(last).length && !inThread);
        const answers = inThread ? [] : replies(message);
        const stamp = [message, joined, answers.length, answers.at(-1)?.ts, state.inspected === message.ts].map((part) => (typeof part === "object" ? "" : part)).join("|");
        const old = previous.get(message.ts);
        const node = old && old.message === message && old.stamp === stamp ? old.node : messageNode(message, { joined, answers, inThread });
        drawn.set(message.ts, { message, stamp, node });
        nodes.push(node);
        last = message;
      }
      sync(root, messages.length ? [...nodes, ...tail] : [empty, ...tail]);
      if (atEnd) root.scrollTop = root.scrollHeight;
      before = place;
    },
  };
}

/** Whether a message is only text: such ones may share one heading with their neighbour. */
const brief = (message) => message.blocks.every((block) => block.type === "rich_text" || block.type === "section") && message.blocks.length < 2;

/** Puts the wanted children in place, moving as few as possible so that focus and open menus survive. */
function sync(root, wanted) {
  const nodes = wanted.filter(Boolean);
  for (const child of [...root.children]) if (!nodes.includes(child)) child.remove();
  nodes.forEach((node, index) => {
    if (root.children[index] !== node) root.insertBefore(node, root.children[index] ?? null);
  });
}

function messageNode(message, { joined, answers, inThread }) {
  const classes = ["message", joined && "joined", message.ephemeral_to && "ephemeral", state.inspected === message.ts && "inspected"].filter(Boolean);
  return h("article", { class: classes.join(" "), "aria-label": `${author(message)}, ${clock(message.ts)}`, "data-ts": message.ts },
    joined ? h("time", { class: "gutter" }, clock(message.ts)) : avatar(message.user),
    h("div", { class: "message-body" },
      message.ephemeral_to && h("p", { class: "only-you" }, "Only visible to you"),
      !joined && h("header", null, h("strong", null, author(message)), message.bot && h("span", { class: "badge" }, "App"),
        person(message.user)?.foreign && h("span", { class: "badge" }, "Partner company"), h("time", { datetime: when(message.ts).toISOString(), title: when(message.ts).toLocaleString() }, clock(message.ts))),
      content(message),
      message.edited && !message.streaming && h("span", { class: "edited" }, "(edited)"),
      message.files.map(file),
      message.reactions.length > 0 && h("div", { class: "reactions" }, message.reactions.map((r) => h("span", { class: "reaction", title: r.users.map((id) => person(id)?.name ?? "OptiInfra").join(", ") }, emoji(r.name), ` ${r.count}`))),
      answers.length > 0 && threadLine(message, answers)),
    toolbar(message, inThread));
}

function content(message) {
  const typed = !message.bot && message.blocks.length === 1 && message.blocks[0].type === "rich_text";
  const inside = message.blocks.length && !typed ? blocks(message.blocks, inMessage(message)) : h("div", { class: "block text" }, mrkdwn(message.text));
  return h("div", { class: "content" }, inside, message.streaming && h("span", { class: "caret", role: "img", "aria-label": "Still writing" }));
}

function file(entry) {
  return h("a", { class: "file-card", href: `/files/${entry.id}`, download: entry.name }, icon("file"),
    h("span", null, h("strong", null, entry.title), h("small", null, `${entry.name} · ${entry.size.toLocaleString()} bytes`)));
}

function threadLine(message, answers) {
  const users = [...new Set(answers.map((entry) => entry.user))].slice(0, 4);
  return h("button", { class: "thread-line", type: "button", onclick: () => openThread(message.ts) },
    users.map((id) => avatar(id, "small")), h("b", null, answers.length === 1 ? "1 reply" : `${answers.length} replies`), h("span", null, `Last reply ${clock(answers.at(-1).ts)}`));
}

function toolbar(message, inThread) {
  const tool = (name, label, act) => h("button", { class: "icon-button", type: "button", title: label, "aria-label": label, onclick: act }, icon(name));
  const shortcuts = state.directory.message_shortcuts.map((name) => ({
    label: `Run “${name.replaceAll("_", " ")}” on this message`,
    act: () => post("shortcut", { user: state.user, callback_id: name, channel: message.channel, ts: message.ts }),
  }));
  const own = message.user === state.user ? [{ label: "Delete", act: () => post("edit", { user: state.user, channel: message.channel, ts: message.ts, text: null }) }] : [];
  const copy = { label: "Copy link", act: () => copyLink(message) };
  return h("div", { class: "toolbar", role: "group", "aria-label": "Message actions" },
    !inThread && !message.ephemeral_to && tool("thread", "Reply in thread", () => openThread(message.thread_ts ?? message.ts)),
    tool("code", "Inspect the JSON of this message", () => { state.inspected = message.ts; changed(); }),
    !message.ephemeral_to && menu("More message actions", [...shortcuts, copy, ...own], { content: icon("more"), className: "icon-button" }));
}

async function copyLink(message) {
  const link = `${location.origin}/archives/${message.channel}/p${message.ts.replace(".", "")}`;
  await navigator.clipboard?.writeText(link);
  toast("Link copied.");
}

export function openThread(ts) {
  state.thread = ts;
  state.inspected = null;
  changed();
}

/** What the agent says it is doing in a thread, with the button that stops it. */
export function agentLine(channel, thread) {
  const told = thread && session(channel, thread);
  if (!told || (!told.saying && told.status !== "processing")) return null;
  const words = told.saying || told.loading_messages[0] || "is working…";
  return h("div", { class: "agent", role: "status" }, h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
    h("span", null, h("b", null, "OptiInfra "), words),
    told.status === "processing" && h("button", { class: "button small", type: "button", onclick: () => post("stop", { user: state.user, channel, thread_ts: thread }) }, icon("stop"), "Stop"));
}

/** Prompts that the app suggests in its direct messages. */
export function promptRow(channel) {
  const told = prompts(channel);
  if (!told) return null;
  return h("div", { class: "prompts" }, told.title && h("p", null, told.title),
    told.prompts.map((entry) => h("button", { class: "prompt", type: "button", onclick: () => send(channel, null, entry.message) }, entry.title)));
}

/** Sends what was typed: a slash command, or a message. */
export async function send(channel, thread, text) {
  const trimmed = text.trim();
  if (!trimmed) return true;
  const command = /^(\/[a-z][\w-]*)(?:\s+([\s\S]*))?$/.exec(trimmed);
  if (command && thread) {
    toast("Slash commands do not work in threads, in Slack either.", "warning");
    return false;
  }
  const result = command
    ? await post("command", { user: state.user, channel, command: command[1], text: command[2] ?? "" })
    : await post("say", { user: state.user, channel, text: trimmed, thread_ts: thread });
  if (result.ok && result.ts && !thread && !state.thread) state.asked = result.ts;
  return result.ok;
}

/** The field where a person writes; drafts are kept per person and place. */
export function composer(id) {
  const drafts = new Map();
  let place = null;
  const field = h("textarea", { id, rows: "1", "aria-label": "Message" });
  const hint = h("span", { class: "composer-hint" });
  const root = h("div", { class: "composer" },
    h("div", { class: "composer-box" }, field,
      h("div", { class: "composer-bar" }, hint, h("button", { class: "icon-button send", type: "button", title: "Send (Enter)", "aria-label": "Send", onclick: submit }, icon("send")))));
  const grow = () => {
    field.rows = Math.min(8, field.value.split("\n").length);
    root.classList.toggle("filled", Boolean(field.value.trim()));
  };
  async function submit() {
    const { channel, thread } = place;
    const text = field.value;
    field.value = "";
    grow();
    if (!(await send(channel, thread, text))) field.value = text;
    grow();
  }
  field.addEventListener("input", grow);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  return {
    root,
    field,
    update(channel, thread) {
      const next = `${state.user}/${channel}/${thread ?? ""}`;
      if (place?.key !== next) {
        if (place) drafts.set(place.key, field.value);
        field.value = drafts.get(next) ?? "";
        place = { key: next, channel, thread };
        grow();
      }
      const name = conversation(channel)?.name ?? channel;
      const where = thread ? "Reply…" : isDirect(channel) ? "Message OptiInfra" : `Message #${name}`;
      field.placeholder = where;
      field.setAttribute("aria-label", where);
      replace(hint, "as ", h("b", null, me().name), isDirect(channel) || thread ? "" : ` · @${state.directory.bot.name} asks the app`, thread ? "" : ` · ${state.directory.commands.join(", ")}`);
    },
    write(text) {
      field.value = text;
      grow();
      field.focus();
    },
  };
}

export { actAs, find, list };
