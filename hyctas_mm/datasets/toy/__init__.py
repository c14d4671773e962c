"""Toy data: streets drawn by a seed, in the layout of Cityscapes."""
