"""A comparison study from data to trained models: all its trainings, side by side on one machine."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from flwr.serverapp import Grid

from common.evaluation.evaluation_counts import EvaluationCounts
from common.models.classifier import build_model
from common.plan.training_plan import TrainingPlan
from common.system.wording import plural
from common.training.activations import cached_bytes
from common.training.cache_limit import describe_shortage
from server.rounds.state import RoundReport
from server.runs.round_records import round_entry
from server.runs.run_folder import RunFolder
from simulations.study.arms import FEDERATED
from simulations.study.description import describe_study
from simulations.study.earlier_runs import keep_rounds
from simulations.study.federated import run_federated, samples_of
from simulations.study.outcomes import Outcome, OutcomeStore, correct_of
from simulations.study.progress import StudyProgress
from simulations.study.trainings import Unit, units_of
from simulations.study.variants import Variant, variants_of
from simulations.study.workers import StoppedError, Workers, wait_for_nodes


class Study:
    """The trainings of a plan in one run folder.

    Parameters
    ----------
    plan : TrainingPlan
        With `study.folds` = 0: one split; else the repeated cross-validation, and the sweeps it names.
    folder : RunFolder
        May hold outcomes of an interrupted study of the same plan; they are not trained again.
    emit : callable
        Takes each line of progress.
    workers : int
        How many trainings Flower's pool of workers runs at the same time.

    Attributes
    ----------
    variants : list of Variant
        The plan's own choice first.
    missing : dict of str to str
        Families without weights, and why.
    """

    def __init__(self, plan: TrainingPlan, folder: RunFolder, emit: Callable[[str], None], workers: int) -> None:
        self._plan = plan
        self._workers = workers
        self._folder = folder
        self.variants, self.missing = variants_of(plan)
        self._store = OutcomeStore(folder.path)
        # One training may serve several variants: pooled images know no strategy.
        units = {unit.key: unit for variant in self.variants for unit in units_of(variant)}.values()
        # All variants of a fold one after another: side by side the trainings of one variant would each compute the
        # activations that they share.
        self._units = sorted(units, key=lambda unit: (unit.repeat, unit.fold))
        self._progress = StudyProgress(sum(unit.samples_seen for unit in self._units), emit)
        self._noting = threading.Lock()

    def outcomes(self, variant: Variant) -> list[tuple[Unit, Outcome]]:
        """Return a variant's trainings with their outcomes."""
        return [(unit, self._store[unit]) for unit in units_of(variant)]

    def train(self, grid: Grid) -> None:
        """Do the trainings that an interrupted study has not left.

        Raises
        ------
        RarefedError
            Of the first training that failed; those that were finished before are kept.
        """
        for line in describe_study(self.variants, self.missing):
            self._progress.say(line)
        found = self._store.restore(self._units)
        if found:
            self._progress.say(f"going on: {found} of {len(self._units)} trainings are there already")
        for path in self._store.damaged:
            self._progress.say(f"{path} cannot be used (damaged, or of other test images): that training is done again")
        if unused := self._store.unused(self._units):
            self._progress.say(
                f"{plural(unused, 'training')} of another version, machine or data set are there, and are not used"
            )
        keep_rounds(self._folder.path, {unit.key for unit in self._units if unit in self._store})
        self._progress.skip(sum(unit.samples_seen for unit in self._units if unit in self._store))
        missing = [unit for unit in self._units if unit not in self._store]
        if missing:
            if shortage := self._cache_shortage():
                self._progress.say(shortage)
            workers = Workers(grid, wait_for_nodes(grid, 1, self._plan.federation.wait_seconds), self._workers)
            self._share_out(missing, workers)

    def _cache_shortage(self) -> str | None:
        """Compare what the plan's own variant needs with the limit; others of a sweep come after it."""
        dataset, plan = self.variants[0].consortium.dataset, self.variants[0].plan
        model = build_model(plan, len(dataset.classes))
        return describe_shortage(cached_bytes(plan, model, len(dataset.records)))

    def _share_out(self, units: list[Unit], workers: Workers) -> None:
        """Train in as many threads as there are workers, so that none is idle.

        The rounds of a federation have a time limit, so it must not wait for a worker that is busy with a long
        training. As long as a federation is running, the other trainings leave enough workers free for its sites.
        """
        federated = deque(unit for unit in units if self._by_messages(unit))
        alone = deque(unit for unit in units if not self._by_messages(unit))
        federations = min(len(federated), max(1, self._workers // len(units[0].consortium.sites)))
        queues = [[federated, alone]] * federations + [[alone]] * (self._workers - federations)
        with ThreadPoolExecutor(len(queues)) as executor:
            threads = [executor.submit(self._work, queue, workers) for queue in queues]
            wait(threads, return_when=FIRST_EXCEPTION)
            if any(thread.done() and thread.exception() for thread in threads):
                federated.clear()
                alone.clear()
                workers.stop()
        failures = [error for thread in threads if (error := thread.exception())]
        if failures:
            # The others only say that they were stopped because of it.
            raise next((error for error in failures if not isinstance(error, StoppedError)), failures[0])

    def _work(self, queues: list[deque[Unit]], workers: Workers) -> None:
        for queue in queues:
            while queue:
                try:
                    unit = queue.popleft()
                except IndexError:  # another thread took the last one
                    break
                self._train(unit, workers)

    def _train(self, unit: Unit, workers: Workers) -> None:
        if self._by_messages(unit):
            federated = run_federated(unit, workers, self._folder, partial(self._note_round, unit), self._progress.say)
            outcome = federated.outcome
            if not self._plan.study.folds:
                metadata = {"plan_digest": unit.plan.digest, "trunk_digest": federated.trunk_digest}
                self._folder.write_tail("federated", federated.tail, federated.layout, metadata)
            samples = 0  # they were counted by round
            with self._noting:
                self._progress.skip(unit.samples_seen - outcome.samples_seen)  # of lost replies
        else:
            outcome = workers.train(unit)
            samples = outcome.samples_seen
            with self._noting:
                for point in outcome.learning_curve:
                    self._folder.append_round({"unit": unit.key, **_place(unit), **point.to_json()})
        self._store.add(unit, outcome)
        self._folder.forget_rounds(unit.key)
        right, total = correct_of(unit, outcome), len(outcome.probabilities)
        with self._noting:
            self._progress.step(samples, f"{unit.title}: {right}/{total} right, {outcome.wall_s:.0f} s")

    def _by_messages(self, unit: Unit) -> bool:
        """Say whether a unit's sites are asked one by one; any other unit is one worker's."""
        return unit.arm == FEDERATED and not self._plan.study.in_memory

    def _note_round(self, unit: Unit, report: RoundReport, restored: bool) -> None:
        rounds = unit.plan.federation.rounds
        sites = ", ".join(f"{name} {site.train_loss:.3f}" for name, site in report.sites.items())
        evaluation = report.evaluation
        start = f"; start scored {_describe_evaluation(evaluation)}" if evaluation and evaluation.images else ""
        text = f"{unit.title} round {report.round}/{rounds}: loss {report.train_loss:.3f} ({sites}){start}"
        for site, reason in report.failures.items():
            text += f"; {site} left out: {reason}"
        entry = {"unit": unit.key, **_place(unit), **round_entry(report, rounds)}
        with self._noting:
            count = self._progress.restore if restored else self._progress.step
            count(samples_of(unit, report), text)
            self._folder.append_round(entry)


def _place(unit: Unit) -> dict[str, Any]:
    """Return where an entry of `rounds.jsonl` belongs."""
    return {"arm": unit.arm, "repeat": unit.repeat, "fold": unit.fold} | ({"site": unit.site} if unit.site else {})


def _describe_evaluation(evaluation: EvaluationCounts) -> str:
    return f"{evaluation.correct}/{evaluation.images} right, loss {evaluation.loss:.3f}"
