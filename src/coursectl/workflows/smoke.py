"""The notebook suite on a frozen stack: read, decide, run what has to be run, judge, keep, report."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl import files
from coursectl.errors import Hint, LockError, UsageError
from coursectl.model.suite import CaseResult, SuiteReport, Verdict
from coursectl.workflows import smoke_read
from coursectl.workflows.smoke_plan import Planned, Rules, SuitePlan, plan_suite, preload
from coursectl.workflows.smoke_store import Store, store

if TYPE_CHECKING:
    from coursectl.model.course import Course
    from coursectl.model.execution import Executed, Job, Mode
    from coursectl.model.progress import Progress, Task
    from coursectl.settings import Settings
    from coursectl.workflows.smoke_place import Scratch
    from coursectl.workflows.up import Ready, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeOptions:
    """What was asked for.

    `notebooks` empty: the whole suite; `parallel` ``None``: one for each core; `timeout`: seconds for a
    notebook, over course.yaml's; `isolated`: a kernel for each; `rerun`: what is known already too.
    """

    notebooks: tuple[str, ...] = ()
    parallel: int | None = None
    timeout: float | None = None
    isolated: bool = False
    rerun: bool = False


def wish_of(course: Course, settings: Settings) -> Wish:
    """What the suite runs in: what was typed, else the suite's own environment, else what `up` takes.

    Raises:
        UsageError: course.yaml has no suite.
    """
    from coursectl.workflows.up import Wish

    if not course.notebooks.get("suite"):
        raise UsageError(
            f"{course.title} has no notebook suite",
            cause=f"{course.file.name} has no `notebooks:` with a `suite:`",
            hints=("add `notebooks: {suite: [notebooks/*.ipynb]}` to course.yaml",),
            code="no-suite",
        )
    wish = Wish.of(course, settings)
    own = course.notebooks.get("environment")
    return wish if wish.environment or not own else replace(wish, environment=str(own))


def smoke(
    ready: Ready, options: SmokeOptions, *, gpu: bool, network: bool, progress: Progress
) -> SuiteReport:
    """Run the suite in an environment that is installed.

    Args:
        ready: what `up.prepare` decided.
        options: what was asked for.
        gpu: whether this machine has one that the environment can use.
        network: whether notebooks that declare it may use the network.
        progress: where to report to.

    Raises:
        LockError: the environment is not installed.
        UsageError: there is no such notebook in the suite.
        CourseError: the environment cannot run notebooks, or nothing can be written.
    """
    start = time.monotonic()
    if not Path(ready.plan.prefix).is_dir():
        raise LockError(
            f"the environment {ready.plan.environment} of {ready.plan.semester} is not installed",
            hints=(
                Hint(text="install it first:", command=f"coursectl up {ready.plan.semester} --no-launch"),
            ),
            code="not-installed",
        )
    kept = store()
    rules = Rules.of(ready.course, options.timeout)
    mode = _mode(options)
    suite = smoke_read.read_suite(ready.course, options.notebooks, gpu=gpu, network=network)
    plan = plan_suite(ready, suite, rules, kept, rerun=options.rerun, mode=mode)
    parallel = max(1, min(options.parallel or _cores(), len(plan.todo) or 1))
    run = _Run(ready=ready, rules=rules, kept=kept, progress=progress)
    if plan.todo:
        run.all(plan, mode=mode, parallel=parallel)
        kept.prune()
    report = SuiteReport(
        course=ready.course.name,
        semester=ready.plan.semester,
        environment=ready.plan.environment,
        variant=ready.plan.variant,
        platform=str(ready.plan.platform),
        mode=str(mode),
        cases=plan.in_order({**plan.settled, **run.results}),
        seconds=time.monotonic() - start,
        digest=ready.build.digest,
        parallel=parallel,
        notes=tuple(run.notes),
    )
    kept.keep_report(report, whole=not options.notebooks)
    return report


def _mode(options: SmokeOptions) -> Mode:
    from coursectl.model.execution import Mode

    shared = sys.platform.startswith("linux") and not options.isolated
    return Mode.SHARED if shared else Mode.ISOLATED


def _cores() -> int:
    if sys.platform.startswith("linux"):
        return len(os.sched_getaffinity(0))  # what we may use: a container may have fewer than the machine
    return os.cpu_count() or 1


class _Run:
    """The notebooks that have to run, and what has come of them so far."""

    def __init__(self, *, ready: Ready, rules: Rules, kept: Store, progress: Progress) -> None:
        self.ready = ready
        self.rules = rules
        self.kept = kept
        self.progress = progress
        self.results: dict[str, CaseResult] = {}
        self.notes: list[str] = []
        self._waiting: dict[str, Planned] = {}

    def all(self, plan: SuitePlan, *, mode: Mode, parallel: int) -> None:
        """Run every notebook of the plan; on Ctrl-C everything that runs is ended first.

        Raises:
            CourseError: the environment cannot run notebooks, or nothing can be written.
        """
        from coursectl.backends.execution import executor
        from coursectl.workflows.smoke_place import scratch

        prefix = Path(self.ready.plan.prefix)
        stop = threading.Event()
        with scratch(self.kept.runs, self.ready.course.root) as places:
            jobs = [self._job(places, number, one) for number, one in enumerate(plan.todo, 1)]
            self._waiting = {job.name: one for job, one in zip(jobs, plan.todo, strict=True)}
            self._note_linked(places)
            chosen = executor(mode, prefix, preload=preload(plan.todo))
            try:
                with self.progress.task("running", total=len(jobs), unit="notebooks") as task:
                    self._show(task, parallel)
                    done = self._on_done(places, task, parallel)
                    chosen.run(jobs, parallel=parallel, on_done=done, stop=stop)
                    self._missing()
            except BaseException:  # Ctrl-C too: nothing that was started goes on
                stop.set()
                raise
            finally:
                chosen.close()

    def _job(self, places: Scratch, number: int, one: Planned) -> Job:
        from coursectl.model.execution import Job
        from coursectl.notebooks import to_ipynb

        notebook, rules = one.case.notebook, self.rules
        sources = "\n".join(c.source for c in notebook.code)
        folder = places.place(str(number), notebook.path, sources, one.case.local)
        return Job(
            notebook=to_ipynb(notebook),
            name=notebook.path,
            folder=folder,
            executed=places.folder / f"{number}.ipynb",
            seed=rules.seed,
            cell_timeout=rules.cell_timeout,
            timeout=rules.timeout,
            memory_bytes=rules.memory_bytes,
            output_bytes=rules.output_bytes,
            network=smoke_read.may_use_network(self.ready.course, notebook.path),
            own=(str(places.folder / str(number)),),
        )

    def _on_done(self, places: Scratch, task: Task, parallel: int) -> Callable[[Job, Executed], None]:
        from coursectl.workflows.smoke_judge import judge

        def done(job: Job, executed: Executed) -> None:
            one = self._waiting.pop(job.name)
            place = Path(job.own[0])
            result = judge(one.case, executed, place=place, notebook=self._keep_notebook(job, one))
            self._keep(one, result)
            self.results[job.name] = result
            places.leave(place)
            task.advance()
            self._show(task, parallel)

        return done

    def _missing(self) -> None:
        """A notebook that nothing came back of is no success."""
        for name, one in self._waiting.items():
            self.results[name] = CaseResult(
                notebook=name,
                verdict=Verdict.KILLED,
                reason="nothing came back of it",
                traits=one.case.traits,
            )

    def _keep_notebook(self, job: Job, one: Planned) -> Path | None:
        """Move the executed notebook out of the scratch place; ``None`` where none was written."""
        if not job.executed.is_file():
            return None
        target = self.kept.case_folder(one.digest) / "executed.ipynb"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            files.replace(job.executed, target)
        except OSError as exc:
            raise files.os_error(exc, f"cannot write {target}") from exc
        return target

    def _keep(self, one: Planned, result: CaseResult) -> None:
        """Keep what would come out again; a time limit or a kill may have been this machine's bad day."""
        if result.verdict in {Verdict.OK, Verdict.FAILED} and one.lasting:
            self.kept.keep_case(one.digest, self.ready.build.digest, result)
        else:
            self.kept.forget_case(one.digest)

    def _show(self, task: Task, parallel: int) -> None:
        """The notebooks that run: executors take them in their order."""
        task.detail(", ".join(list(self._waiting)[:parallel]))

    def _note_linked(self, places: Scratch) -> None:
        for name in sorted(places.linked):
            note = f"{name} is large: the notebooks of this run shared one read-only copy of it"
            self.notes.append(note)
            self.progress.say(note)
