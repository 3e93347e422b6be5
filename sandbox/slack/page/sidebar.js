/** The left side: who acts, conversations with unread counts, what to try, and the theme. */

import { post } from "./api.js";
import { h, icon, replace } from "./dom.js";
import { avatar } from "./messages.js";
import { actAs, changed, conversations, me, state } from "./state.js";

const THEMES = ["auto", "light", "dark"];

export function theme(wanted) {
  const chosen = wanted ?? localStorage.getItem("theme") ?? "auto";
  localStorage.setItem("theme", chosen);
  document.documentElement.dataset.theme = chosen;
  return chosen;
}

export function sidebar(root, { tryThis }) {
  const people = h("div", { class: "people", role: "radiogroup", "aria-label": "Act as" });
  const acting = h("p", { class: "acting" });
  const rooms = h("ul", { class: "rooms" });
  const hints = h("ol", { class: "hints" });
  const themeButton = h("button", { class: "theme", type: "button", onclick: () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    replace(themeButton, icon("sun"), `Theme: ${theme(next)}`);
  } }, icon("sun"), `Theme: ${document.documentElement.dataset.theme}`);
  const shortcuts = h("div", { class: "shortcuts" });
  root.append(
    h("div", { class: "team" }, h("strong", null, state.directory.team.name), h("span", null, "Slack sandbox on this machine")),
    h("h2", { id: "act-as" }, "Act as"), people, acting,
    h("h2", null, "Conversations"), rooms, shortcuts,
    h("details", { class: "try", open: true }, h("summary", null, "Try this"), hints),
    themeButton);

  for (const person of state.directory.people) {
    const radio = h("input", { type: "radio", name: "act-as", value: person.id, "aria-label": `${person.name}, ${person.title}`, onchange: () => actAs(person.id) });
    people.append(h("label", { title: `${person.name} · ${person.title}`, "data-person": person.handle }, radio, avatar(person.id)));
  }
  for (const name of state.directory.shortcuts) {
    shortcuts.append(h("button", { class: "room", type: "button", onclick: () => post("shortcut", { user: state.user, callback_id: name }) }, icon("bolt"), h("span", null, `Shortcut: ${name.replaceAll("_", " ")}`)));
  }
  for (const hint of state.directory.hints) {
    hints.append(h("li", null, h("button", { type: "button", onclick: () => tryThis(hint) }, h("b", null, hint.title), h("span", null, hint.text || hint.what))));
  }

  return () => {
    for (const radio of people.querySelectorAll("input")) radio.checked = radio.value === state.user;
    const note = me().foreign ? " · partner company" : me().guest ? " · guest" : "";
    replace(acting, h("b", null, me().name), ` ${me().title}${note}`);
    replace(rooms, conversations().map((room) => {
      const unread = state.unread.get(room.id) ?? 0;
      return h("li", null, h("button", { class: `room ${unread ? "unread" : ""}`, type: "button", "aria-current": room.id === state.channel ? "page" : null, onclick: () => go(room.id) },
        room.direct ? icon("bolt") : icon(room.shared ? "globe" : "hash"), h("span", null, room.direct ? "OptiInfra" : room.name),
        room.direct && h("span", { class: "badge" }, "App"), unread > 0 && h("span", { class: "count", "aria-label": `${unread} unread` }, unread)));
    }));
  };
}

export function go(channel, tab = "messages") {
  state.channel = channel;
  state.tab = tab;
  state.thread = null;
  state.inspected = null;
  state.unread.delete(channel);
  if (channel.startsWith("D")) post("open_home", { user: state.user, tab });
  changed();
}
