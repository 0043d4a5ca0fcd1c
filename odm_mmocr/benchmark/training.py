"""One run, in a process of its own: `python -m odm_mmocr.benchmark.training FOLDER`."""

import json
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from odm_mmocr.checkpoints import latest_checkpoint, load_checkpoint, save_whole_files
from odm_mmocr.checkpoints.saving import save_checkpoint, written_whole
from odm_mmocr.visualization.curves import METRIC, read_run

CONFIG, RESULT, WEIGHTS = 'config.py', 'result.json', 'detector.pth'


def train_run(folder: Path) -> dict:
    """Train and judge what `config.py` in a folder describes, from the last checkpoint on.

    Leaves `result.json` and `detector.pth`, the weights; the checkpoints are removed.

    Args:
        folder: Folder of the run.

    Returns:
        The result: `curve`, metrics on the test images as [iteration, value] by name; `holdout`,
        metrics on the images held out; `images` and `batch_size` of the training.
    """
    save_whole_files()
    cfg = Config.fromfile(folder / CONFIG)
    checkpoint = latest_checkpoint(folder)
    if checkpoint is not None:
        cfg.resume, cfg.load_from = True, str(checkpoint)
    runner = Runner.from_cfg(cfg)
    runner.train()
    holdout = runner.test() if cfg.get('test_dataloader') else {}
    curves = read_run(folder).curves
    result = dict(
        curve={
            name: sorted(curve.values.items())
            for name, curve in curves.items()
            if curve.kind == METRIC
        },
        holdout={name: float(value) for name, value in holdout.items()},
        images=len(runner.train_dataloader.dataset),
        batch_size=cfg.train_dataloader.batch_size,
    )
    last = latest_checkpoint(folder)
    save_checkpoint(dict(state_dict=load_checkpoint(last)['state_dict']), folder / WEIGHTS)
    with written_whole(folder / RESULT) as file:
        file.write(json.dumps(result, indent=1).encode())
    for path in folder.glob('iter_*.pth'):
        path.unlink()
    (folder / 'last_checkpoint').unlink()
    return result


if __name__ == '__main__':
    train_run(Path(sys.argv[1]).resolve())
