"""The sandbox's Vultr: the organisation's edge machines and their bills, in the shapes of Vultr's API version 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sandbox.clouds import vultr_things as things
from sandbox.clouds.bills import Bills, in_cents
from sandbox.clouds.rest import CONTROL, Answer, Ask, RefusalError, RestCloud, Route, page
from sandbox.clouds.vultr_acting import EXECUTOR_KEY, World
from sandbox.faults import FaultKind
from sandbox.organisation import VULTR_BILLING_ACCOUNT
from sandbox.story.lines import Line
from sandbox.story.other_lines import vultr_lines

API_KEY = "sandbox-vultr-key"
# Vultr itself hands out up to 500; few, so that there is always more than one page.
MOST = 3
VIEW, BILLING, BALANCERS = "subscriptions_view", "billing", "loadbalancer"
PUBLIC = "plans"
_PRODUCTS = {
    "Instance": "Vultr Cloud Compute",
    "Block storage": "Block Storage",
    "Reserved IP": "Reserved IP",
    "Load balancer": "Load Balancer",
    "Snapshot": "Snapshot Storage",
    "Bandwidth": "Bandwidth Overage",
}
_UNITS = {"Hours": "hours", "GB-Hours": "GB-hours", "GB-Month": "GB-months", "GB": "GB"}


@dataclass
class Vultr:
    """What exists, what it cost, and how Vultr says so."""

    bills: Bills
    today: date
    key: str = API_KEY
    acls: tuple[str, ...] = (VIEW, BILLING, BALANCERS)
    routes: Sequence[Route] = field(init=False)
    world: World = field(init=False)
    _told: dict[tuple[date, date, date | None], list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(self._made)
        lists: dict[str, tuple[str, str, Callable[[], list[dict[str, Any]]]]] = {
            "/v2/instances": ("instances", VIEW, lambda: self.world.of("instances")),
            "/v2/bare-metals": ("bare_metals", VIEW, list),
            "/v2/blocks": ("blocks", VIEW, lambda: self.world.of("blocks")),
            "/v2/reserved-ips": ("reserved_ips", VIEW, lambda: self.world.of("reserved-ips")),
            "/v2/snapshots": ("snapshots", VIEW, self._snapshots),
            "/v2/databases": ("databases", VIEW, list),
            "/v2/load-balancers": ("load_balancers", BALANCERS, lambda: self.world.of("load-balancers")),
            "/v2/kubernetes/clusters": ("vke_clusters", VIEW, list),
            "/v2/plans": ("plans", PUBLIC, things.plans),
            "/v2/plans-metal": ("plans_metal", PUBLIC, list),
            "/v2/billing/invoices": ("billing_invoices", BILLING, self._invoices),
        }
        self.routes = (
            Route("GET", "/v2/account", "account", self._account),
            *(
                Route("GET", path, action, _listing(key, items), public=action == PUBLIC)
                for path, (key, action, items) in lists.items()
            ),
            Route("GET", "/v2/billing/invoices/{invoice}", BILLING, self._invoice),
            Route("GET", "/v2/billing/invoices/{invoice}/items", BILLING, self._invoice_items),
            Route("GET", "/v2/billing/pending-charges", BILLING, self._pending),
            *self.world.routes(),
        )

    def _made(self) -> dict[str, list[dict[str, Any]]]:
        """What the organisation has at the start."""
        return {
            "instances": things.instances(self._lines, self.today),
            "blocks": things.blocks(self._lines, self.today),
            "reserved-ips": things.addresses(self._lines, self.today),
            "snapshots": things.snapshots(self._lines, self.today),
            "load-balancers": things.balancers(self._lines, self.today),
        }

    def _snapshots(self) -> list[dict[str, Any]]:
        return [{k: v for k, v in one.items() if k != "_of"} for one in self.world.of("snapshots")]

    def let_in(self, ask: Ask) -> None:
        self.world.line.tick()
        if ask.headers.get("authorization") not in {f"Bearer {self.key}", f"Bearer {EXECUTOR_KEY}"}:
            raise RefusalError(401, "", "Invalid API token.")

    def refuse(self, refusal: RefusalError) -> Answer:
        return Answer(refusal.status, {"error": refusal.text, "status": refusal.status})

    def fault(self, kind: FaultKind, route: Route) -> RefusalError:
        return {
            FaultKind.THROTTLE: RefusalError(429, "", "Rate limit reached, please try again later."),
            FaultKind.DENY: RefusalError(403, "", "Forbidden: you do not have permission for this."),
            FaultKind.EXPIRED: RefusalError(401, "", "Invalid API token."),
            FaultKind.ABSENT: RefusalError(404, "", "Invalid route."),
        }.get(kind, RefusalError(500, "", "Internal server error."))

    def page_fault(self, kind: FaultKind, ask: Ask, document: dict[str, Any]) -> None:
        links = document.get("meta", {}).get("links")
        if links is None:
            return
        if kind is FaultKind.REPEATED_PAGE:
            links["next"] = ask.query.get("cursor") or links["next"] or "ZnJvbS0w"
            return
        for key, items in document.items():
            if isinstance(items, list):
                document[key] = []
        # The items come after the empty page, from the same place.
        links["next"] = ask.query.get("cursor") or "ZnJvbS0w"

    def _account(self, ask: Ask) -> Answer:
        due = sum((item["total"] for item in self._open_items()), Decimal(0))
        account = {
            "name": VULTR_BILLING_ACCOUNT,
            "email": "edge@lumen.example",
            "acls": [acl for acl in self._acls(ask) if not self.world.denied(acl)],
            "balance": Decimal(0),
            "pending_charges": due,
            "last_payment_date": f"{self.today.replace(day=1)}T06:12:31+00:00",
            "last_payment_amount": Decimal("-1.25"),
        }
        return Answer(200, {"account": account})

    def _acls(self, ask: Ask) -> tuple[str, ...]:
        acts = ask.headers.get("authorization") == f"Bearer {EXECUTOR_KEY}"
        return (*self.acls, "subscriptions", "provisioning") if acts else self.acls

    def _lines(self, kind: str) -> list[Line]:
        return [line for line in self.bills.lines() if line.resource_type == kind]

    def _items(self, period: date, until: date) -> list[dict[str, Any]]:
        key = (period, until, self.bills.restated)
        if key not in self._told:
            self._told[key] = self._added_up(period, until)
        return self._told[key]

    def _added_up(self, period: date, until: date) -> list[dict[str, Any]]:
        charges = [charge for charge in self.bills.charges() if charge.month == period]
        lines = list(dict.fromkeys(charge.line for charge in charges))
        exact = [sum((c.billed for c in charges if c.line is line), Decimal(0)) for line in lines]
        used = [sum((c.quantity for c in charges if c.line is line), Decimal(0)) for line in lines]
        return [
            {
                "description": self._described(line),
                "product": _PRODUCTS[line.resource_type],
                "start_date": f"{period}T00:00:00+00:00",
                "end_date": f"{until}T00:00:00+00:00",
                "units": units,
                "unit_type": _UNITS[line.unit],
                "unit_price": line.price,
                "total": total,
            }
            for line, units, total in zip(lines, used, in_cents(exact), strict=True)
        ]

    def _described(self, line: Line) -> str:
        if line.resource_type == "Instance":
            number = [other.key for other in self._lines("Instance")].index(line.key) + 11
            return f"{things.address_of(number)} ({things.PLANS[line.sku][2]} MB) [{line.resource_name}]"
        if line.resource_type == "Bandwidth":
            return "Bandwidth beyond the pool"
        return f"{_PRODUCTS[line.resource_type]} ({line.resource_name})"

    def _closed(self) -> list[date]:
        return list(self.bills.periods()[:-1])

    def _invoices(self) -> list[dict[str, Any]]:
        return [self._invoice_of(period) for period in reversed(self._closed())]

    def _invoice_of(self, period: date) -> dict[str, Any]:
        total = sum((item["total"] for item in self._items(period, _after(period))), Decimal(0))
        number = 5_000_000 + period.year * 12 + period.month
        return {
            "id": number,
            "date": f"{_after(period)}T00:30:05+00:00",
            "description": f"Invoice #{number}",
            "amount": total,
            "balance": Decimal(0),
        }

    def _asked_invoice(self, ask: Ask) -> date:
        for period in self._closed():
            if str(self._invoice_of(period)["id"]) == ask.parts["invoice"]:
                return period
        raise RefusalError(404, "", "Invalid invoice.")

    def _invoice(self, ask: Ask) -> Answer:
        return Answer(200, {"billing_invoice": self._invoice_of(self._asked_invoice(ask))})

    def _invoice_items(self, ask: Ask) -> Answer:
        period = self._asked_invoice(ask)
        return _listing("invoice_items", lambda: self._items(period, _after(period)))(ask)

    def _open_items(self) -> list[dict[str, Any]]:
        return self._items(self.bills.periods()[-1], self.today)

    def _pending(self, ask: Ask) -> Answer:
        return Answer(200, {"pending_charges": self._open_items()})


@dataclass
class VultrCloud(RestCloud):
    """The application; beside the usual control paths, `short` takes what is lacking: {"sold_out": [...]}."""

    cloud: Vultr

    def __post_init__(self) -> None:
        self.cloud.world.faults = self.faults

    def control(self, ask: Ask) -> Answer:
        """Answer a control request."""
        path = ask.path.removeprefix(CONTROL)
        if (ask.method, path) == ("POST", "short"):
            return Answer(200, self.cloud.world.short.told(ask.document()))
        if (ask.method, path) == ("POST", "reset"):
            self.cloud.world.forget()
        return super().control(ask)


def _listing(key: str, items: Callable[[], list[dict[str, Any]]]) -> Callable[[Ask], Answer]:
    def answer(ask: Ask) -> Answer:
        asked = ask.query.get("per_page", "")
        most = min(MOST, int(asked)) if asked.isdigit() and int(asked) else MOST
        found = items()
        shown, more = page(found, ask.query.get("cursor", ""), most)
        return Answer(200, {key: shown, "meta": {"total": len(found), "links": {"next": more, "prev": ""}}})

    return answer


def _after(period: date) -> date:
    return date(period.year + period.month // 12, period.month % 12 + 1, 1)


def build(
    *,
    today: date,
    seed: int = 7,
    months: int = 13,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> VultrCloud:
    """A Vultr with the organisation's things and the bills of its story."""
    bills = Bills(vultr_lines, seed, today, months)
    return VultrCloud(Vultr(bills, today), now=now, bills=bills)
