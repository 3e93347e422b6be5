"""Permissions: the IAM action that each call of ours needs; most are called like the call, some are not."""

from __future__ import annotations

# Every call that the flat makes: IAM's prefix -> the API's operations of that name.
_SAME = {
    "autoscaling": ("DescribeAutoScalingGroups", "UpdateAutoScalingGroup"),
    "ce": ("GetCostAndUsage",),
    "cloudwatch": ("GetMetricData",),
    "compute-optimizer": (
        "GetAutoScalingGroupRecommendations",
        "GetEBSVolumeRecommendations",
        "GetEC2InstanceRecommendations",
        "GetEnrollmentStatus",
        "GetLambdaFunctionRecommendations",
        "GetRDSDatabaseRecommendations",
    ),
    "cost-optimization-hub": ("ListRecommendations",),
    "ec2": (
        "AllocateAddress",
        "CancelCapacityReservation",
        "CreateCapacityReservation",
        "CreateSnapshot",
        "CreateTags",
        "CreateVolume",
        "DeleteSnapshot",
        "DeleteVolume",
        "DescribeAddresses",
        "DescribeCapacityReservations",
        "DescribeImages",
        "DescribeInstanceAttribute",
        "DescribeInstanceTypeOfferings",
        "DescribeInstanceTypes",
        "DescribeInstances",
        "DescribeLaunchTemplateVersions",
        "DescribeLaunchTemplates",
        "DescribeNatGateways",
        "DescribeReservedInstances",
        "DescribeSnapshots",
        "DescribeSpotPriceHistory",
        "DescribeVolumes",
        "DescribeVolumesModifications",
        "ModifyInstanceAttribute",
        "ModifyVolume",
        "ReleaseAddress",
        "RestoreSnapshotFromRecycleBin",
        "StartInstances",
        "StopInstances",
    ),
    "elasticloadbalancing": (
        "DescribeInstanceHealth",
        "DescribeLoadBalancers",
        "DescribeTags",
        "DescribeTargetGroups",
        "DescribeTargetHealth",
    ),
    "iam": ("SimulatePrincipalPolicy",),
    "lambda": (
        "GetAlias",
        "GetFunctionConfiguration",
        "ListFunctions",
        "ListTags",
        "ListVersionsByFunction",
        "PublishVersion",
        "UpdateAlias",
        "UpdateFunctionConfiguration",
    ),
    "organizations": ("DescribeOrganization", "ListAccounts"),
    "pricing": ("GetProducts",),
    "rds": (
        "DescribeDBClusters",
        "DescribeDBInstances",
        "DescribeOrderableDBInstanceOptions",
        "DescribeReservedDBInstances",
        "ModifyDBInstance",
        "StartDBInstance",
        "StopDBInstance",
    ),
    "s3": ("GetBucketLocation", "GetBucketTagging", "GetObject"),
    "savingsplans": ("DescribeSavingsPlans",),
    "sts": ("AssumeRole", "GetCallerIdentity"),
    "tag": ("GetResources",),
}
# Where IAM has another word than the API.
_OTHER = {
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "HeadObject": "s3:GetObject",
    "ListBuckets": "s3:ListAllMyBuckets",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
}
ACTIONS = {call: f"{prefix}:{call}" for prefix, calls in _SAME.items() for call in calls} | _OTHER

# Used for what a list does not tell by itself; not tried one by one, as each needs a thing to be asked about.
DETAILS = (
    "ec2:DescribeLaunchTemplateVersions",
    "elasticloadbalancing:DescribeTargetHealth",
    "s3:GetBucketLocation",
    "s3:GetLifecycleConfiguration",
    "s3:ListBucketMultipartUploads",
)


def action_of(call: str) -> str:
    """The IAM action of an API operation, "ListBuckets" -> "s3:ListAllMyBuckets"; one that we never make is itself."""
    return ACTIONS.get(call, call)
