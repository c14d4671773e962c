# As for S beside it, with HyCTAS-M.
_base_ = './hyctas-s_4xb8-186k_test-split_cityscapes-512x1024.py'
part = dict(arch='hyctas-m', base_channels=12)
model = dict(backbone=part, decode_head=part)
test_evaluator = dict(out_dir='work_dirs/hyctas-m_cityscapes_test')
