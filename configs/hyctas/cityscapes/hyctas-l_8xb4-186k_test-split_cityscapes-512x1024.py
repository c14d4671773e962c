# As for S beside it, with HyCTAS-L.
_base_ = './hyctas-s_4xb8-186k_test-split_cityscapes-512x1024.py'
part = dict(arch='hyctas-l', base_channels=16)
model = dict(backbone=part, decode_head=part)
train_dataloader = dict(batch_size=4)
test_evaluator = dict(out_dir='work_dirs/hyctas-l_cityscapes_test')
