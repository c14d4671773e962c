# What each addition to the search space can do: random networks at equal latencies, trained by one recipe. Each space
# has what the one before it has.
_base_ = './idd_lite_subnet.py'
paper = dict(
    layers=8,
    stem_widths=(4, 8, 12),
    head_widths=(4, 8, 12),
    low_levels=('none', 's4'),
    head_attentions=(False, True),
)
nodes = dict(paper, nodes=True)
detail = dict(nodes, fine_widths=(16, 24), detail_layers=3, head_depths=(1, 2))
new_ops = ('inverted_residual', 'inverted_residual_6x', 'mixcfn', 'hrvit_attn')
ops = dict(detail, ops=('skip', 'conv', 'lite_conv', 'lite_conv_2x', 'attention', *new_ops))
ops.update(detail_ops=('skip', 'conv', 'lite_conv', *new_ops))
spaces = dict(paper=paper, nodes=nodes, detail=detail, ops=ops)
