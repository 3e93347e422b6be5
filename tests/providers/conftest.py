"""Clouds on loopback: a moto server with a small account and somebody who plays AWS, and the sandbox's other clouds."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests

from tests.providers.flats import Flat, World, every_flat
from tools.settings import Settings

if TYPE_CHECKING:
    from sandbox.clouds.aws import Aws as Cloud
    from sandbox.clouds.gcp import GcpCloud
    from sandbox.clouds.rest import RestCloud
    from tools.providers.gcp.billing import GcpBilling
    from tools.providers.gcp.connection import Connection
    from tools.providers.gcp.inventory import GcpInventory

REGION = "eu-west-1"
GROUP = "checkout-workers"
POLICIES = Path(__file__).resolve().parents[2] / "deploy" / "aws"


@pytest.fixture(scope="session")
def moto_front() -> Iterator[tuple[str, Cloud]]:
    """One empty AWS for all tests of a process: moto, and before it what the sandbox answers by itself."""
    from moto.iam.models import get_account_id_from

    from sandbox.clouds import aws as fake
    from sandbox.clouds import aws_acting, aws_moto
    from sandbox.clouds.aws_groups import GroupKeeper
    from sandbox.clouds.aws_told import Told
    from sandbox.clouds.bills import Bills
    from sandbox.serving import listen, url_of
    from sandbox.story.aws_lines import lines

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    listener, stop = listen(), threading.Event()
    keeper = GroupKeeper(list, 1.0)
    told = Told(Bills(lines, 7, date(2026, 11, 23), 4))
    acts = aws_acting.Acts(keeper, lambda: datetime.now(UTC))
    cloud = fake.Aws(aws_moto.load(), keeper, told, acts, account_of=get_account_id_from, fills=False)
    thread = threading.Thread(target=fake.serve, args=(listener, cloud, stop), daemon=True)
    thread.start()
    yield url_of(listener), cloud
    stop.set()
    thread.join(10)
    listener.close()


@pytest.fixture(scope="session")
def moto_url(moto_front: tuple[str, Cloud]) -> str:
    """Where it answers; each test gets it empty."""
    return moto_front[0]


@pytest.fixture
def aws(moto_front: tuple[str, Cloud], monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An empty AWS account, with nothing wrong with it, that the product's settings and the test's own clients reach."""
    url, cloud = moto_front
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    cloud.faults.clear()
    cloud.calls.clear()
    requests.post(f"{url}/moto-api/reset", timeout=10)
    return Aws(url, cloud=cloud)


def policy(name: str) -> dict[str, Any]:
    """A policy as it is shipped: "reader", "billing-reader" or "executor"."""
    told: dict[str, Any] = json.loads((POLICIES / f"{name}-policy.json").read_text())
    return told


def allowed(*names: str) -> frozenset[str]:
    """The actions that policies allow together."""
    return frozenset(a for name in names for statement in policy(name)["Statement"] for a in statement["Action"])


@pytest.fixture(autouse=True)
def covered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that AWS's rooms make in any test is allowed by the policies that are shipped for it."""
    if not request.module.__name__.rpartition(".")[2].startswith("test_aws"):
        return
    from tools.providers.aws.connection import Connection
    from tools.providers.aws.permissions import action_of

    made = Connection.client
    reads, changes = allowed("reader", "billing-reader"), allowed("executor")

    def client(self: Connection, service: str, *where: Any, effects: bool = False) -> Any:
        found = made(self, service, *where, effects=effects)

        def look(model: Any, **_: Any) -> None:
            action = action_of(model.name)
            assert ":" in action, f"{model.name} has no permission in tools/providers/aws/permissions.py"
            assert action in (changes if effects else reads), f"{action} is in no shipped policy"

        found.meta.events.register("before-call", look, unique_id=f"covered-{effects}")
        return found

    monkeypatch.setattr(Connection, "client", client)


@dataclass
class Aws:
    """What a test does on the AWS side."""

    url: str
    account: str = "123456789012"
    cloud: Cloud | None = None
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(_env_file=None, aws_endpoint_url=self.url, aws_regions=(REGION,))

    def fails(self, kind: str, action: str, times: int | None = None, **more: object) -> None:
        """From now on, what `action` matches goes wrong."""
        from sandbox.faults import fault_of

        assert self.cloud is not None
        self.cloud.faults.add(fault_of({"kind": kind, "action": action, "times": times, **more}))

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(service, region_name=REGION, endpoint_url=self.url)
        return self._clients[service]

    @property
    def image(self) -> str:
        images = self.client("ec2").describe_images(Owners=["self"])["Images"]
        if images:
            return str(images[0]["ImageId"])
        return str(self.client("ec2").register_image(Name="base", RootDeviceName="/dev/sda1")["ImageId"])

    def template(self, name: str = "checkout", **data: Any) -> str:
        made = self.client("ec2").create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": self.image, "InstanceType": "m5.2xlarge", **data},
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def group(
        self, name: str = GROUP, size: int = 20, policy: dict[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        """An Auto Scaling group of on-demand instances, with a plain launch template unless a policy is given."""
        template = self.template(name)
        how: dict[str, Any] = {"LaunchTemplate": {"LaunchTemplateId": template, "Version": "1"}}
        if policy is not None:
            specification = {"LaunchTemplateId": template, "Version": "1"}
            overrides = [{"InstanceType": t} for t in ("m5.2xlarge", "m5a.2xlarge", "m6i.2xlarge")]
            how = {
                "MixedInstancesPolicy": {
                    "LaunchTemplate": {"LaunchTemplateSpecification": specification, "Overrides": overrides},
                    "InstancesDistribution": policy,
                }
            }
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=max(2 * size, 2),
            DesiredCapacity=size,
            AvailabilityZones=[f"{REGION}a", f"{REGION}b"],
            Tags=[
                {"Key": key, "Value": value, "PropagateAtLaunch": True}
                for key, value in {"service": "checkout", "team": "checkout", **more}.items()
            ],
            **how,
        )
        return self.described(name)

    def described(self, name: str = GROUP) -> dict[str, Any]:
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return dict(found["AutoScalingGroups"][0])

    def spot_count(self, name: str = GROUP) -> int:
        ids = [i["InstanceId"] for i in self.described(name)["Instances"]]
        reservations = self.client("ec2").describe_instances(InstanceIds=ids)["Reservations"] if ids else []
        return sum(i.get("InstanceLifecycle") == "spot" for r in reservations for i in r["Instances"])

    def rebalance(self, name: str = GROUP, most: int | None = None) -> int:
        """Do what AWS does by itself after a policy changed: replace instances, at most `most` now; how many were.

        New instances are launched and attached before old ones go. Without a policy nothing is replaced.
        """
        group = self.described(name)
        policy = group.get("MixedInstancesPolicy")
        if not policy:
            return 0
        share = policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"]
        size = group["DesiredCapacity"]
        wanted = size - -(-size * share // 100)
        have = self.spot_count(name)
        replaced = min(abs(wanted - have), most if most is not None else size)
        if replaced:
            self.replace(name, replaced, to_spot=wanted > have)
        return replaced

    def replace(self, name: str, count: int, *, to_spot: bool) -> None:
        """Launch and attach `count` instances of the wanted kind, then end as many of the other."""
        ec2, autoscaling = self.client("ec2"), self.client("autoscaling")
        market = {"InstanceMarketOptions": {"MarketType": "spot"}} if to_spot else {}
        new = ec2.run_instances(ImageId=self.image, InstanceType="m5.2xlarge", MinCount=count, MaxCount=count, **market)
        autoscaling.attach_instances(AutoScalingGroupName=name, InstanceIds=[i["InstanceId"] for i in new["Instances"]])
        others = [i["InstanceId"] for i in self.members(name) if (i.get("InstanceLifecycle") == "spot") != to_spot]
        autoscaling.detach_instances(
            AutoScalingGroupName=name, InstanceIds=others[:count], ShouldDecrementDesiredCapacity=True
        )
        ec2.terminate_instances(InstanceIds=others[:count])

    def members(self, name: str = GROUP) -> list[dict[str, Any]]:
        ids = [i["InstanceId"] for i in self.described(name)["Instances"]]
        reservations = self.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
        return [i for r in reservations for i in r["Instances"]]


@pytest.fixture(scope="session")
def gcp_server() -> Iterator[Gcp]:
    """The sandbox's Google Cloud on a loopback port, with four months of bills."""
    import uvicorn

    from sandbox.clouds.gcp import build
    from sandbox.serving import listen, url_of

    listener = listen()
    cloud = build(today=date(2026, 11, 23), months=4)
    # A broken connection on request is no news for the log.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    how = uvicorn.Config(cloud, log_config=None, lifespan="off", date_header=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(how)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield Gcp(url_of(listener), cloud)
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def gcp(gcp_server: Gcp) -> Iterator[Gcp]:
    """The same, with nothing wrong with it."""
    yield gcp_server
    gcp_server.cloud.faults.clear()
    gcp_server.cloud.calls.clear()
    gcp_server.cloud.cloud.unreachable = set()


@dataclass
class Gcp:
    """What a test does on Google's side. `cloud` is the sandbox's application itself."""

    url: str
    cloud: GcpCloud
    today: date = date(2026, 11, 23)

    def settings(self, **more: Any) -> Settings:
        from sandbox.clouds import gcp as fake
        from sandbox.clouds.gcp_things import PROJECTS

        known = {
            "gcp_endpoint": self.url,
            "gcp_projects": PROJECTS,
            "gcp_token": fake.TOKEN,
            "gcp_billing_table": fake.BILLING_TABLE,
            "gcp_metadata_host": self.url.removeprefix("http://"),
        }
        return Settings(_env_file=None, **(known | more))

    def connection(self, **more: Any) -> Connection:
        """The product's own connection, which does not really wait."""
        from tools.providers.gcp.connection import Connection

        made = Connection.of(self.settings(**more))
        for door in (*made.services.values(), made.identity.metadata):
            door.sleep, door.read_seconds = (lambda _: None), 0.3
            door.pace.sleep = lambda _: None
        return made

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 8, tzinfo=UTC)

    def inventory(self, **more: Any) -> GcpInventory:
        from tools.providers.gcp.inventory import GcpInventory

        return GcpInventory.of(self.connection(**more), self.now)

    def billing(self, **more: Any) -> GcpBilling:
        from tools.providers.gcp.billing import GcpBilling

        return GcpBilling.of(self.settings(**more), self.connection(**more), self.now)

    def fails(self, kind: str, action: str, times: int | None = None, **more: object) -> None:
        from sandbox.faults import fault_of

        self.cloud.faults.add(fault_of({"kind": kind, "action": action, "times": times, **more}, rest=True))


@contextmanager
def served(application: Any) -> Iterator[str]:
    """An application of the sandbox on a loopback port; gives its address."""
    import uvicorn

    from sandbox.serving import listen, url_of

    listener = listen()
    # A broken connection on request is no news for the log.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    how = uvicorn.Config(application, log_config=None, lifespan="off", date_header=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(how)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield url_of(listener)
    server.should_exit = True
    thread.join(10)


@dataclass
class RestSide:
    """What a test does on the side of the sandbox's Azure or Vultr."""

    url: str
    cloud: RestCloud
    waits: list[float] = field(default_factory=list)
    moment: datetime = datetime(2026, 11, 23, 8, tzinfo=UTC)
    patience: float = 5.0

    def now(self) -> datetime:
        return self.moment

    def fails(self, kind: str, action: str = "*", times: int | None = None, **more: object) -> None:
        """From now on, what `action` matches goes wrong."""
        from sandbox.faults import fault_of

        if kind.startswith("timeout"):
            self.patience = 0.3
        self.cloud.faults.add(fault_of({"kind": kind, "action": action, "times": times, **more}, rest=True))

    def hasty(self, *doors: Any) -> None:
        """The product's doors, which note their waits instead of waiting."""
        for door in doors:
            door.sleep, door.read_seconds = self.waits.append, self.patience
            door.pace.sleep = lambda _: None

    def clean(self) -> None:
        self.cloud.faults.clear()
        self.cloud.calls.clear()
        self.waits.clear()
        self.patience = 5.0
        self.moment = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture(scope="module", params=every_flat(), ids=lambda flat: flat.name)
def flat(request: pytest.FixtureRequest) -> Flat:
    """Each cloud in turn, as tests/providers/flats describes it."""
    found: Flat = request.param
    return found


@pytest.fixture(scope="module")
def cloud(flat: Flat, request: pytest.FixtureRequest) -> Iterator[World]:
    """That cloud in the sandbox, and clients of it that do not really wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
        patch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
        patch.setattr("botocore.retries.bucket.TokenBucket.acquire", lambda *_, **__: True)
        patch.setattr("tools.providers.aws.connection.READ_SECONDS", 5.0)
        yield flat.start(request)


@pytest.fixture(scope="session")
def short_truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the story's files of the last four months say; told without the sandbox's clouds."""
    from sandbox import story

    return story.write(tmp_path_factory.mktemp("short"), today=date(2026, 11, 23), months=4)


@pytest.fixture(scope="session")
def vultr_server() -> Iterator[RestSide]:
    """The sandbox's Vultr on a loopback port, with four months of bills."""
    from sandbox.clouds.vultr import build

    cloud = build(today=date(2026, 11, 23), months=4)
    with served(cloud) as url:
        yield RestSide(url, cloud)


@pytest.fixture
def vultr(vultr_server: RestSide) -> RestSide:
    """The same, with nothing wrong with it."""
    vultr_server.clean()
    return vultr_server


@pytest.fixture(scope="session")
def azure_server() -> Iterator[RestSide]:
    """The sandbox's Azure on a loopback port, with four months of bills."""
    from sandbox.clouds.azure import build

    cloud = build(today=date(2026, 11, 23), months=4)
    with served(cloud) as url:
        yield RestSide(url, cloud)


@pytest.fixture
def azure(azure_server: RestSide) -> RestSide:
    """The same, with nothing wrong with it."""
    azure_server.clean()
    return azure_server
