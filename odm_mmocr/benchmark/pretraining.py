"""One pre-training, in a process of its own: `python -m odm_mmocr.benchmark.pretraining FOLDER`."""

import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from odm_mmocr.checkpoints import (
    extract_backbone,
    latest_checkpoint,
    load_checkpoint,
    recalibrate_backbone,
    save_checkpoint,
)
from odm_mmocr.devices import find_device

from .starts import fingerprint
from .training import CONFIG, leave_result, train

BACKBONE, WEIGHTS = 'backbone.pth', 'pretrained.pth'


def pretrain_run(folder: Path) -> dict:
    """Pre-train what `config.py` in a folder describes, from the last checkpoint on, and export.

    Leaves `result.json`, `backbone.pth` and `pretrained.pth`, the weights of the whole model; the
    checkpoints are removed.

    Args:
        folder: Folder of the run.

    Returns:
        The result: `curve`, metrics of the validation as [iteration, value] by name, empty where
        there is none; `iterations`; `seconds` of the training steps, those before a stop as well;
        `backbone`, the fingerprint of what was exported.
    """
    runner, record = train(folder)
    last = latest_checkpoint(folder)
    checkpoint = load_checkpoint(last)
    backbone = extract_backbone(checkpoint, source=str(last))
    cfg = Config.fromfile(folder / CONFIG)
    if cfg.get('recalibrate'):
        backbone = recalibrate_backbone(backbone, cfg, cfg.recalibrate, find_device(None))
    save_checkpoint(backbone, folder / BACKBONE)
    kept = {key: checkpoint[key] for key in ('state_dict', 'meta')}
    save_checkpoint(kept, folder / WEIGHTS)
    result = dict(
        curve=record.curve(),
        iterations=runner.iter,
        seconds=_seconds(runner),
        backbone=fingerprint(backbone),
    )
    leave_result(folder, result)
    return result


def _seconds(runner: Runner) -> float:
    # MMEngine times every step, and its checkpoints keep the history; validations are not in it.
    return float(runner.message_hub.get_scalar('train/time').data[0].sum())


if __name__ == '__main__':
    pretrain_run(Path(sys.argv[1]).resolve())
