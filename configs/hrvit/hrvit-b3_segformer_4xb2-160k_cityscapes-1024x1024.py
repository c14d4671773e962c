_base_ = './hrvit-b1_segformer_4xb2-160k_cityscapes-1024x1024.py'
model = dict(
    backbone=dict(arch='b3', drop_path_rate=0.3), decode_head=dict(in_channels=[64, 128, 256, 512], channels=768)
)
