"""Organisation: the accounts that one paying account pays for, closed ones too, and what that account is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.model.resource import Resource
from tools.providers.aws.describing import ACCOUNT
from tools.providers.aws.refusals import our_words
from tools.providers.aws.sections import Place, Section


def payer_of(client: Any, account_id: str) -> str:
    """The management account of an account's organisation; one that is in none pays itself."""
    with our_words("asking who pays the bill"):
        try:
            return str(client.describe_organization()["Organization"]["MasterAccountId"])
        except client.exceptions.AWSOrganizationsNotInUseException:
            return account_id


def _accounts(place: Place) -> Iterator[Resource]:
    """Only the paying account may list them; to a member AWS tells nothing, and nothing is missing there."""
    if payer_of(place.client("organizations"), place.account_id) != place.account_id:
        return
    with our_words("looking whether there is an organisation"):
        client = place.client("organizations")
        try:
            found = [a for page in client.get_paginator("list_accounts").paginate() for a in page["Accounts"]]
        except client.exceptions.AWSOrganizationsNotInUseException:
            return
    yield from (place.see.account(account) for account in found)


SECTIONS = (Section((ACCOUNT,), "accounts of the organisation", _accounts),)
