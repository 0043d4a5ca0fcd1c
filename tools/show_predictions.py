"""Draw image, prompt, target and predictions of validation samples, one column a checkpoint.

python tools/show_predictions.py CONFIG CHECKPOINT --out predictions.png
python tools/show_predictions.py CONFIG none work_dirs/odm_pretrain/iter_5000.pth --out predictions.png
"""  # noqa: E501

import argparse
import sys
from pathlib import Path

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.apis import (
    build_model,
    evaluate_model,
    figures_table,
    predict_samples,
    validation_samples,
)
from odm_mmocr.checkpoints import load_config
from odm_mmocr.image_files import write_image
from odm_mmocr.visualization import prediction_sheet


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of an ODM pre-training')
    parser.add_argument(
        'checkpoints', nargs='+', help="checkpoints of it; 'none' is the untrained model"
    )
    parser.add_argument('--titles', nargs='+', help='a title for each checkpoint')
    parser.add_argument('--num', type=int, default=8, help='samples to show (default 8)')
    parser.add_argument(
        '--evaluate', action='store_true', help='also print the figures of the whole validation set'
    )
    parser.add_argument('--out', type=Path, default=Path('predictions.png'), help='the picture')
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    stems = [Path(path).stem for path in args.checkpoints]
    args.titles = args.titles or (stems if len(set(stems)) == len(stems) else args.checkpoints)
    if len(args.titles) != len(args.checkpoints):
        parser.error(f'{len(args.titles)} titles for {len(args.checkpoints)} checkpoints')
    if len(set(args.titles)) < len(args.titles):
        parser.error(f'{", ".join(args.titles)}: a title stands twice; tell them by --titles')
    if args.num < 1:
        parser.error(f'--num {args.num}: at least 1')
    return args


def main() -> None:
    args = parse_args()
    try:
        cfg = load_config(args.config)
        samples = validation_samples(cfg, args.num)
        predictions, figures = {}, {}
        for title, checkpoint in zip(args.titles, args.checkpoints, strict=True):
            model = build_model(cfg, None if checkpoint == 'none' else checkpoint, args.device)
            predictions[title] = predict_samples(model, samples)
            if args.evaluate:
                figures[title] = evaluate_model(model, cfg)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f'error: {error}')
    if figures:
        print(figures_table(figures))
    images = [sample['inputs'].permute(1, 2, 0).numpy() for sample in samples]
    sheet = prediction_sheet(images, [sample['data_samples'] for sample in samples], predictions)
    try:
        write_image(args.out, sheet)
    except OSError as error:
        sys.exit(f'error: {error}')
    print(f'{len(samples)} samples drawn to {args.out}')


if __name__ == '__main__':
    main()
