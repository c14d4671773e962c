_base_ = './hrvit-b1_segformer_4xb2-160k_cityscapes-1024x1024.py'
model = dict(backbone=dict(arch='b2', drop_path_rate=0.2), decode_head=dict(in_channels=[48, 96, 240, 384]))
