from contextlib import nullcontext
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.structures import LabelData, PixelData
from mmengine.visualization import BaseVisBackend
from mmocr.registry import DATASETS, MODELS, VISBACKENDS
from torch import nn
from torch.utils.data import Dataset

from odm_mmocr.engine import ODMVisualizationHook
from odm_mmocr.engine import visualization_hook as module
from odm_mmocr.engine.visualization_hook import spread
from odm_mmocr.structures import ODMDataSample

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SIZE = (32, 64)
NUMBERS = count()  # names of runs, by which MMEngine finds loggers and visualizers again


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmocr')


@DATASETS.register_module()
class NumberedPictures(Dataset):
    """Sample i has the brightness 10 * i."""

    metainfo = {}

    def __init__(self, length=10):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        path = f'folder/{index % 2}.jpg'  # files of several folders have equal names
        sample = ODMDataSample(metainfo=dict(img_shape=SIZE, img_path=path))
        sample.prompt = LabelData(texts=['word'], shown=torch.tensor([True]))
        label = torch.zeros(1, *SIZE, dtype=torch.uint8)
        sample.gt_destylized = PixelData(label=label, ignore=label > 0)
        image = torch.full((3, *SIZE), 10 * int(index), dtype=torch.uint8)
        return dict(inputs=image, data_samples=sample)


@MODELS.register_module()
class DrawsOneLevel(BaseModel):
    """Draws its only weight everywhere; training raises it by 0.1 an iteration."""

    def __init__(self):
        super().__init__(dict(type='ODMDataPreprocessor'))
        self.level = nn.Parameter(torch.zeros(()))
        self.asked = []

    def forward(self, inputs, data_samples, mode='tensor'):
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return dict(loss=-self.level)

    def predict(self, images, data_samples, with_attention=False):
        if with_attention:
            self.asked.append((len(images), self.training, torch.is_grad_enabled()))
        for sample in data_samples:
            level = self.level.detach().expand(1, *SIZE)
            sample.pred_destylized = PixelData(probability=level)
            sample.pred_attention = PixelData(attention=level[..., :2, :4])
        return data_samples


@VISBACKENDS.register_module()
class RecordingVisBackend(BaseVisBackend):
    """Keeps pictures in a list of (name, step, picture)."""

    pictures = []

    def __init__(self, save_dir=None):
        super().__init__(save_dir)

    def _init_env(self):
        pass

    @property
    def experiment(self):
        return self

    def add_image(self, name, image, step=0, **kwargs):
        self.pictures.append((name, step, image))


@pytest.fixture
def pictures(monkeypatch):
    """What reaches the backends, as a list of (name, step, picture)."""
    monkeypatch.setattr(RecordingVisBackend, 'pictures', [])
    return RecordingVisBackend.pictures


@pytest.fixture
def run(make_runner, tmp_path):
    """Function that builds a runner with the hook; it validates after every second iteration."""

    def build(iterations=4, length=10, batch_size=3, custom_hooks=(), **hook):
        loader = dict(
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='NumberedPictures', length=length),
            collate_fn=dict(type='pseudo_collate'),
        )
        evaluator = dict(type='Evaluator', metrics=[])
        return make_runner(
            iterations,
            model=dict(type='DrawsOneLevel'),
            train_dataloader=dict(loader, sampler=dict(type='SeededInfiniteSampler')),
            train_cfg=dict(
                type='ResumableIterTrainLoop', max_iters=iterations, val_interval=2
            ),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            val_dataloader=loader,
            val_cfg=dict(type='ValLoop'),
            val_evaluator=evaluator,
            test_dataloader=loader,
            test_cfg=dict(type='TestLoop'),
            test_evaluator=evaluator,
            default_hooks=dict(
                visualization=dict(type='ODMVisualizationHook', **hook),
                checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=100),
            ),
            custom_hooks=list(custom_hooks),
            experiment_name=f'{tmp_path.name}-{next(NUMBERS)}',
            visualizer=dict(
                type='ODMVisualizer',
                vis_backends=[
                    dict(type='RecordingVisBackend'),
                    dict(type='NumberedVisBackend'),
                ],
            ),
        )  # fmt: skip

    return build


def column(sheet, number):
    """A column of a sheet of `predictions`, where pictures are enlarged eight times."""
    start = 8 + number * (8 * SIZE[1] + 8)
    return sheet[:, start : start + 8 * SIZE[1]]


def shows(sheet, index):
    """Whether the image of a sample stands in its column."""
    return (column(sheet, 0) == 10 * index).all(-1).sum() >= 64 * SIZE[0] * SIZE[1]


def drawn_level(sheet):
    """The brightness of the prediction in the first row, 0 to 1."""
    return column(sheet, 3)[150, 20, 0] / 255


def test_every_validation_writes_the_same_samples(run, pictures, tmp_path):
    runner = run(num_samples=4, num_words=1)
    runner.train()
    assert [(name, step) for name, step, _ in pictures] == [
        ('predictions', 2), ('attention', 2), ('predictions', 4), ('attention', 4),
    ]  # fmt: skip
    files = sorted(path.name for path in tmp_path.glob('run/*/vis_data/vis_image/*'))
    assert files == [
        f'{name}_{step:07d}.png' for name in ('attention', 'predictions') for step in (2, 4)
    ]
    first, second = pictures[0][2], pictures[2][2]
    np.testing.assert_array_equal(column(first, 0), column(second, 0))
    # Spread over the data set: the first and the last are among them.
    assert [index for index in range(10) if shows(first, index)] == [0, 3, 6, 9]
    assert (first != second).any()
    assert runner.model.asked == [(4, False, False)] * 2


@pytest.mark.parametrize(('number', 'length'), [(8, 3), (3, 3), (1, 5), (8, 1), (8, 0), (5, 256)])
def test_indices_are_different_and_as_many_as_there_are(number, length):
    indices = spread(number, length)
    assert len(indices) == min(number, length)
    assert indices == sorted(set(indices)) and set(indices) <= set(range(length))


def test_more_samples_than_a_batch_holds(run, pictures):
    runner = run(iterations=2, length=11, num_samples=20, num_words=1)
    runner.train()
    assert [images for images, *_ in runner.model.asked] == [8, 3]
    assert len(pictures) == 2


def test_the_weights_are_those_that_are_validated(run, pictures):
    ema = dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.5)
    runner = run(custom_hooks=[ema], num_samples=1, num_words=0)
    runner.train()
    levels = [drawn_level(sheet) for _, _, sheet in pictures]
    # The weight is 0.2 and 0.4; its average lags behind.
    assert levels[0] < 0.19 and levels[0] < levels[1] < 0.37
    assert runner.model.level.item() == pytest.approx(0.4)


def test_a_wrapped_model_is_asked_itself():
    model = DrawsOneLevel().eval()
    # As in data parallel training, the wrapper has no method to predict with attention.
    wrapper = SimpleNamespace(module=model)
    hook = ODMVisualizationHook(num_words=1)
    hook.chosen = [NumberedPictures()[0]]
    hook.predict(SimpleNamespace(model=wrapper, val_loop=SimpleNamespace(fp16=False)))
    assert model.asked == [(1, False, False)]
    assert 'pred_destylized' not in hook.chosen[0]['data_samples']


def test_random_state_and_training_go_on_as_without_pictures(run, pictures):
    states = []
    for samples in (0, 3):
        runner = run(num_samples=samples)
        torch.manual_seed(7)
        runner.train()
        states.append((torch.get_rng_state(), runner.model.training))
    assert torch.equal(states[0][0], states[1][0])
    assert len(pictures) == 4


def test_a_failure_is_said_once_and_stops_nothing(run, pictures, monkeypatch, capsys):
    def fail(*arguments, **settings):
        raise OSError('disk full')

    monkeypatch.setattr(module, 'attention_sheet', fail)
    runner = run(num_samples=2)
    runner.train()
    said = [line for line in capsys.readouterr().out.splitlines() if 'No pictures' in line]
    assert len(said) == 1
    assert said[0].endswith('No pictures of the validation (said once): OSError: disk full')
    assert runner.iter == 4


def test_other_processes_do_nothing(run, pictures, monkeypatch):
    monkeypatch.setattr(module, 'is_main_process', lambda: False)
    runner = run(num_samples=2, enable=True)
    runner.train()
    runner.test()
    assert not pictures and not runner.model.asked


def test_a_validation_alone_builds_no_training(run, pictures):
    runner = run(num_samples=1, num_words=0)
    runner.val()
    assert [(name, step) for name, step, _ in pictures] == [('predictions', 0)]
    assert isinstance(runner._train_loop, dict)


def test_tested_samples_are_drawn_on_request_each_with_its_name(run, pictures, tmp_path):
    runner = run(length=5)
    runner.test()
    assert not pictures
    runner = run(length=5, enable=True, draw_gt=False)
    runner.test()
    names = [name for name, *_ in pictures]
    assert names == ['00000_0', '00001_1', '00002_0', '00003_1', '00004_0']
    assert isinstance(runner._train_loop, dict)
    for index, (_, _, picture) in enumerate(pictures):
        assert (picture == 10 * index).all(-1).sum() >= SIZE[0] * SIZE[1]
        assert picture.shape[1] < 3 * (SIZE[1] + 8) + 9  # no target
    file = next(tmp_path.glob('run/*/vis_data/vis_image/00003_1_*.png'))
    np.testing.assert_array_equal(cv2.imread(str(file)), pictures[3][2][..., ::-1])


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('odm_pretrain*.py')), ids=lambda p: p.stem)
def test_every_pre_training_config_draws_and_dates_its_figures(path):
    cfg = Config.fromfile(path)
    hooks = cfg.default_hooks
    assert hooks.visualization.type == 'ODMVisualizationHook'
    assert hooks.logger.log_metric_by_epoch is False
    assert cfg.visualizer.type == 'ODMVisualizer'
    assert [backend.type for backend in cfg.visualizer.vis_backends] == ['NumberedVisBackend']


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        (dict(num_samples=-1), 'num_samples=-1'),
        (dict(num_words=-1), 'num_words=-1'),
        (dict(tile_height=3), 'tile_height=3'),
        (dict(score_thr=1.5), r'score_thr=1\.5'),
    ],
)
def test_settings_out_of_range_are_refused_at_build(setting, message):
    with pytest.raises(ValueError, match=message):
        ODMVisualizationHook(**setting)


@pytest.mark.parametrize('loop', [SimpleNamespace(fp16=True), SimpleNamespace()])
def test_precision_is_that_of_the_validation(monkeypatch, loop):
    enabled = []

    def autocast(**settings):
        enabled.append(settings['enabled'])
        return nullcontext()

    monkeypatch.setattr(module, 'autocast', autocast)
    hook = ODMVisualizationHook(num_words=0)
    hook.chosen = [NumberedPictures()[0]]
    hook.predict(SimpleNamespace(model=DrawsOneLevel(), val_loop=loop))
    assert enabled == [hasattr(loop, 'fp16')]
