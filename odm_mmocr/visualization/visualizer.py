"""The visualizer of ODM, and the backend that numbers its pictures."""

import os

import cv2
import numpy as np
from mmengine.visualization import LocalVisBackend, Visualizer
from mmengine.visualization.vis_backend import force_init_env
from mmocr.registry import VISBACKENDS, VISUALIZERS

from odm_mmocr.image_files import write_image
from odm_mmocr.structures import ODMDataSample

from .predictions import validation_sheet


@VISBACKENDS.register_module()
class NumberedVisBackend(LocalVisBackend):
    """MMEngine's local backend, with pictures whose names sort by step: `predictions_0000500.png`.

    A viewer then flips through them in the order of training.

    Args:
        As in :class:`mmengine.visualization.LocalVisBackend`.
    """

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        """Write a picture.

        Args:
            name: Start of the file name.
            image: uint8 (H, W, 3), RGB.
            step: Iteration.

        Raises:
            OSError: It cannot be written.
        """
        path = os.path.join(self._img_save_dir, f'{name}_{step:07d}.png')
        write_image(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


@VISUALIZERS.register_module()
class ODMVisualizer(Visualizer):
    """Draws samples of ODM: image, prompt, target, prediction, difference and ignore map in a row.

    Args:
        As in :class:`mmengine.visualization.Visualizer`.
    """

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: ODMDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.5,
        step: int = 0,
    ) -> np.ndarray:
        """Draw a sample; show it, or hand it to all backends.

        Args:
            name: Name of the picture.
            image: uint8 (H, W, 3), RGB, at the size of the prediction.
            data_sample: As for :func:`prediction_row`; None: the image alone.
            draw_gt: Whether to show the target, and what depends on it.
            draw_pred: Whether to show the prediction, likewise.
            show: Whether to show the picture in a window, instead of handing it to the backends.
            wait_time: Seconds to show it; 0: until a key is pressed.
            out_file: A file to write the picture to besides; its folder is made.
            pred_score_thr: Probability from which a pixel is drawn, for the difference.
            step: Iteration.

        Returns:
            The picture, uint8 (H', W', 3), RGB.

        Raises:
            OSError: The picture cannot be written.
        """
        drawn = image
        if data_sample is not None:
            bgr = np.ascontiguousarray(image[..., ::-1])
            sheet = validation_sheet([bgr], [data_sample], None, draw_gt, draw_pred, pred_score_thr)
            drawn = np.ascontiguousarray(sheet[..., ::-1])
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        else:
            self.add_image(name, drawn, step)
        if out_file is not None:
            write_image(out_file, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        self.set_image(drawn)
        return drawn
