"""Where the time of one warm conda install goes: the engine run in this process, its steps timed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import measure
import stacks

from coursectl.engines import conda, conda_cache, conda_install, conda_stage
from coursectl.engines.conda_call import call


class _Clock:
    """Seconds by stage, in the order in which they began; and when the child's events came."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.events: list[tuple[float, str]] = []

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time booked under `name`."""

        def timed(*words: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*words, **named)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

        return timed


def of_install(stack: stacks.Stack) -> None:
    """Install the stack's environment twice in this process and print the stages of the second."""
    for clock in (_Clock(), _Clock()):
        total = _install(stack, clock)
    moments = {name: at for at, name in reversed(clock.events)}
    last = max((at for at, name in clock.events if name == "linked"), default=0.0)
    begin, end = moments.get("call", 0.0), moments.get("end", 0.0)
    rows = [
        ("the lock read and checked", clock.seconds.pop("read")),
        ("child: Python, rattler imported, cache looked at", moments.get("cached", begin) - begin),
        ("child: until the first package is linked", moments.get("linked", begin) - moments.get("cached", 0)),
        ("child: links", last - moments.get("linked", 0)),
        ("child: conda-meta and end", end - last),
        *((name, seconds) for name, seconds in clock.seconds.items() if name != "child"),
    ]
    rest = total - sum(seconds for _, seconds in rows)
    for name, seconds in (*rows, ("everything else", rest), ("the engine in all", total)):
        print(f"    {measure.span(seconds):>9}  {name}")


def _install(stack: stacks.Stack, clock: _Clock) -> float:
    shutil.rmtree(stack.prefix)
    for name in ("COURSECTL_HOME", "COURSECTL_CACHE", "COURSECTL_MIRRORS"):
        os.environ[name] = stack.env[name]
    undo = _patched(clock)
    try:
        start = time.perf_counter()
        ready, network = _ready(stack.course)
        request = clock.around("read", _request)(ready, network)
        from coursectl.model.progress import Silent

        conda.CondaEngine().ensure(request, Silent())
        return time.perf_counter() - start
    finally:
        for module, name, function in undo:
            setattr(module, name, function)


def _ready(course: Path) -> tuple[Any, Any]:
    from coursectl import config, settings
    from coursectl.engines.base import Network
    from coursectl.workflows import up

    loaded = config.load_course(course / "course.yaml")
    values = settings.resolve(loaded, {})
    network = Network(cache=Path(os.environ["COURSECTL_CACHE"]), mirrors=values.mirrors, offline=False)
    return up.prepare(loaded, up.Wish.of(loaded, values), network, up.observe()), network


def _request(ready: Any, network: Any) -> Any:
    from coursectl.workflows import installing

    return installing.install_request(ready.course, ready.release, ready.environment, ready.build, network)


def _patched(clock: _Clock) -> list[tuple[Any, str, Callable[..., Any]]]:
    wanted = (
        (conda_stage, "clear_leftovers", "leftovers of kills looked for"),
        (conda_cache, "clear_cache_leftovers", "leftovers of kills looked for"),
        (conda_install, "check", "every file checked"),
        (conda_install, "write_seals", "seals written"),
        (conda_install, "write_packages", "package list and marker written"),
        (conda_stage, "write_marker", "package list and marker written"),
        (conda_stage, "swap", "renamed"),
    )
    undo = [(module, name, getattr(module, name)) for module, name, _ in wanted]
    for module, name, label in wanted:
        setattr(module, name, clock.around(label, getattr(module, name)))
    undo.append((conda_install, "call", call))

    def told(request: Any, network: Any, on_event: Callable[[Mapping[str, Any]], None]) -> Any:
        def event(one: Mapping[str, Any]) -> None:
            clock.events.append((time.perf_counter(), one["event"]))
            on_event(one)

        clock.events.append((time.perf_counter(), "call"))
        outcome = call(request, network, event)
        clock.events.append((time.perf_counter(), "end"))
        return outcome

    setattr(conda_install, "call", told)  # noqa: B010 - it is theirs by import, and mypy minds that
    return undo
