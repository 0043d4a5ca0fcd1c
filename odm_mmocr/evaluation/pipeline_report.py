"""What the check of a data pipeline has found: counts, examples, tables and pictures."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from odm_mmocr.image_files import write_image
from odm_mmocr.visualization import draw_sheet

# What can be wrong, in the order of a report.
KINDS = {
    'failed': 'the transform raises an error',
    'unverified': 'cannot be judged: the random draws differ between runs, or colours are lost',
    'out of step': 'keys of the instances have different lengths, or boxes of other instances',
    'wrong text': 'the text belongs to another polygon',
    'wrong ignore flag': 'an ignored instance is no longer ignored',
    'moved': 'the polygon does not stand where its pixels went',
    'direction': 'the vertices no longer tell the reading direction',
    'mirrored': 'the letters are mirrored',
    'clipped': 'the polygon is cut off at the border, its text is not',
    'unreadable': 'a label drawn from polygon and text can no longer be read',
}
IMAGE_KINDS = ('failed', 'unverified', 'out of step')  # counted in images
INSTANCE_KINDS = ('wrong text', 'wrong ignore flag')  # in instances, be they ignored; else in words
# Not a fault of the pipeline, but of what can be known of it.
NOTED_KINDS = ('unverified',)

MAX_EXAMPLES = 6  # kept of each transform and kind


@dataclass(frozen=True)
class Finding:
    """One thing that a transform did wrong.

    Attributes:
        kind: One of ``KINDS``.
        image: File of the image.
        instance: Index in the annotation; None for the image as a whole.
        text: What stands there.
        detail: What happened, in words.
    """

    kind: str
    image: str
    instance: int | None
    text: str
    detail: str

    def __str__(self) -> str:
        place = self.image if self.instance is None else f'{self.image}, instance {self.instance}'
        return f'{place}: {f"{self.text!r} " if self.text else ""}{self.detail}'


@dataclass
class Example:
    """A finding with pictures.

    Attributes:
        finding: What is wrong.
        before, after: uint8 (h, w, 3) BGR; None where the transform failed.
    """

    finding: Finding
    before: np.ndarray | None = None
    after: np.ndarray | None = None


@dataclass
class StepReport:
    """What was found of one transform.

    Attributes:
        name: Of the transform, or of several that can only be judged together.
        images: That went in.
        skipped: Images for which the transform returned None.
        instances: Of these images, at least half in view, that stand on those from before.
        words: Instances that could be judged: not ignored, high enough.
        counts: Findings by kind, in images or words.
        examples: The first of each kind.
    """

    name: str
    images: int = 0
    skipped: int = 0
    instances: int = 0
    words: int = 0
    counts: Counter = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)

    def add(self, finding: Finding, draw: Callable[[Finding], tuple] | None = None) -> None:
        """Counts a finding, and keeps it if it is one of the first of its kind.

        Args:
            finding: What was found.
            draw: Gives the pictures before and after, of a finding that is kept.
        """
        self.counts[finding.kind] += 1
        examples = self.examples.setdefault(finding.kind, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(Example(finding, *(draw(finding) if draw else ())))

    def whole(self, kind: str) -> int:
        """Of how many the findings of a kind are: images, instances or words."""
        if kind in IMAGE_KINDS:
            return self.images
        return self.instances if kind in INSTANCE_KINDS else self.words


@dataclass
class PipelineReport:
    """What was found of a pipeline.

    Attributes:
        steps: By position in the pipeline.
        images: Checked samples.
        notes: What could not be judged, or was judged otherwise, and why.
    """

    steps: dict[int, StepReport] = field(default_factory=dict)
    images: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def found(self) -> int:
        """Number of findings."""
        return sum(
            count
            for step in self.steps.values()
            for kind, count in step.counts.items()
            if kind not in NOTED_KINDS
        )

    def table(self) -> str:
        """Counts for each transform and finding, with their shares."""
        kinds = [k for k in KINDS if any(step.counts[k] for step in self.steps.values())]
        titles = [f'{kind} (images)' if kind in IMAGE_KINDS else kind for kind in kinds]
        rows = [['transform', 'images', 'skipped', 'instances', 'words', *titles]]
        for position, step in sorted(self.steps.items()):
            cells = []
            for kind in kinds:
                count = step.counts[kind]
                whole = step.whole(kind)
                share = f' ({100 * count / whole:.1f} %)' if whole else ''
                cells.append(f'{count}{share}' if count else '-')
            name = f'{position} {step.name}'
            totals = step.images, step.skipped, step.instances, step.words
            rows.append([name, *map(str, totals), *cells])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            '  '.join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths))
            ).rstrip()
            for row in rows
        ]
        return '\n'.join(lines)


def write_pictures(report: PipelineReport, folder: Path) -> list[Path]:
    """Writes a sheet of examples, before and after, for each transform and kind of finding.

    Args:
        report: With examples.
        folder: Is made where there is none.

    Returns:
        The files.

    Raises:
        OSError: A file cannot be written.
    """
    written = []
    for position, step in sorted(report.steps.items()):
        for kind, examples in step.examples.items():
            rows = [_of_one_height(e.before, e.after) for e in examples if e.before is not None]
            if not rows:
                continue
            name = step.name.partition('(')[0].partition(' ')[0]
            path = folder / f'{position:02d}_{name}_{kind.replace(" ", "-")}.png'
            titles = ['before: as it should be', 'after: as it is']
            write_image(path, draw_sheet(titles, rows))
            written.append(path)
    return written


def _of_one_height(*pictures: np.ndarray) -> list[np.ndarray]:
    height = max(len(picture) for picture in pictures)
    return [
        np.pad(p, ((0, height - len(p)), (0, 0), (0, 0)), constant_values=255) for p in pictures
    ]
