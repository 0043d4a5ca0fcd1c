"""Print precision and recall of what an OCR engine has read, over the strengths of the filters.

python tools/check_pseudo_labels.py annotations.readings.jsonl icdar2015/train_gt \
    --images icdar2015/train_images

A word is right if it stands where a readable word of the ground truth does (IoU of at least 0.5)
and has its letters and digits, case aside; what lies on unreadable text (###) does not count.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from odm_mmocr.datasets.annotation_files import first_problems, read_annotations
from odm_mmocr.evaluation.filter_sweep import FilterSweep, format_table
from odm_mmocr.output_files import written_whole
from odm_mmocr.pseudo_label import FilterSettings

SHOWN_PROBLEMS = 5


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('readings', help='file that tools/pseudo_label.py has written')
    parser.add_argument(
        'annotations', help='ground truth: JSON file of MMOCR, text file, or folder of text files'
    )
    parser.add_argument(
        '--images', metavar='DIR', help='folder of the images (default: that of the ground truth)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to it as well')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        annotated, problems = read_annotations(args.annotations, args.images)
        for line in first_problems(problems, SHOWN_PROBLEMS):
            print(line, file=sys.stderr)
        sweep = FilterSweep([args.readings], annotated)
        print(f'{sweep.images:,} images', file=sys.stderr)
        rows = list(sweep.rows(FilterSettings()))
        print(format_table(rows))
        if args.json:
            figures = [dict(group=r.group, setting=r.setting, **asdict(r.quality)) for r in rows]
            with written_whole(args.json) as file:
                file.write(json.dumps(figures, indent=1).encode())
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
