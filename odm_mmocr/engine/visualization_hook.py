"""Pictures while a model trains and is tested."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner.amp import autocast
from mmocr.registry import HOOKS

from odm_mmocr.checkpoints import unwrap
from odm_mmocr.structures import ODMDataSample
from odm_mmocr.visualization import attention_sheet, validation_sheet

BATCH_SIZE = 8


@HOOKS.register_module()
class ODMVisualizationHook(Hook):
    """Write pictures of the same samples at every validation, and on request of all tested ones.

    ``predictions`` has image, prompt, target, prediction, difference and ignore map, one sample a
    row; ``attention`` has where each of some words was looked for. Both go to all backends of the
    runner's visualizer, with the iteration as step. The samples are spread evenly over the
    validation set. The main process runs the model on them by itself, with the weights that are
    validated (those of an EMA hook, where there is one). What goes wrong with these pictures is
    logged, once, and does not stop the training.

    Args:
        num_samples: Samples in the pictures of a validation; 0: no such pictures.
        num_words: Words of a sample in ``attention`` at most; 0: no such picture.
        tile_height: Height of each sample in them at most, pixels.
        score_thr: Probability from which a pixel counts as drawn.
        enable: Whether to draw every tested sample; `tools/test.py --show-dir` sets it. With
            several processes these are the samples of the main one.
        draw_gt: Whether pictures of tested samples have target, difference and ignore map.
        draw_pred: Whether they have prediction and difference.
        show: Whether to show them in a window instead of writing them.
        wait_time: Seconds to show each; 0: until a key is pressed.

    Raises:
        ValueError: A setting is out of range.
    """

    # The EMA hook (NORMAL) takes its weights away at the end of a validation.
    priority = 'ABOVE_NORMAL'

    def __init__(
        self,
        num_samples: int = 8,
        num_words: int = 3,
        tile_height: int = 256,
        score_thr: float = 0.5,
        enable: bool = False,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
    ):
        if num_samples < 0 or num_words < 0:
            raise ValueError(f'num_samples={num_samples}, num_words={num_words}: 0 or more')
        if tile_height < 16:
            raise ValueError(f'tile_height={tile_height}: at least 16 pixels')
        if not 0 <= score_thr <= 1:
            raise ValueError(f'score_thr={score_thr}: 0 to 1')
        self.num_samples = num_samples
        self.num_words = num_words
        self.tile_height = tile_height
        self.score_thr = score_thr
        self.enable = enable
        self.draw_gt = draw_gt
        self.draw_pred = draw_pred
        self.show = show
        self.wait_time = wait_time
        self.chosen: list[dict] = []
        self.trains = False
        self.failed = False
        self.tested = 0

    def before_train(self, runner) -> None:
        """Note that there is a training, which alone has iterations."""
        self.trains = True

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Write the pictures of a validation."""
        if not self.num_samples or not is_main_process():
            return
        try:
            self.write_sheets(runner)
        except Exception as error:  # a picture is not worth a training
            if not self.failed:
                runner.logger.warning(
                    f'No pictures of the validation (said once): {type(error).__name__}: {error}'
                )
            self.failed = True

    def before_test(self, runner) -> None:
        """Number tested samples from zero."""
        self.tested = 0

    def after_test_iter(
        self,
        runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[ODMDataSample] | None = None,
    ) -> None:
        """Draw tested samples, each named by its number and file."""
        if not self.enable or not is_main_process():
            return
        for image, sample in zip(data_batch['inputs'], outputs, strict=True):
            file = Path(sample.metainfo.get('img_path') or 'sample').stem
            runner.visualizer.add_datasample(
                f'{self.tested:05d}_{file}',
                np.ascontiguousarray(to_picture(image)[..., ::-1]),
                sample,
                draw_gt=self.draw_gt,
                draw_pred=self.draw_pred,
                show=self.show,
                wait_time=self.wait_time,
                pred_score_thr=self.score_thr,
            )
            self.tested += 1

    def write_sheets(self, runner) -> None:
        """Run the model on the chosen samples and write both pictures."""
        if not self.chosen:
            dataset = runner.val_dataloader.dataset
            self.chosen = [dataset[index] for index in spread(self.num_samples, len(dataset))]
        samples = self.predict(runner)
        images = [to_picture(sample['inputs']) for sample in self.chosen]
        sheets = dict(
            predictions=validation_sheet(
                images, samples, self.tile_height, threshold=self.score_thr
            )
        )
        if self.num_words:
            sheets['attention'] = attention_sheet(images, samples, self.num_words, self.tile_height)
        # Without a training, the runner would build one to know its iteration.
        step = runner.iter if self.trains else 0
        for name, sheet in sheets.items():
            runner.visualizer.add_image(name, np.ascontiguousarray(sheet[..., ::-1]), step)

    @torch.no_grad()
    def predict(self, runner) -> list[ODMDataSample]:
        """Let the model draw copies of the chosen samples, as the validation does."""
        model = unwrap(runner.model)
        samples = []
        for start in range(0, len(self.chosen), BATCH_SIZE):
            batch = pseudo_collate(
                [
                    dict(inputs=sample['inputs'], data_samples=sample['data_samples'].clone())
                    for sample in self.chosen[start : start + BATCH_SIZE]
                ]
            )
            with autocast(enabled=getattr(runner.val_loop, 'fp16', False)):
                batch = model.data_preprocessor(batch, False)
                samples += model.predict(
                    batch['inputs'], batch['data_samples'], with_attention=self.num_words > 0
                )
        return samples


def spread(count: int, length: int) -> list[int]:
    """Spread indices over a data set.

    Args:
        count: How many, at most.
        length: Of the data set.

    Returns:
        Different indices, ascending; the first and the last sample are among them.
    """
    return sorted(set(np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist()))


def to_picture(image: torch.Tensor) -> np.ndarray:
    """From the uint8 tensor (3, H, W) of a pipeline to a picture (H, W, 3)."""
    return np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
