"""The whole comparison: search, runs with all seeds, table and plot."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from odm_mmocr.checkpoints import find_config
from odm_mmocr.checkpoints.architecture import format_normalization
from odm_mmocr.output_files import written_whole

from .execution import Executor, Outcome, alone, read_result
from .protocol import (
    RANDOM_WEIGHTS,
    Protocol,
    Recipe,
    Run,
    Start,
    choose_labels,
    file_digest,
    final_runs,
    keep_inputs,
    keep_protocol,
    percent,
    search_runs,
    split_labels,
)
from .report import (
    describe_doubts,
    describe_fairness,
    draw_comparison,
    format_table,
    write_runs,
    write_table,
)
from .results import FinishedRun, choose_recipes, finished_run, summarise
from .run_config import (
    build_run_config,
    full_iterations,
    load_annotated,
    load_detector,
    name_data,
)
from .starts import network_normalization, prepare_start

SHORT = 10  # a short schedule is this much shorter than the config's own
# What parts of a plan are called in the names of runs.
NAMED = dict(starts=lambda start: start.name, fractions=percent)


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        config: Path or name of the detector's config.
        starts: What its backbone starts from.
        fractions: Shares of the labelled images, above 0, up to 1.
        seeds: The first is that of the search.
        recipes: What is tried for each start and share; of several, the best on the images held
            out is taken.
        schedule: `full`, `short` or a number of iterations.
        options: Settings replaced in the config.
        evaluations: How often each run is evaluated.
        holdout: Share of the training images held out to choose recipes by; without several
            recipes none is needed.
    """

    config: str
    starts: Sequence[Start]
    fractions: Sequence[float] = (0.1, 0.25, 1.0)
    seeds: Sequence[int] = (0, 1, 2)
    recipes: Sequence[Recipe] = (Recipe(0.3), Recipe(1.0), Recipe(3.0))
    schedule: str = 'short'
    options: dict | None = None
    evaluations: int = 5
    holdout: float = 0.1

    def __post_init__(self) -> None:
        for name in ('starts', 'fractions', 'seeds', 'recipes'):
            keys = [NAMED.get(name, str)(value) for value in getattr(self, name)]
            if not keys:
                raise ValueError(f'a comparison needs {name}')
            if len(set(keys)) < len(keys):
                raise ValueError(f'{name}: {", ".join(keys)}; each may stand there once')
        if wrong := [seed for seed in self.seeds if seed < 0]:
            raise ValueError(f'a seed is 0 or more, not {wrong[0]}')
        if len(self.recipes) > 1 and not self.holdout:
            raise ValueError(
                'several learning rates need images to choose by: holdout must be above 0'
            )


class Comparison:
    """The same detector, data, schedule and seeds from several starts.

    Args:
        plan: What is compared.
        folder: For runs and results. Runs in it that are finished are not made again.

    Attributes:
        protocol: What all runs share.
        settings: What is equal for all starts, for people.

    Raises:
        FileNotFoundError: Config, annotation or a backbone file is missing.
        ValueError: A file does not fit the detector, or the folder holds runs of another protocol
            or of other files.
    """

    def __init__(self, plan: Plan, folder: str | os.PathLike) -> None:
        self._plan = plan
        self._folder = Path(folder)
        path = find_config(plan.config)
        cfg = load_detector(str(path), plan.options)
        images = load_annotated(cfg.train_dataloader)
        tests = load_annotated(cfg.val_dataloader)
        self._images = len(images)
        self._data = name_data(tests)
        holdout = plan.holdout if len(plan.recipes) > 1 else 0.0
        full = full_iterations(cfg, self._images)
        self.protocol = Protocol(
            config=str(path.resolve()),
            iterations=_iterations(plan.schedule, full),
            options=plan.options or {},
            evaluations=plan.evaluations,
            holdout=holdout,
        )
        pool, held = split_labels(self._images, holdout)
        counts = [len(choose_labels(pool, f, plan.seeds[0])) for f in plan.fractions]
        with alone(self._folder):
            prepared = [prepare_start(start, cfg, self._folder / 'starts') for start in plan.starts]
            self._files = {start.name: start.file for start, _ in prepared}
            for start in plan.starts:  # what does not fit is told before anything is trained
                file = self._files[start.name]
                if file and not Path(file).is_file():
                    continue  # gone; its runs may be made already
                run = Run(start.name, plan.fractions[0], plan.seeds[0], plan.recipes[0])
                self._configure(run, self._folder)
            keep_protocol(self.protocol, self._folder)
            keep_inputs(_fingerprints(cfg, images, tests, self._files), self._folder)
        self._learning_rate = cfg.optim_wrapper.optimizer.lr
        batch = cfg.train_dataloader.batch_size
        self.settings = {
            'detector': Path(plan.config).stem,
            'test images': f'{len(tests)} of {self._data}{_describe_overlap(images, tests)}',
            'schedule': f'{self.protocol.iterations} iterations of {batch} images (the config has '
            f'{full}), learning rate schedule scaled with it; the last weights count',
            'labels': ', '.join(
                f'{percent(f)} % = {count} images ({self.protocol.iterations * batch / count:.1f} '
                'epochs)'
                for f, count in zip(plan.fractions, counts)
            ),
            'held out': f'{len(held)} training images, by which the recipe of each start and '
            'share of the labels is chosen'
            if len(held)
            else 'nothing: there is one recipe for all',
            'recipes tried for each start': ', '.join(map(str, plan.recipes))
            + f' (lr1 is {self._learning_rate:g})',
            'seeds': ', '.join(map(str, plan.seeds))
            + ' (of the labelled images, the weights that are drawn, the data)',
            'optimizer': f'{cfg.optim_wrapper.optimizer.type}, for each layer as the config has it',
            'frozen stages': 'none',
            'normalisation': format_normalization(network_normalization(cfg)),
            'machine': _machine(),
            **{f'start {start.name}': what for start, what in prepared},
        }

    def run(self, jobs: int, report: Callable[[Outcome, int, int], None]) -> list[str]:
        """Make all runs that are not made yet, then table and plot.

        Args:
            jobs: Runs at a time.
            report: Called with each outcome, the number of outcomes so far and of all.

        Returns:
            Why runs failed, one line each. Table and plot have what there is without them.

        Raises:
            ValueError: No run succeeded.
        """
        outcomes = self.make_runs(jobs, report)
        if all(outcome.result is None for outcome in outcomes):
            raise ValueError(f'every run failed; the first: {outcomes[0].error}')
        failures = [f'{o.run.name}: {o.error}' for o in outcomes if o.result is None]
        with alone(self._folder):
            self._write(*read_finished(self._plan, self._folder), failures)
        return failures

    def make_runs(self, jobs: int, report: Callable[[Outcome, int, int], None]) -> list[Outcome]:
        """Make all runs that are not made yet, and nothing of them.

        Args:
            jobs, report: As for :meth:`run`.

        Returns:
            The outcomes: those of the search first.
        """
        plan = self._plan
        executor = Executor(self._folder / 'runs', self._configure, jobs)
        total = len(plan.fractions) * len(plan.starts) * (len(plan.recipes) + len(plan.seeds) - 1)
        count = 0
        searched: list[FinishedRun] = []
        missing = dict.fromkeys(
            ((start.name, share) for share in plan.fractions for start in plan.starts),
            len(plan.recipes),
        )

        def follow(outcome: Outcome) -> list[Run]:
            """Call for the other seeds where the search for a start and share is through."""
            nonlocal count
            count += 1
            report(outcome, count, total)
            run = outcome.run
            if run.seed != plan.seeds[0]:
                return []
            searched.extend(_finished([outcome]))
            group = run.start, run.fraction
            missing[group] -= 1
            if missing[group]:
                return []
            found = [f for f in searched if (f.run.start, f.run.fraction) == group]
            return final_runs(choose_recipes(found), plan.seeds[1:])

        return executor.run_all(
            search_runs(plan.starts, plan.fractions, plan.recipes, plan.seeds[0]), follow
        )

    def _configure(self, run: Run, folder: Path) -> str:
        backbone = self._files[run.start]
        cfg = build_run_config(self.protocol, run, backbone, self._images, str(folder.resolve()))
        return cfg.pretty_text

    def _write(
        self, final: list[FinishedRun], every: list[FinishedRun], failures: list[str]
    ) -> None:
        rows = summarise(final)
        text = f'{format_table(rows, self._data, self._learning_rate)}\n'
        if doubts := describe_doubts(rows, self._plan.recipes, failures):
            text += f'\nTo be read with care:\n\n{doubts}\n'
        text += f'\nEqual for all starts:\n\n{describe_fairness(self.settings)}\n'
        with written_whole(self._folder / 'table.md') as file:
            file.write(text.encode())
        write_table(rows, self._data, self._folder / 'table.csv')
        write_runs(every, self._folder / 'runs.csv')
        figure = draw_comparison(final, f'{self.settings["detector"]}, {self._data}')
        figure.savefig(self._folder / 'hmean.png', dpi=110)


def read_finished(
    plan: Plan, folder: str | os.PathLike
) -> tuple[list[FinishedRun], list[FinishedRun]]:
    """Read the runs of a comparison that are made.

    Args:
        plan: What is compared.
        folder: Of the comparison.

    Returns:
        The runs with the recipe that was chosen for their start and share, by what is there of the
        search, and all runs: those of the search, then the others.
    """

    def read(runs: Iterable[Run]) -> list[FinishedRun]:
        return _finished(Outcome(r, read_result(Path(folder) / 'runs' / r.name)) for r in runs)

    searched = read(search_runs(plan.starts, plan.fractions, plan.recipes, plan.seeds[0]))
    chosen = choose_recipes(searched)
    every = searched + read(final_runs(chosen, plan.seeds[1:]))
    return [
        run for run in every if run.run.recipe == chosen[run.run.start, run.run.fraction]
    ], every


def _iterations(schedule: str, full: int) -> int:
    if schedule == 'full':
        return full
    if schedule == 'short':
        return max(1, full // SHORT)
    try:
        return int(schedule)
    except ValueError:
        raise ValueError(
            f'{schedule!r} is no schedule: short, full, or a number of iterations'
        ) from None


def _finished(outcomes: Iterable[Outcome]) -> list[FinishedRun]:
    return [finished_run(outcome) for outcome in outcomes if outcome.result is not None]


def _fingerprints(
    cfg: Config, images: BaseDataset, tests: BaseDataset, files: dict[str, str | None]
) -> dict[str, str]:
    """What runs are made from, apart from its names."""
    fingerprints = {
        'the config': hashlib.sha256(json.dumps(cfg.to_dict(), default=str).encode()).hexdigest(),
        'the training annotation': file_digest(images.ann_file),
        'the test annotation': file_digest(tests.ann_file),
    }
    for name, file in files.items():
        fingerprints[f'start {name}'] = Path(file).stem if file else RANDOM_WEIGHTS
    return fingerprints


def _describe_overlap(images: BaseDataset, tests: BaseDataset) -> str:
    trained = {images.get_data_info(number)['img_path'] for number in range(len(images))}
    both = sum(tests.get_data_info(n)['img_path'] in trained for n in range(len(tests)))
    return f', {both} OF THEM ARE TRAINING IMAGES' if both else ''


def _machine() -> str:
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    else:
        device = f'{len(os.sched_getaffinity(0))} CPU cores ({platform.machine()}), no GPU'
    return f'{device}, PyTorch {torch.__version__}'
