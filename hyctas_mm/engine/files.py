"""Kept until all rooms take these from where they are now: :mod:`hyctas_mm.files`."""

from hyctas_mm.files import differences, lock_folder, read_json, write_json

__all__ = ['differences', 'lock_folder', 'read_json', 'write_json']
