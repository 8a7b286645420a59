"""How Sphinx makes the site. `make site` calls it: tools/site/build.py prepares what it reads."""

project = "GAN lessons"
html_title = "GAN lessons in Keras 3"
language = "en"

extensions = ["myst_nb", "sphinx.ext.githubpages"]  # so that no host leaves out _static
nb_execution_mode = "off"  # pages show what they were saved with
nb_merge_streams = True
nb_render_markdown_format = "myst"  # outputs that are Markdown: tables
nb_ipywidgets_js = {}  # would come from another host
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("gan/start.js", {"type": "module"})]
html_favicon = "_static/favicon.svg"
html_copy_source = False  # each page has a link to its notebook
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False  # of words: the pages have none

# Fetched from npm by tools/site/build.py, and loaded by pages with formulas only.
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}}  # its parts are not on the site
