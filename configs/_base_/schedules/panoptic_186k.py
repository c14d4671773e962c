# The paper's retraining for panoptic networks: the best PQ is kept. Gradients are clipped as in the release (5, its
# default): the centre loss, which has weight 200, begins in the hundreds. The paper does not mention it.
_base_ = './retrain_186k.py'
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))
default_hooks = dict(
    checkpoint=dict(save_best='PQ', rule='greater'),
    visualization=dict(type='DetVisualizationHook'),  # draws when `mim test` gets --show-dir
)
