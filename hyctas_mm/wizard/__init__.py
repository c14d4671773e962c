"""From a folder of images and labels to the configs of a search: look, check, size, write, estimate
(``tools/new_search.py``); and the whole job (``tools/run_all.py``).
"""
