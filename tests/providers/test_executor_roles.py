"""The executor's roles in deploy/: exactly what the changes call, no permission more and none less."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.providers import catalog
from tools.providers.changing import Acting

DEPLOY = Path(__file__).parents[2] / "deploy"
# Beside the changes: what moves a group to spot, and what Auto Scaling does in our name; who we are, for `doctor`.
GROUPS = {"autoscaling:UpdateAutoScalingGroup", "ec2:RunInstances", "sts:GetCallerIdentity"}
# What every reader has: the executor of Vultr reads with its own key.
VULTR_READS = {"subscriptions_view", "billing", "loadbalancer"}


def acting(about: catalog.About) -> Acting:
    module, _, name = about.code.partition(":")
    argument = {"argument": about.example} if about.example else {}
    made: Acting = getattr(import_module(module), name)(None, lambda: datetime.now(UTC), **argument)
    return made


def changes(provider: str) -> list[Acting]:
    return [acting(about) for about in catalog.ABOUT if about.provider == provider and about.name != "aws.asg_spot"]


def called(provider: str) -> set[str]:
    """Every permission that the provider's changes say they need."""
    return {permission for one in changes(provider) for permission in (*one.needs, *one.reads)}


def document(name: str) -> Any:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    return yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)


def test_aws() -> None:
    """Looks go through the reader's role; what acts on things that are there asks for the tag optiinfra:managed."""
    statements = document("aws/executor-policy.json")["Statement"]
    needed = {permission for one in changes("AWS") for permission in one.needs}
    assert {action for one in statements for action in one["Action"]} == needed | GROUPS
    reader = document("aws/reader-policy.json")["Statement"]
    assert {p for one in changes("AWS") for p in one.reads} <= {a for one in reader for a in one["Action"]}
    assert {one["Effect"] for one in statements} == {"Allow"}
    managed = {a for one in statements if "Condition" in one for a in one["Action"]}
    assert {"ec2:DeleteVolume", "ec2:StopInstances", "rds:StopDBInstance", "lambda:UpdateAlias"} <= managed


def test_google_cloud() -> None:
    """A custom role of single permissions."""
    assert set(document("gcp/executor.yaml")["includedPermissions"]) == called("Google Cloud")


def test_azure() -> None:
    """A custom role of single actions, without a wildcard."""
    actions = document("azure/executor.json")["Actions"]
    assert set(actions) == called("Microsoft")
    assert not any("*" in action for action in actions)


def test_vultr() -> None:
    """Vultr knows whole areas only."""
    assert set(document("vultr/acl-executor.json")["acls"]) == called("Vultr") | VULTR_READS


@pytest.mark.parametrize("about", catalog.ABOUT, ids=lambda about: about.name)
def test_a_change_calls_itself_as_the_catalog_does(about: catalog.About) -> None:
    """A plan names its change; the wrong one would be carried out."""
    assert acting(about).name == about.name
