/** The control API of the sandbox, as the page uses it. */

import { toast } from "./dom.js";

const REASONS = {
  not_in_channel: "This person is not a member of this conversation.",
  element_not_found: "This message changed meanwhile: the button is no longer there.",
  message_not_found: "This message is no longer there.",
  option_not_found: "This option is no longer offered.",
  operation_timeout: "The app did not answer within three seconds.",
  view_not_found: "This form is no longer open.",
  unknown_command: "No app in this workspace has that command.",
  session_not_processing: "The agent is not working on this thread any more.",
  channel_not_found: "This person has no such conversation.",
  invalid_response_action: "The app answered the form with something Slack does not know.",
  invalid_view: "The app answered with a form that Slack would reject.",
  invalid_errors: "The app named fields that are not in this form.",
};

export async function get(what, query = {}) {
  const wanted = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  const answer = await fetch(`/sandbox/${what}?${wanted}`);
  return answer.json();
}

/** Does something; a refusal is told in a sentence and given back. */
export async function post(what, body, { quiet = false } = {}) {
  try {
    const answer = await fetch(`/sandbox/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const result = await answer.json();
    if (!result.ok && !quiet) toast(reason(result), "warning");
    return result;
  } catch {
    toast("The sandbox does not answer. Is it still running?", "warning");
    return { ok: false, error: "unreachable" };
  }
}

export function reason(result) {
  const details = result.messages ?? result.response_metadata?.messages ?? [];
  return [REASONS[result.error] ?? `Slack refuses: ${result.error}.`, ...details].join(" ");
}

/** Live changes for one person; `opened` is called at each (re)connection. Gives a function that ends them. */
export function listen(user, handlers, opened) {
  const source = new EventSource(`/sandbox/events?user=${encodeURIComponent(user)}`);
  for (const [kind, act] of Object.entries(handlers)) {
    source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
  }
  source.onopen = opened;
  return () => source.close();
}
