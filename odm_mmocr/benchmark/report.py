"""A comparison as table and plot."""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from .protocol import Recipe, percent
from .results import FinishedRun, Row, mean_curve

PANEL = (4.6, 3.4)  # inches


def format_table(rows: Sequence[Row], data: str, learning_rate: float) -> str:
    """Write rows as a Markdown table.

    Args:
        rows: The rows.
        data: Name of the test images.
        learning_rate: Of the config, which `lr_factor` is relative to.

    Returns:
        The table.
    """
    lines = [
        '| data | labels | start | hmean | precision | recall | gain '
        '| epochs to the result of random | seeds | learning rate, BatchNorm |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        figures = (row.hmean, row.precision, row.recall)
        means = ' | '.join(_format_spread(figure, row.seeds) for figure in figures)
        gain = _format_gain(row)
        reached = '—' if row.epochs_to_random is None else f'{row.epochs_to_random:.1f}'
        lines.append(
            f'| {data} | {percent(row.fraction)} % | {row.start} | {means} | {gain} '
            f'| {reached} of {row.epochs:.1f} | {row.seeds} '
            f'| {learning_rate * row.recipe.lr_factor:.2g}, {_batch_norm(row)} |'
        )
    return '\n'.join(lines)


def write_table(rows: Sequence[Row], data: str, path: str | os.PathLike) -> None:
    """Write rows as CSV.

    Raises:
        OSError: It cannot be written.
    """
    write_csv(
        [
            {
                'data': data,
                'labels_percent': percent(row.fraction),
                'start': row.start,
                **_columns('hmean', row.hmean),
                **_columns('precision', row.precision),
                **_columns('recall', row.recall),
                **(_columns('gain', row.gain) if row.gain else dict(gain='', gain_sd='')),
                'epochs_to_random': ''
                if row.epochs_to_random is None
                else f'{row.epochs_to_random:.2f}',
                'epochs': f'{row.epochs:.2f}',
                'seeds': row.seeds,
                'lr_factor': f'{row.recipe.lr_factor:g}',
                'frozen_statistics': row.recipe.frozen_statistics,
            }
            for row in rows
        ],
        path,
    )


def write_runs(runs: Iterable[FinishedRun], path: str | os.PathLike) -> None:
    """Write every evaluation of every run as CSV.

    Raises:
        OSError: It cannot be written.
    """
    write_csv(
        [
            {
                'start': run.run.start,
                'labels_percent': percent(run.run.fraction),
                'seed': run.run.seed,
                'lr_factor': f'{run.run.recipe.lr_factor:g}',
                'frozen_statistics': run.run.recipe.frozen_statistics,
                'epoch': f'{epoch:.2f}',
                'hmean': f'{run.hmean[index]:.4f}',
                'precision': f'{run.precision[index]:.4f}',
                'recall': f'{run.recall[index]:.4f}',
                # Judged at the end alone.
                'holdout_hmean': f'{run.holdout:.4f}'
                if index == len(run.epochs) - 1 and run.holdout is not None
                else '',
            }
            for run in runs
            for index, epoch in enumerate(run.epochs)
        ],
        path,
    )


def write_csv(rows: Sequence[Mapping], path: str | os.PathLike) -> None:
    """Write rows of the same columns as CSV.

    Raises:
        OSError: It cannot be written.
    """
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def draw_comparison(runs: Sequence[FinishedRun], title: str) -> Figure:
    """Draw hmean over epochs, a panel for each share of the labels, a curve for each start.

    Args:
        runs: Runs with the chosen recipes.
        title: Above the panels.

    Returns:
        The figure: mean over the seeds, and the range between the lowest and the highest.
    """
    fractions = sorted({run.run.fraction for run in runs})
    starts = list(dict.fromkeys(run.run.start for run in runs))
    figure = Figure((PANEL[0] * len(fractions), PANEL[1] + 0.6), layout='constrained')
    panels = figure.subplots(1, len(fractions), squeeze=False, sharey=True)[0]
    lines = {}
    for panel, fraction in zip(panels, fractions):
        panel.set_title(f'{percent(fraction)} % of the labels', fontsize='medium')
        panel.set_xlabel('epochs')
        panel.grid(alpha=0.3)
        for index, start in enumerate(starts):
            group = [r for r in runs if r.run.start == start and r.run.fraction == fraction]
            if not group:
                continue
            epochs, means = mean_curve(group)
            values = list(zip(*(run.hmean for run in group)))
            lows, highs = [min(v) for v in values], [max(v) for v in values]
            panel.fill_between(epochs, lows, highs, color=f'C{index}', alpha=0.15, linewidth=0)
            (line,) = panel.plot(epochs, means, color=f'C{index}', marker='o', markersize=3)
            lines.setdefault(start, line)
    panels[0].set_ylabel('hmean')
    panels[0].set_ylim(bottom=0)
    figure.suptitle(title, fontsize='medium')
    figure.legend(lines.values(), lines, loc='outside lower center', ncols=4)
    return figure


def describe_doubts(rows: Sequence[Row], recipes: Sequence[Recipe], failures: Sequence[str]) -> str:
    """Write what speaks against a table as a Markdown list.

    Args:
        rows: The rows.
        recipes: What was tried for each.
        failures: Why runs failed, one line each.

    Returns:
        The list: starts whose best learning rate is the lowest or highest that was tried, so that
        a better one may lie beyond, and the runs that are missing. Empty where there is nothing.
    """
    factors = sorted({recipe.lr_factor for recipe in recipes})
    doubts = [
        f'{row.start}, {percent(row.fraction)} %: the best learning rate is the '
        f'{"lowest" if row.recipe.lr_factor == factors[0] else "highest"} that was tried'
        for row in rows
        if len(factors) > 1 and row.recipe.lr_factor in (factors[0], factors[-1])
    ]
    return '\n'.join(f'- {doubt}' for doubt in [*doubts, *(f'failed: {f}' for f in failures)])


def describe_fairness(settings: Mapping[str, str]) -> str:
    """Write what is equal for all starts as a Markdown list."""
    return '\n'.join(f'- {name}: {value}' for name, value in settings.items())


def _format_spread(value: tuple[float, float], seeds: int) -> str:
    mean, deviation = value
    return f'{mean:.3f} ± {deviation:.3f}' if seeds > 1 else f'{mean:.3f}'


def _format_gain(row: Row) -> str:
    if row.gain is None:
        return ''
    mean, deviation = (100 * value for value in row.gain)
    return f'{mean:+.1f} ± {deviation:.1f}' if row.seeds > 1 else f'{mean:+.1f}'


def _columns(name: str, value: tuple[float, float]) -> dict[str, str]:
    mean, deviation = value
    return {name: f'{mean:.4f}', f'{name}_sd': f'{deviation:.4f}'}


def _batch_norm(row: Row) -> str:
    return 'frozen statistics' if row.recipe.frozen_statistics else 'learning'
