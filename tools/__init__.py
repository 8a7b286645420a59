"""The commands behind the Makefile, and what tests and benchmarks use of them."""

import sys

# nbformat checks pages by jsonschema, which would build a grammar of international addresses for
# it: a second at each start, for what no page holds.
sys.modules.setdefault("rfc3987_syntax", None)
