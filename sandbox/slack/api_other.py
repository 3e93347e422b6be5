"""Web API methods for identity, people, conversations, views and files."""

from __future__ import annotations

from sandbox import organisation
from sandbox.organisation import Person
from sandbox.slack import strict
from sandbox.slack.api_chat import from_bot, posting_channel, refuse
from sandbox.slack.calls import Call, flag, json_list, json_object, number, page
from sandbox.slack.workspace import Json, SlackError, StoredFile, with_block_ids

MODAL_STACK = 3


def auth_test(call: Call) -> Json:
    return {
        "url": f"{call.workspace.base_url}/",
        "team": organisation.NAME,
        "user": organisation.BOT_NAME,
        "team_id": organisation.TEAM_ID,
        "user_id": organisation.BOT_USER_ID,
        "bot_id": organisation.BOT_ID,
        "is_enterprise_install": False,
    }


def team_info(call: Call) -> Json:
    team = {"id": organisation.TEAM_ID, "name": organisation.NAME, "domain": organisation.TEAM_DOMAIN}
    return {"team": team | {"email_domain": "lumen.example", "icon": {}}}


def connections_open(call: Call) -> Json:
    return {"url": call.open_socket()}


def validate(call: Call) -> Json:
    """blocks.validate: the same checks as everywhere, with JSON pointers in `errors`."""
    given = [name for name in ("blocks", "message", "view") if call.args.get(name)]
    if len(given) != 1:
        raise SlackError("invalid_arguments", messages=["[ERROR] give exactly one of blocks, message, view"])
    if given == ["blocks"]:
        problems = strict.check_blocks(json_list(call, "blocks"), strict.MESSAGE, pointer="")
    elif given == ["message"]:
        problems = strict.check_blocks((json_object(call, "message") or {}).get("blocks", []), strict.MESSAGE)
    else:
        problems = strict.check_view(json_object(call, "view"), pointer="")
    if problems:
        lines = [problem.line() for problem in problems]
        raise SlackError(f"invalid_{given[0]}", messages=lines, errors=[problem.as_json() for problem in problems])
    return {}


# People and conversations --------------------------------------------------------------------------------------


def user_json(person: Person, *, email: bool) -> Json:
    """One person as users.info tells it; the e-mail only with its scope."""
    foreign = person.team_id != organisation.TEAM_ID
    profile: Json = {
        "real_name": person.real_name,
        "real_name_normalized": person.real_name,
        "display_name": person.handle,
        "display_name_normalized": person.handle,
        "title": person.title,
        "team": person.team_id,
    }
    if email and not foreign:
        profile["email"] = person.email
    return {
        "id": person.user_id,
        "team_id": person.team_id,
        "name": person.handle,
        "deleted": False,
        "real_name": person.real_name,
        "tz": person.tz,
        "tz_label": "Central European Time",
        "tz_offset": 3600,
        "profile": profile,
        "is_admin": False,
        "is_owner": False,
        "is_restricted": person.is_guest,
        "is_ultra_restricted": False,
        "is_bot": False,
        "is_app_user": False,
        "is_stranger": foreign,
        "updated": 0,
    }


def _bot_user() -> Json:
    bot = Person(organisation.BOT_USER_ID, organisation.BOT_NAME, "OptiInfra", "", "Cost agent")
    shown = user_json(bot, email=False) | {"is_bot": True}
    shown["profile"] |= {"api_app_id": organisation.APP_ID, "bot_id": organisation.BOT_ID}
    return shown


def _with_email(call: Call) -> bool:
    return "users:read.email" in call.workspace.scopes


def users_info(call: Call) -> Json:
    user = call.need("user", "user_not_found")
    if user == organisation.BOT_USER_ID:
        return {"user": _bot_user()}
    person = call.workspace.people.get(user)
    if person is None:
        raise SlackError("user_not_found")
    return {"user": user_json(person, email=_with_email(call))}


def users_list(call: Call) -> Json:
    own = [p for p in call.workspace.people.values() if p.team_id == organisation.TEAM_ID]
    members = [*(user_json(person, email=_with_email(call)) for person in own), _bot_user()]
    shown, metadata = page(call, members, 1000)
    return {"members": shown, "response_metadata": metadata}


def lookup_by_email(call: Call) -> Json:
    email = call.need("email", "users_not_found").lower()
    for person in call.workspace.people.values():
        if person.email == email and person.team_id == organisation.TEAM_ID:
            return {"user": user_json(person, email=True)}
    raise SlackError("users_not_found")


def conversation_json(call: Call, channel_id: str) -> Json:
    if channel_id in call.workspace.dms:
        user = call.workspace.dms[channel_id]
        return {"id": channel_id, "is_im": True, "is_channel": False, "user": user, "is_open": True, "created": 0}
    channel = call.workspace.channels[channel_id]
    return {
        "id": channel_id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_im": False,
        "is_private": False,
        "is_archived": False,
        "is_general": False,
        "is_member": channel_id in call.workspace.bot_channels,
        "is_ext_shared": channel.is_ext_shared,
        "is_shared": channel.is_ext_shared,
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": channel.topic, "creator": "", "last_set": 0},
        "num_members": len(call.workspace.members(channel_id)),
        "created": 0,
    }


def conversations_list(call: Call) -> Json:
    kinds = (call.text("types") or "public_channel").split(",")
    found = [*call.workspace.channels] if "public_channel" in kinds else []
    found += [*call.workspace.dms] if "im" in kinds else []
    shown, metadata = page(call, [conversation_json(call, channel_id) for channel_id in found], 100)
    return {"channels": shown, "response_metadata": metadata}


def conversations_info(call: Call) -> Json:
    return {"channel": conversation_json(call, _readable(call, member=False))}


def conversations_members(call: Call) -> Json:
    members, metadata = page(call, call.workspace.members(_readable(call, member=False)), 100)
    return {"members": members, "response_metadata": metadata}


def _readable(call: Call, *, member: bool = True) -> str:
    name = call.need("channel", "channel_not_found")
    if name not in call.workspace.channels and name not in call.workspace.dms:
        raise SlackError("channel_not_found")  # reading wants an id, not a name
    if member and not call.workspace.bot_can_post(name):
        raise SlackError("not_in_channel")
    return name


def conversations_history(call: Call) -> Json:
    channel_id = _readable(call)
    top = [
        message
        for message in call.workspace.conversation(channel_id)
        if message.ephemeral_to is None and (message.thread_ts in (None, message.ts) or message.broadcast)
    ]
    wanted = [call.workspace.as_slack(message) for message in reversed(top) if _between(call, message.ts)]
    shown, metadata = page(call, wanted, 100)
    return {"messages": shown, "has_more": bool(metadata["next_cursor"]), "response_metadata": metadata}


def _between(call: Call, ts: str) -> bool:
    oldest, latest, inclusive = call.text("oldest"), call.text("latest"), flag(call, "inclusive")
    after = not oldest or float(ts) > float(oldest) or (inclusive and ts == oldest)
    before = not latest or float(ts) < float(latest) or (inclusive and ts == latest)
    return after and before


def conversations_replies(call: Call) -> Json:
    channel_id = _readable(call)
    parent = call.workspace.find(channel_id, call.need("ts", "thread_not_found"))
    thread = [m for m in call.workspace.conversation(channel_id, parent.ts) if m.ephemeral_to is None]
    shown, metadata = page(call, [call.workspace.as_slack(m) for m in thread], 1000)
    return {"messages": shown, "has_more": bool(metadata["next_cursor"]), "response_metadata": metadata}


def conversations_open(call: Call) -> Json:
    if call.text("channel"):
        channel_id = _readable(call)
    else:
        users = call.need("users", "users_list_not_supplied").split(",")
        if len(users) != 1:
            raise SlackError("too_many_users", messages=["[ERROR] group messages are not part of this workspace"])
        if users[0] not in call.workspace.people:
            raise SlackError("user_not_found")
        channel_id = call.workspace.channel_id(users[0])
    return {"channel": {"id": channel_id} | (conversation_json(call, channel_id) if flag(call, "return_im") else {})}


# Views ---------------------------------------------------------------------------------------------------------


def checked_view(call: Call) -> Json:
    view = json_object(call, "view")
    if view is None:
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: view"])
    refuse(strict.check_view(view), "invalid_arguments")
    if len(str(view)) > strict.VIEW_JSON:
        raise SlackError("view_too_large")
    external = view.get("external_id")
    if external and any(v["external_id"] == external for v in call.workspace.views.values()):
        raise SlackError("duplicate_external_id")
    return view | {"blocks": with_block_ids(view["blocks"], call.workspace.new_id)}


def _modal(call: Call) -> Json:
    view = checked_view(call)
    if view["type"] != strict.MODAL:
        raise SlackError("invalid_arguments", messages=["[ERROR] must be modal [json-pointer:/view/type]"])
    return view


def views_open(call: Call) -> Json:
    view = _modal(call)
    trigger = call.workspace.use_trigger(call.need("trigger_id", "invalid_arguments"))
    call.workspace.close_views(trigger.user, everything=True)
    return {"view": call.workspace.push_view(trigger.user, view)}


def views_push(call: Call) -> Json:
    view = _modal(call)
    trigger = call.workspace.use_trigger(call.need("trigger_id", "invalid_arguments"))
    stack = call.workspace.stacks.get(trigger.user, [])
    if not stack or trigger.view_id not in stack:
        raise SlackError("not_found")
    if len(stack) >= MODAL_STACK:
        raise SlackError("push_limit_reached")
    return {"view": call.workspace.push_view(trigger.user, view)}


def views_update(call: Call) -> Json:
    found = [
        view_id
        for view_id, view in call.workspace.views.items()
        if view_id == call.text("view_id") or (view["external_id"] and view["external_id"] == call.text("external_id"))
    ]
    if not found:
        raise SlackError("not_found")
    old = call.workspace.views[found[0]]
    _same_hash(call, old)
    external, old["external_id"] = old["external_id"], ""
    try:
        view = _modal(call)
    finally:
        old["external_id"] = external
    return {"view": call.workspace.store_view(view, user=call.workspace.owner(found[0]), view_id=found[0])}


def _same_hash(call: Call, old: Json) -> None:
    if call.text("hash") and call.text("hash") != old["hash"]:
        raise SlackError("hash_conflict")


def views_publish(call: Call) -> Json:
    user = call.need("user_id", "invalid_arguments")
    if user not in call.workspace.people:
        raise SlackError("user_not_found")
    if call.workspace.people[user].team_id != organisation.TEAM_ID:
        raise SlackError("not_enabled")
    view = checked_view(call)
    if view["type"] != strict.HOME:
        raise SlackError("invalid_arguments", messages=["[ERROR] must be home [json-pointer:/view/type]"])
    old_id = call.workspace.homes.get(user)
    if old_id:
        _same_hash(call, call.workspace.views[old_id])
    elif call.text("hash"):
        raise SlackError("hash_conflict")
    shown = call.workspace.store_view(view, user=user, view_id=old_id)
    call.workspace.homes[user] = shown["id"]
    return {"view": shown}


# Files ---------------------------------------------------------------------------------------------------------


def get_upload_url(call: Call) -> Json:
    name = call.need("filename", "invalid_arguments")
    length = number(call, "length", 0)
    if length <= 0:
        raise SlackError("invalid_arguments", messages=["[ERROR] length must be more than 0 [json-pointer:/length]"])
    stored = StoredFile(call.workspace.new_id("F"), name, length, call.text("alt_txt"))
    call.workspace.files[stored.file_id] = stored
    return {"upload_url": f"{call.workspace.base_url}/upload/{stored.file_id}", "file_id": stored.file_id}


def file_json(call: Call, stored: StoredFile) -> Json:
    return {
        "id": stored.file_id,
        "name": stored.name,
        "title": stored.title or stored.name,
        "size": stored.length,
        "alt_txt": stored.alt_text,
        "user": organisation.BOT_USER_ID,
        "filetype": stored.name.rpartition(".")[2],
        "url_private": f"{call.workspace.base_url}/files/{stored.file_id}",
        "url_private_download": f"{call.workspace.base_url}/files/{stored.file_id}",
    }


def complete_upload(call: Call) -> Json:
    wanted = json_list(call, "files")
    if not wanted:
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: files"])
    done = []
    for entry in wanted:
        stored = call.workspace.files.get(str(entry.get("id"))) if isinstance(entry, dict) else None
        if stored is None or stored.content is None or stored.shared:
            raise SlackError("file_not_found")
        stored.title = str(entry.get("title") or stored.name)
        done.append(stored)
    shown = [file_json(call, stored) for stored in done]
    channels = [name for name in (call.text("channel_id") or call.text("channels")).split(",") if name]
    for name in channels:
        _share(call, name, shown)
    for stored in done:
        stored.shared = True
    return {"files": shown}


def _share(call: Call, channel: str, files: list[Json]) -> None:
    channel_id = posting_channel(call.with_args(channel=channel))
    text, thread_ts = call.text("initial_comment"), call.text("thread_ts") or None
    if thread_ts:
        call.workspace.find(channel_id, thread_ts)
    message = from_bot(call, channel_id, text=text, thread_ts=thread_ts, files=files)
    call.workspace.add(message)
    call.announce(message)


def files_info(call: Call) -> Json:
    stored = call.workspace.files.get(call.need("file", "file_not_found"))
    if stored is None or stored.content is None:
        raise SlackError("file_not_found")
    return {"file": file_json(call, stored)}
