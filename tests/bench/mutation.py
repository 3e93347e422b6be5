"""Mutation: changes one operator, constant, condition or call at a time and sees whether the tests notice.

`python -m tests.bench.mutation [decisions gates engine judge]` prints the score of each module and every mutant
that no test noticed. A mutant lives in a forked child of a test run that is ready to go: no file is touched.
"""

from __future__ import annotations

import ast
import copy
import importlib
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_HERE = "tests/execution/"
# Those that notice most come first; a child ends with its first failing test.
TESTS = {
    "judge": ("test_judge.py", "test_calibration.py"),
    "decisions": ("test_moves.py", "test_flow.py", "test_gates.py"),
    "engine": ("test_engine.py", "test_flow.py", "test_gates.py"),
    "gates": ("test_gates.py", "test_flow.py"),
}
# A mutant that takes so much longer than the tests do does not end: that is noticed too.
_CPU_SECONDS = 120
_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where it is, and how the line reads before and after."""

    line: int
    what: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Every change of a module that is one operator, constant, condition, returned value or call away."""
    tree = ast.parse(source)
    for index, node in enumerate(_code(tree)):
        for number in range(len(_changes(node))):
            changed = copy.deepcopy(tree)
            target = list(_code(changed))[index]
            before = ast.unparse(target)
            _changes(target)[number]()
            yield Mutant(getattr(target, "lineno", 0), f"{_short(before)}  ->  {_short(ast.unparse(target))}", changed)


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs; annotations, decorators, docstrings and texts for people are not changed."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "decorator_list", "type_comment"}:
            continue
        for node in value if isinstance(value, list) else [value]:
            # How finely the judge looks is a table of numbers; the long proof in twelve kinds of noise is its test.
            tuned = isinstance(tree, ast.Module) and isinstance(node, ast.Assign)
            if isinstance(node, ast.AST) and not isinstance(node, ast.JoinedStr) and not tuned:
                yield node
                yield from _code(node)


def _changes(node: ast.AST) -> list[object]:
    found: list[object] = []
    if isinstance(node, ast.Compare):
        found += [lambda i=i, op=op: node.ops.__setitem__(i, _COMPARED[type(op)]()) for i, op in enumerate(node.ops)]
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        found.append(lambda: setattr(node, "op", other()))
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        found.append(lambda: setattr(node, "op", _COMPUTED[type(node.op)]()))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        found.append(lambda: setattr(node, "value", not node.value))
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        found.append(lambda: setattr(node, "value", node.value + 1))
    elif isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.Compare):
        found.append(lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test)))
    elif isinstance(node, ast.Return | ast.Expr) and _does_something(node):
        found.append(lambda: setattr(node, "value", ast.Constant(None)))
    return found


def _does_something(node: ast.Return | ast.Expr) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    return node.value is not None and not isinstance(node.value, ast.Constant)


def _short(text: str) -> str:
    return " ".join(text.split())[:110]


class Plugin:
    """Takes the place of pytest's own loop over the tests: all of them once as they are, then each mutant until one fails."""

    def __init__(self, name: str) -> None:
        self.name, self.found, self.alive = name, 0, list[Mutant]()

    def pytest_runtestloop(self, session: Any) -> bool:
        """Baseline first: what the tests share is then set up for every child."""
        _run(session)
        if session.testsfailed:
            sys.exit(f"{self.name}: the tests fail without any change")
        module = importlib.import_module(f"tools.execution.{self.name}")
        for mutant in mutants(Path(str(module.__file__)).read_text()):
            self.found += 1
            if not _noticed(session, module, mutant):
                self.alive.append(mutant)
                print(f"  {self.name}.py:{mutant.line}: {mutant.what}", file=sys.__stdout__, flush=True)
        return True


def _run(session: Any) -> None:
    # The test after the last one is the first again, so that what a session shares is not torn down.
    for item, after in zip(session.items, [*session.items[1:], session.items[0]], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            return


def _noticed(session: Any, module: ModuleType, mutant: Mutant) -> bool:
    child = os.fork()
    if not child:
        ended = 1  # whatever a broken module does, it was noticed
        try:
            used = resource.getrusage(resource.RUSAGE_SELF)
            most = int(used.ru_utime + used.ru_stime) + _CPU_SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (most, most + 5))
            _replace(module, mutant.tree)
            _run(session)
            ended = int(session.testsfailed > 0)
        finally:
            os._exit(ended)
    _, status = os.waitpid(child, 0)
    return status != 0


def _replace(module: ModuleType, tree: ast.Module) -> None:
    """Give the functions of a module, which others hold already, the code of a changed one; and its plain constants."""
    changed = ModuleType(module.__name__)
    sys.modules[module.__name__] = changed
    exec(compile(ast.fix_missing_locations(tree), str(module.__file__), "exec"), changed.__dict__)
    sys.modules[module.__name__] = module
    _recode(module.__dict__, changed.__dict__, module.__name__)
    for name, value in vars(changed).items():
        if isinstance(value, int | float | tuple | frozenset):
            setattr(module, name, value)


def _recode(old: Any, new: Any, module: str) -> None:
    for name, value in list(old.items()):
        other = new.get(name)
        if isinstance(value, FunctionType) and value.__module__ == module and isinstance(other, FunctionType):
            if value.__code__.co_freevars == other.__code__.co_freevars:
                value.__code__ = other.__code__
        elif isinstance(value, property) and value.fget and other is not None:
            value.fget.__code__ = other.fget.__code__  # type: ignore[attr-defined]  # written as a function
        elif isinstance(value, type) and value.__module__ == module and other is not None:
            _recode(dict(vars(value)), vars(other), module)
            value.__init__.__defaults__ = other.__init__.__defaults__


def main(names: list[str]) -> int:
    """Print the score of each module and its survivors; 1 when one is below 90 %."""
    poor = False
    for name in names or list(TESTS):
        child = os.fork()  # modules of one are not to be mixed with another's
        if not child:
            os._exit(_scored(name))
        poor |= os.waitpid(child, 0)[1] != 0
    return int(poor)


def _scored(name: str) -> int:
    import pytest

    quick = "not postgresql and not thousand and not quick_ground and not the_command and not statements"
    options = ["-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider", "-k", quick]
    plugin = Plugin(name)
    pytest.main([*options, *(_HERE + test for test in TESTS[name])], plugins=[plugin])
    noticed = plugin.found - len(plugin.alive)
    score = 100 * noticed / max(1, plugin.found)
    print(f"{name}: {noticed} of {plugin.found} mutants noticed ({score:.1f} %)", flush=True)
    return int(score < 90)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
