"""Experiments that show whether a search can be trusted (paper section 4.5): one file each, all run by
``tools/evidence.py``.

Every experiment can be interrupted at any time and goes on with the network or evaluation it was at.
"""
