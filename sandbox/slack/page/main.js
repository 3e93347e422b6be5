/** Starts the page and keeps its three parts (sidebar, conversation, side pane) in step with the state. */

import { blocks } from "./blocks.js";
import { post } from "./api.js";
import { h, icon, replace, toast } from "./dom.js";
import { agentLine, composer, messageList, promptRow } from "./messages.js";
import { updateModal } from "./modal.js";
import { go, sidebar, theme } from "./sidebar.js";
import { actAs, begin, changed, conversation, conversations, find, isDirect, list, person, state, watch } from "./state.js";

const main = document.getElementById("main");
const pane = document.getElementById("pane");

function wanted() {
  const place = new URLSearchParams(location.hash.slice(1));
  const found = /^\/archives\/([A-Z0-9]+)\/p(\d+)(\d{6})$/.exec(location.pathname);
  const query = new URLSearchParams(location.search);
  return {
    as: place.get("as") ?? localStorage.getItem("as"),
    channel: found?.[1] ?? place.get("channel"),
    thread: found ? query.get("thread_ts") ?? `${found[2]}.${found[3]}` : place.get("thread"),
    tab: place.get("tab") ?? undefined,
    theme: place.get("theme") ?? undefined,
  };
}

function remember() {
  const place = new URLSearchParams({ as: person(state.user).handle, channel: state.channel });
  if (state.thread) place.set("thread", state.thread);
  if (state.tab !== "messages") place.set("tab", state.tab);
  localStorage.setItem("as", state.user);
  history.replaceState(null, "", `/#${place}`);
}

/** The middle: header, tabs of the app's DM, messages or Home, composer. */
function conversationView() {
  const header = h("header", { class: "room-header" });
  const messages = messageList("Messages");
  const home = h("section", { class: "home", "aria-label": "Home of the app" });
  const under = h("div", { class: "under" });
  const write = composer("composer");
  main.append(header, messages.root, home, under, write.root);
  let homeDrawn = null;

  function tabs() {
    const tab = (name, label) => h("button", { class: "tab", type: "button", role: "tab", "aria-selected": String(state.tab === name), onclick: () => go(state.channel, name) }, label);
    return h("div", { class: "tabs", role: "tablist" }, tab("home", "Home"), tab("messages", "Messages"));
  }

  function drawHome() {
    if (homeDrawn === state.home && homeDrawn) return;
    homeDrawn = state.home;
    const view = state.home;
    if (!view) return replace(home, h("p", { class: "empty" }, "The app has not published a Home tab for this person yet."));
    const act = (element, block, value) => post("click", { user: state.user, view_id: view.id, action_id: element.action_id, block_id: block.block_id, value });
    replace(home, h("div", { class: "home-body" }, blocks(view.blocks, { act })));
  }

  return {
    write,
    update() {
      const room = conversation(state.channel) ?? conversations()[0];
      const direct = isDirect(room.id);
      const atHome = direct && state.tab === "home";
      const members = room.members?.length;
      replace(header,
        h("div", null, h("h1", null, direct ? "OptiInfra" : `# ${room.name}`), h("p", null, room.topic)),
        direct ? tabs() : h("span", { class: "members" }, `${members} members${room.members.includes(state.directory.bot.id) ? ", with the app" : ", without the app"}`));
      messages.root.hidden = write.root.hidden = atHome;
      home.hidden = !atHome;
      if (atHome) drawHome();
      const empty = h("p", { class: "empty" }, direct ? "Ask the app anything about cloud cost, in your own words." : `This is the beginning of #${room.name}.`);
      messages.update(list(room.id), { place: `${state.user}/${room.id}`, empty });
      replace(under, !atHome && direct && promptRow(room.id));
      write.update(room.id, null);
    },
  };
}

/** The right side: a thread, or the inspector of one message. */
function sidePane() {
  const title = h("header", { class: "room-header" });
  const messages = messageList("Thread");
  const write = composer("reply");
  const inspector = h("div", { class: "inspector" });
  pane.append(title, messages.root, write.root, inspector);
  const close = (act) => h("button", { class: "icon-button", type: "button", title: "Close", "aria-label": "Close", onclick: () => { act(); changed(); } }, icon("close"));

  function drawInspector() {
    const message = find(state.channel, state.inspected) ?? [...state.messages.values()].find((entry) => entry.ts === state.inspected);
    if (!message) return replace(inspector, h("p", { class: "empty" }, "This message is gone."));
    const json = JSON.stringify(message, (name, value) => (name === "rendered" ? undefined : value), 2);
    replace(title, h("div", null, h("h1", null, "Message JSON"), h("p", null, message.ts)), close(() => { state.inspected = null; }));
    replace(inspector,
      h("button", { class: "button small", type: "button", onclick: async () => { await navigator.clipboard?.writeText(json); toast("JSON copied."); } }, "Copy JSON"),
      h("h2", null, "As text"), h("pre", null, message.rendered), h("h2", null, "As JSON"), h("pre", { tabindex: "0" }, json));
  }

  return () => {
    const parent = state.thread && find(state.channel, state.thread);
    const inspecting = Boolean(state.inspected);
    pane.hidden = !inspecting && !parent;
    document.getElementById("app").classList.toggle("with-pane", !pane.hidden);
    if (pane.hidden) return;
    pane.setAttribute("aria-label", inspecting ? "Inspector" : "Thread");
    messages.root.hidden = write.root.hidden = inspecting;
    inspector.hidden = !inspecting;
    if (inspecting) return drawInspector();
    replace(title, h("div", null, h("h1", null, "Thread"), h("p", null, conversation(state.channel)?.direct ? "OptiInfra" : `#${conversation(state.channel)?.name}`)), close(() => { state.thread = null; }));
    messages.update(list(state.channel, state.thread), { inThread: true, place: `${state.user}/${state.thread}`, tail: [agentLine(state.channel, state.thread)] });
    write.update(state.channel, state.thread);
  };
}

async function start() {
  const asked = wanted();
  theme(asked.theme);
  await begin(asked);
  const middle = conversationView();
  const side = sidePane();
  const left = sidebar(document.getElementById("sidebar"), {
    tryThis: async (hint) => {
      if (hint.as && person(state.user).handle !== hint.as) await actAs(state.directory.people.find((entry) => entry.handle === hint.as).id);
      const channel = hint.channel === "dm" ? person(state.user).dm : conversations().find((room) => room.name === hint.channel)?.id;
      if (!channel) return toast("This person has no such conversation.", "warning");
      go(channel, hint.tab ?? "messages");
      if (hint.text) middle.write.write(hint.text);
    },
  });
  watch(() => {
    left();
    middle.update();
    side();
    updateModal();
    remember();
  });
  document.addEventListener("unacknowledged", ({ detail }) => toast(`⚠ The app did not answer this ${detail === "slash_commands" ? "command" : "action"} within three seconds.`, "warning"));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (state.inspected) state.inspected = null;
    else if (state.thread) state.thread = null;
    changed();
  });
  if (state.tab === "home") post("open_home", { user: state.user, tab: "home" });
  changed();
  document.body.dataset.ready = "yes";
}

start();
