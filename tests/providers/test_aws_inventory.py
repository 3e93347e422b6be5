"""What inventory sees in an AWS account, page by page, and what it says when it may not look."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
import requests

from tests.providers.conftest import REGION, Aws, policy
from tools.model.errors import DeniedError
from tools.model.resource import Resource
from tools.providers import registry
from tools.providers.aws import prices
from tools.providers.aws.connection import Connection
from tools.providers.aws.inventory import AwsInventory
from tools.settings import Settings


def inventory(aws: Aws) -> AwsInventory:
    found = registry.inventories(aws.settings)[0]
    assert isinstance(found, AwsInventory)
    return found


def of_kind(aws: Aws, kind: str) -> dict[str, Resource]:
    return {r.id: r for r in inventory(aws).resources(aws.account) if r.kind == kind}


def test_a_group_shows_how_it_buys_and_what_it_runs(aws: Aws) -> None:
    """Size, types, purchase and counted instances are what the savings rules and plans stand on."""
    aws.group(size=3, policy={"OnDemandPercentageAboveBaseCapacity": 100}, Name="Checkout")
    group = of_kind(aws, "instance_group")["checkout-workers"]
    assert group.name == "Checkout"
    assert group.tag("service") == "checkout"
    assert group.attributes["size"] == 3
    assert group.attributes["instance_types"] == ["m5.2xlarge", "m5a.2xlarge", "m6i.2xlarge"]
    assert group.attributes["counts"] == {"spot": 0, "on_demand": 3}
    assert len(group.attributes["members"]) == 3  # type: ignore[arg-type]
    json.dumps(group.attributes)


def test_every_page_is_read(aws: Aws) -> None:
    """AWS hands out fifty groups and a thousand instances at a time; none may be missing."""
    template = aws.template("many")
    for number in range(51):
        aws.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=f"g{number:02}",
            MinSize=0,
            MaxSize=0,
            AvailabilityZones=[f"{REGION}a"],
            LaunchTemplate={"LaunchTemplateId": template},
        )
    assert len(of_kind(aws, "instance_group")) == 51


def test_disks_snapshots_and_addresses_tell_whether_anything_uses_them(aws: Aws) -> None:
    """These are the things that are forgotten."""
    ec2 = aws.client("ec2")
    host = ec2.run_instances(ImageId=aws.image, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"][0]
    loose = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=100, VolumeType="gp2")["VolumeId"]
    used = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=50, VolumeType="gp3")["VolumeId"]
    ec2.attach_volume(VolumeId=used, InstanceId=host["InstanceId"], Device="/dev/sdh")
    snapshot = ec2.create_snapshot(VolumeId=loose)["SnapshotId"]
    image = ec2.create_image(InstanceId=host["InstanceId"], Name="golden")["ImageId"]
    described = ec2.describe_images(ImageIds=[image])["Images"][0]
    in_image = described["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    idle = ec2.allocate_address(Domain="vpc")["AllocationId"]
    busy = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=busy, InstanceId=host["InstanceId"])

    volumes, snapshots, addresses = (of_kind(aws, kind) for kind in ("volume", "snapshot", "address"))
    assert (volumes[loose].attributes["attached"], volumes[used].attributes["attached"]) == (False, True)
    assert (volumes[loose].attributes["gib"], volumes[loose].attributes["type"]) == (100, "gp2")
    assert volumes[loose].attributes["created_at"]
    assert snapshots[snapshot].attributes["images"] == []
    assert snapshots[in_image].attributes["images"] == [image]
    assert (addresses[idle].attributes["attached"], addresses[busy].attributes["attached"]) == (False, True)


def test_a_stopped_instance_is_known_with_its_disks_and_a_terminated_one_is_gone(aws: Aws) -> None:
    """A stopped machine's disks go on costing; a terminated machine does not exist."""
    ec2 = aws.client("ec2")
    made = ec2.run_instances(ImageId=aws.image, InstanceType="m5.large", MinCount=2, MaxCount=2)["Instances"]
    stopped, ended = (i["InstanceId"] for i in made)
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[ended])
    found = of_kind(aws, "instance")
    assert set(found) == {stopped}
    assert found[stopped].attributes["state"] == "stopped"
    assert datetime.fromisoformat(str(found[stopped].attributes["stopped_since"])) > datetime(2026, 1, 1, tzinfo=UTC)
    assert found[stopped].attributes["volumes"]


def test_use_comes_from_metrics_and_is_unknown_without_them(aws: Aws) -> None:
    """No datapoints is not zero percent."""
    ec2 = aws.client("ec2")
    made = ec2.run_instances(ImageId=aws.image, InstanceType="m5.large", MinCount=2, MaxCount=2)["Instances"]
    measured, silent = (i["InstanceId"] for i in made)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    aws.client("cloudwatch").put_metric_data(
        Namespace="AWS/EC2",
        MetricData=[
            {
                "MetricName": "CPUUtilization",
                "Dimensions": [{"Name": "InstanceId", "Value": measured}],
                "Timestamp": hour - timedelta(hours=number),
                "Value": value,
                "Unit": "Percent",
            }
            for number, value in ((1, 2.0), (2, 4.0), (3, 3.0))
        ],
    )
    found = of_kind(aws, "instance")
    assert found[measured].attributes["utilisation"] == {
        "cpu_average": 3.0,
        "cpu_maximum": 4.0,
        "hours": 3,
        "days": 14,
    }
    assert found[silent].attributes["utilisation"] is None


def test_access_names_who_we_are(aws: Aws) -> None:
    """Doctor shows the identity, and nothing missing."""
    (access,) = inventory(aws).check_access()
    assert access.ok, access
    assert access.account_id == aws.account
    assert access.identity.startswith("arn:aws:sts::123456789012:")
    assert access.missing == ()


@pytest.fixture
def strict(aws: Aws) -> object:
    """From the second call on, moto asks IAM whether the caller may."""

    def limit(*actions: str) -> Settings:
        iam = aws.client("iam")
        iam.create_user(UserName="reader")
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        requests.post(f"{aws.url}/moto-api/reset-auth", data=b"0", timeout=10)
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        return aws.settings

    patch = pytest.MonkeyPatch()
    yield limit
    requests.post(f"{aws.url}/moto-api/reset-auth", data=b"inf", timeout=10)
    patch.undo()


# moto's IAM lets nobody but an administrator ask Lambda.
ALWAYS_REFUSED = {"lambda:ListFunctions"}
# What moto calls an action where IAM has another word.
MOTO = {"cloudwatch:GetMetricData": "monitoring:GetMetricData", "tag:GetResources": "tagging:GetResources"}


def shipped() -> list[str]:
    """The actions of the reader's policy, as moto calls them."""
    actions = [action for statement in policy("reader")["Statement"] for action in statement["Action"]]
    return [MOTO.get(action, action) for action in actions]


@pytest.mark.parametrize(
    "missing",
    [
        "ec2:DescribeVolumes",
        "ec2:DescribeAddresses",
        "autoscaling:DescribeAutoScalingGroups",
        "rds:DescribeDBInstances",
    ],
)
def test_the_one_missing_permission_is_named(aws: Aws, strict: object, missing: str) -> None:
    """An administrator reads exactly what to grant, and everything else is known to work: moto's IAM says so too."""
    settings = strict(*(action for action in shipped() if action != missing))  # type: ignore[operator]
    access = AwsInventory(Connection.of(settings), lambda: datetime.now(UTC)).check_access()[0]
    assert not access.ok
    assert set(access.missing) - ALWAYS_REFUSED == {missing}
    assert "user/reader" in access.identity


def test_an_account_that_may_not_be_read_gives_nothing_rather_than_a_part(aws: Aws, strict: object) -> None:
    """Half an inventory would look like waste that is not there."""
    settings = strict("ec2:DescribeInstances", "sts:GetCallerIdentity")  # type: ignore[operator]
    with pytest.raises(DeniedError) as denied:
        AwsInventory(Connection.of(settings), lambda: datetime.now(UTC)).resources(aws.account)
    assert denied.value.permission == "autoscaling:DescribeAutoScalingGroups"


def test_metrics_that_may_not_be_read_hide_no_instance(aws: Aws, strict: object) -> None:
    """Use is unknown then; the machine is still there, and the permission is named."""
    aws.client("ec2").run_instances(ImageId=aws.image, InstanceType="m5.large", MinCount=1, MaxCount=1)
    settings = strict(*(a for a in shipped() if a != "monitoring:GetMetricData"))  # type: ignore[operator]
    seen = AwsInventory(Connection.of(settings), lambda: datetime.now(UTC)).look(aws.account)
    (instance,) = (r for r in seen.resources if r.kind == "instance")
    assert instance.attributes["utilisation"] is None
    unknown = [part for part in seen.unread if not ALWAYS_REFUSED & set(part.missing)]
    assert {(part.kinds, part.missing) for part in unknown} == {((), ("monitoring:GetMetricData",))}


def test_each_account_is_reached_through_its_role(aws: Aws) -> None:
    """Two accounts, one role name: each inventory shows its own account's things only."""
    settings = aws.settings.model_copy(
        update={"aws_accounts": ("100000000001", "100000000002"), "aws_reader_role": "optiinfra-reader"}
    )
    connection = Connection.of(settings)
    theirs_to_change = connection.client("ec2", "100000000002", REGION, effects=True)
    theirs_to_change.create_volume(AvailabilityZone=f"{REGION}a", Size=7)
    theirs = AwsInventory(connection, lambda: datetime.now(UTC))
    first, second = theirs.check_access()
    assert (first.account_id, second.account_id) == ("100000000001", "100000000002")
    assert "assumed-role/optiinfra-reader" in second.identity
    assert [len([r for r in theirs.resources(a.account_id) if r.kind == "volume"]) for a in (first, second)] == [0, 1]


def test_spot_prices_that_cannot_be_true_are_not_used(aws: Aws) -> None:
    """An emulator's 0.00001 dollars of the year 2006 is no price."""
    aws.group(size=1)
    found = inventory(aws)
    assert {p.purchase for p in found.prices(found.resources(aws.account))} == {"on_demand"}


def test_a_week_of_spot_prices_becomes_a_band_with_its_source() -> None:
    """Tenth, fiftieth and ninetieth percentile over zones and time, and where they come from."""
    from botocore.stub import Stubber

    now = datetime(2026, 11, 23, 8, tzinfo=UTC)
    client = boto3.client("ec2", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    history = [
        {"InstanceType": "m5.2xlarge", "SpotPrice": f"0.15{number}0", "Timestamp": now - timedelta(hours=number)}
        for number in range(10)
    ]
    history.append({"InstanceType": "m5.2xlarge", "SpotPrice": "9.0", "Timestamp": now - timedelta(days=90)})
    with Stubber(client) as stub:
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": history, "NextToken": ""})
        (price,) = prices.spot_prices(client, REGION, ["m5.2xlarge", "c5.large"], now)
    assert (str(price.low), str(price.usual), str(price.high)) == ("0.1510", "0.1550", "0.1590")
    assert "last 7 days, 10 prices" in price.source


def test_a_database_cluster_and_a_load_balancer_of_the_old_kind(aws: Aws) -> None:
    """Clusters tell their members, classic load balancers their instances and how many of them serve."""
    secret = {"MasterUsername": "lumen", "MasterUserPassword": "not-asked-for"}
    rds = aws.client("rds")
    rds.create_db_cluster(DBClusterIdentifier="shop", Engine="aurora-postgresql", **secret)
    rds.create_db_instance(
        DBInstanceIdentifier="shop-1",
        DBClusterIdentifier="shop",
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
    )
    host = aws.client("ec2").run_instances(ImageId=aws.image, InstanceType="m5.large", MinCount=1, MaxCount=1)
    id_ = host["Instances"][0]["InstanceId"]
    elb = aws.client("elb")
    listener = {"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 8080}
    elb.create_load_balancer(
        LoadBalancerName="old",
        Listeners=[listener],
        AvailabilityZones=[f"{REGION}a"],
        Tags=[{"Key": "team", "Value": "web"}],
    )
    elb.register_instances_with_load_balancer(LoadBalancerName="old", Instances=[{"InstanceId": id_}])

    (cluster,) = of_kind(aws, "database_cluster").values()
    assert (cluster.id, cluster.attributes["members"]) == ("shop", ["shop-1"])
    assert of_kind(aws, "database")["shop-1"].attributes["cluster"] == "shop"
    (balancer,) = of_kind(aws, "load_balancer").values()
    assert balancer.id == f"arn:aws:elasticloadbalancing:{REGION}:{aws.account}:loadbalancer/old"
    assert (balancer.attributes["type"], balancer.attributes["targets"]) == ("classic", 1)
    assert balancer.tag("team") == "web"
