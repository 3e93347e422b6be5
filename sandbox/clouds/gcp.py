"""The sandbox's Google Cloud: three projects with their things, metrics, prices and BigQuery, in Google's own shapes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from sandbox.clouds import balancers
from sandbox.clouds import gcp_things as things
from sandbox.clouds import gcp_told as told_of
from sandbox.clouds.bills import Bills
from sandbox.clouds.buckets import Bucket, google_item, of_story
from sandbox.clouds.gcp_acting import EXECUTOR_TOKEN, World
from sandbox.clouds.gcp_bigquery import DATASET, BigQuery
from sandbox.clouds.gcp_export import DETAILED
from sandbox.clouds.rest import CONTROL, Answer, Ask, RefusalError, RestCloud, Route, page
from sandbox.faults import FaultKind, Faults
from sandbox.story.other_lines import gcp_lines

TOKEN = "sandbox-gcp-token"  # noqa: S105 - the sandbox's own token, worth nothing anywhere else
MACHINE_TOKEN = "sandbox-gcp-machine-token"  # noqa: S105 - same
READER = "optiinfra-reader@lumen-web-eu.iam.gserviceaccount.com"
BILLING_PROJECT = "lumen-analytics"
# Where the organisation keeps its FOCUS exports.
EXPORTS = "lumen-focus-exports"
BILLING_TABLE = f"{BILLING_PROJECT}.{DATASET}.{DETAILED}"
# Google hands out hundreds; few, so that there is always more than one page.
MOST, MOST_SCOPES = 3, 2
CHANGING = ("compute.instanceGroupManagers.update", "compute.instances.stop", "compute.disks.delete")
_TOKENS = {f"Bearer {TOKEN}", f"Bearer {MACHINE_TOKEN}", f"Bearer {EXECUTOR_TOKEN}"}
# Compute Engine and BigQuery throttle with 403, the younger services with 429.
_OLD = ("compute.", "bigquery.", "storage.", "cloudsql.")
Collection = Callable[[str], list[dict[str, Any]]]


@dataclass
class Gcp:
    """What exists, what it cost, and how Google says so. `unreachable` names zones that cannot be looked into."""

    bigquery: BigQuery
    today: date
    now: Callable[[], datetime]
    exports: Bucket
    projects: Sequence[str] = things.PROJECTS
    unreachable: set[str] = field(default_factory=set)
    faults: Faults = field(default_factory=Faults)
    # What load balancers counted; nothing where no Prometheus is told of.
    counted: balancers.Counts = balancers.nothing
    routes: Sequence[Route] = field(init=False)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.today)
        root = "/compute/v1/projects/{project}"
        zonal: dict[str, Collection] = {
            "instances": lambda project: self.world.of("instances", project),
            "disks": lambda project: self.world.of("disks", project),
            "addresses": lambda project: self.world.of("addresses", project),
            "commitments": things.commitments,
            "instanceGroupManagers": lambda project: self.world.of("instanceGroupManagers", project),
        }
        everywhere: dict[str, Collection] = {
            "snapshots": lambda project: self.world.of("snapshots", project),
            "images": things.images,
        }
        table = "/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}"
        queries = "/bigquery/v2/projects/{project}/queries"
        own = "/computeMetadata/v1/instance/service-accounts/default/"
        self.routes = (
            *(
                Route("GET", f"{root}/aggregated/{name}", f"compute.{name}.list", self._aggregated(name, find))
                for name, find in zonal.items()
            ),
            *(
                Route("GET", f"{root}/global/{name}", f"compute.{name}.list", self._listing("items", find))
                for name, find in everywhere.items()
            ),
            Route("GET", root + "/zones/{zone}/machineTypes/{name}", "compute.machineTypes.get", self._machine_type),
            Route("GET", "/v1/projects/{project}/instances", "cloudsql.instances.list", self._databases),
            Route("GET", "/storage/v1/b", "storage.buckets.list", self._buckets),
            Route("GET", "/storage/v1/b/{bucket}/o", "storage.objects.list", self._objects),
            Route("GET", "/storage/v1/b/{bucket}/o/{object:path}", "storage.objects.get", self._object),
            Route("GET", "/v3/projects/{project}/timeSeries", "monitoring.timeSeries.list", self._series),
            Route("GET", "/v1/services/6F81-5844-456A/skus", "cloudbilling.skus.list", self._skus),
            Route("GET", _ADVICE, "recommender.recommendations.list", self._advice),
            Route("POST", "/v3/projects/{project}:testIamPermissions", "resourcemanager.test", self._permitted),
            Route("POST", table + ":testIamPermissions", "bigquery.test", self._permitted),
            Route("GET", table, "bigquery.tables.get", lambda ask: Answer(200, self.bigquery.table(ask))),
            Route("POST", queries, "bigquery.jobs.create", lambda ask: Answer(200, self.bigquery.query(ask))),
            Route("GET", queries + "/{job}", "bigquery.jobs.get", lambda ask: Answer(200, self.bigquery.results(ask))),
            Route("GET", own + "token", "metadata.token", self._machine, public=True),
            Route("GET", own, "metadata.account", self._machine, public=True),
            *self.world.routes(),
        )

    def let_in(self, ask: Ask) -> None:
        self.world.line.tick()
        if ask.headers.get("authorization") not in _TOKENS:
            raise _expired()
        project = ask.parts.get("project") or ask.query.get("project")
        if project is not None and project not in self.projects:
            raise RefusalError(404, "notFound", f"The resource 'projects/{project}' was not found")

    def refuse(self, refusal: RefusalError) -> Answer:
        """In the words of Google's newer services and the older ones at once, as their errors mostly come."""
        status = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        error: dict[str, Any] = {
            "code": refusal.status,
            "message": refusal.text,
            "errors": [{"message": refusal.text, "domain": "global", "reason": refusal.code}],
            "status": status.get(refusal.status, "INTERNAL" if refusal.status >= 500 else "INVALID_ARGUMENT"),
        }
        if refusal.code == "IAM_PERMISSION_DENIED":
            permission = refusal.text.split("'")[1]
            del error["errors"]
            error["details"] = [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": refusal.code,
                    "domain": "iam.googleapis.com",
                    "metadata": {"permission": permission},
                }
            ]
        return Answer(refusal.status, {"error": error})

    def fault(self, kind: FaultKind, route: Route) -> RefusalError:
        old = route.action.startswith(_OLD)
        if kind is FaultKind.THROTTLE:
            text = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'"
            return RefusalError(403 if old else 429, "rateLimitExceeded", text)
        if kind is FaultKind.DENY:
            if old:
                return RefusalError(403, "forbidden", f"Required '{route.action}' permission for 'projects/417'")
            text = f"Permission '{route.action}' denied on resource (or it may not exist)."
            return RefusalError(403, "IAM_PERMISSION_DENIED", text)
        if kind is FaultKind.EXPIRED:
            return _expired()
        if kind is FaultKind.ABSENT:
            return RefusalError(404, "notFound", "Not Found")
        return RefusalError(500, "backendError", "Backend Error")

    def page_fault(self, kind: FaultKind, ask: Ask, document: dict[str, Any]) -> None:
        name = "pageToken" if "jobReference" in document else "nextPageToken"
        token = ask.query.get("pageToken") or ""
        if kind is FaultKind.REPEATED_PAGE:
            document[name] = token or document.get(name) or "ZnJvbS0w"
            return
        for key in ("items", "rows", "skus", "timeSeries", "recommendations"):
            document.pop(key, None)
        # The items come after the empty page, from the same place, by another token.
        place = base64.urlsafe_b64decode(token).decode().removeprefix("from-") if token else "0"
        document[name] = base64.urlsafe_b64encode(f"from- {place}".encode()).decode()

    def _listing(self, key: str, find: Collection) -> Callable[[Ask], Answer]:
        def answer(ask: Ask) -> Answer:
            return _paged(ask, key, find(ask.parts["project"]))

        return answer

    def _aggregated(self, key: str, find: Collection) -> Callable[[Ask], Answer]:
        def answer(ask: Ask) -> Answer:
            """Scopes with what is in them; an empty one says so by a warning, an unreachable one by another."""
            found = find(ask.parts["project"])
            scopes = [
                (scope, [one for one in found if _scope(one) == scope])
                for scope in (f"regions/{things.REGION}", *(f"zones/{zone}" for zone in things.ZONES))
            ]
            shown, more = page(scopes, ask.query.get("pageToken", ""), MOST_SCOPES)
            told = {scope: self._part(key, scope, inside) for scope, inside in shown}
            return Answer(200, {"kind": f"compute#{key}AggregatedList", "items": told} | _next(more))

        return answer

    def _part(self, key: str, scope: str, inside: list[dict[str, Any]]) -> dict[str, Any]:
        if scope.partition("/")[2] in self.unreachable:
            return {"warning": {"code": "UNREACHABLE", "message": f"The scope '{scope}' is not reachable."}}
        if not inside:
            return {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": f"No results for '{scope}' on this page."}}
        return {key: inside}

    def _machine_type(self, ask: Ask) -> Answer:
        found = told_of.machine_type(ask.parts["zone"], ask.parts["name"])
        if found is None:
            raise RefusalError(404, "notFound", f"The resource '{ask.parts['name']}' was not found")
        return Answer(200, found)

    def _databases(self, ask: Ask) -> Answer:
        answer = _paged(ask, "items", self.world.of("databases", ask.parts["project"]))
        if things.REGION in self.unreachable:
            answer.document.pop("items", None)
            answer.document["warnings"] = [{"code": "REGION_UNREACHABLE", "region": things.REGION}]
        return answer

    def _buckets(self, ask: Ask) -> Answer:
        return _paged(ask, "items", self.world.of("buckets", ask.query.get("project", "")))

    def _objects(self, ask: Ask) -> Answer:
        found, more = self._exports(ask).listed(ask.query.get("prefix", ""), ask.query.get("pageToken", ""))
        items = [google_item(EXPORTS, blob) for blob in found]
        return Answer(200, {"kind": "storage#objects"} | ({"items": items} if items else {}) | _next(more))

    def _object(self, ask: Ask) -> Answer:
        blob = self._exports(ask).get(ask.parts["object"])
        if ask.query.get("generation", str(blob.generation)) != str(blob.generation):
            raise RefusalError(404, "notFound", f"No such object: {EXPORTS}/{blob.key}")
        if ask.query.get("alt") != "media":
            return Answer(200, google_item(EXPORTS, blob))
        return Answer(200, blob.content, {"content-type": "application/octet-stream"})

    def _exports(self, ask: Ask) -> Bucket:
        if ask.parts["bucket"] != EXPORTS:
            raise RefusalError(404, "notFound", "The specified bucket does not exist.")
        return self.exports

    def _series(self, ask: Ask) -> Answer:
        end = datetime.fromisoformat(ask.query["interval.endTime"])
        start = datetime.fromisoformat(ask.query["interval.startTime"])
        if url_map := balancers.url_map_asked(ask.query.get("filter", "")):
            return _paged(
                ask, "timeSeries", balancers.google_series(self.counted, ask.parts["project"], url_map, start, end)
            )
        hours = int((end - start) / timedelta(hours=1))
        ends = ((end - timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(hours))
        found = told_of.series(ask.parts["project"], ask.query.get("aggregation.perSeriesAligner", ""), ends)
        return _paged(ask, "timeSeries", found)

    def _skus(self, ask: Ask) -> Answer:
        return _paged(ask, "skus", told_of.skus(), most=8)

    def _advice(self, ask: Ask) -> Answer:
        place, recommender = ask.parts["place"], ask.parts["recommender"]
        permission = _recommending(recommender)
        if self._denied(permission):
            text = f"Permission '{permission}' denied on resource (or it may not exist)."
            raise RefusalError(403, "IAM_PERMISSION_DENIED", text)
        return _paged(ask, "recommendations", told_of.recommendations(ask.parts["project"], place, recommender))

    def _permitted(self, ask: Ask) -> Answer:
        """Everything that reads is granted, unless a fault denies it; what changes to the executor only."""
        asked = ask.document().get("permissions", [])
        acts = ask.headers.get("authorization") == f"Bearer {EXECUTOR_TOKEN}"
        granted = [p for p in asked if (acts or p not in CHANGING) and not self._denied(p)]
        return Answer(200, {"permissions": granted} if granted else {})

    def _denied(self, permission: str) -> bool:
        return any(
            one["kind"] == FaultKind.DENY.value and fnmatchcase(permission, str(one["action"]))
            for one in self.faults.as_json()
        )

    def _machine(self, ask: Ask) -> Answer:
        """The metadata server: only who asks with its header is a program of the machine."""
        if ask.headers.get("metadata-flavor") != "Google":
            raise RefusalError(403, "forbidden", "Missing Metadata-Flavor:Google header.")
        if ask.path.endswith("token"):
            return Answer(200, {"access_token": MACHINE_TOKEN, "expires_in": 3599, "token_type": "Bearer"})
        return Answer(200, {"email": READER, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]})


_ADVICE = "/v1/projects/{project}/locations/{place}/recommenders/{recommender}/recommendations"


@dataclass
class GcpCloud(RestCloud):
    """The application; beside the usual control paths, `unreachable` takes {"places": [...]} and `short` what is
    lacking, {"sold_out": [...], "full": [...]}."""

    cloud: Gcp

    def __post_init__(self) -> None:
        self.cloud.faults = self.faults

    def control(self, ask: Ask) -> Answer:
        """Answer a control request."""
        path = ask.path.removeprefix(CONTROL)
        if (ask.method, path) == ("POST", "unreachable"):
            self.cloud.unreachable = {str(place) for place in ask.document().get("places", [])}
            return Answer(200, {"unreachable": sorted(self.cloud.unreachable)})
        if (ask.method, path) == ("POST", "short"):
            return Answer(200, self.cloud.world.short.told(ask.document()))
        if (ask.method, path) == ("POST", "reset"):
            self.cloud.unreachable = set()
            self.cloud.world.forget()
        return super().control(ask)


def _scope(told: dict[str, Any]) -> str:
    link = str(told.get("zone") or told.get("region"))
    return "/".join(link.split("/")[-2:])


def _recommending(recommender: str) -> str:
    """ "google.compute.disk.IdleResourceRecommender" -> the permission to list what it says."""
    _, service, thing, kind = unquote(recommender).split(".")
    known = {
        "IdleResourceRecommender": "IdleResourceRecommendations",
        "MachineTypeRecommender": "MachineTypeRecommendations",
    }
    if service == "cloudsql":
        return "recommender.cloudsqlIdleInstanceRecommendations.list"
    return f"recommender.{service}{thing.title()}{known[kind]}.list"


def _paged(ask: Ask, key: str, found: Iterable[dict[str, Any]], most: int = MOST) -> Answer:
    """A page of a list; Google leaves an empty list out."""
    shown, more = page(list(found), ask.query.get("pageToken", ""), most)
    return Answer(200, ({key: shown} if shown else {}) | _next(more))


def _next(more: str) -> dict[str, str]:
    return {"nextPageToken": more} if more else {}


def _expired() -> RefusalError:
    text = "Request had invalid authentication credentials. Expected OAuth 2 access token."
    return RefusalError(401, "authError", text)


def build(
    *,
    today: date,
    seed: int = 7,
    months: int = 13,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> GcpCloud:
    """A Google Cloud with the organisation's things and the billing export of its story."""
    bigquery = BigQuery(Bills(gcp_lines, seed, today, months), BILLING_PROJECT)
    exports = Bucket(lambda: of_story("gcp", seed=seed, today=today, months=months), now)
    return GcpCloud(Gcp(bigquery, today, now, exports), now=now, bills=bigquery.bills)
