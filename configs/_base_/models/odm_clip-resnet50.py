_base_ = 'odm_resnet50.py'

model = dict(
    image_encoder=dict(
        backbone=dict(_delete_=True, type='CLIPResNet', depth=50, norm_eval=False),
    ),
)
