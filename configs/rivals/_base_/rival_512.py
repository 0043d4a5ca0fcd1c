# What rivals of ODM share with odm_pretrain.py: images, geometry, encoder, schedule. All readable
# words are prompted, and no label is drawn.
_base_ = '../../odm_pretrain.py'

train_pipeline = [*_base_.train_pipeline[:5], _base_.train_pipeline[7]]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
# There is nothing to draw, and so nothing to validate.
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = None
test_cfg = None
test_evaluator = None
