"""What came out of an ablation."""

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .results import FinishedRun, mean_and_deviation

# Of the drawing: figures of PromptControlMetric and DestylizationMetric, in this order.
MEASURES = ('control', 'kept', 'leak', 'hallucinated', 'fscore', 'best_fscore')


@dataclass(frozen=True)
class Spread:
    """Some values.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation (of a sample); 0 for one value.
        count: How many there are.
    """

    mean: float
    deviation: float
    count: int


@dataclass(frozen=True)
class Share:
    """What detectors with a share of the labels have reached from a variant.

    Attributes:
        fraction: Share of the labels.
        hmean, precision, recall: Over all seeds, 0 to 1; None where no run is made.
        gain: Of hmean above that of the reference with the same seeds; None for the reference, or
            where no seed has both. Of several pre-trainings each counts once, by its mean.
        over_random: Likewise above random weights.
        expected: Number of runs that there are to be.
        values: hmean of every run.
    """

    fraction: float
    hmean: Spread | None
    precision: Spread | None
    recall: Spread | None
    gain: Spread | None
    over_random: Spread | None
    expected: int
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class VariantRow:
    """A variant.

    Attributes:
        name: Of the variant.
        shares: What detectors have reached, for each share of the labels.
        drawing: Figures of the drawing at the end of the pre-trainings, by name.
        pretrained: Number of pre-trainings that are made.
        iterations: Their length; None where there is none.
        seconds: Of their training steps.
        failed: Why something of it is missing; empty where nothing has failed.
    """

    name: str
    shares: tuple[Share, ...]
    drawing: Mapping[str, Spread]
    pretrained: int
    iterations: int | None
    seconds: Spread | None
    failed: str = ''


def spread(values: Iterable[float]) -> Spread | None:
    """Mean and deviation of values; None of none."""
    values = list(values)
    if not values:
        return None
    return Spread(*mean_and_deviation(values), len(values))


def summarise_share(
    fraction: float,
    starts: Mapping[int, str],
    reference: Mapping[int, str],
    random: str | None,
    runs: Iterable[FinishedRun],
    seeds: Sequence[int],
) -> Share:
    """Put the runs of a variant with a share of the labels together.

    Runs are compared pair by pair: those of the same seed of the pre-training, and of the same seed
    of the detector, hence the same labelled images. What has no pre-training is paired with all.
    Detectors from one pre-training are no independent tries: where there are several pre-trainings,
    the mean of each is one value.

    Args:
        fraction: The share of the labels.
        starts: Names of the variant's starts by the seed of the pre-training.
        reference: Likewise of the reference.
        random: Name of the start with random weights, or None.
        runs: All runs with the chosen recipes.
        seeds: Of the detectors.

    Returns:
        What they have reached.
    """
    made = {(r.run.start, r.run.seed): r for r in runs if r.run.fraction == fraction}
    keys = itertools.product(dict.fromkeys(starts.values()), seeds)
    own = [made[key] for key in keys if key in made]

    def gain(others: Mapping[int, str]) -> Spread | None:
        gains = {
            (starts[p], others[p]): [
                made[starts[p], s].hmean[-1] - made[others[p], s].hmean[-1]
                for s in seeds
                if (starts[p], s) in made and (others[p], s) in made
            ]
            for p in starts
            if p in others and starts[p] != others[p]
        }
        tries = [values for values in gains.values() if values]
        return spread(map(statistics.fmean, tries) if len(tries) > 1 else itertools.chain(*tries))

    return Share(
        fraction,
        spread(run.hmean[-1] for run in own),
        spread(run.precision[-1] for run in own),
        spread(run.recall[-1] for run in own),
        gain(reference),
        gain(dict.fromkeys(starts, random)) if random else None,
        len(set(starts.values())) * len(seeds),
        tuple(run.hmean[-1] for run in own),
    )


def summarise_drawing(results: Iterable[Mapping]) -> dict[str, Spread]:
    """Put the figures of the drawing of several pre-trainings together.

    Args:
        results: What :func:`~odm_mmocr.benchmark.pretraining.pretrain_run` has left of each.

    Returns:
        The last value of each of :data:`MEASURES`, by its name without `odm/`.
    """
    values: dict[str, list[float]] = {}
    for result in results:
        last = {name.replace('odm/', ''): points[-1][1] for name, points in result['curve'].items()}
        # With several data sets there are several of each, such as `icdar2015/kept`.
        for name in sorted(last, key=lambda n: (n.rpartition('/')[0], _rank(n))):
            if _rank(name) < len(MEASURES):
                values.setdefault(name, []).append(last[name])
    return {name: spread(points) for name, points in values.items()}


def _rank(name: str) -> int:
    measure = name.rpartition('/')[2]
    return MEASURES.index(measure) if measure in MEASURES else len(MEASURES)
