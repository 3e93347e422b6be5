/** What the page knows: who acts, what is open, messages, sessions; and who is told when it changes. */

import { get, listen } from "./api.js";

/** User and channel ids to names, filled once from the directory. */
export const names = new Map();

export const state = {
  directory: null,
  user: null,
  channel: null,
  thread: null,
  tab: "messages",
  inspected: null,
  messages: new Map(),
  sessions: new Map(),
  prompts: new Map(),
  unread: new Map(),
  views: [],
  home: null,
  asked: null,
};

const watchers = new Set();
let scheduled = false;
let stopListening = () => {};

export const watch = (act) => watchers.add(act);

/** Redraws once, at the next frame. */
export function changed() {
  threads = null;
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    for (const act of watchers) act();
  });
}

const key = (channel, ts) => `${channel}/${ts}`;
export const person = (id) => state.directory.people.find((entry) => entry.id === id);
export const me = () => person(state.user);
export const session = (channel, ts) => state.sessions.get(key(channel, ts));
export const prompts = (channel) => state.prompts.get(key(channel, ""));
export const find = (channel, ts) => state.messages.get(key(channel, ts));
export const isDirect = (channel) => channel.startsWith("D");

const inOrder = (messages) => messages.sort((a, b) => (a.ts < b.ts ? -1 : 1));
const isReply = (message) => message.thread_ts && message.thread_ts !== message.ts;

/** Messages of a conversation (top level) or of one of its threads, oldest first. */
export function list(channel, thread = null) {
  if (thread) return [find(channel, thread), ...replies({ channel, ts: thread })].filter(Boolean);
  return inOrder([...state.messages.values()].filter((message) => message.channel === channel && (!isReply(message) || message.broadcast)));
}

let threads = null;

/** The replies to a message; all threads are sorted out once per change. */
export function replies(message) {
  if (!threads) {
    threads = new Map();
    for (const entry of inOrder([...state.messages.values()].filter(isReply))) {
      const root = key(entry.channel, entry.thread_ts);
      threads.set(root, [...(threads.get(root) ?? []), entry]);
    }
  }
  return threads.get(key(message.channel, message.ts)) ?? [];
}

/** The conversations that the acting person has: channels they are in, and the DM with the app. */
export function conversations() {
  const mine = state.directory.channels.filter((channel) => channel.members.includes(state.user));
  const direct = me().dm ? [{ id: me().dm, name: state.directory.bot.name, topic: "Direct message with the app", direct: true }] : [];
  return [...mine, ...direct];
}

export const conversation = (id) => conversations().find((entry) => entry.id === id);

export async function begin(wanted) {
  state.directory = await get("directory");
  const { people, channels, bot, sessions } = state.directory;
  for (const entry of people) names.set(entry.id, entry.handle);
  for (const entry of channels) names.set(entry.id, entry.name);
  names.set(bot.id, bot.name);
  for (const entry of sessions) state.sessions.set(key(entry.channel, entry.thread_ts), entry);
  for (const entry of state.directory.prompts) state.prompts.set(key(entry.channel, entry.thread_ts), entry);
  const known = people.find((entry) => entry.id === wanted.as || entry.handle === wanted.as);
  await actAs((known ?? people[0]).id, wanted);
}

/** Becomes another person: their conversations, their ephemeral messages, their forms. */
export async function actAs(user, wanted = {}) {
  stopListening();
  state.user = user;
  state.unread.clear();
  const open = conversations();
  const channel = [wanted.channel, state.channel].find((id) => open.some((entry) => entry.id === id || entry.name === id));
  state.channel = (open.find((entry) => entry.id === channel || entry.name === channel) ?? open[0]).id;
  state.thread = wanted.thread ?? null;
  state.tab = wanted.tab ?? "messages";
  state.inspected = null;
  // Loading once the stream is open, and again after each reconnection, leaves no gap between the two.
  await new Promise((ready) => {
    stopListening = listen(user, handlers, () => load().then(ready));
  });
}

async function load() {
  const user = state.user;
  const [transcript, views, home] = await Promise.all([get("transcript", { user }), get("views", { user }), get("home", { user })]);
  if (user !== state.user) return;
  state.messages = new Map(transcript.messages.map((message) => [key(message.channel, message.ts), message]));
  state.views = views.views;
  state.home = home.view;
  changed();
}

function take({ message }) {
  const fresh = !find(message.channel, message.ts);
  state.messages.set(key(message.channel, message.ts), message);
  if (fresh && message.user !== state.user && message.channel !== state.channel) state.unread.set(message.channel, (state.unread.get(message.channel) ?? 0) + 1);
  if (fresh && message.bot && message.thread_ts && message.thread_ts === state.asked && message.channel === state.channel) {
    state.thread = message.thread_ts; // the answer to what was just asked opens by itself
    state.asked = null;
  }
  changed();
}

async function loadViews() {
  const user = state.user;
  const { views } = await get("views", { user });
  if (user === state.user) state.views = views;
  changed();
}

const handlers = {
  message: take,
  message_changed: take,
  message_deleted: ({ message }) => {
    state.messages.delete(key(message.channel, message.ts));
    changed();
  },
  status: ({ session: told }) => {
    state.sessions.set(key(told.channel, told.thread_ts), told);
    changed();
  },
  prompts: (told) => {
    state.prompts.set(key(told.channel, told.thread_ts), told);
    changed();
  },
  view: loadViews,
  views: loadViews,
  home: ({ view }) => {
    state.home = view;
    changed();
  },
  unacknowledged: ({ delivery, user }) => {
    if (user !== state.user) return;
    document.dispatchEvent(new CustomEvent("unacknowledged", { detail: delivery }));
  },
};
