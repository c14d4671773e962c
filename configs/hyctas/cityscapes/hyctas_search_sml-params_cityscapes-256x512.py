# Figure 3's search "Parameters vs. mIoU"; its "Speed vs. mIoU" is hyctas_search_sml_cityscapes-256x512.py.
_base_ = './hyctas_search_sml_cityscapes-256x512.py'
train_cfg = dict(objectives=['mIoU', 'params_m'])
