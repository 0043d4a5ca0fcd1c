"""An ablation as table and plot."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from .ablation_results import Spread, VariantRow
from .protocol import percent
from .report import write_csv
from .results import FinishedRun

NOTHING = '—'
PANEL, LINE = 4.2, 0.36  # inches: width of a panel, height of a variant
REASON = 120  # characters of a reason in the table


def format_ablation(rows: Sequence[VariantRow], reference: str) -> str:
    """Write rows as a Markdown table, a line for each variant.

    Args:
        rows: The rows, all with the same shares of the labels.
        reference: Name of the variant that the others are compared with.

    Returns:
        The table. Means with standard deviations where there are several runs; gains are in points
        of hmean.
    """
    drawn = list(dict.fromkeys(name for row in rows for name in row.drawing))
    with_random = any(share.over_random for row in rows for share in row.shares)
    heads = ['variant']
    for share in rows[0].shares:
        heads += [f'hmean, {percent(share.fraction)} % of the labels', f'over {reference}']
        heads += ['over random'] if with_random else []
        heads += ['runs']
    heads += [*drawn, 'pre-trainings', 'iterations', 'seconds', 'failed']
    lines = [heads, ['---'] * len(heads)]
    for row in rows:
        cells = [row.name]
        for share in row.shares:
            cells += [_format(share.hmean), _format_gain(share.gain)]
            cells += [_format_gain(share.over_random)] if with_random else []
            cells += [f'{len(share.values)} of {share.expected}']
        cells += [_format(row.drawing.get(name)) for name in drawn]
        cells += [str(row.pretrained or NOTHING), str(row.iterations or NOTHING)]
        cells += [NOTHING if row.seconds is None else f'{row.seconds.mean:.0f}']
        reason = row.failed.replace('|', '/').replace('\n', ' ')
        cells += [f'{reason[:REASON]}…' if len(reason) > REASON else reason]
        lines.append(cells)
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


def write_ablation(rows: Sequence[VariantRow], path: str | os.PathLike) -> None:
    """Write rows as CSV, a line for each variant and share of the labels.

    Raises:
        OSError: It cannot be written.
    """
    drawn = list(dict.fromkeys(name for row in rows for name in row.drawing))
    lines = []
    for row in rows:
        for share in row.shares or (None,):
            line = {'variant': row.name}
            if share is not None:
                line['labels_percent'] = percent(share.fraction)
                for name in ('hmean', 'precision', 'recall', 'gain', 'over_random'):
                    line.update(_columns(name, getattr(share, name)))
                line.update(runs=len(share.values), runs_expected=share.expected)
            for name in drawn:
                line.update(_columns(name, row.drawing.get(name)))
            line.update(pretrainings=row.pretrained, iterations=row.iterations or '')
            line.update(_columns('seconds', row.seconds))
            lines.append({**line, 'failed': row.failed})
    write_csv(lines, path)


def write_detectors(runs: Iterable[tuple[str, FinishedRun]], path: str | os.PathLike) -> None:
    """Write the last result of every detector as CSV; nothing where there is none.

    Args:
        runs: Name of the variant, and the run.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    lines = [
        {
            'variant': variant,
            'start': made.run.start,
            'labels_percent': percent(made.run.fraction),
            'seed': made.run.seed,
            'lr_factor': f'{made.run.recipe.lr_factor:g}',
            'frozen_statistics': made.run.recipe.frozen_statistics,
            'hmean': f'{made.hmean[-1]:.4f}',
            'precision': f'{made.precision[-1]:.4f}',
            'recall': f'{made.recall[-1]:.4f}',
        }
        for variant, made in runs
    ]
    if lines:
        write_csv(lines, path)


def write_pretrainings(
    results: Iterable[tuple[str, int, Mapping]], path: str | os.PathLike
) -> None:
    """Write every validation of every pre-training as CSV; nothing where there is none.

    Args:
        results: Name of the variant, seed, and what the pre-training has left.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    lines = [
        {
            'variant': variant,
            'seed': seed,
            'iteration': iteration,
            'metric': metric,
            'value': f'{value:.4f}',
        }
        for variant, seed, result in results
        for metric, points in result['curve'].items()
        for iteration, value in points
    ]
    if lines:
        write_csv(lines, path)


def draw_ablation(rows: Sequence[VariantRow], reference: str, title: str) -> Figure:
    """Draw hmean of each variant, a panel for each share of the labels.

    Args:
        rows: The rows, all with the same shares of the labels, at least one.
        reference: Name of the variant whose mean is a line through its panel.
        title: Above the panels.

    Returns:
        The figure: a large point and a bar for mean and standard deviation, a small one for every
        run; the first variant is at the top.
    """
    shares = len(rows[0].shares)
    size = (1.8 + PANEL * shares, 1.3 + LINE * len(rows))
    figure = Figure(size, layout='constrained')
    panels = figure.subplots(1, shares, squeeze=False, sharey=True)[0]
    for number, panel in enumerate(panels):
        panel.set_title(f'{percent(rows[0].shares[number].fraction)} % of the labels', fontsize=10)
        panel.set_xlabel('hmean')
        panel.grid(axis='x', alpha=0.3)
        for height, row in enumerate(rows):
            share = row.shares[number]
            if share.hmean is None:
                continue
            colour = 'C1' if row.name == reference else 'C0'
            heights = [height] * len(share.values)
            panel.plot(share.values, heights, '.', color=colour, alpha=0.5, markersize=4)
            panel.errorbar(
                share.hmean.mean,
                height,
                xerr=share.hmean.deviation,
                fmt='o',
                color=colour,
                capsize=3,
                markersize=5,
            )
            if row.name == reference:
                panel.axvline(share.hmean.mean, color=colour, linestyle=':', linewidth=1)
    panels[0].set_yticks(range(len(rows)), [row.name for row in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.suptitle(title, fontsize='medium')
    return figure


def _format(value: Spread | None) -> str:
    if value is None or math.isnan(value.mean):
        return NOTHING
    return f'{value.mean:.3f}' + (f' ± {value.deviation:.3f}' if value.count > 1 else '')


def _format_gain(value: Spread | None) -> str:
    if value is None or math.isnan(value.mean):
        return NOTHING
    deviation = f' ± {100 * value.deviation:.1f}' if value.count > 1 else ''
    return f'{100 * value.mean:+.1f}{deviation}'


def _columns(name: str, value: Spread | None) -> dict[str, str]:
    if value is None:
        return {name: '', f'{name}_sd': ''}
    return {name: f'{value.mean:.4f}', f'{name}_sd': f'{value.deviation:.4f}'}
