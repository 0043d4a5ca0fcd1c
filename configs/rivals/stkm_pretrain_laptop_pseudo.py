# STKM (Wan et al., CVPR 2021) where odm_pretrain_laptop_pseudo.py has ODM.
_base_ = '_base_/rival_laptop_pseudo.py'

model = dict(
    _delete_=True,
    type='STKM',
    data_preprocessor=_base_.model.data_preprocessor,
    image_encoder=dict(type='BackboneEncoder', backbone=_base_.model.image_encoder.backbone),
    vocabulary=_base_.vocabulary,
    embed_dims=_base_.model.image_encoder.embed_dims,
    depth=2,
    num_heads=4,
    hidden_dims=512,
    grid=(16, 24),
    # Eight words of 25 slots at most. A run of 2000 steps has nothing to forget.
    max_characters=200,
    dropout=0.0,
)
