"""Texts that try to be more than text: one list, pushed through every field of a record and every sink."""

from __future__ import annotations

RUN = "window.ran=1;alert(1)"  # what a payload does if anything runs it; the browser test watches for both

HTML = (
    f"<script>{RUN}</script>",
    f'"><script>{RUN}</script>',
    f"<img src=x onerror={RUN}>",
    f'" onmouseover={RUN} autofocus onfocus={RUN} x="',
    f"' onfocus='{RUN}' autofocus x='",
    f"</title><script>{RUN}</script>",
    f"</style><script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"--><script>{RUN}</script>",
    f"<svg onload={RUN}>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s></svg>",
    f"<math><mtext></p><style><img src=x onerror={RUN}></style></mtext></math>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<a href=javascript:{RUN}>x</a>",
    f"javascript:{RUN}",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/leak'>",
    "<link rel=stylesheet href=http://127.0.0.1:9/leak.css><img src=//127.0.0.1:9/leak.png>",
    "<base href=http://127.0.0.1:9/><form action=http://127.0.0.1:9/><button>x</button></form>",
    "<style>*{background:url(http://127.0.0.1:9/leak)}</style>",
    "&lt;script&gt;&#x3c;b&#x3e;",
    "<template><plaintext><textarea><xmp>",
    "<p id=class><input id=find name=find><output id=shown>",  # names that a script looks up
    "{{ 7 * 7 }}{% for x in ().__class__.__mro__ %}{{ x }}{% endfor %}{# gone #}",
)
TERMINAL = (
    "\x1b[2J\x1b[1;1H100/100",
    "\x1b]0;title\x07\x1b]8;;http://127.0.0.1:9/\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x9b31mred\x9b0m\x90q\x9c",
    "0/100\r100/100",
    "a\b\b\b\x7f\x00\x0b\x0c\x1c\x85",
    "[bold red]markup[/bold red] [link=http://127.0.0.1:9/]x[/link] [/]",
    "line\nada  100/100\nline",
)
UNICODE = (
    "\u202egpj.exe\u2066\u2069\u200f\u061c",
    "a\u200bd\u200da\u2060\ufeff\u00ad\u180e",
    "\u2028\u2029\x85",
    "\ud800 lone \udfff",
    "\U000e0041\U000e0042 tags",
    "\u3164\u2800\u115f blanks",
    "Z" + "\u0335\u0489" * 40,
    "x" + "\U000e0100" * 20,
    "￾￿\ufdd0 no characters",
    "ａｄｍｉｎ аdа Ω 𝒜 日本語 עברית العربية 👩‍👩‍👧",
)
FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1:1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    '=HYPERLINK("http://127.0.0.1:9/","x")',
    'a","=1+1',
    "a;=1+1;",
    "＝1+1",
    "-1",
    "1e5",
)
COMMANDS = (
    "::set-output name=score::100",
    "::add-mask::100",
    "::stop-commands::x",
    "##[group]x",
    "::notice title=Autograding complete::Points 100/100",
    "x\n::error::y",
    "x\r::error::y",
    "%0A::error::y",
    "a,line=1::b",
    "##vso[task.complete result=Succeeded]",
)
DATA = (
    '{"score": 100}\n{"score": 100}',
    '"],"score":100,"x":["',
    "a\\",
    "\\u0041\\x1b",
    "]]><a/>",
    "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>&b;",
    "tensor([[1.0, 2.0], [3.0]], float32)",
    "tensor([[nan, inf]], float32)",
    f"tensor({'[' * 900}1{']' * 900}, int64)",
    "tensor([__import__('os')], int64)",
    "tensor([1e999, 1e-999, 0x10, 1_0], float32)",
    "tensor([1, 2], <script>)",
)
MARKDOWN = (
    "[x](javascript:alert(1))",
    "![x](http://127.0.0.1:9/leak.png)",
    "# heading\n\n- item",
    "| a | b |\n|---|---|",
    "```\ncode",
    "`a` *b* _c_ ~~d~~",
    "    indented",
    "@everyone #1 https://127.0.0.1:9/ www.example.org a@example.org",
    "1. one",
    "<details><summary>x",
    "[^1]: note",
    "$\\href{javascript:alert(1)}{x}$",
)
LATEX = (
    r"\input{/etc/passwd}",
    r"\write18{id}",
    r"\immediate\openout1=x",
    "$$\\frac{1}{0}$$ % comment",
    "}{\\endinput",
)
PATHS = (
    "../../../../tmp/owned",
    "/etc/passwd",
    "..\\..\\x",
    "con",
    "a/b?c#d",
    "%2e%2e/%00",
    "file:///etc/passwd",
    "//127.0.0.1:9/x",
    "-rf",
    "$(id)",
    "x" * 5000,
    "",
)

ALL = (*HTML, *TERMINAL, *UNICODE, *FORMULAS, *COMMANDS, *DATA, *MARKDOWN, *LATEX, *PATHS)
