"""What came out of a comparison."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .execution import Outcome
from .protocol import RANDOM, Recipe, Run

HMEAN, PRECISION, RECALL = 'hmean', 'precision', 'recall'


@dataclass(frozen=True)
class FinishedRun:
    """A run and what it reached.

    Attributes:
        run: The run.
        epochs: At each evaluation on the test images, the times that the labelled images had been
            seen.
        hmean, precision, recall: At each evaluation, 0 to 1.
        holdout: hmean on the images held out, at the end; None without such images.
    """

    run: Run
    epochs: tuple[float, ...]
    hmean: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    holdout: float | None


def finished_run(outcome: Outcome) -> FinishedRun:
    """Read what a run has reached.

    Args:
        outcome: Of a run that has a result.

    Returns:
        The run, as a comparison looks at it.

    Raises:
        ValueError: The metrics of its evaluation are not hmean, precision and recall.
    """
    result = outcome.result
    curves = {name.rpartition('/')[2]: points for name, points in result['curve'].items()}
    if missing := {HMEAN, PRECISION, RECALL} - curves.keys():
        raise ValueError(
            f'{outcome.run.name}: its evaluation gives no {", ".join(sorted(missing))}; it gives '
            f'{", ".join(result["curve"]) or "nothing"}'
        )
    holdout = {name.rpartition('/')[2]: value for name, value in result['holdout'].items()}
    per_epoch = result['images'] / result['batch_size']
    columns = {name: tuple(v for _, v in curves[name]) for name in (HMEAN, PRECISION, RECALL)}
    return FinishedRun(
        outcome.run,
        tuple(iteration / per_epoch for iteration, _ in curves[HMEAN]),
        **columns,
        holdout=holdout.get(HMEAN),
    )


def choose_recipes(searched: Iterable[FinishedRun]) -> dict[tuple[str, float], Recipe]:
    """Choose for each start and share of the labels what did best on the images held out.

    Of equals it is the smallest learning rate, in whatever order they were made.

    Args:
        searched: The runs of the search.

    Returns:
        By name of the start and share.
    """
    best: dict[tuple[str, float], FinishedRun] = {}
    for run in sorted(searched, key=lambda run: run.run.recipe):
        key = run.run.start, run.run.fraction
        if key not in best or _judged(run) > _judged(best[key]):
            best[key] = run
    return {key: run.run.recipe for key, run in best.items()}


@dataclass(frozen=True)
class Row:
    """A start with a share of the labels, over its seeds.

    Attributes:
        start: Name of the start.
        fraction: Share of the labels.
        recipe: What was chosen for it.
        seeds: Number of runs.
        hmean, precision, recall: Mean and standard deviation (0 for one seed) at the end of the
            runs, 0 to 1.
        gain: Mean and standard deviation of hmean above that of random weights, seed by seed, as
            those of one seed have the same labelled images; None for these themselves, and where
            no seed has both.
        epochs: Length of the runs.
        epochs_to_random: Epochs to the first evaluation at which the mean hmean over the seeds is
            at least what random weights reach at their end; None where it never is, where these
            reach nothing, or where they were not run.
    """

    start: str
    fraction: float
    recipe: Recipe
    seeds: int
    hmean: tuple[float, float]
    precision: tuple[float, float]
    recall: tuple[float, float]
    gain: tuple[float, float] | None
    epochs: float
    epochs_to_random: float | None


def summarise(runs: Sequence[FinishedRun]) -> list[Row]:
    """Put the runs of each start and share of the labels into a row.

    Args:
        runs: Runs with the chosen recipes; all of a start and share have one recipe.

    Returns:
        The rows, by share, then in the order in which the starts first appear.
    """
    groups: dict[tuple[float, str], list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault((run.run.fraction, run.run.start), []).append(run)
    rows = []
    for (fraction, start), group in sorted(groups.items(), key=lambda item: item[0][0]):
        hmean = mean_and_deviation(run.hmean[-1] for run in group)
        base = {run.run.seed: run.hmean[-1] for run in groups.get((fraction, RANDOM), ())}
        target = statistics.fmean(base.values()) if base else None
        others = {} if start == RANDOM else base
        gains = [r.hmean[-1] - others[r.run.seed] for r in group if r.run.seed in others]
        epochs, curve = mean_curve(group)
        rows.append(
            Row(
                start,
                fraction,
                group[0].run.recipe,
                len(group),
                hmean,
                mean_and_deviation(run.precision[-1] for run in group),
                mean_and_deviation(run.recall[-1] for run in group),
                mean_and_deviation(gains) if gains else None,
                epochs[-1],
                None
                if not target
                else next((e for e, h in zip(epochs, curve) if h >= target), None),
            )
        )
    return rows


def mean_curve(runs: Sequence[FinishedRun]) -> tuple[list[float], list[float]]:
    """Epochs, and hmean there averaged over runs of one length."""
    return list(runs[0].epochs), [
        statistics.fmean(values) for values in zip(*(run.hmean for run in runs), strict=True)
    ]


def _judged(run: FinishedRun) -> float:
    # A network that has diverged can give NaN, which no number would be above.
    return -1.0 if run.holdout is None or math.isnan(run.holdout) else run.holdout


def mean_and_deviation(values: Iterable[float]) -> tuple[float, float]:
    """Mean of one or more values, and their standard deviation (of a sample); 0 for one value.

    Both are NaN where a value is.
    """
    values = list(values)
    if any(map(math.isnan, values)):
        return math.nan, math.nan
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
