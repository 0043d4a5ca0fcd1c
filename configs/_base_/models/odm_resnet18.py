_base_ = 'odm_resnet50.py'

model = dict(
    image_encoder=dict(backbone=dict(depth=18), embed_dims=256),
    text_controller=dict(depth=3, word_depth=3),
    head=dict(channels=128),
)
