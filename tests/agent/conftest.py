"""What the mind's tests share: the small organisation in a database, people, a mind, and a model endpoint on loopback."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from agent.answer import Answer, Question
from agent.ask import Mind, build_mind
from sandbox import llm
from sandbox.serving import listen, url_of
from tests.agent import world
from tools.analysis.costs import Costs
from tools.model.access import Principal, Role
from tools.model.identifiers import random_id
from tools.settings import Settings
from tools.store.database import Database, open_database

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TAGS = world.TAGS


@pytest.fixture(scope="session")
def lumen_file(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A SQLite file with the small organisation loaded, made once and copied by each test."""
    return world.load(tmp_path_factory.mktemp("lumen"), sqlite_template)


def person(role: Role = Role.REQUESTER, name: str = "Ana") -> Principal:
    return Principal(f"{name.lower()}@lumen.example", "default", name, role)


@dataclass
class House:
    """A mind over a database of its own, and a person who talks to it."""

    settings: Settings
    database: Database
    mind: Mind
    who: Principal = field(default_factory=person)

    def ask(self, text: str, *, thread: str = "", who: Principal | None = None, offline: bool = False) -> Answer:
        return self.mind.ask(Question(text, who or self.who, world.TODAY, thread=thread, offline=offline))


Make = Callable[..., House]


@pytest.fixture
def make(lumen_file: Path, tmp_path: Path) -> Iterator[Make]:
    """Builds a House; settings may be given by name."""
    opened: list[House] = []

    def build(source: Path = lumen_file, **given: object) -> House:
        path = tmp_path / f"state-{len(opened)}.db"
        shutil.copy(source, path)
        settings = Settings(_env_file=None, home=tmp_path, state_url=f"sqlite:///{path}", **given)  # type: ignore[call-arg,arg-type]
        database = open_database(settings.database_url, migrate=False)
        costs = Costs(database, "default", TAGS, settings.provisional_days)
        house = House(settings, database, build_mind(settings, database, costs, now=lambda: NOW, new_id=random_id))
        opened.append(house)
        return house

    yield build
    for house in opened:
        house.mind.close()
        house.database.dispose()


@pytest.fixture
def house(make: Make) -> House:
    """The organisation without a language model."""
    return make()


@pytest.fixture
def empty(make: Make, sqlite_template: Path) -> House:
    """A new installation without any cost data."""
    return make(sqlite_template)


@dataclass
class ModelServer:
    """A running model endpoint; `script` says what it does."""

    url: str
    script: llm.Script

    def play(self, part: str = "helpful", *steps: llm.Step) -> None:
        self.script.part = part
        self.script.steps.clear()
        self.script.steps.extend(steps)
        self.script.calls.clear()


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    """The sandbox's language model on a loopback port."""
    script = llm.Script()
    bound = listen()
    server = uvicorn.Server(uvicorn.Config(llm.build(script), log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield ModelServer(url_of(bound), script)
    server.should_exit = True
    thread.join(5)
    bound.close()


@pytest.fixture
def endpoint(model_server: ModelServer) -> ModelServer:
    """The endpoint in its honest part."""
    model_server.play()
    model_server.script.models = llm.MODELS
    return model_server


@pytest.fixture
def with_model(make: Make, endpoint: ModelServer) -> House:
    """The organisation with a language model behind the planner."""
    return make(GROQ_API_KEY="sandbox", GROQ_API_BASE=endpoint.url, llm_timeout_seconds=2)
