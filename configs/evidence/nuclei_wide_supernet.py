# A panoptic supernet over the wide space, as new_search.py writes it for small things: stem, head and its attention are
# genes too, logits at stride 4.
_base_ = '../panoptic/nuclei/hyctas_supernet_1xb8-2k_nuclei-160x160.py'
wide = dict(stem_widths=(4, 8, 12), head_widths=(4, 8, 12), head_attentions=(False, True))
model = dict(backbone=dict(search_space=wide), panoptic_head=dict(search_space=wide))
optim_wrapper = dict(type='Bfloat16OptimWrapper')
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
