# The paper's search with all of its filters (section 3.4, Algorithm 1), in the space that contains S, M and L: no
# candidate slower than the slowest published network or too large to be trained is evaluated, and those below a floor
# on mIoU rank last. Prices are those of the networks that will be trained, with filter multiplier 12.
# NOTE(paper): it gives none of the three values. 81 ms is L's 12.4 FPS (Table 3), 32 GB its V100, and 20 is ours.
_base_ = './hyctas_search_cityscapes-256x512.py'
search_space = dict(low_levels=('none', 's4'))
part = dict(search_space=search_space, norm_cfg=dict(type='SyncBN'))
model = dict(backbone=part, decode_head=part)
train_cfg = dict(
    supernet='work_dirs/hyctas_supernet_sml_4xb4-600e_cityscapes-256x512/epoch_600.pth',
    bounds=dict(latency_ms=dict(max=81), memory_gb=dict(max=32), mIoU=dict(min=20)),
    memory_input=(8, (512, 1024)),
    handover=dict(base_channels=12),
)
