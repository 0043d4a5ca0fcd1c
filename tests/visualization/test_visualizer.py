import cv2
import numpy as np
import pytest
from mmengine.visualization import TensorboardVisBackend

from odm_mmocr.visualization import NumberedVisBackend, ODMVisualizer
from odm_mmocr.visualization.predictions import DIFFERENCES


def visualizer(tmp_path, *backends):
    return ODMVisualizer(save_dir=str(tmp_path), vis_backends=[dict(type=b) for b in backends])


def test_names_of_pictures_sort_by_step(tmp_path):
    shown = visualizer(tmp_path, 'mmocr.NumberedVisBackend')
    for step in (5, 20, 1000):
        shown.add_image('predictions', np.full((2, 3, 3), (step % 256, 0, 9), np.uint8), step)
    files = sorted((tmp_path / 'vis_data' / 'vis_image').iterdir())
    assert [cv2.imread(str(file))[0, 0].tolist() for file in files] == [
        [9, 0, step % 256] for step in (5, 20, 1000)
    ]
    assert files[-1].name == 'predictions_0001000.png'


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    backend = NumberedVisBackend(str(tmp_path))
    (tmp_path / 'vis_image' / 'a_0000001.png').mkdir(parents=True)
    with pytest.raises(OSError, match=r'a_0000001\.png cannot be written'):
        backend.add_image('a', np.zeros((2, 2, 3), np.uint8), 1)


def test_a_sample_is_drawn_in_rgb_at_its_size(predicted, tmp_path):
    image, sample = predicted
    image[...] = (10, 20, 30)
    out = tmp_path / 'new' / 'sample.png'
    shown = visualizer(tmp_path, 'mmocr.NumberedVisBackend')
    drawn = shown.add_datasample('name', image, sample, out_file=str(out), step=7)
    assert (drawn == (10, 20, 30)).all(-1).sum() == 40 * 60
    assert (drawn == np.uint8(DIFFERENCES['leak'][::-1])).all(-1).sum() >= 20 * 20
    written = [out, tmp_path / 'vis_data' / 'vis_image' / 'name_0000007.png']
    for path in written:
        np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], drawn)
    np.testing.assert_array_equal(shown.add_datasample('alone', image), image)


def test_the_threshold_is_that_of_the_difference(predicted, tmp_path):
    image, sample = predicted
    drawn = visualizer(tmp_path).add_datasample('name', image, sample, pred_score_thr=0.8)
    # The legend has each colour too, smaller.
    assert (drawn == np.uint8(DIFFERENCES['leak'][::-1])).all(-1).sum() < 20 * 20


def test_pictures_reach_tensorboard(predicted, tmp_path):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    image, sample = predicted
    shown = visualizer(tmp_path, TensorboardVisBackend.__name__)
    for step in (20, 40):
        drawn = shown.add_datasample('predictions', image, sample, step=step)
    shown.close()
    events = EventAccumulator(str(tmp_path / 'vis_data')).Reload()
    pictures = events.Images('predictions')
    assert [picture.step for picture in pictures] == [20, 40]
    decoded = cv2.imdecode(np.frombuffer(pictures[1].encoded_image_string, np.uint8), 1)
    np.testing.assert_array_equal(decoded[..., ::-1], drawn)
