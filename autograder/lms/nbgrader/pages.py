"""How students' Markdown becomes HTML in feedback and in the formgrader: with nothing in it that a browser could run.

nbgrader's templates render Markdown without nbconvert's `sanitize_html`, so the filter itself is replaced. HTML is
shown as text; pictures that were pasted into a cell stay.
"""

from __future__ import annotations

import re

import jinja2
from bs4 import BeautifulSoup
from jinja2.runtime import Context
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

# MathJax makes links and styles of these, whatever the address is.
_ACTIVE_MATH = re.compile(r"\\(?:href|style|class|cssId|require|html\w*)(?![A-Za-z])")

_LINK = re.compile(r"(?i)(?:https?://|mailto:|#)")
_PICTURE = re.compile(r"(?i)(?:https?://|data:image/(?:png|jpeg|gif);)")


@jinja2.pass_context
def markdown2html(context: Context, source: str) -> str:
    """nbconvert's filter of this name, for texts that nobody has vouched for."""
    attachments = context.get("cell", {}).get("attachments", {})
    renderer = IPythonRenderer(escape=True, attachments=attachments, embed_images=False)
    page = BeautifulSoup(MarkdownWithMath(renderer=renderer).render(_ACTIVE_MATH.sub(r"\\text", source)), "html.parser")
    for element in page.find_all(True):
        for name, safe in (("href", _LINK), ("src", _PICTURE)):
            if name in element.attrs and not safe.match(str(element[name])):
                del element[name]
    return str(page)
