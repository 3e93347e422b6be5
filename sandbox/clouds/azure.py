"""The sandbox's Azure: two subscriptions with their machines, stores and bills, in the shapes of Microsoft's examples."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from sandbox import organisation as org
from sandbox.clouds import azure_bills, balancers
from sandbox.clouds.azure_acting import EXECUTOR_TOKEN, World
from sandbox.clouds.azure_told import BUSY, PRICES, points, price_items
from sandbox.clouds.bills import Bills
from sandbox.clouds.buckets import Bucket, azure_answer, azure_listing, of_story
from sandbox.clouds.rest import CONTROL, Answer, Ask, RefusalError, RestCloud, Route, page
from sandbox.faults import FaultKind
from sandbox.story.lines import Kind, Line
from sandbox.story.other_lines import azure_lines

TOKEN = "sandbox-azure-token"  # noqa: S105 - the sandbox's own token, worth nothing anywhere else
TENANT, CLIENT, SECRET = "lumen-tenant", "optiinfra-reader", "sandbox-azure-secret"
# Azure hands out 100 and more; few, so that there is always more than one page.
MOST = 3
SUBSCRIPTIONS = (org.AZURE_PRODUCTION, org.AZURE_CORPORATE)
COSTS = "Microsoft.CostManagement/query/action"
METRICS = "Microsoft.Insights/metrics/read"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
# Storage account and container in which the organisation keeps its exports.
EXPORTS = ("lumenbilling", "exports")
PAYER = "Microsoft.Billing/billingProperty/read"
_SIZES = {"D4s v5": "Standard_D4s_v5", "E8s v5": "Standard_E8s_v5", "B4ms": "Standard_B4ms"}
_MACHINES, _DISKS = "Microsoft.Compute/virtualMachines", "Microsoft.Compute/disks"
_STORES = "Microsoft.Storage/storageAccounts"


@dataclass
class Azure:
    """What exists, what it cost, and how Azure says so."""

    bills: Bills
    today: date
    exports: Bucket
    token: str = TOKEN
    # What application gateways counted; nothing where no Prometheus is told of.
    counted: balancers.Counts = balancers.nothing
    routes: Sequence[Route] = field(init=False)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self._made)
        sub = "/subscriptions/{subscription}"
        lists = (
            _MACHINES, "Microsoft.Compute/virtualMachineScaleSets", _DISKS, "Microsoft.Compute/snapshots",
            "Microsoft.Network/publicIPAddresses", _STORES,
        )  # fmt: skip
        self.routes = (
            Route("GET", sub, "Microsoft.Resources/subscriptions/read", self._subscription),
            Route("GET", f"{sub}/resources", "Microsoft.Resources/subscriptions/resources/read", self._listed(self._all)),
            *(Route("GET", f"{sub}/providers/{kind}", f"{kind}/read", self._listed(self._of(kind))) for kind in lists),
            Route(
                "GET", f"{sub}/providers/Microsoft.Authorization/permissions",
                "Microsoft.Authorization/permissions/read", self._permissions,
            ),
            Route("GET", f"{sub}/providers/Microsoft.Billing/billingProperty/default", PAYER, self._payer),
            Route("POST", f"{sub}/providers/Microsoft.CostManagement/query", COSTS, self._query),
            Route("GET", "/{resource:path}/providers/Microsoft.Insights/metrics", METRICS, self._metrics),
            Route("POST", "/{tenant}/oauth2/v2.0/token", "login", self._login, public=True),
            Route("GET", "/api/retail/prices", "prices", self._prices, public=True),
            Route("GET", f"/{EXPORTS[0]}/{{container}}", BLOBS, self._listed_blobs),
            Route("GET", f"/{EXPORTS[0]}/{{container}}/{{blob:path}}", BLOBS, self._blob),
            *self.world.routes(),
        )  # fmt: skip

    def let_in(self, ask: Ask) -> None:
        self.world.line.tick()
        if ask.headers.get("authorization") not in {f"Bearer {self.token}", f"Bearer {EXECUTOR_TOKEN}"}:
            raise RefusalError(401, "InvalidAuthenticationToken", "The access token is invalid.")
        if "x-ms-version" in ask.headers:
            return
        if "api-version" not in ask.query:
            raise RefusalError(400, "MissingApiVersionParameter", "The api-version query parameter is required.")

    def refuse(self, refusal: RefusalError) -> Answer:
        return Answer(refusal.status, {"error": {"code": refusal.code, "message": refusal.text}})

    def fault(self, kind: FaultKind, route: Route) -> RefusalError:
        # Cost Management does not name the action that it forbids; Resource Manager does.
        forbidden = RefusalError(
            403, "AuthorizationFailed",
            f"The client 'optiinfra-reader' with object id '0' does not have authorization to perform action "
            f"'{route.action}' over scope '/subscriptions' or the scope is invalid.",
        )  # fmt: skip
        if route.action == COSTS:
            forbidden = RefusalError(
                403, "RBACAccessDenied", "The client does not have authorization to perform action."
            )
        return {
            FaultKind.THROTTLE: RefusalError(429, "429", "Too many requests. Please retry."),
            FaultKind.DENY: forbidden,
            FaultKind.EXPIRED: RefusalError(
                401, "ExpiredAuthenticationToken", "The access token expiry UTC time is in the past."
            ),
            FaultKind.ABSENT: RefusalError(404, "ResourceNotFound", "The resource was not found."),
        }.get(kind, RefusalError(500, "InternalServerError", "The server had an internal error."))

    def page_fault(self, kind: FaultKind, ask: Ask, document: dict[str, Any]) -> None:
        inside = document.get("properties", document)
        items = "rows" if "rows" in inside else "value" if "value" in inside else ""
        if not items:
            return
        asked = dict(parse_qsl("&".join(f"{k}={v}" for k, v in ask.query.items())))
        token = asked.get("$skiptoken", "")
        here = f"{ask.base}{ask.path}?api-version={asked.get('api-version', '')}&$skiptoken="
        if kind is FaultKind.EMPTY_PAGE:
            inside[items] = []
            inside["nextLink"] = f"{here}{token or 'ZnJvbS0w'}"
        else:
            inside["nextLink"] = f"{here}{token}" if token else inside.get("nextLink") or f"{here}ZnJvbS0w"

    def _listed_blobs(self, ask: Ask) -> Answer:
        found, more = self._container(ask).listed(ask.query.get("prefix", ""), ask.query.get("marker", ""))
        return Answer(200, azure_listing(*EXPORTS, found, more), {"content-type": "application/xml"})

    def _blob(self, ask: Ask) -> Answer:
        return azure_answer(self._container(ask).get(ask.parts["blob"]), ask.headers.get("if-match", ""))

    def _container(self, ask: Ask) -> Bucket:
        if ask.parts["container"] != EXPORTS[1]:
            raise RefusalError(404, "ContainerNotFound", "The specified container does not exist.")
        return self.exports

    def _lines(self, subscription: str, kind: str = "") -> list[Line]:
        """Resources of a kind, each once."""
        self._check(subscription)
        found = {
            line.resource_id: line
            for line in self.bills.lines()
            if line.account == subscription
            and line.resource_id.startswith("/subscriptions/")
            and kind in {"", line.resource_type}
        }
        return list(found.values())

    def _check(self, subscription: str) -> None:
        if subscription.lower() not in SUBSCRIPTIONS:
            raise RefusalError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")

    def _subscription(self, ask: Ask) -> Answer:
        subscription = ask.parts["subscription"]
        self._check(subscription)
        return Answer(
            200,
            {
                "id": f"/subscriptions/{subscription}",
                "subscriptionId": subscription,
                "displayName": org.account_name(subscription),
                "state": "Enabled",
                "tenantId": TENANT,
            },
        )

    def _listed(self, items: Callable[[str], Iterable[dict[str, Any]]]) -> Callable[[Ask], Answer]:
        def answer(ask: Ask) -> Answer:
            subscription = ask.parts["subscription"]
            self._check(subscription)
            found = list(items(subscription))
            if ask.query.get("statusOnly") == "true":
                found = [{"id": item["id"], "name": item["name"], "properties": self._running(item)} for item in found]
            shown, more = page(found, ask.query.get("$skiptoken", ""), MOST)
            status = "&statusOnly=true" if "statusOnly" in ask.query else ""
            version = ask.query["api-version"]
            link = {"nextLink": f"{ask.base}{ask.path}?api-version={version}{status}&$skiptoken={more}"} if more else {}
            return Answer(200, {"value": shown, **link})

        return answer

    def _of(self, kind: str) -> Callable[[str], Iterable[dict[str, Any]]]:
        return lambda subscription: self.world.of(kind, subscription)

    def _running(self, item: dict[str, Any]) -> dict[str, Any]:
        return {"instanceView": {"statuses": self.world.power(item["id"])}}

    def _made(self) -> Iterable[dict[str, Any]]:
        """What the organisation has at the start."""
        for subscription in SUBSCRIPTIONS:
            yield from self._machines(subscription)
            yield from self._disks(subscription)
            yield from self._stores(subscription)
            yield from (self._database(line) for line in self._lines(subscription) if "Sql" in line.resource_type)

    def _database(self, line: Line) -> dict[str, Any]:
        sku = {"name": "GP_Gen5_8", "tier": "GeneralPurpose", "capacity": 8}
        return self._described(line, status="Online", currentServiceObjectiveName=sku["name"]) | {"sku": sku}

    def _described(self, line: Line, **properties: Any) -> dict[str, Any]:
        return {
            "id": line.resource_id,
            "name": line.resource_name,
            "type": line.resource_type,
            "location": line.region,
            **({"tags": {key.title(): value for key, value in line.tags}} if line.tags else {}),
            **({"properties": properties} if properties else {}),
        }

    def _all(self, subscription: str) -> Iterable[dict[str, Any]]:
        for line in self._lines(subscription):
            now = self.world.things.get(line.resource_id.lower(), {})
            yield self._described(line) | ({"sku": now["sku"]} if "Sql" in line.resource_type and now else {})

    def _machines(self, subscription: str) -> Iterable[dict[str, Any]]:
        for line in self._lines(subscription, _MACHINES):
            disk = f"{line.resource_id.rpartition('/providers/')[0]}/providers/{_DISKS}/{line.resource_name}-os"
            yield self._described(
                line,
                vmId=hashlib.sha256(line.key.encode()).hexdigest()[:32],
                hardwareProfile={"vmSize": _SIZES[line.sku]},
                storageProfile={
                    "osDisk": {"osType": "Linux", "createOption": "FromImage", "managedDisk": {"id": disk}},
                    "dataDisks": [],
                },
                provisioningState="Succeeded",
                timeCreated=f"{self.today - timedelta(days=430)}T08:00:00.1234567+00:00",
            )

    def _disks(self, subscription: str) -> Iterable[dict[str, Any]]:
        for line in self._lines(subscription, _DISKS):
            yield self._described(
                line,
                creationData={"createOption": "Empty"},
                diskSizeGB=1024,
                diskState="Unattached",
                timeCreated=f"{self.today - timedelta(days=290)}T12:41:36.872242+00:00",
                provisioningState="Succeeded",
            ) | {"sku": {"name": "Premium_LRS", "tier": "Premium"}}

    def _stores(self, subscription: str) -> Iterable[dict[str, Any]]:
        for line in self._lines(subscription, _STORES):
            yield self._described(
                line,
                accessTier="Hot",
                provisioningState="Succeeded",
                creationTime=f"{self.today - timedelta(days=800)}T09:00:00.1234567Z",
            ) | {"sku": {"name": "Standard_LRS", "tier": "Standard"}, "kind": "StorageV2"}

    def _permissions(self, ask: Ask) -> Answer:
        actions = ["*/read", COSTS]
        return Answer(200, {"value": [{"actions": actions, "notActions": [], "dataActions": [], "notDataActions": []}]})

    def _payer(self, ask: Ask) -> Answer:
        subscription = ask.parts["subscription"]
        self._check(subscription)
        return Answer(
            200,
            {
                "id": f"/subscriptions/{subscription}/providers/Microsoft.Billing/billingProperty/default",
                "name": "default",
                "type": "Microsoft.Billing/billingProperty",
                "properties": {
                    "accountAdminNotificationEmailAddress": "",
                    "billingAccountId": org.AZURE_BILLING_ACCOUNT,
                    "billingAccountDisplayName": org.NAME,
                    "subscriptionBillingStatus": "Active",
                },
            },
        )

    def _query(self, ask: Ask) -> Answer:
        self._check(ask.parts["subscription"])
        return azure_bills.answer(self.bills, ask)

    def _metrics(self, ask: Ask) -> Answer:
        span = ask.query.get("timespan", "")
        if ask.query.get("metricnames") == "ResponseStatus":
            told = balancers.azure_metric(self.counted, ask.parts["resource"], span)
            return Answer(200, {"cost": 0, "timespan": span, "interval": "PT1M", "value": [told]})
        busy = next((percent for name, percent in BUSY.items() if f"/{name}-" in f"/{ask.parts['resource']}"), None)
        measured = [] if busy is None else list(points(span, busy, ask.parts["resource"]))
        return Answer(
            200,
            {
                "cost": 0,
                "timespan": span,
                "interval": ask.query.get("interval", "PT1H"),
                "namespace": _MACHINES,
                "resourceregion": "westeurope",
                "value": [
                    {
                        "id": f"/{ask.parts['resource']}/providers/Microsoft.Insights/metrics/Percentage CPU",
                        "type": "Microsoft.Insights/metrics",
                        "name": {"value": "Percentage CPU", "localizedValue": "Percentage CPU"},
                        "unit": "Percent",
                        "timeseries": [{"metadatavalues": [], "data": measured}] if measured else [],
                    }
                ],
            },
        )

    def _login(self, ask: Ask) -> Answer:
        form = dict(parse_qsl(ask.body.decode()))
        if (ask.parts["tenant"], form.get("client_id"), form.get("client_secret")) != (TENANT, CLIENT, SECRET):
            return Answer(
                401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
            )
        return Answer(
            200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": self.token}
        )

    def _prices(self, ask: Ask) -> Answer:
        asked = set(re.findall(r"armSkuName eq '([^']+)'", ask.query.get("$filter", "")))
        items = [item for size in sorted(asked & set(PRICES)) for item in price_items(size)]
        shown, more = page(items, ask.query.get("$skiptoken", ""), MOST)
        link = (
            f"{ask.base}/api/retail/prices?$filter={ask.query.get('$filter', '')}&$skiptoken={more}" if more else None
        )
        return Answer(
            200,
            {
                "BillingCurrency": "USD",
                "CustomerEntityId": "Default",
                "Items": shown,
                "NextPageLink": link,
                "Count": len(shown),
            },
        )


@dataclass
class AzureCloud(RestCloud):
    """The application; beside the usual control paths, `short` takes what is lacking: {"sold_out": [...], "full": [...]}."""

    cloud: Azure

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


def build(
    *, today: date, seed: int = 7, months: int = 13, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AzureCloud:
    """An Azure with the organisation's things and the bills of its story."""
    exports = Bucket(lambda: of_story("azure", seed=seed, today=today, months=months), now)
    bills = Bills(_lines, seed, today, months)
    return AzureCloud(Azure(bills, today, exports), now=now, bills=bills)


def _lines() -> Iterable[Line]:
    from sandbox.story.events import new_lines

    return (*azure_lines(), *(line for line in new_lines() if line.provider == "azure" and line.kind is Kind.USAGE))
