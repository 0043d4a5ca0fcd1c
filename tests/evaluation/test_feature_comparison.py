import pytest
import torch
from mmocr.registry import MODELS
from torch import nn

from odm_mmocr.evaluation.feature_comparison import (
    NONE,
    FeatureContender,
    LossStep,
    markdown_table,
    pretrain_with,
    summarize,
)
from odm_mmocr.evaluation.step_parts import count_flops
from odm_mmocr.evaluation.step_setting import StepSetting
from odm_mmocr.models.losses import OCRLPIPSLoss
from odm_mmocr.models.ocr_features import FrozenFeatures

SETTING = StepSetting(size=(32, 64), batch_size=2)


class Maps(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 3, 2, 1)
        self.two = nn.Conv2d(4, 6, 3, 4, 1)

    def forward(self, x):
        x = self.one(x)
        return x, self.two(x)


@MODELS.register_module()
class TwoStages(FrozenFeatures):
    def __init__(self):
        super().__init__(Maps())


def test_summary():
    summary = summarize(TwoStages())
    assert summary.parameters == 3 * 4 * 9 + 4 + 4 * 6 * 9 + 6
    assert summary.channels == [4, 6]
    assert summary.strides == [2, 8]


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_step_computes_value_and_gradient(precision):
    setting = StepSetting(size=(32, 64), batch_size=2, precision=precision)
    step = LossStep(OCRLPIPSLoss(dict(type='mmocr.TwoStages')), setting)
    step()
    first = step.logits.grad.clone()
    step()
    assert first.shape == (2, 1, 32, 64)
    assert first.abs().sum() > 0
    assert torch.equal(step.logits.grad, first)  # not added up


def test_work_is_that_of_two_passes_and_one_back():
    flops = count_flops(LossStep(OCRLPIPSLoss(dict(type='mmocr.TwoStages')), SETTING))
    one_pass = 2 * 2 * (16 * 32 * 3 * 4 * 9 + 4 * 8 * 4 * 6 * 9)
    assert flops['loss'].forward == 2 * one_pass
    assert sum(cost.backward for cost in flops.values()) == one_pass


def test_networks_by_name():
    contender = FeatureContender.named('craft@0.5')
    assert contender.loss == dict(
        type='OCRLPIPSLoss', features=dict(type='CRAFTFeatures'), scale=0.5
    )
    assert FeatureContender.named(NONE).loss is None


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('vgg', 'vgg: the networks are ppocr-v4, ppocr-v6, craft'),
        ('craft@2', 'craft@2: 2 is no scale'),
        ('craft@', 'is no scale'),
        ('craft@half', 'half is no scale'),
        ('none@0.5', 'the networks are'),
    ],
)
def test_other_names_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        FeatureContender.named(name)


def test_table():
    assert markdown_table(['a', 'b'], [['x', '1']]) == '| a | b |\n| --- | ---: |\n| x | 1 |'


@pytest.mark.slow
def test_runs_with_and_without_the_loss_and_goes_on(tmp_path):
    pytest.importorskip('onnx2torch')
    pytest.importorskip('rapidocr_onnxruntime')
    options = {
        'val_dataloader.dataset.dataset.epoch_length': 4,
        'train_dataloader.batch_size': 2,
        'param_scheduler': [dict(type='ConstantLR', factor=1.0)],
    }
    arguments = ('odm_pretrain_quickstart.py', tmp_path / 'run', options, 2)
    figures = pretrain_with(FeatureContender.named('ppocr-v4'), *arguments)
    assert {'odm/kept', 'odm/leak', 'odm/fscore'} <= set(figures)
    # Complete already: only validated again.
    assert pretrain_with(FeatureContender.named('ppocr-v4'), *arguments) == figures
    without = pretrain_with(
        FeatureContender.named(NONE), arguments[0], tmp_path / 'other', options, 2
    )
    assert without != figures


def test_config_without_validation_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no validation'):
        pretrain_with(
            FeatureContender.named(NONE),
            'odm_pretrain_quickstart.py',
            tmp_path,
            {'val_evaluator': []},
        )
