"""Convert released ODM and oCLIP checkpoints to files of this package, and ODM's back.

python tools/convert_checkpoint.py epoch_100.pt --out work_dirs/released
python tools/convert_checkpoint.py RN50_lsvt.pt --out work_dirs/released --characters char_dict
python tools/convert_checkpoint.py work_dirs/odm/iter_1000.pth --out work_dirs/odm --to-released

The first two leave the checkpoint of a whole ODM, its config, and a backbone that detectors start
from. docs/checkpoints.md says what converts and how to go on.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from odm_mmocr.checkpoints import (
    Conversion,
    architecture_name,
    convert_released,
    load_checkpoint,
    load_config,
    read_characters,
    released_checkpoint,
    save_checkpoint,
    without_counters,
)
from odm_mmocr.output_files import written_whole


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', type=Path, help='checkpoint to convert')
    parser.add_argument('--out', type=Path, required=True, metavar='FOLDER', help='where to write')
    parser.add_argument(
        '--characters',
        metavar='FILE',
        help='the characters that the model was trained with: one a line, or the char_dict of '
        'oCLIP (default: printable ASCII)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='for parts of ODM that oCLIP has not (default: 0)'
    )
    parser.add_argument(
        '--to-released', action='store_true', help='from an ODM checkpoint to the released names'
    )
    parser.add_argument(
        '--half', action='store_true', help='with --to-released: write half precision'
    )
    parser.add_argument(
        '--config', help='with --to-released: config of a checkpoint that carries none'
    )
    args = parser.parse_args(argv)
    if not args.to_released and (args.half or args.config):
        parser.error('--half and --config belong to --to-released')
    if args.to_released and args.characters:
        parser.error('--characters has no meaning with --to-released')
    return args


def convert(args: argparse.Namespace) -> None:
    characters = read_characters(args.characters) if args.characters else None
    conversion = convert_released(load_checkpoint(args.file), characters, args.seed)
    name = architecture_name(conversion.backbone)
    stem = f'odm_from_{args.file.stem.replace(".", "_")}'
    files = {args.out / f'backbone_{name}.pth': conversion.backbone}
    if conversion.checkpoint is not None:
        files[args.out / f'{stem}.pth'] = conversion.checkpoint
    refuse_to_overwrite(args.file, *files)
    print(f'{args.file}: {conversion.model}')
    print_account(conversion, args.seed)
    for path, content in files.items():
        save_checkpoint(content, path)
        print(f'{path} written, {len(without_counters(content["state_dict"]))} tensors')
    if conversion.checkpoint is not None:
        config = args.out / f'{stem}.py'
        with written_whole(config) as file:
            file.write(conversion.checkpoint['meta']['cfg'].encode())
        print(f'{config} written; go on with --cfg-options load_from={args.out / stem}.pth')
    else:
        print(
            f'no whole checkpoint: the file has ids for {conversion.model.num_characters} '
            'characters; give them with --characters'
        )


def print_account(conversion: Conversion, seed: int) -> None:
    print(f'  {len(conversion.converted)} tensors converted, counts of batches included')
    if conversion.num_recast:
        print(f'  {conversion.num_recast} of them brought to single precision')
    reasons = defaultdict(list)
    for name, reason in conversion.left_out.items():
        reasons[reason].append(name)
    for reason, names in reasons.items():
        listed = ', '.join(dict.fromkeys(name.partition('.')[0] for name in names))
        print(f'  {len(names)} left out, {listed}: {reason}')
    if conversion.initialized:
        parts = dict.fromkeys('.'.join(n.split('.')[:2]) for n in conversion.initialized)
        print(f'  {len(conversion.initialized)} new, from seed {seed}: {", ".join(parts)}')


def convert_back(args: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(args.file)
    if args.config:
        weights = checkpoint.get('state_dict', checkpoint)
        checkpoint = dict(state_dict=weights, meta=dict(cfg=load_config(args.config).pretty_text))
    released = released_checkpoint(checkpoint, args.half)
    out = args.out / f'{args.file.stem}_released.pt'
    refuse_to_overwrite(args.file, out)
    save_checkpoint(released, out)
    print(f'{out} written, {len(without_counters(released["state_dict"]))} tensors')


def refuse_to_overwrite(file: Path, *outputs: Path) -> None:
    if file.resolve() in (path.resolve() for path in outputs):
        raise ValueError(f'{file} would be overwritten; give another --out')


def main() -> None:
    args = parse_args()
    try:
        if args.to_released:
            convert_back(args)
        else:
            convert(args)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
