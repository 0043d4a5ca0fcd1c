# STKM (Wan et al., CVPR 2021) where odm_pretrain.py has ODM.
_base_ = '_base_/rival_512.py'

model = dict(
    _delete_=True,
    type='STKM',
    data_preprocessor=_base_.model.data_preprocessor,
    image_encoder=dict(type='BackboneEncoder', backbone=_base_.model.image_encoder.backbone),
    vocabulary=_base_.vocabulary,
    embed_dims=_base_.model.image_encoder.embed_dims,
    depth=4,
    num_heads=8,
    hidden_dims=1024,
    grid=(64, 64),
)
