"""Several notebooks at once: threads that each look after one process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from coursectl.backends import execution_notebook
from coursectl.backends.execution_session import Session, StoppedError
from coursectl.model.execution import Executed, Job

_TICK = 0.1  # seconds until the person's wish to stop is noticed

Opener = Callable[[Job, threading.Event], Session]
"""Makes a session for a job. Raises `StoppedError` when the event is set, CourseError where it cannot be."""


def run(
    jobs: Sequence[Job],
    opener: Opener,
    *,
    parallel: int,
    on_done: Callable[[Job, Executed], None],
    stop: threading.Event,
) -> None:
    """Run every job in a session of its own; see `Executor.run`."""
    over = threading.Event()
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    done: queue.SimpleQueue[tuple[Job, Executed] | BaseException] = queue.SimpleQueue()
    threads = [
        threading.Thread(target=_work, args=(waiting, opener, done, over), daemon=True, name=f"notebook-{n}")
        for n in range(max(1, min(parallel, len(jobs))))
    ]
    for thread in threads:
        thread.start()
    left = len(jobs)
    try:
        while left and not stop.is_set():
            try:
                result = done.get(timeout=_TICK)
            except queue.Empty:
                continue
            if isinstance(result, BaseException):
                raise result
            left -= 1
            on_done(*result)
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _work(
    waiting: queue.SimpleQueue[Job],
    opener: Opener,
    done: queue.SimpleQueue[tuple[Job, Executed] | BaseException],
    over: threading.Event,
) -> None:
    try:
        while not over.is_set():
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            done.put((job, _one(job, opener, over)))
    except StoppedError:
        return
    except BaseException as exc:  # handed to the thread that waits for us
        done.put(exc)


def _one(job: Job, opener: Opener, over: threading.Event) -> Executed:
    session = opener(job, over)
    try:
        return execution_notebook.run(job, session, over)
    finally:
        session.end()
