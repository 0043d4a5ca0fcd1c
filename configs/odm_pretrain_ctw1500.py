# As odm_pretrain_icdar2015.py on CTW1500: 1000 images, lines along curves.
_base_ = 'odm_pretrain_icdar2015.py'

dataset = dict(dataset=dict(data_root='data/ctw1500'))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
