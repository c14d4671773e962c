# Tests HyCTAS-L at several sizes and mirrored: the double dagger of the paper's Table 6. It does not name the sizes;
# these are Panoptic-DeepLab's.
_base_ = './hyctas-l_8xb8-200k_coco-panoptic-640x640.py'
model = dict(test_cfg=dict(scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0), flip=True))
