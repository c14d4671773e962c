"""What a person sees of a search: the front, the networks on it, and one page with everything.

Reads the files of ``WORK_DIR/search`` and nothing else: no torch, no OpenMMLab package, and matplotlib only while a
figure is drawn. The entry points are :func:`hyctas_mm.report.html.write_report`,
:func:`hyctas_mm.report.result.load_search` and :func:`hyctas_mm.report.draw_arch.draw_arch`.
"""
