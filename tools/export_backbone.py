"""Write the backbone of a pre-training's checkpoint into a file that detectors start from.

python tools/export_backbone.py work_dirs/odm_pretrain/iter_10000.pth
python tools/export_backbone.py CHECKPOINT --config odm_pretrain.py --recalibrate 100
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config

from odm_mmocr.checkpoints import (
    architecture_name,
    check_fit,
    extract_backbone,
    halve_backbone,
    load_checkpoint,
    load_config,
    recalibrate_backbone,
    save_checkpoint,
    without_counters,
)
from odm_mmocr.checkpoints.architecture import (
    build_layout,
    describe_architecture,
    effective_normalization,
)
from odm_mmocr.checkpoints.export import DEFAULT_PREPROCESSOR
from odm_mmocr.devices import find_device


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'checkpoint',
        type=Path,
        help='training checkpoint of an ODM model, of a rival, or of a detector',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE',
        help='file to write (default: backbone_<architecture>.pth beside the checkpoint)',
    )
    parser.add_argument(
        '--recalibrate',
        type=int,
        default=0,
        metavar='N',
        help='measure the statistics of BatchNorm anew over N training batches of --config',
    )
    parser.add_argument(
        '--config',
        help='config with the data for --recalibrate, and with the model where the checkpoint '
        'carries no config (the one in a checkpoint is read, never executed)',
    )
    parser.add_argument(
        '--no-ema', action='store_true', help='take the raw weights, not the averaged ones'
    )
    parser.add_argument(
        '--half', action='store_true', help='store convolutions in half precision: half the size'
    )
    parser.add_argument('--device', help='for --recalibrate (default: a GPU where there is one)')
    args = parser.parse_args(argv)
    if args.recalibrate < 0:
        parser.error(f'--recalibrate {args.recalibrate}: a number of batches is needed')
    if args.recalibrate and not args.config:
        parser.error('--recalibrate: give the data with --config, such as the pre-training config')
    try:
        args.device = find_device(args.device)
    except ValueError as error:
        parser.error(str(error))
    return args


def compare(backbone: dict, cfg: Config, args: argparse.Namespace) -> None:
    """Refuse a config of another network or normalisation than the checkpoint's."""
    model = cfg.get('model', {})
    for given in (model.get('image_encoder', {}).get('backbone'), model.get('backbone')):
        if given:
            layout = build_layout(describe_architecture(given))
            check_fit(backbone['state_dict'], layout, f'the backbone of {args.checkpoint}')
    recorded = backbone['meta']['normalization']
    used = effective_normalization(model.get('data_preprocessor') or DEFAULT_PREPROCESSOR)
    if used != recorded:
        raise ValueError(
            f'{args.config} normalises images with {used}, the checkpoint with {recorded}'
        )


def export(args: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(args.checkpoint)
    meta = checkpoint.get('meta') or {}
    cfg = load_config(args.config) if args.config else None
    if cfg is not None and 'cfg' not in meta:
        checkpoint['meta'] = dict(meta, cfg=cfg.pretty_text)
    backbone = extract_backbone(checkpoint, prefer_ema=not args.no_ema, source=str(args.checkpoint))
    if cfg is not None:
        compare(backbone, cfg, args)
    if args.recalibrate:
        backbone = recalibrate_backbone(backbone, cfg, args.recalibrate, args.device)
    if args.half:
        backbone = halve_backbone(backbone)
    name = architecture_name(backbone)
    out = args.out or args.checkpoint.parent / f'backbone_{name}.pth'
    save_checkpoint(backbone, out)
    meta, count = backbone['meta'], len(without_counters(backbone['state_dict']))
    batches = meta.get('recalibrated_batches', 0)
    print(
        f'{out}: {name}, {count} tensors, {meta["weights"]} weights of iteration '
        f'{meta["iteration"]}, BatchNorm recalibrated over {batches} batches'
    )


def main() -> None:
    args = parse_args()
    try:
        export(args)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
