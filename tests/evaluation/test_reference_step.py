import sys

import pytest
import torch

from odm_mmocr.evaluation.reference_step import ReferenceContender
from odm_mmocr.evaluation.step_parts import time_parts
from odm_mmocr.evaluation.step_setting import StepSetting

FAKE_MODEL = """
import torch
from torch import nn

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 1))
    def forward(self, x, *others):
        return x * self.scale

class Visual(Layer):
    def __init__(self):
        super().__init__()
        self.attnpool = Layer()
    def forward(self, x):
        return self.attnpool(super().forward(x))

class oCLIP(nn.Module):
    def __init__(self, first_stage, embed_dim):
        super().__init__()
        self.visual, self.fpn_head, self.mim = Visual(), Layer(), Layer()
        self.words = nn.Embedding(96, embed_dim)
    def encode_text(self, tokens, mask):
        return self.words(tokens).mean((1, 2))
    def att_image_to_text(self, image, text, mask):
        return image + text.mean()
    def forward(self, images, tokens, mask, size):
        text = self.encode_text(tokens, None)
        image = self.att_image_to_text(self.visual(images), text, mask)
        logits = self.mim(self.fpn_head(image))[:, :1]
        return image.mean((2, 3)).repeat(1, 2)[:, :text.shape[1]], text, logits, torch.ones(())
"""
FAKE_LOSS = """
from collections import OrderedDict
import torch
from torch import nn
from torchvision.models.vgg import model_urls

def copyStateDict(state):
    return OrderedDict((key.removeprefix('module.'), value) for key, value in state.items())

class CRAFT(nn.Module):
    def __init__(self, pretrained, freeze, amp):
        super().__init__()
        assert not pretrained
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=not freeze)

class OCR_CRAFT_LPIPS(nn.Module):
    def __init__(self):
        super().__init__()
        self.craft = CRAFT(pretrained=True, freeze=True, amp=True)
        self.load_from_pretrained()
    def load_from_pretrained(self):
        torch.load('/path/craft_mlt_25k.pth')
    def forward(self, drawing, label, normalize=True):
        return (self.craft.weight * (drawing - label)).square().mean((1, 2, 3))
"""


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder like a clone of the reference, with tiny modules."""
    for path, text in {
        'clip/model.py': FAKE_MODEL,
        'losses/lpips.py': FAKE_LOSS,
        'training/model_configs/RN50_Seg_Clip.json': '{"embed_dim": 4}',
    }.items():
        file = tmp_path / 'src' / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition('.')[0] == 'src']:
        del sys.modules[name]


def test_reference_without_and_with_craft(clone):
    torch.save({'module.weight': torch.tensor([2.0])}, clone / 'craft.pth')
    setting = StepSetting(batch_size=2)
    plain = ReferenceContender(clone)
    craft = ReferenceContender(clone, craft=True, craft_weights=clone / 'craft.pth')
    assert (plain.name, craft.name) == ('reference', 'reference+craft')
    for contender in (plain, craft):
        contender.check(setting)
        step = contender.build(setting)
        before = [p.clone() for p in step.model.parameters()]
        costs = time_parts(step, 'cpu')
        assert all(not torch.equal(p, old) for p, old in zip(step.model.parameters(), before))
        assert costs['backbone'].forward > 0
        assert ('loss_ocr' in costs) is contender.craft
    assert step.perceptual.craft.weight == 2
    assert not step.perceptual.training


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(folder='none'), 'none is no clone .*model.py is missing: git clone'),
        (dict(craft=True, craft_weights='none.pth'), 'CRAFT at .*none.pth'),
    ],
)
def test_what_the_reference_lacks_is_named(clone, change, message):
    paths = {key: clone / value for key, value in change.items() if key != 'craft'}
    contender = ReferenceContender(**{'folder': clone, **change, **paths})
    with pytest.raises(FileNotFoundError, match=message):
        contender.check(StepSetting())


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        (StepSetting(size=(640, 640)), 'size 640x640: the reference takes 512x512 only'),
        (StepSetting(compile=True), 'without torch.compile'),
    ],
)
def test_what_the_reference_cannot(clone, setting, message):
    with pytest.raises(ValueError, match=message):
        ReferenceContender(clone).check(setting)
