"""What moto does not have of AWS and the story needs: each call answered in Amazon's own shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from sandbox import inventory as have
from sandbox import organisation as org
from sandbox.clouds.aws_wire import Call, RefusedError
from sandbox.clouds.bills import Bills

if TYPE_CHECKING:
    from sandbox.clouds.aws_costs import Costs

Document = dict[str, Any]
# So few at a time that every list has more than one page.
ACCOUNTS_PER_PAGE = 3
CLOSED_ACCOUNT = "100000000005"


@dataclass
class Told:
    """Answers calls that moto lacks. `bills` are the organisation's AWS charges."""

    bills: Bills
    # Whether the accounts form an organisation; else each pays its own bill.
    organised: bool = True
    costs: Costs | None = None

    # Which actions are denied now, as a fault.
    denied: Callable[[str], bool] = lambda _: False

    def answer(self, call: Call, account: str, body: bytes) -> Document | str | None:
        """The answer as a document (or XML, where the call speaks that); None for a call that moto answers.

        Raises RefusedError.
        """
        if found := _IN_XML.get(call.name):
            return found(self, body.decode())
        answer = _CALLS.get(call.name)
        return None if answer is None else answer(self, account, _document(body))


def _document(body: bytes) -> Document:
    try:
        asked = json.loads(body or b"{}")
    except ValueError:
        raise RefusedError("SerializationException", "The body is not JSON.") from None
    return asked if isinstance(asked, dict) else {}


def _costs(told: Told, account: str, asked: Document) -> Document:
    from sandbox.clouds import aws_costs

    if told.costs is None or told.costs.bills is not told.bills:
        told.costs = aws_costs.Costs(told.bills)
    return aws_costs.get_cost_and_usage(told.costs, account, asked)


def _organisation(told: Told, account: str, asked: Document) -> Document:
    if not told.organised:
        raise RefusedError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    return {
        "Organization": {
            "Id": "o-lumenmarket",
            "Arn": f"arn:aws:organizations::{org.AWS_PAYER}:organization/o-lumenmarket",
            "FeatureSet": "ALL",
            "MasterAccountId": org.AWS_PAYER,
            "MasterAccountArn": f"arn:aws:organizations::{org.AWS_PAYER}:account/o-lumenmarket/{org.AWS_PAYER}",
            "MasterAccountEmail": "aws@lumen.example",
        }
    }


def _accounts(told: Told, account: str, asked: Document) -> Document:
    if account != org.AWS_PAYER:
        raise RefusedError("AccessDeniedException", "You don't have permissions to access this resource.", status=400)
    known = [(a.account_id, a.name, "ACTIVE") for a in org.ACCOUNTS if a.provider == "aws"]
    known.append((CLOSED_ACCOUNT, "lumen-acquired", "SUSPENDED"))
    shown, more = page(known, asked.get("NextToken"), ACCOUNTS_PER_PAGE)
    accounts = [
        {
            "Id": id_,
            "Arn": f"arn:aws:organizations::{org.AWS_PAYER}:account/o-lumenmarket/{id_}",
            "Email": f"{name}@lumen.example",
            "Name": name,
            "Status": status,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": 1650000000.0,
        }
        for id_, name, status in shown
    ]
    return {"Accounts": accounts} | ({"NextToken": more} if more else {})


def page(items: list[Any], token: object, size: int) -> tuple[list[Any], str]:
    """The items of one page, and the token of the next one or nothing."""
    start = int(str(token).rpartition("-")[2]) if token else 0
    return items[start : start + size], f"page-{start + size}" if start + size < len(items) else ""


def _products(told: Told, account: str, asked: Document) -> Document:
    from sandbox.clouds import aws_offers

    found = aws_offers.products(str(asked.get("ServiceCode")), asked.get("Filters") or [])
    shown, more = page(found, asked.get("NextToken"), aws_offers.PER_PAGE)
    return {"FormatVersion": "aws_v1", "PriceList": shown} | ({"NextToken": more} if more else {})


def _advice(told: Told, account: str, asked: Document) -> Document:
    accounts = (asked.get("filter") or {}).get("accountIds") or [account]
    shown, more = page([one for one in _advised() if one["accountId"] in accounts], asked.get("nextToken"), 1)
    return {"items": shown} | ({"nextToken": more} if more else {})


def _advised() -> list[Document]:
    """What the Hub says: of a machine that idles, of a database that is too large, of a plan to buy."""
    idle = have.IDLE_HOST
    database = have.DATABASES[1]
    return [
        _item(
            idle.account_id, "Stop", "Ec2Instance", idle.id, f"arn:aws:ec2:{have.REGION}:{idle.account_id}:instance/{idle.id}",
            "m5.xlarge", "", 156.22,
        ),
        _item(
            database.account_id, "Rightsize", "RdsDbInstance", database.name, database.arn, database.kind, "db.r6g.xlarge",
            372.85,
        ),
        _item(database.account_id, "PurchaseSavingsPlans", "ComputeSavingsPlans", "", "", "", "1 year, no upfront", 512.4),
    ]  # fmt: skip


def _item(
    account: str, action: str, kind: str, id_: str, arn: str, current: str, recommended: str, saving: float
) -> Document:
    return {
        "recommendationId": hashlib.sha256(f"{account}/{action}/{id_}".encode()).hexdigest()[:32],
        "accountId": account,
        "region": have.REGION,
        "resourceId": id_,
        "resourceArn": arn,
        "currentResourceType": kind,
        "recommendedResourceType": kind,
        "estimatedMonthlySavings": saving,
        "estimatedSavingsPercentage": 50.0,
        "estimatedMonthlyCost": saving * 2,
        "currencyCode": "USD",
        "implementationEffort": "Low",
        "restartNeeded": action == "Rightsize",
        "actionType": action,
        "rollbackPossible": True,
        "currentResourceSummary": current,
        "recommendedResourceSummary": recommended,
        "source": "ComputeOptimizer",
    }


def _plans(told: Told, account: str, asked: Document) -> Document:
    from sandbox.story import aws_lines

    if account != org.AWS_PAYER:
        return {"savingsPlans": []}
    began = told.bills.today.replace(day=1) - timedelta(days=200)
    return {
        "savingsPlans": [
            {
                "offeringId": "0b1d7c1e-0000-4000-8000-000000000001",
                "savingsPlanId": aws_lines.SAVINGS_PLAN.rpartition("/")[2],
                "savingsPlanArn": aws_lines.SAVINGS_PLAN,
                "description": aws_lines.SAVINGS_PLAN_NAME,
                "start": f"{began}T00:00:00.000Z",
                "end": f"{began + timedelta(days=365)}T23:59:59.000Z",
                "state": "active",
                "region": have.REGION,
                "ec2InstanceFamily": "r6i",
                "savingsPlanType": "EC2Instance",
                "paymentOption": "No Upfront",
                "productTypes": ["EC2"],
                "currency": "USD",
                "commitment": str(aws_lines.SAVINGS_PLAN_HOURLY),
                "upfrontPaymentAmount": "0.0",
                "recurringPaymentAmount": str(aws_lines.SAVINGS_PLAN_HOURLY),
                "termDurationInSeconds": 31536000,
                "tags": {},
            }
        ]
    }


def _not_opted_in(told: Told, account: str, asked: Document) -> Document:
    raise RefusedError("OptInRequiredException", "The account is not opted in to Compute Optimizer.")


def _simulation(told: Told, body: str) -> str:
    """What IAM says that a principal may do: the reader only looks, everybody else may do all."""
    asked = parse_qs(body)
    reader = asked.get("PolicySourceArn", [""])[0].endswith("/optiinfra-reader")
    names = [values[0] for key, values in sorted(asked.items()) if key.startswith("ActionNames.member.")]
    results = "".join(
        f"<member><EvalActionName>{escape(name)}</EvalActionName><EvalResourceName>*</EvalResourceName><EvalDecision>"
        f"{'implicitDeny' if told.denied(name) or (reader and not _reads(name)) else 'allowed'}</EvalDecision></member>"
        for name in names
    )
    return (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{results}"
        "</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )


def _reads(action: str) -> bool:
    return action.partition(":")[2].startswith(("Get", "List", "Describe"))


def _no_reserved_machines(told: Told, body: str) -> str:
    return (
        '<DescribeReservedInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        "<requestId>lumen</requestId><reservedInstancesSet/></DescribeReservedInstancesResponse>"
    )


def _no_reserved_databases(told: Told, body: str) -> str:
    return (
        '<DescribeReservedDBInstancesResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/">'
        "<DescribeReservedDBInstancesResult><ReservedDBInstances/></DescribeReservedDBInstancesResult>"
        "</DescribeReservedDBInstancesResponse>"
    )


_CALLS: dict[str, Callable[[Told, str, Document], Document]] = {
    "ce:GetCostAndUsage": _costs,
    "cost-optimization-hub:ListRecommendations": _advice,
    "organizations:DescribeOrganization": _organisation,
    "organizations:ListAccounts": _accounts,
    "pricing:GetProducts": _products,
    "savingsplans:DescribeSavingsPlans": _plans,
    **{
        f"compute-optimizer:{call}": _not_opted_in
        for call in (
            "GetAutoScalingGroupRecommendations",
            "GetEBSVolumeRecommendations",
            "GetEC2InstanceRecommendations",
            "GetLambdaFunctionRecommendations",
            "GetRDSDatabaseRecommendations",
        )
    },
}
_IN_XML: dict[str, Callable[[Told, str], str]] = {
    "ec2:DescribeReservedInstances": _no_reserved_machines,
    "iam:SimulatePrincipalPolicy": _simulation,
    "rds:DescribeReservedDBInstances": _no_reserved_databases,
}
