# Figure 3's search "FLOPs vs. mIoU"; its "Speed vs. mIoU" is hyctas_search_sml_cityscapes-256x512.py.
_base_ = './hyctas_search_sml_cityscapes-256x512.py'
train_cfg = dict(objectives=['mIoU', 'macs_g'])
