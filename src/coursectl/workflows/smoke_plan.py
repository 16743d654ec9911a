"""Which notebooks have to run, in which order, and what counts from an earlier run."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from coursectl.model.suite import CaseResult, Verdict
from coursectl.notebooks_code import split
from coursectl.workflows import smoke_read
from coursectl.workflows.smoke_stack import Stack, read_stack, stack_of

if TYPE_CHECKING:
    from coursectl.model.course import Course
    from coursectl.model.execution import Mode
    from coursectl.workflows.smoke_read import Case, Unreadable
    from coursectl.workflows.smoke_store import KeptCase, Store
    from coursectl.workflows.up import Ready

TIMEOUT = 600.0
"""Seconds a notebook may take where course.yaml says nothing."""
OUTPUT_BYTES = 50_000_000
"""What one notebook may print and show: more is a fault, and fills a disk."""

# What leaves Python, or finds modules by a name made up while running: anything of the stack may be behind it
_LEAVES_PYTHON = re.compile(
    r"^\s*(?:!|%%?(?:bash|sh|script|system|sx|pip|conda)\b)|\b(?:subprocess|os\.system|os\.popen)\b",
    re.MULTILINE,
)
_WORD = re.compile(r"\b[A-Za-z_]\w+")
_SHOWN_CHANGES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a notebook may take, from course.yaml and the command line. Seconds and bytes."""

    seed: int
    timeout: float
    cell_timeout: float
    memory_bytes: int | None
    output_bytes: int = OUTPUT_BYTES

    @classmethod
    def of(cls, course: Course, timeout: float | None) -> Self:
        """The rules of a course; `timeout` is over its own."""
        found = course.notebooks

        def number(key: str) -> float | None:
            value = found.get(key)
            return float(value) if isinstance(value, int | float) else None

        whole = timeout or number("timeout") or TIMEOUT
        memory = number("memory_mb")
        return cls(
            seed=int(number("seed") or 0),
            timeout=whole,
            cell_timeout=min(whole, number("cell_timeout") or whole),
            memory_bytes=None if memory is None else int(memory * 1_000_000),
        )

    def text(self) -> str:
        """The rules as far as a result depends on them."""
        return f"{self.seed} {self.timeout} {self.cell_timeout} {self.memory_bytes} {self.output_bytes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A notebook that has to run. `digest` is of all that its result depends on; `lasting`: the result counts
    until one of that changes (a notebook that uses the network depends on more).
    """

    case: Case
    digest: str
    lasting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitePlan:
    """`settled` has the results that are known without running, by notebook; `todo` is in running order."""

    settled: Mapping[str, CaseResult]
    todo: tuple[Planned, ...]
    order: tuple[str, ...]

    def in_order(self, results: Mapping[str, CaseResult]) -> tuple[CaseResult, ...]:
        """The results in the suite's own order."""
        return tuple(results[name] for name in self.order if name in results)


def plan_suite(
    ready: Ready,
    suite: tuple[tuple[Case, ...], tuple[Unreadable, ...]],
    rules: Rules,
    kept: Store,
    *,
    rerun: bool,
    mode: Mode,
) -> SuitePlan:
    """Decide for each notebook: skipped, known, or to be run (longest first, by its last time)."""
    cases, unreadable = suite
    settled = {u.notebook: _unreadable(u) for u in unreadable}
    build = ready.build.digest
    stack = stack_of(Path(ready.plan.prefix), build, kept.stacks) if cases else None
    todo: list[Planned] = []
    for case in cases:
        name = case.notebook.path
        if case.skip is not None or stack is None:
            settled[name] = _skipped(case)
            continue
        lasting = not smoke_read.may_use_network(ready.course, name)
        depends = f"{reach(case, ready.course, stack)} {rules.text()} {mode} {lasting}"
        digest = smoke_read.case_digest(case, ready.course, hashlib.sha256(depends.encode()).hexdigest())
        known = None if rerun or not lasting else kept.case(digest)
        if known is not None:
            settled[name] = _known(known, case, build, kept)
        else:
            todo.append(Planned(case=case, digest=digest, lasting=lasting))
    seconds = kept.seconds(ready.course.name)
    unknown = max(seconds.values(), default=0.0)  # it may be the longest
    todo.sort(key=lambda p: -seconds.get(p.case.notebook.path, unknown))
    order = sorted({*settled, *(p.case.notebook.path for p in todo)})
    return SuitePlan(settled=settled, todo=tuple(todo), order=tuple(order))


def reach(case: Case, course: Course, stack: Stack) -> str:
    """A digest of the part of the stack that a notebook can come to.

    Counted are its imports and its helpers', and every module of the stack that their text names
    (``%matplotlib``, ``engine="openpyxl"``, ``import_module("torch")``). Where the text leaves Python, the
    whole stack counts.
    """
    texts = [cell.source for cell in case.notebook.code]
    for name in case.local:
        try:
            texts.append((course.root / name).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue  # a folder, or gone since: its digest says so
    text = "\n".join(texts)
    if _LEAVES_PYTHON.search(text):
        return stack.digest
    known = {module for package in stack.packages for module in package.modules}
    return stack.reach_digest({*case.imports, *(known & set(_WORD.findall(text)))})


def preload(todo: tuple[Planned, ...]) -> tuple[str, ...]:
    """The modules that are worth loading once: those of two notebooks or more, the most wanted first.

    ``from scipy import signal`` counts for ``scipy.signal`` too; it is for the loader to find that a name is
    no module. A package comes before its modules, because whoever wants these wants it.
    """
    wanted = Counter(module for one in todo for module in _loaded(one.case))
    least = 2 if len(todo) > 1 else 1
    return tuple(m for m, n in sorted(wanted.items(), key=lambda item: (-item[1], item[0])) if n >= least)


def _loaded(case: Case) -> frozenset[str]:
    """The modules, with their dots, that a notebook's own cells import; not the course's own."""
    found: set[str] = set(case.imports)
    for cell in case.notebook.code:
        tree = split(cell.source).tree()
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(m for m in found if m.split(".")[0] in case.imports and "*" not in m)


def _unreadable(found: Unreadable) -> CaseResult:
    return CaseResult(
        notebook=found.notebook, verdict=Verdict.FAILED, reason=f"it cannot be read: {found.reason}"
    )


def _skipped(case: Case) -> CaseResult:
    return CaseResult(
        notebook=case.notebook.path,
        verdict=Verdict.SKIPPED,
        reason=case.skip,
        numbers=case.numbers,
        traits=case.traits,
    )


def _known(kept: KeptCase, case: Case, build: str, stored: Store) -> CaseResult:
    """An earlier result, with why it counts."""
    if kept.result.verdict is Verdict.OK:
        reason = f"not run again: {_why(kept.build, build, stored)}"
    else:
        reason = f"{kept.result.reason} (from an earlier run; `--rerun` runs it again)"
    return replace(kept.result, notebook=case.notebook.path, cached=True, reason=reason, traits=case.traits)


def _why(old: str, new: str, stored: Store) -> str:
    if old == new:
        return "nothing that it depends on has changed"
    before, now = (read_stack(stored.stacks / f"{digest}.json") for digest in (old, new))
    if before is None or now is None:
        return "none of the packages that it reaches has changed"
    was, is_ = before.versions(), now.versions()
    changed = sorted(n for n in {*was, *is_} if was.get(n) != is_.get(n))
    more = f" and {len(changed) - _SHOWN_CHANGES} more" if len(changed) > _SHOWN_CHANGES else ""
    return f"it reaches none of the packages that changed ({', '.join(changed[:_SHOWN_CHANGES])}{more})"
