"""AWS on loopback: a moto server, a small account in it, and somebody who plays what AWS does by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
import requests

from tools.settings import Settings

REGION = "eu-west-1"
GROUP = "checkout-workers"


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """One moto server for all tests of a process; each test gets it empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture
def aws(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An empty AWS account that the product's settings and the test's own clients both reach."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    requests.post(f"{moto_url}/moto-api/reset", timeout=10)
    return Aws(moto_url)


@dataclass
class Aws:
    """What a test does on the AWS side."""

    url: str
    account: str = "123456789012"
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(_env_file=None, aws_endpoint_url=self.url, aws_regions=(REGION,))

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
