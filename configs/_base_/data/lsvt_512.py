# LSVT as tools/prepare_dataset.py lsvt --root data/lsvt --val-fraction 0.02 writes it: Chinese
# lines. They need
# - MMOCR's Chinese characters, which are written into the config, so that a checkpoint knows them,
# - a font that has them: --cfg-options train_dataloader.dataset.dataset.pipeline.6.fonts=… and
#   val_dataloader.… and test_dataloader.dataset.dataset.pipeline.6.fonts=… for another one.
# Another folder: ….dataset.dataset.data_root=…
_base_ = 'icdar2015_512.py'  # before the imports, which MMEngine takes for another syntax else

import pathlib

import mmocr

fonts = ['DejaVuSans.ttf', '/usr/share/fonts/truetype/wqy/wqy-microhei.ttc#0']
characters = (
    pathlib.Path(mmocr.__file__)
    .with_name('.mim')
    .joinpath('dicts', 'chinese_english_digits.txt')
    .read_text(encoding='utf-8')
    .replace('\n', '')
)
vocabulary = dict(type='Vocabulary', characters=characters)
train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='IgnoreUnknownText', vocabulary=vocabulary),
    *_base_.train_pipeline[3:6],
    dict(type='RenderDestylizedLabel', fonts=fonts),
    dict(type='PackODMInputs', vocabulary=vocabulary),
]
val_pipeline = [
    *_base_.val_pipeline[:2],
    dict(type='IgnoreUnknownText', vocabulary=vocabulary),
    *_base_.val_pipeline[3:6],
    dict(type='RenderDestylizedLabel', fonts=fonts, with_dropped=True),
    dict(type='PackODMInputs', vocabulary=vocabulary),
]
train = dict(type='IndexedOCRDataset', data_root='data/lsvt', pipeline=train_pipeline)
val = dict(data_root='data/lsvt', ann_file='textspotting_val.json', pipeline=val_pipeline)
train_dataloader = dict(dataset=dict(dataset=train))
val_dataloader = dict(dataset=dict(dataset=val))
test_dataloader = dict(dataset=dict(dataset=val))
