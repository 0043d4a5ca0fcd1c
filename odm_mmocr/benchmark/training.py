"""One run, in a process of its own: `python -m odm_mmocr.benchmark.training FOLDER`."""

import json
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from odm_mmocr.checkpoints import latest_checkpoint, load_checkpoint, save_whole_files
from odm_mmocr.checkpoints.saving import save_checkpoint
from odm_mmocr.output_files import written_whole

CONFIG, RESULT, WEIGHTS = 'config.py', 'result.json', 'detector.pth'
EVALUATIONS = 'evaluations.json'


class EvaluationRecord(Hook):
    """Keep every evaluation.

    Args:
        path: File of the evaluations. Those in it are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._evaluations: dict[int, dict[str, float]] = {}
        if path.is_file():
            content = json.loads(path.read_text(encoding='utf-8'))
            self._evaluations = {int(step): metrics for step, metrics in content.items()}

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note the metrics of an evaluation."""
        self._evaluations[runner.iter] = {name: float(value) for name, value in metrics.items()}
        with written_whole(self._path) as file:
            file.write(json.dumps(self._evaluations).encode())

    def curve(self) -> dict[str, list[tuple[int, float]]]:
        """The points (iteration, value) of each metric."""
        points: dict[str, list[tuple[int, float]]] = {}
        for step, metrics in sorted(self._evaluations.items()):
            for name, value in metrics.items():
                points.setdefault(name, []).append((step, value))
        return points


def train(folder: Path) -> tuple[Runner, EvaluationRecord]:
    """Train what `config.py` in a folder describes, from the last checkpoint on.

    Args:
        folder: Folder of the run.

    Returns:
        The runner after the training, and its evaluations.
    """
    save_whole_files()
    cfg = Config.fromfile(folder / CONFIG)
    checkpoint = latest_checkpoint(folder)
    if checkpoint is not None:
        cfg.resume, cfg.load_from = True, str(checkpoint)
    runner = Runner.from_cfg(cfg)
    record = EvaluationRecord(folder / EVALUATIONS)
    runner.register_hook(record)
    runner.train()
    return runner, record


def leave_result(folder: Path, result: dict) -> None:
    """Write the result of a run, then remove its checkpoints.

    Args:
        folder: Folder of the run.
        result: Plain types.
    """
    with written_whole(folder / RESULT) as file:
        file.write(json.dumps(result, indent=1).encode())
    for path in folder.glob('iter_*.pth'):
        path.unlink()
    (folder / 'last_checkpoint').unlink(missing_ok=True)


def train_run(folder: Path) -> dict:
    """Train and judge a detector as `config.py` in a folder describes it.

    Leaves `result.json` and `detector.pth`, the weights; the checkpoints are removed.

    Args:
        folder: Folder of the run.

    Returns:
        The result: `curve`, metrics on the test images as [iteration, value] by name; `holdout`,
        metrics on the images held out; `images` and `batch_size` of the training.
    """
    runner, record = train(folder)
    cfg = runner.cfg
    holdout = runner.test() if cfg.get('test_dataloader') else {}
    result = dict(
        curve=record.curve(),
        holdout={name: float(value) for name, value in holdout.items()},
        images=len(runner.train_dataloader.dataset),
        batch_size=cfg.train_dataloader.batch_size,
    )
    last = latest_checkpoint(folder)
    save_checkpoint(dict(state_dict=load_checkpoint(last)['state_dict']), folder / WEIGHTS)
    leave_result(folder, result)
    return result


if __name__ == '__main__':
    train_run(Path(sys.argv[1]).resolve())
