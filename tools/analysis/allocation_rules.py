"""Allocation rules: reads a TOML file of them, refuses what cannot be meant, and tells rules that can never count."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tools.model.allocation import Condition, Pool, Rule, Ruleset, Split, is_glob, like
from tools.model.errors import InputError
from tools.model.query import Dimension, dimension, is_allocation

LONGEST = 256 * 1024
MOST_RULES = 500
MOST_PATTERNS = 5000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TOP = ("dimension", "rules", "pools")
_RULE = ("name", "when", "to", "value_of", "pool")
_POOL = ("name", "split", "among", "shares")
_TOO_FINE = (Dimension.RESOURCE, Dimension.SKU)
_HUNDRED = Decimal(100)


def content_hash(source: str) -> str:
    """What tells two versions of a file apart."""
    return hashlib.sha256(source.encode()).hexdigest()


def parse(source: str, tag_keys: tuple[str, ...]) -> Ruleset:
    """The rules of a TOML text; raises InputError with one sentence about the first thing that cannot be used."""
    if len(source) > LONGEST:
        raise InputError(f"The rules are longer than {LONGEST // 1024} KiB.", fix="Use lists and globs instead.")
    try:
        document = tomllib.loads(source, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"The rules are not TOML: {str(error).rstrip('.')}.") from None
    _known(document, _TOP, "The file")
    name = document.get("dimension", "team")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            "The dimension needs a short name of lower-case letters, digits and underscores.",
            fix='Write it as dimension = "cost_centre".',
        )
    pools = tuple(_pool(n, p) for n, p in enumerate(_tables(document, "pools"), 1))
    rules = tuple(_rule(n, r, tag_keys) for n, r in enumerate(_tables(document, "rules"), 1))
    if not rules:
        raise InputError("The file holds no rules.", fix="Begin each with [[rules]].")
    if len(rules) > MOST_RULES or sum(_patterns(r) for r in rules) > MOST_PATTERNS:
        raise InputError(
            f"More than {MOST_RULES} rules or {MOST_PATTERNS} values are too many.", fix="Use globs, or value_of."
        )
    made = Ruleset(name, rules, pools)
    _check_names(made)
    _check_pools(made)
    return made


def _patterns(rule: Rule) -> int:
    return sum(len(c.wanted) + len(c.unwanted) for c in rule.conditions)


def _tables(document: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(t, dict) for t in found):
        raise InputError(f"{key} is not a list of tables.", fix=f"Begin each one with [[{key}]].")
    return found


def _known(table: Mapping[str, Any], fields: Sequence[str], where: str) -> None:
    for field in table:
        if field not in fields:
            raise InputError(f'{where} has a field "{field}" that is not known.', fix=f"Use {', '.join(fields)}.")


def _text(table: Mapping[str, Any], field: str, where: str) -> str:
    value = table.get(field, "")
    if not isinstance(value, str) or len(value) > 128 or not value.isprintable():
        raise InputError(f"{where}: {field} is not a short text.", fix=f'Write it as {field} = "...".')
    return value.strip()


def _rule(number: int, table: Mapping[str, Any], tag_keys: tuple[str, ...]) -> Rule:
    where = f"Rule {number}"
    _known(table, _RULE, where)
    targets = {field: _text(table, field, where) for field in ("to", "value_of", "pool")}
    if sum(bool(t) for t in targets.values()) != 1:
        raise InputError(
            f"{where} must say exactly one of to, value_of and pool.",
            fix='For example to = "checkout", value_of = "tag:team" or pool = "platform".',
        )
    when = table.get("when", {})
    if not isinstance(when, dict):
        raise InputError(f"{where}: when is not a table.", fix='Write it as when = { provider = "AWS" }.')
    conditions = tuple(_condition(where, word, value, tag_keys) for word, value in when.items())
    looked = [c.dimension for c in conditions]
    if twice := [d for d in looked if looked.count(d) > 1]:
        raise InputError(f"{where} tests {twice[0]} twice.", fix="Put all values into one list.")
    value_of = _dimension(where, targets["value_of"], tag_keys) if targets["value_of"] else ""
    return Rule(_text(table, "name", where) or f"rule {number}", conditions, targets["to"], value_of, targets["pool"])


def _dimension(where: str, word: str, tag_keys: tuple[str, ...]) -> str:
    key = word.strip().lower().removeprefix("tag:")
    if word.strip().lower().startswith("tag:") and key not in tag_keys:
        kept = ", ".join(tag_keys) or "none"
        raise InputError(
            f"{where} looks at the tag {key}, which is not kept as a dimension (kept are: {kept}).",
            fix="Add it to OPTIINFRA_TAG_KEYS and ingest the files again.",
        )
    try:
        found = dimension(word, tag_keys)
    except InputError as error:
        raise InputError(f"{where}: {error.what}", fix=error.fix) from None
    if is_allocation(found) or found in _TOO_FINE:
        raise InputError(
            f"{where} looks at {word}; rules work on accounts, services, regions, charges and tags.",
            fix="Tag the resource, and test the tag.",
        )
    return found


def _condition(where: str, word: str, value: Any, tag_keys: tuple[str, ...]) -> Condition:
    name = _dimension(where, word, tag_keys)
    patterns = value if isinstance(value, list) else [value]
    if not patterns or not all(isinstance(p, str) and p.isprintable() and len(p) <= 512 for p in patterns):
        raise InputError(
            f"{where}: the values of {word} are not texts.",
            fix=f'Write {word} = "..." or {word} = ["...", "..."]; ids stand in quotes.',
        )
    wanted = tuple(dict.fromkeys(p for p in patterns if not p.startswith("!")))
    unwanted = tuple(dict.fromkeys(p[1:] for p in patterns if p.startswith("!")))
    return Condition(name, wanted, unwanted)


def _pool(number: int, table: Mapping[str, Any]) -> Pool:
    where = f"Pool {number}"
    _known(table, _POOL, where)
    name = _text(table, "name", where)
    if not name:
        raise InputError(f"{where} has no name.", fix='Write it as name = "platform".')
    where = f"Pool {name}"
    said = _text(table, "split", where) or Split.PROPORTIONAL
    if said not in set(Split):
        raise InputError(f'{where} has the split "{said}".', fix=f"Use one of {', '.join(Split)}.")
    split = Split(said)
    among = table.get("among", [])
    if not isinstance(among, list) or not all(isinstance(n, str) and n.strip() for n in among):
        raise InputError(f"{where}: among is not a list of names.", fix='Write it as among = ["checkout", "search"].')
    names = tuple(n.strip() for n in among)
    if len({n.casefold() for n in names}) != len(names):
        raise InputError(f"{where} names somebody twice.")
    if (split is Split.FIXED) != ("shares" in table) or (split is Split.FIXED and names):
        raise InputError(
            f"{where}: a fixed split has shares and nothing else; the other splits have none.",
            fix="Write it as shares = { checkout = 60, search = 40 }.",
        )
    return Pool(name, split, names, _shares(where, table["shares"]) if split is Split.FIXED else ())


def _shares(where: str, given: Any) -> tuple[tuple[str, Decimal], ...]:
    problem = InputError(f"{where}: shares are not percentages.", fix="Write them as { checkout = 60, search = 40 }.")
    if not isinstance(given, dict) or not given:
        raise problem
    found = []
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise problem
        percent = Decimal(value)
        if not percent.is_finite() or percent <= 0:
            raise InputError(f"{where}: the share of {name} is not a percentage above 0.")
        found.append((name.strip(), percent))
    total = sum((percent for _, percent in found), Decimal(0))
    if total != _HUNDRED:
        raise InputError(f"{where}: the shares add up to {total:f} %, not to 100 %.")
    return tuple(found)


def _check_names(rules: Ruleset) -> None:
    pools = [pool.name.casefold() for pool in rules.pools]
    if twice := [name for name in pools if pools.count(name) > 1]:
        raise InputError(f"There are two pools called {twice[0]}.")
    names = [rule.name for rule in rules.rules]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f'There are two rules called "{twice[0]}".', fix="Give each its own name, or none.")
    for rule in rules.rules:
        if rule.to.casefold() in pools:
            raise InputError(
                f'"{rule.name}" gives to {rule.to}, which is a pool.', fix=f'Write it as pool = "{rule.to}".'
            )
        if rule.pool and rule.pool not in {pool.name for pool in rules.pools}:
            known = ", ".join(pool.name for pool in rules.pools) or "none"
            raise InputError(
                f'"{rule.name}" fills the pool {rule.pool}, which the file does not define (it defines: {known}).'
            )


def _check_pools(rules: Ruleset) -> None:
    """Pools give to payers, or to pools that stand after them: so each is whole when it is split, and none in a ring."""
    place = {pool.name: n for n, pool in enumerate(rules.pools)}
    gives = {pool.name: tuple(n for n in pool.named if n in place) for pool in rules.pools}
    payers = rules.spellings
    for n, pool in enumerate(rules.pools):
        for name in gives[pool.name]:
            if name == pool.name:
                raise InputError(f"The pool {name} gives to itself.")
            if _reaches(gives, name, pool.name):
                raise InputError(f"The pools {pool.name} and {name} give to each other in a ring.")
            if place[name] < n:
                raise InputError(
                    f"The pool {pool.name} gives to {name}, which is split before it.",
                    fix=f"Put {pool.name} before {name} in the file.",
                )
        if any(rule.value_of for rule in rules.rules):
            continue
        unknown = [name for name in pool.named if name not in place and name.casefold() not in payers]
        if unknown:
            raise InputError(
                f"The pool {pool.name} gives to {unknown[0]}, which no rule and no pool names.",
                fix=f"Known are: {', '.join(payers.values()) or 'none'}.",
            )


def _reaches(gives: Mapping[str, tuple[str, ...]], start: str, end: str) -> bool:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name == end:
            return True
        if name not in seen:
            seen.add(name)
            waiting += gives[name]
    return False


def shadowed(rules: Ruleset) -> dict[int, int]:
    """Rules that can never count, by place: each with the earlier rule that takes all that it fits."""
    found: dict[int, int] = {}
    for n, rule in enumerate(rules.rules):
        for earlier in range(n):
            if _covers(rules.rules[earlier], rule):
                found[n] = earlier
                break
    return found


def _covers(earlier: Rule, later: Rule) -> bool:
    """Whether everything that fits the later rule fits the earlier one (only where that is certain)."""
    mine = {c.dimension: c for c in later.conditions}
    # What has no value gives no name, so a rule that takes a name from it leaves that cost to the rules after it.
    if earlier.value_of and not _present(mine.get(earlier.value_of)):
        return later.value_of == earlier.value_of and all(
            c.dimension in mine and _within(mine[c.dimension], c) for c in earlier.conditions
        )
    return all(c.dimension in mine and _within(mine[c.dimension], c) for c in earlier.conditions)


def _present(condition: Condition | None) -> bool:
    return condition is not None and not condition.fits("")


def _within(narrow: Condition, wide: Condition) -> bool:
    if set(wide.wanted) == set(narrow.wanted) and set(wide.unwanted) <= set(narrow.unwanted):
        return True
    if wide.unwanted and (not narrow.wanted or any(is_glob(p) for p in narrow.wanted)):
        return False
    if not narrow.wanted:
        return not wide.wanted and set(wide.unwanted) <= set(narrow.unwanted)
    if any(is_glob(p) for p in narrow.wanted):
        return not wide.unwanted and (
            not wide.wanted or all(any(_glob_within(p, w) for w in wide.wanted) for p in narrow.wanted)
        )
    return all(wide.fits(p) for p in narrow.wanted if narrow.fits(p))


def _glob_within(narrow: str, wide: str) -> bool:
    if narrow.casefold() == wide.casefold():
        return True
    if wide == "*":
        return bool(narrow)
    if not is_glob(narrow):
        return like(wide, narrow)
    # "prod-eu-*" lies within "prod-*".
    stem = wide[:-1]
    return wide.endswith("*") and not is_glob(stem) and narrow.casefold().startswith(stem.casefold())
