"""Sections: what one account is looked through by - each a service that may refuse without hiding the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tools.model.errors import DeniedError
from tools.model.resource import Resource
from tools.providers.aws import metrics
from tools.providers.aws.connection import Connection
from tools.providers.aws.describing import Describer, Tags
from tools.providers.aws.refusals import our_words

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

# GetResources by the word that each service's resources have there.
_TAGGED = ("lambda:function", "elasticloadbalancing:loadbalancer", "s3")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the inventory: which kinds it lists, and how. It is whole, or raises a ProviderError."""

    kinds: tuple[str, ...]
    what: str
    read: Callable[[Place], Iterable[Resource]]


@dataclass(frozen=True, slots=True)
class Place:
    """One account and region that is looked at. `key` is the account by which a role is found, or empty.

    `denied` collects permissions without which something stays unknown (use, lifecycle) but nothing is hidden.
    """

    connection: Connection
    account_id: str
    key: str
    region: str
    at: datetime
    denied: list[DeniedError] = field(default_factory=list)
    _tags: list[dict[str, dict[str, str]]] = field(default_factory=list)

    @property
    def see(self) -> Describer:
        return Describer(self.account_id, self.region, self.at)

    def client(self, service: str) -> Any:
        return self.connection.client(service, self.key, self.region)

    @property
    def watch(self) -> CloudWatchClient:
        return self.connection.client("cloudwatch", self.key, self.region)

    def pages(self, service: str, operation: str, item: str, what: str, **asked: Any) -> Iterator[Any]:
        """Every item of a list, all pages."""
        with our_words(f"listing {what} of {self.account_id} in {self.region}"):
            for page in self.client(service).get_paginator(operation).paginate(**asked):
                yield from page.get(item, ())

    def tags(self, arn: str) -> Tags:
        """The tags of a resource whose own description does not tell them; asked once for all of the region.

        Raises DeniedError without the permission: a tag that is not seen may be the one that says "leave me alone".
        """
        if not self._tags:
            found = {
                str(one["ResourceARN"]): {str(t["Key"]): str(t["Value"]) for t in one.get("Tags", ())}
                for one in self.pages(
                    "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", "tags",
                    ResourceTypeFilters=list(_TAGGED),
                )
            }  # fmt: skip
            self._tags.append(found)
        return [{"Key": key, "Value": value} for key, value in self._tags[0].get(arn, {}).items()]

    def utilisation(self, ids: Sequence[str], **of: str) -> Mapping[str, dict[str, object]]:
        """CPU use by id; without the permission use is unknown, which hides no resource."""
        try:
            return metrics.utilisation(self.watch, ids, self.at, **of) if ids else {}
        except DeniedError as error:
            self.denied.append(error)
            return {}

    def totals(self, wanted: Sequence[metrics.Wanted]) -> list[int | None]:
        """Sums over two weeks; all unknown without the permission."""
        try:
            return metrics.totals(self.watch, wanted, self.at) if wanted else []
        except DeniedError as error:
            self.denied.append(error)
            return [None] * len(wanted)
