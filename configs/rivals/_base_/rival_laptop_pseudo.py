# What rivals of ODM share with odm_pretrain_laptop_pseudo.py: images, geometry, encoder, schedule.
# All readable words are prompted, and no label is drawn. What to set is what it says there.
_base_ = '../../odm_pretrain_laptop_pseudo.py'

real_pipeline = [
    *_base_.real.pipeline[:3],
    _base_.real.pipeline[4],
    _base_.real.pipeline[8],
]
train_pipeline = [*_base_.train_pipeline[:2], _base_.train_pipeline[5]]
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            datasets=[
                dict(
                    _base_.train_dataloader.dataset.dataset.datasets[0],
                    pipeline=real_pipeline,
                ),
                dict(
                    _base_.train_dataloader.dataset.dataset.datasets[1],
                    pipeline=train_pipeline,
                ),
                dict(
                    _base_.train_dataloader.dataset.dataset.datasets[2],
                    pipeline=real_pipeline,
                ),
            ]
        )
    )
)
# There is nothing to draw, and so nothing to validate.
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = None
test_cfg = None
test_evaluator = None
