# The same with COCO's 27 supercategories, 12 of things and 15 of stuff.
_base_ = './hyctas-s_1xb8-4k_coco200-133-320x320.py'
model = dict(panoptic_head=dict(num_things_classes=12, num_stuff_classes=15))
train_dataloader = dict(dataset=dict(ann_file='panoptic27_train.json', data_prefix=dict(seg='panoptic27_train')))
val_dataloader = dict(dataset=dict(ann_file='panoptic27_val.json', data_prefix=dict(seg='panoptic27_val')))
test_dataloader = val_dataloader
