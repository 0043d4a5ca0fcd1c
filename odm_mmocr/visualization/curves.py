"""Curves of losses and metrics, from the logs of runs."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

LOGS = '*/vis_data/scalars.json'
LOSS, METRIC, RATE, OTHER = range(4)  # kinds of curves, in the order of their panels
# Shown only where a pattern names them: time, memory, and the details of metrics.
UNASKED = ('time', 'data_time', 'memory', 'base_lr')
DETAILS = ('*/best_*', '*/*small*', '*/*medium*', '*/*large*')
COORDINATES = ('iter', 'epoch', 'step')
MAX_STEP = 2**62
PANEL = (4.2, 2.8)  # inches
COLUMNS = 4


@dataclass
class Curve:
    """Values over iterations.

    Attributes:
        kind: `LOSS`, `METRIC`, `RATE` or `OTHER`.
        values: From the iteration to the value, finite.
    """

    kind: int
    values: dict[int, float] = field(default_factory=dict)

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Iterations, ascending, and the values there: int64 (N,), float64 (N,)."""
        steps = sorted(self.values)
        return np.array(steps, np.int64), np.array([self.values[step] for step in steps])


@dataclass
class Run:
    """What the logs of a run tell.

    Attributes:
        curves: By name, such as `loss_seg` or `odm/kept`.
        problems: Lines of the logs that could not be read, one sentence each.
    """

    curves: dict[str, Curve]
    problems: list[str]


def read_run(folder: str | os.PathLike) -> Run:
    """Read what MMEngine has logged in a work directory, also while the run goes on.

    A run that was resumed has a log for each start. A later one replaces an earlier one from its
    first iteration on. Metrics that were logged by epoch are put at the last iteration that was
    logged before them. Values that are not finite are left out.

    Args:
        folder: With `<timestamp>/vis_data/scalars.json`.

    Returns:
        The run.

    Raises:
        FileNotFoundError: There is no such folder, or it has no log of a training.
        NotADirectoryError: It is a file.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f'{folder} does not exist')
    if not folder.is_dir():
        raise NotADirectoryError(f'{folder} is a file; give the work directory of a run')
    run = Run({}, [])
    for path in sorted(folder.glob(LOGS)):
        entries = _read_log(path, run.problems)
        first = min((step for step, kind, *_ in entries if kind != METRIC), default=None)
        if first is None:  # a validation alone, which has no iteration
            continue
        for curve in run.curves.values():
            curve.values = {step: v for step, v in curve.values.items() if step < first}
        for step, kind, name, value in entries:
            run.curves.setdefault(name, Curve(kind)).values[step] = value
    run.curves = {name: curve for name, curve in run.curves.items() if curve.values}
    if not run.curves:
        raise FileNotFoundError(f'{folder} has no log of a training ({LOGS})')
    return run


def _read_log(path: Path, problems: list[str]) -> list[tuple[int, int, str, float]]:
    """Iteration, kind, name and value of everything in a file."""
    entries = []
    iteration = 0
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    for number, line in enumerate(lines, 1):
        try:
            logged = json.loads(line)
            step = int(logged.get('iter', logged['step']))
            if not 0 <= step <= MAX_STEP:
                raise ValueError(step)
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
        ):
            rest = ', half written' if number == len(lines) else ''
            problems.append(f'{path}:{number}: left out, no line of a log{rest}')
            continue
        is_training = 'iter' in logged
        # Metrics by epoch have the epoch for a step.
        iteration = step if is_training else max(iteration, step)
        for name, value in logged.items():
            if name in COORDINATES or not _is_finite(value):
                continue
            if is_training or name not in UNASKED:
                entries.append((iteration, _kind(name, is_training), name, float(value)))
    return entries


def _is_finite(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max  # neither NaN nor a longer integer


def _kind(name: str, is_training: bool) -> int:
    if not is_training:
        return METRIC
    if 'loss' in name:
        return LOSS
    return RATE if name.split('/')[-1] in ('lr', 'base_lr') else OTHER


def choose_keys(runs: Iterable[Run], patterns: Sequence[str] = ()) -> list[str]:
    """Choose curves by name.

    Args:
        runs: Where they come from.
        patterns: Names, with wildcards (`loss*`, `odm/*`). Empty: all but those of time, memory,
            best thresholds and single text heights.

    Returns:
        Names, sorted: losses, metrics, learning rate, others.

    Raises:
        ValueError: A pattern fits no curve.
    """
    kinds = {name: curve.kind for run in runs for name, curve in run.curves.items()}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in kinds):
            raise ValueError(f'no curve fits {pattern!r}; there are {", ".join(sorted(kinds))}')
    if patterns:
        names = {name for name in kinds for p in patterns if fnmatchcase(name, p)}
    else:
        left_out = (*UNASKED, *DETAILS)
        names = {name for name in kinds if not any(fnmatchcase(name, p) for p in left_out)}
    return sorted(names, key=lambda name: (kinds[name], name))


def smooth_values(values: np.ndarray, weight: float) -> np.ndarray:
    """Average values with those before them, the nearer the more.

    Args:
        values: (N,).
        weight: From 0, which changes nothing, to below 1: what the last average counts against the
            next value. The first values are not drawn towards zero.

    Returns:
        float64 (N,).
    """
    averages = np.empty(len(values))
    total = count = 0.0
    for index, value in enumerate(values):
        total = weight * total + (1 - weight) * value
        count = weight * count + (1 - weight)
        averages[index] = total / count
    return averages


def draw_curves(runs: Mapping[str, Run], keys: Sequence[str], smooth: float = 0.0) -> Figure:
    """Draw a panel for each key, with a curve for each run that has it.

    Args:
        runs: By the label that they get in the legend.
        keys: Names of curves.
        smooth: Weight of :func:`smooth_values`; smoothed curves have the logged ones behind them,
            pale. Metrics, which have few points, and learning rates are drawn as they are.

    Returns:
        The figure.

    Raises:
        ValueError: ``smooth`` is out of range.
    """
    if not 0 <= smooth < 1:
        raise ValueError(f'smooth={smooth}: from 0 to below 1')
    columns = min(COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    figure = Figure((PANEL[0] * columns, PANEL[1] * rows + 0.5), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(keys) :]:
        panel.remove()
    lines = {}
    for panel, key in zip(panels, keys, strict=False):
        panel.set_title(key, fontsize='medium')
        panel.set_xlabel('iteration', fontsize='small')
        panel.tick_params(labelsize='small')
        panel.grid(alpha=0.3)
        for index, (label, run) in enumerate(runs.items()):
            if key not in run.curves:
                continue
            curve, colour = run.curves[key], f'C{index}'
            steps, values = curve.points()
            if smooth and curve.kind in (LOSS, OTHER):
                panel.plot(steps, values, color=colour, alpha=0.25)
                values = smooth_values(values, smooth)
            # A single point makes no line.
            marker = 'o' if curve.kind == METRIC or len(steps) == 1 else None
            (line,) = panel.plot(steps, values, color=colour, marker=marker, markersize=3)
            lines.setdefault(label, line)
    figure.legend(lines.values(), lines, loc='outside upper left', ncols=4)
    return figure


def write_csv(runs: Mapping[str, Run], keys: Sequence[str], path: str | os.PathLike) -> None:
    """Write curves as a table of run, key, iteration and value, as they were logged.

    Args:
        runs: By label.
        keys: Names of curves.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(('run', 'key', 'iteration', 'value'))
        for key in keys:
            for label, run in runs.items():
                if key in run.curves:
                    points = zip(*(axis.tolist() for axis in run.curves[key].points()))
                    writer.writerows((label, key, *point) for point in points)
