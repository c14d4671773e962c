# The paper's supernet on four GPUs: the same batch of 16, its batch norm over all of it.
_base_ = './hyctas_supernet_1xb16-600e_cityscapes-256x512.py'
norm = dict(norm_cfg=dict(type='SyncBN'))
model = dict(backbone=norm, decode_head=norm)
train_dataloader = dict(batch_size=4)
