"""What AWS takes its time for and refuses, where moto says yes at once: machines, volumes, snapshots, databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sandbox.clouds.aws_groups import GroupKeeper
from sandbox.inventory import resource_id

# Seconds at speed 1.
STOP, START, SNAPSHOT, VOLUME, MODIFY, DATABASE = 25.0, 30.0, 60.0, 8.0, 45.0, 240.0
COOL_DOWN = timedelta(hours=6)


@dataclass
class Acts:
    """What is under way, and what AWS has none of. `step` is called under the server's lock, as the keeper's."""

    keeper: GroupKeeper
    now: Callable[[], datetime]
    # Types without capacity, for new starts and reservations.
    sold_out: set[str] = field(default_factory=set)
    # Whether a rule of the account keeps deleted snapshots.
    recycle_bin: bool = False
    # Addresses that another customer has got since.
    taken: set[str] = field(default_factory=set)
    bin: dict[tuple[str, str], Any] = field(default_factory=dict)
    released: set[tuple[str, str]] = field(default_factory=set)
    reservations: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    cooled: timedelta = timedelta()
    _waiting: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _moment: float = 0.0

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self._waiting.append((self._moment + seconds / self.keeper.speed, do))

    def step(self, moment: float) -> None:
        """Do what is due at `moment`, seconds of a steady clock."""
        self._moment = moment
        due = [do for at, do in self._waiting if at <= moment]
        self._waiting = [(at, do) for at, do in self._waiting if at > moment]
        for do in due:
            do()

    def forget(self) -> None:
        """Start again, with capacity of everything."""
        self.recycle_bin, self.cooled = False, timedelta()
        for memory in (self.sold_out, self.taken, self.bin, self.released, self.reservations, self.tokens):
            memory.clear()
        self._waiting.clear()

    def control(self, asked: dict[str, Any]) -> dict[str, object]:
        """What tests ask for: {"sold_out": [types], "recycle_bin": yes, "taken": [addresses], "cooled": yes}.

        `cooled`: six hours have passed since every modification of a volume. Tells how it stands.
        """
        if asked.get("cooled"):
            self.cooled += COOL_DOWN
        self.sold_out = set(asked.get("sold_out", self.sold_out))
        self.taken = set(asked.get("taken", self.taken))
        self.recycle_bin = bool(asked.get("recycle_bin", self.recycle_bin))
        return {
            "sold_out": sorted(self.sold_out),
            "taken": sorted(self.taken),
            "recycle_bin": self.recycle_bin,
            "reserved": sorted(r["InstanceType"] for r in self.reservations.values() if r["State"] == "active"),
        }


def teach(keeper: GroupKeeper, now: Callable[[], datetime]) -> Acts:
    """Put the behaviour of AWS where moto has none; what is under way goes on with every step of the keeper."""
    acts = Acts(keeper, now)
    step, forget = keeper.step, keeper.forget

    def stepped(moment: float) -> bool:
        acts.step(moment)
        return step(moment)

    def forgotten() -> None:
        acts.forget()
        _forget_roles()
        forget()

    _put(keeper, step=stepped, forget=forgotten)
    _teach_machines(acts)
    _teach_reservations(acts)
    _teach_volumes(acts)
    _teach_snapshots(acts)
    _teach_addresses(acts)
    _teach_databases(acts)
    return acts


def _forget_roles() -> None:
    from moto.iam.models import iam_backends

    for regions in list(iam_backends.values()):
        regions.reset()


def _refused(code: str, text: str) -> Exception:
    from moto.ec2.exceptions import EC2ClientError

    return EC2ClientError(code, text)


def _teach_machines(acts: Acts) -> None:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.instances import Instance

    stop, start, modify = Instance.stop, Instance.start, EC2Backend.modify_instance_attribute

    def slowly(instance: Any, before: str, during: tuple[str, int], seconds: float, done: Callable[[Any], Any]) -> Any:
        previous = instance._state
        if previous.name != before:
            return previous
        kept = type(previous)(previous.name, previous.code)
        instance._state = type(previous)(*during)
        acts.after(seconds, lambda: done(instance))
        return kept

    def stopping(instance: Any, *_: Any, **__: Any) -> Any:
        return slowly(instance, "running", ("stopping", 64), STOP, stop)

    def starting(instance: Any, *_: Any, **__: Any) -> Any:
        if instance._state.name == "stopping":
            raise _refused("IncorrectInstanceState", f"The instance '{instance.id}' is not in a state to be started.")
        if instance.instance_type in acts.sold_out and not _reserved(acts, instance.instance_type):
            raise _refused(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {instance.instance_type} capacity.",
            )
        return slowly(instance, "stopped", ("pending", 0), START, start)

    def modified(backend: Any, instance_id: str, key: str, value: Any) -> Any:
        instance = backend.get_instance(instance_id)
        if key == "instance_type":
            if instance._state.name != "stopped":
                raise _refused("IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'stopped' state.")
            if not backend.describe_instance_types([value], {}):
                raise _refused("InvalidInstanceAttributeValue", f"The value '{value}' is not valid for instanceType.")
        return modify(backend, instance_id, key, value)

    _put(Instance, stop=stopping, start=starting)
    # moto takes machines of an image that it does not know for those of 2008.
    _put(Instance, virtualization_type=property(lambda instance: "hvm", lambda instance, value: None))
    _put(EC2Backend, modify_instance_attribute=modified)


def _reserved(acts: Acts, instance_type: str) -> bool:
    return any(r["State"] == "active" and r["InstanceType"] == instance_type for r in acts.reservations.values())


def _teach_reservations(acts: Acts) -> None:
    from moto.core.responses import ActionResult
    from moto.ec2.responses import EC2Response

    def create(response: Any) -> Any:
        kind, token = response._get_param("InstanceType"), response._get_param("ClientToken")
        response.error_on_dryrun()
        known = next((r for r in acts.reservations.values() if token and r["ClientToken"] == token), None)
        if known is None:
            if kind in acts.sold_out:
                raise _refused("InsufficientInstanceCapacity", f"We currently do not have sufficient {kind} capacity.")
            id_ = resource_id("cr", f"{token}/{uuid.uuid4()}")
            tags = response._parse_tag_specification().get("capacity-reservation", {})
            known = acts.reservations[id_] = {
                "CapacityReservationId": id_,
                "InstanceType": kind,
                "AvailabilityZone": response._get_param("AvailabilityZone"),
                "TotalInstanceCount": response._get_param("InstanceCount"),
                "State": "active",
                "ClientToken": token,
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        return ActionResult({"CapacityReservation": known})

    def describe(response: Any) -> Any:
        wanted = response._filters_from_querystring()
        found = [r for r in acts.reservations.values() if all(_meets(r, n, v) for n, v in wanted.items())]
        return ActionResult({"CapacityReservations": found})

    def cancel(response: Any) -> Any:
        response.error_on_dryrun()
        known = acts.reservations.get(response._get_param("CapacityReservationId"))
        if known is None:
            raise _refused("InvalidCapacityReservationId.NotFound", "The capacity reservation does not exist.")
        known["State"] = "cancelled"
        return ActionResult({"Return": True})

    _put(
        EC2Response,
        create_capacity_reservation=create,
        describe_capacity_reservations=describe,
        cancel_capacity_reservation=cancel,
    )


def _meets(reservation: dict[str, Any], name: str, values: list[str]) -> bool:
    if name.startswith("tag:"):
        return any(t["Key"] == name[4:] and t["Value"] in values for t in reservation["Tags"])
    return name == "state" and reservation["State"] in values


def _teach_volumes(acts: Acts) -> None:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.elastic_block_store import VolumeModification
    from moto.ec2.responses.elastic_block_store import ElasticBlockStore

    create, modify = ElasticBlockStore.create_volume, EC2Backend.modify_volume

    def created(response: Any) -> Any:
        token = response._get_param("ClientToken")
        response.error_on_dryrun()
        if token not in acts.tokens:
            answer = create(response)
            if not token:
                return answer
            acts.tokens[token] = answer
        return acts.tokens[token]

    def modified(backend: Any, volume_id: str, *args: Any, **kwargs: Any) -> Any:
        volume = backend.get_volume(volume_id)
        last = volume.modifications[-1].begun if volume.modifications else None
        if last is not None and acts.now() + acts.cooled - last < COOL_DOWN:
            raise _refused(
                "VolumeModificationRateExceeded",
                f"You've reached the maximum modification rate per volume limit. Wait before modifying {volume_id}.",
            )
        if any(m.modification_state == "modifying" for m in volume.modifications):
            raise _refused("IncorrectModificationState", f"{volume_id} is being modified.")
        modify(backend, volume_id, *args, **kwargs)
        modification = volume.modifications[-1]
        modification.begun = acts.now() + acts.cooled
        modification.state_now = "modifying"
        acts.after(MODIFY, lambda: setattr(modification, "state_now", "optimizing"))
        return volume

    def started(modification: Any) -> datetime:
        """Told as long ago as it is by now, so that who looks at a real clock sees it too."""
        begun: datetime = modification.begun
        return (begun - acts.cooled).replace(tzinfo=None)

    def begin(modification: Any, moment: datetime) -> None:
        modification.begun = moment.replace(tzinfo=UTC)

    _put(
        VolumeModification,
        modification_state=property(lambda modification: getattr(modification, "state_now", "completed")),
        start_time=property(started, begin),
    )
    _put(ElasticBlockStore, create_volume=created)
    _put(EC2Backend, modify_volume=modified)


def _teach_snapshots(acts: Acts) -> None:
    from moto.core.responses import ActionResult
    from moto.ec2.models import EC2Backend
    from moto.ec2.responses import EC2Response
    from moto.ec2.responses.elastic_block_store import ElasticBlockStore

    create, delete = ElasticBlockStore.create_snapshot, EC2Backend.delete_snapshot

    def created(response: Any) -> Any:
        known = set(response.ec2_backend.snapshots)
        answer = create(response)
        for id_ in set(response.ec2_backend.snapshots) - known:
            snapshot = response.ec2_backend.snapshots[id_]
            snapshot.status = "pending"
            acts.after(SNAPSHOT, partial(setattr, snapshot, "status", "completed"))
        return answer

    def deleted(backend: Any, snapshot_id: str) -> Any:
        gone = delete(backend, snapshot_id)
        if acts.recycle_bin:
            acts.bin[backend.account_id, snapshot_id] = gone
        return gone

    def restored(response: Any) -> Any:
        id_ = response._get_param("SnapshotId")
        response.error_on_dryrun()
        kept = acts.bin.pop((response.ec2_backend.account_id, id_), None)
        if kept is None:
            raise _refused("InvalidSnapshot.NotFound", f"The snapshot '{id_}' does not exist in the Recycle Bin.")
        response.ec2_backend.snapshots[id_] = kept
        return ActionResult({"SnapshotId": id_})

    _put(ElasticBlockStore, create_snapshot=created)
    _put(EC2Backend, delete_snapshot=deleted)
    _put(EC2Response, restore_snapshot_from_recycle_bin=restored)


def _teach_addresses(acts: Acts) -> None:
    from moto.ec2.models import EC2Backend

    allocate, release = EC2Backend.allocate_address, EC2Backend.release_address

    def allocated(backend: Any, domain: str, address: str | None = None, tags: Any = None) -> Any:
        mine = (backend.account_id, address or "")
        if address and acts.released and (address in acts.taken or mine not in acts.released):
            raise _refused("InvalidAddress.NotFound", f"Address {address} not found.")
        acts.released.discard(mine)
        return allocate(backend, domain, address, tags)

    def released(backend: Any, address: str | None = None, allocation_id: str | None = None) -> None:
        ip = address or backend.address_by_allocation([allocation_id])[0].public_ip
        release(backend, address, allocation_id)
        acts.released.add((backend.account_id, ip))

    _put(EC2Backend, allocate_address=allocated, release_address=released)


def _teach_databases(acts: Acts) -> None:
    from moto.rds.exceptions import InvalidDBInstanceStateError, RDSClientError
    from moto.rds.models import DBInstance, RDSBackend

    update, stop, start = DBInstance.update, RDSBackend.stop_db_instance, RDSBackend.start_db_instance

    def updated(database: Any, *args: Any, **kwargs: Any) -> None:
        wanted = kwargs.get("db_instance_class")
        if wanted in acts.sold_out:
            raise RDSClientError("InsufficientDBInstanceCapacity", f"There is no capacity for {wanted}.")
        if wanted and wanted != database.db_instance_class:
            if database.status != "available":
                raise InvalidDBInstanceStateError(database.db_instance_identifier, "modify")
            database.status = "modifying"
            acts.after(DATABASE, lambda: setattr(database, "status", "available"))
        update(database, *args, **kwargs)

    def later(database: Any, during: str, after: str) -> Any:
        database.status = during
        acts.after(DATABASE, lambda: setattr(database, "status", after))
        return database

    def stopped(backend: Any, name: str, snapshot: str | None = None) -> Any:
        return later(stop(backend, name, snapshot), "stopping", "stopped")

    def started(backend: Any, name: str) -> Any:
        return later(start(backend, name), "starting", "available")

    def orderable(backend: Any, engine: str, engine_version: str) -> list[dict[str, Any]]:
        # moto knows two engines; RDS sells the usual classes for all of them.
        classes = [f"db.{family}.{size}" for family in ("m5", "m6i", "r6i") for size in ("large", "xlarge", "2xlarge")]
        return [
            {"Engine": engine, "EngineVersion": engine_version, "DBInstanceClass": kind, "MultiAZCapable": True}
            for kind in classes
            if kind not in acts.sold_out
        ]

    _put(DBInstance, update=updated)
    _put(
        RDSBackend,
        stop_db_instance=stopped,
        start_db_instance=started,
        describe_orderable_db_instance_options=orderable,
    )


def _put(owner: Any, **functions: object) -> None:
    """Put functions and properties in the place of somebody else's."""
    for name, function in functions.items():
        setattr(owner, name, function)
