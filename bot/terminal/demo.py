"""`optiinfra demo`: tells the three stories with the real product against the sandbox, then serves its page."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from bot.terminal import demo_stories, demo_world
from bot.terminal.demo_stories import Stage
from bot.terminal.demo_world import DemoError, Process, Workspace, command, wait_until

HOME = Path("var") / "demo"
PEOPLE = (
    ("priya@lumen.example", "admin"),
    ("ben@lumen.example", "requester"),
    ("carla@lumen.example", "approver"),
    ("dan@lumen.example", "viewer"),
)
STORIES = (
    ("Story 1: a question and its follow-up", demo_stories.question),
    ("Story 2: one rollout to 100 %, one rolled back by itself", demo_stories.rollouts),
    ("Story 3: the morning's digest", demo_stories.digest),
)
TRY = (
    "as Dan in #cloud-costs:   @optiinfra why did S3 go up last week?",
    "as Dan in #cloud-costs:   @optiinfra where can we save money?",
    "as Ben in #cloud-costs:   @optiinfra move reports-batch to spot",
    "as Carla in #cost-approvals: press a button of a card, or Roll back",
    "anywhere:                 /cost help",
)


def demo(args: argparse.Namespace) -> int:
    """0 when every story held (with --once), else 0 when it is ended from the keyboard; 1 when a story failed."""
    began = time.monotonic()

    def tell(line: str) -> None:
        print(line, flush=True)

    def progress(line: str) -> None:
        tell(f"[{time.monotonic() - began:5.1f} s] {line}")

    with _playing(args.port, progress) as (stage, product):
        failures = 0
        for title, story in STORIES:
            tell("")
            progress(title)
            try:
                story(stage)
            except DemoError as error:
                product.check()
                failures += 1
                progress(f"FAILED: {error.what}")
            else:
                progress("held.")
        tell("")
        if args.once:
            progress("All three stories held." if not failures else f"{failures} of {len(STORIES)} stories failed.")
            return 1 if failures else 0
        _serve(stage, product, tell)
    return 0


@contextmanager
def _playing(port: int, progress: Callable[[str], None]) -> Iterator[tuple[Stage, Process]]:
    """The sandbox and the product running, with bills loaded and people known; ended again whatever happens."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    progress("Starting the sandbox: a Slack workspace, AWS, a Prometheus, and 13 months of bills of Lumen Market")
    world, endpoints = demo_world.start_world(HOME / "world", port)
    try:
        env = demo_world.product_environment(HOME / "product", endpoints)
        stage = Stage(endpoints, env, Workspace(endpoints["slack_control_url"].rstrip("/")), print)
        progress("Reading the bills and looking at AWS: optiinfra collect")
        command(env, "collect")
        progress("In the database: " + demo_stories.check_loaded(env, stage.truth))
        savings = command(env, "recommend")["recommendations"]
        progress(f"Savings found: {len(savings)} (optiinfra recommend)")
        for email, role in PEOPLE:
            command(env, "people", "set", email, role)
        progress("Starting the product: optiinfra serve")
        product = demo_world.start("product", "bot.cli", "serve", log=HOME / "product.log", env=env, cwd=Path.cwd())
        try:
            _ready(product)
            yield stage, product
        finally:
            product.stop()
    finally:
        world.stop()


def _ready(product: Process) -> None:
    """Wait until the product answers on its own port and is connected to Slack."""

    def connected() -> str | None:
        product.check()
        said = product.log.read_text(encoding="utf-8", errors="replace")
        return said if "Running as" in said else None

    said = wait_until(connected, demo_world.START_SECONDS, "The start of the product")
    address = next(line.split()[-1] for line in said.splitlines() if line.startswith("Listening on"))
    if not requests.get(f"{address}/readyz", timeout=10).ok:
        raise DemoError("The product does not say that it is ready.", fix=f"See {product.log}.")


def _serve(stage: Stage, product: Process, tell: Callable[[str], None]) -> None:
    tell(f"The workspace is open: {stage.world['slack_page_url']}")
    for line in TRY:
        tell(f"  {line}")
    tell("Press Ctrl-C to end.")
    try:
        while True:
            product.check()
            time.sleep(1)
    except KeyboardInterrupt:
        tell("Ending.")
