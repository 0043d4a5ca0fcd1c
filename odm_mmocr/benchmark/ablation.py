"""The whole ablation: pre-trainings, comparison of their backbones, table and plot."""

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.config import Config

from odm_mmocr.output_files import written_whole

from .ablation_plan import AblationPlan, Variant
from .ablation_report import (
    draw_ablation,
    format_ablation,
    write_ablation,
    write_detectors,
    write_pretrainings,
)
from .ablation_results import VariantRow, spread, summarise_drawing, summarise_share
from .comparison import Comparison, read_finished
from .execution import COMMAND, FAILURE, Executor, Outcome, alone, read_result
from .pretraining import BACKBONE
from .pretraining_config import (
    build_pretraining_config,
    check_pretraining,
    keep_made_from,
    made_from,
)
from .protocol import PROTOCOL, RANDOM, Start, search_runs
from .results import FinishedRun

PRETRAIN = (*COMMAND[:-1], f'{__package__}.pretraining')


@dataclass(frozen=True)
class PretrainingRun:
    """One pre-training.

    Attributes:
        variant: The variant.
        seed: Of weights and data.
    """

    variant: Variant
    seed: int

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def name(self) -> str:
        """A name for its folder."""
        return f'{self.variant.key}_seed{self.seed}'


class Ablation:
    """Variants of a pre-training, each judged by its drawing and by detectors that start from it.

    Args:
        plan: What is compared.
        folder: For runs and results. What is finished in it is not made again.
        only: Names of the variants to work on; none: all. The table has all.

    Raises:
        FileNotFoundError: A config, an annotation or a backbone file is missing.
        ValueError: A name in the plan means nothing, something does not fit, or the folder holds
            runs that were made from something else.
    """

    def __init__(
        self, plan: AblationPlan, folder: str | os.PathLike, only: Sequence[str] = ()
    ) -> None:
        self._plan = plan
        self._folder = Path(folder)
        self._detectors = self._folder / 'detectors'
        self._chosen = plan.choose(only)
        # Made once: a table is written while other threads load configs, which MMEngine's are not
        # made for.
        self._compared = plan.finetune and plan.finetune.compared([Start(RANDOM)])
        self._misfits: dict[str, str] = {}  # why no detector starts from a backbone, by its name
        self._check()

    def describe(self) -> list[str]:
        """What there is to do, a line for each variant, for people."""
        lines = []
        for variant in self._chosen:
            if variant.random:
                what = 'random weights'
            elif variant.backbone:
                what = f'backbone file {variant.backbone}'
            else:
                runs = [PretrainingRun(variant, seed) for seed in self._plan.seeds]
                made = sum(self._pretrained(run) is not None for run in runs)
                cfg = self._config(runs[0], self._folder)
                what = f'{made} of {len(runs)} pre-trainings of {cfg.train_cfg.max_iters} '
                what += f'iterations are made{_describe_changes(variant)}'
            lines.append(f'{variant.name}: {what}')
        return lines

    def run(self, jobs: int, report: Callable[[Outcome, int, int], None]) -> list[str]:
        """Make all runs that are not made yet; the table is written anew after each.

        First come all pre-trainings with the first seed, and the detectors that start from them,
        then those with the next seed. The plot is drawn after each seed.

        Args:
            jobs: Runs at a time.
            report: Called with each outcome, the number of outcomes of its kind and of all.

        Returns:
            Why runs failed, one line each.
        """
        self._misfits = {}
        for seed in self._plan.seeds:
            self._pretrain(seed, jobs, report)
            if self._compared is not None:
                self._compare(seed, jobs, report)
            self.write()
        return [failure for variant in self._chosen for failure in self._failures(variant)]

    def write(self, plot: bool = True) -> None:
        """Write tables and, where there is a detector, a plot of what is made so far."""
        with alone(self._folder):
            self._write(plot)

    def _check(self) -> None:
        """Tell what cannot work before anything is trained; leaves nothing in the folder."""
        compared = self._compared
        detector = (compared.config, compared.options) if compared else (None, None)
        for variant in self._chosen:
            runs = [PretrainingRun(variant, seed) for seed in self._plan.seeds]
            unmade = [run for run in runs if self._pretrained(run) is None]
            for run in runs if variant.pretrains else ():
                cfg = self._config(run, self._place(run))
                keep_made_from(made_from(cfg), self._place(run), add=False)
                if run not in unmade[:1]:
                    continue
                try:
                    check_pretraining(cfg, *detector)
                except (OSError, ValueError) as error:
                    kind = FileNotFoundError if isinstance(error, OSError) else ValueError
                    raise kind(f'variant {variant.name!r}: {error}') from error
        if compared is None:
            return
        starts = [*compared.starts, *(v.start(0) for v in self._chosen if v.backbone)]
        with tempfile.TemporaryDirectory() as empty:
            # What is recorded in the folder is compared with; what is not is not recorded yet.
            is_new = not (self._detectors / PROTOCOL).is_file()
            Comparison(replace(compared, starts=starts), empty if is_new else self._detectors)

    def _pretrain(self, seed: int, jobs: int, report: Callable[[Outcome, int, int], None]) -> None:
        runs = [PretrainingRun(v, seed) for v in self._chosen if v.pretrains]
        executor = Executor(self._folder / 'pretrain', self._configure, jobs, PRETRAIN)
        count = 0

        def follow(outcome: Outcome) -> None:
            nonlocal count
            count += 1
            report(outcome, count, len(runs))
            self.write(plot=False)

        executor.run_all(runs, follow)

    def _compare(self, seed: int, jobs: int, report: Callable[[Outcome, int, int], None]) -> None:
        starts = [
            start
            for variant in self._chosen
            # What has no pre-training is compared once.
            if variant.pretrains or seed == self._plan.seeds[0]
            if (start := self._start(variant, seed)) is not None
        ]
        try:
            comparison = self._comparison(starts) if starts else None
        except (OSError, ValueError):
            starts = [start for start in starts if self._fits(start)]
            comparison = self._comparison(starts) if starts else None
        if comparison is None:
            return

        def follow(outcome: Outcome, count: int, total: int) -> None:
            report(outcome, count, total)
            self.write(plot=False)

        comparison.make_runs(jobs, follow)

    def _comparison(self, starts: Sequence[Start]) -> Comparison:
        return Comparison(replace(self._compared, starts=starts), self._detectors)

    def _start(self, variant: Variant, seed: int) -> Start | None:
        """What detectors start from; None where its pre-training is missing."""
        if not variant.pretrains:
            return variant.start(seed)
        run = PretrainingRun(variant, seed)
        result = self._pretrained(run)
        if result is None:
            return None
        return variant.start(seed, str(self._place(run) / BACKBONE), result['backbone'])

    def _fits(self, start: Start) -> bool:
        """Whether a detector can start from it; if not, this is told, and the others go on."""
        try:
            self._comparison([start])
        except (OSError, ValueError) as error:
            self._misfits[start.name] = str(error)
            return False
        return True

    def _failures(self, variant: Variant) -> list[str]:
        """Why something of a variant is missing, whichever program has made it."""
        told = []
        planned = self._detector_names(variant)
        for seed in self._plan.seeds if variant.pretrains else self._plan.seeds[:1]:
            places = {}
            if variant.pretrains:
                run = PretrainingRun(variant, seed)
                places[f'pre-training {run.name}'] = self._place(run)
            start = variant.start(seed).name
            for place in sorted((self._detectors / 'runs').glob(f'{start}_*')):
                if place.name in planned:  # others are of a plan that has been changed since
                    places[f'detector {place.name}'] = place
            for name, place in places.items():
                if read_result(place) is not None:
                    continue
                with suppress(FileNotFoundError):  # another program may try it again
                    told.append(f'{name}: {(place / FAILURE).read_text(encoding="utf-8")}')
            if start in self._misfits:
                told.append(f'detectors from {start}: {self._misfits[start]}')
        return told

    def _place(self, run: PretrainingRun) -> Path:
        return self._folder / 'pretrain' / run.name

    def _pretrained(self, run: PretrainingRun) -> dict | None:
        return read_result(self._place(run))

    def _config(self, run: PretrainingRun, folder: Path) -> Config:
        return build_pretraining_config(self._plan, run.variant, run.seed, str(folder.resolve()))

    def _configure(self, run: PretrainingRun, folder: Path) -> str:
        cfg = self._config(run, folder)
        keep_made_from(made_from(cfg), folder)
        return cfg.pretty_text

    def _write(self, plot: bool) -> None:
        reference = self._plan.reference.name
        results = [
            (variant, seed, result)
            for variant in self._plan.variants
            if variant.pretrains
            for seed in self._plan.seeds
            if (result := self._pretrained(PretrainingRun(variant, seed))) is not None
        ]
        detectors = self._finished_detectors()
        rows = [
            self._row(variant, [r for v, _, r in results if v is variant], detectors)
            for variant in self._plan.variants
        ]
        text = f'{format_ablation(rows, reference)}\n\n{self._describe_settings()}\n'
        with written_whole(self._folder / 'table.md') as file:
            file.write(text.encode())
        write_ablation(rows, self._folder / 'table.csv')
        named = [(variant.name, seed, result) for variant, seed, result in results]
        write_pretrainings(named, self._folder / 'pretrainings.csv')
        owners = {
            start: variant.name
            for variant in self._plan.variants
            for start in self._start_names(variant).values()
        }
        owned = [(owners[made.run.start], made) for made in detectors]
        write_detectors(owned, self._folder / 'detectors.csv')
        if detectors and plot:
            title = f'{self._plan.name}: {Path(self._compared.config).stem}'
            figure = draw_ablation(rows, reference, title)
            figure.savefig(self._folder / 'hmean.png', dpi=110)

    def _finished_detectors(self) -> list[FinishedRun]:
        if self._compared is None:
            return []
        names = [n for v in self._plan.variants for n in self._start_names(v).values()]
        starts = [Start(name) for name in dict.fromkeys(names)]
        return read_finished(replace(self._compared, starts=starts), self._detectors)[0]

    def _row(
        self, variant: Variant, pretrained: Sequence[dict], detectors: Sequence[FinishedRun]
    ) -> VariantRow:
        plan = self._plan
        shares = tuple(
            summarise_share(
                fraction,
                self._start_names(variant),
                self._start_names(plan.reference),
                next((v.key for v in plan.variants if v.random), None),
                detectors,
                self._compared.seeds,
            )
            for fraction in (self._compared.fractions if self._compared else ())
        )
        return VariantRow(
            variant.name,
            shares,
            summarise_drawing(pretrained),
            len(pretrained),
            pretrained[0]['iterations'] if pretrained else None,
            spread(result['seconds'] for result in pretrained),
            '; '.join(self._failures(variant)),
        )

    def _detector_names(self, variant: Variant) -> set[str]:
        if (plan := self._compared) is None:
            return set()
        starts = [Start(name) for name in self._start_names(variant).values()]
        runs = (search_runs(starts, plan.fractions, plan.recipes, seed) for seed in plan.seeds)
        return {run.name for made in runs for run in made}

    def _start_names(self, variant: Variant) -> dict[int, str]:
        return {seed: variant.start(seed).name for seed in self._plan.seeds}

    def _describe_settings(self) -> str:
        plan = self._plan
        lines = [
            f'pre-training: {plan.pretrain.config}, seeds {", ".join(map(str, plan.seeds))}, '
            f'BatchNorm recalibrated over {plan.pretrain.recalibrate} batches',
        ]
        if plan.finetune is not None:
            lines.append(
                f'detector: {plan.finetune.config}, seeds '
                f'{", ".join(map(str, plan.finetune.seeds))}; what is equal for all of them: '
                'protocol.json in detectors'
            )
        lines += [f'{v.name}{_describe_changes(v)}' for v in plan.variants if v.pretrains]
        return '\n'.join(f'- {line}' for line in lines)


def _describe_changes(variant: Variant) -> str:
    """The options of a variant, for people; empty where there are none."""
    said = [f'config {variant.config}'] if variant.config else []
    said += [f'{name} = {value!r}' for name, value in variant.options.items()]
    return f': {", ".join(said)}' if said else ''
