"""Records, shown to people: a table and messages in the terminal, a site of static pages.

    escape     one encoder for each place that text can end up in
    tensors    returned and expected, compared    source     a student's file, with what failed marked
    failure    what failed, in the terminal       summary    the numbers of a class
    terminal   a class in the terminal            html       the site

Almost every text in a record was chosen by a student. It is shown through the encoder of its sink, it is never a file
name or an address, and nothing of it is parsed as a program.
"""
