# Tests HyCTAS-L at several sizes and mirrored: the double dagger of the paper's Table 4. It does not name the sizes;
# these are Panoptic-DeepLab's.
_base_ = './hyctas-l_8xb4-186k_cityscapes-panoptic-512x1024.py'
model = dict(test_cfg=dict(scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0), flip=True))
