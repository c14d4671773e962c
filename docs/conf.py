"""The site: every Markdown file of the repository in one place, and the reference from docstrings.

    sphinx-build -W --keep-going -c docs -b html . site      # the page is site/index.html

The source directory is the repository, not this folder: links between README files and pages then hold on the site as
they do in the repository.
"""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import hyctas_mm

project = 'hyctas_mm'
author = 'the hyctas_mm authors'
version = release = hyctas_mm.__version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']

root_doc = 'docs/index'
include_patterns = ['README.md', 'CHANGELOG.md', 'docs/**.md', 'configs/**/README.md', 'benchmarks/README.md']
exclude_patterns = ['.*', 'data', 'site', 'work_dirs', 'hyctas_mm', 'tests', 'tools']  # not walked through
myst_heading_anchors = 3
myst_enable_extensions = ['colon_fence']

autodoc_member_order = 'bysource'
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # a dataclass has its fields anyway

html_theme = 'furo'
html_title = f'hyctas_mm {release}'
html_extra_path = ['_extra']
html_copy_source = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Shows the README's mermaid block as its text: drawing it would load a script from elsewhere."""
    app.add_lexer('mermaid', TextLexer)
