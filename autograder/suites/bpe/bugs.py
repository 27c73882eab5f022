"""Planted bugs of the byte-pair-encoding assignment: what students get wrong, as edits of the reference."""
# ruff: noqa: E501 - an edit quotes the reference line by line

from __future__ import annotations

from autograder.judge import Bug

STDLIB_PATTERN = '''return __import__("re").findall(
        r"""'s|'t|'re|'ve|'m|'ll|'d| ?[^\\W\\d_]+| ?\\d+| ?(?:[^\\s\\w]|_)+|\\s+(?!\\S)|\\s+""", text)'''
FINDALL = "return regex.findall(GPT2_PATTERN, text)"

PRETOKENIZE = [
    Bug(
        "stdlib_re", part="pretokenize", killed_by="test_the_unicode_classes_are_those_of_the_pattern",
        edit=(FINDALL, STDLIB_PATTERN),
        hint="The standard `re` has other classes: its \\s takes \\x1c to \\x1f, and marks and numbers like ½ differ too.",
    ),
    Bug(
        "splits_at_white_space", part="pretokenize", killed_by="test_the_pretokens_are_the_matches_of_the_pattern",
        edit=(FINDALL, 'return [piece for piece in regex.split(r"(\\s+)", text) if piece]'),
        hint="The pretokens are the matches of the pattern; a split at white space gives others.",
    ),
    Bug(
        "strips", part="pretokenize", killed_by="test_the_pretokens_joined_are_the_text",
        edit=(FINDALL, "return [m.strip() or m for m in regex.findall(GPT2_PATTERN, text)]"),
        hint="The space before a word belongs to its pretoken; it was stripped.",
    ),
    Bug(
        "normalises", part="pretokenize", killed_by="test_the_pretokens_joined_are_the_text",
        edit=(FINDALL, 'return regex.findall(GPT2_PATTERN, __import__("unicodedata").normalize("NFC", text))'),
        hint="The text is normalised first, so decoding cannot give it back.",
    ),
    Bug(
        "lowercases", part="pretokenize", killed_by="test_the_pretokens_joined_are_the_text",
        edit=(FINDALL, "return regex.findall(GPT2_PATTERN, text.lower())"),
        hint="The text is lowercased first, so decoding cannot give it back.",
    ),
    Bug(
        "no_lookahead", part="pretokenize", killed_by="test_the_last_space_of_a_run_goes_to_the_word_after_it",
        edit=(FINDALL, 'return regex.findall(GPT2_PATTERN.replace(r"\\s+(?!\\S)|", ""), text)'),
        hint="Without \\s+(?!\\S) a run of spaces takes the one that belongs to the next word.",
    ),
    Bug(
        "contractions_in_capitals", part="pretokenize", killed_by="test_the_pretokens_are_the_matches_of_the_pattern",
        edit=(FINDALL, "return regex.findall(GPT2_PATTERN, text, flags=regex.IGNORECASE)"),
        hint="GPT-2's contractions are lower case only: in \"IT'S\" the apostrophe stands alone.",
    ),
]  # fmt: skip

SPLIT_ON_SPECIAL = [
    Bug(
        "unescaped", part="split_on_special", killed_by="test_special_tokens_are_plain_text_and_not_patterns",
        edit=("map(regex.escape, sorted(special_tokens, key=len, reverse=True))", "sorted(special_tokens, key=len, reverse=True)"),
        hint="Special tokens go into the pattern unescaped, so `|` and `.` act as operators.",
    ),
    Bug(
        "not_longest_first", part="split_on_special", killed_by="test_the_longest_special_token_wins",
        edit=("sorted(special_tokens, key=len, reverse=True)", "special_tokens"),
        hint="An alternation takes the first branch that matches; longer special tokens must come first.",
    ),
    Bug(
        "no_special_tokens_split_everything", part="split_on_special",
        killed_by="test_without_special_tokens_a_text_is_one_piece",
        edit=("        return [(text, False)] if text else []", "        return [(character, False) for character in text]"),
        hint="With no special tokens the pattern is empty, and splitting at it cuts the text into characters.",
    ),
    Bug(
        "drops_white_space", part="split_on_special", killed_by="test_the_pieces_joined_are_the_text",
        edit=("enumerate(pieces) if piece]", "enumerate(pieces) if piece.strip()]"),
        hint="Pieces of white space are dropped; only empty ones may be.",
    ),
    Bug(
        "keeps_empty_pieces", part="split_on_special", killed_by="test_no_piece_is_empty",
        edit=("enumerate(pieces) if piece]", "enumerate(pieces)]"),
        hint="Between two special tokens lies an empty string; it is no piece.",
    ),
    Bug(
        "first_special_token_only", part="split_on_special",
        killed_by="test_special_pieces_are_special_tokens_and_text_pieces_hold_none",
        edit=('regex.split(f"({pattern})", text)', 'regex.split(f"({pattern})", text, maxsplit=1)'),
        hint="Only the first special token is cut out.",
    ),
    Bug(
        "ignores_case", part="split_on_special",
        killed_by="test_special_pieces_are_special_tokens_and_text_pieces_hold_none",
        edit=('regex.split(f"({pattern})", text)', 'regex.split(f"({pattern})", text, flags=regex.IGNORECASE)'),
        hint="A special token is matched without regard to case.",
    ),
]  # fmt: skip

COUNT_LOOP = "    for word, n in words.items():\n        for pair in pairwise(word):\n            counts[pair] += n\n"

COUNT_PAIRS = [
    Bug(
        "once_per_word", part="count_pairs", killed_by="test_occurrences_in_runs_overlap",
        edit=("words.items():\n        for pair in pairwise(word)", "words.items():\n        for pair in set(pairwise(word))"),
        hint="A pair that is twice in a word counts twice.",
    ),
    Bug(
        "ignores_the_frequency", part="count_pairs", killed_by="test_a_word_counts_as_often_as_it_occurs",
        edit=("            counts[pair] += n\n    return", "            counts[pair] += 1\n    return"),
        hint="Every word counts once, whatever its frequency.",
    ),
    Bug(
        "across_words", part="count_pairs", killed_by="test_no_pair_reaches_from_one_word_into_another",
        edit=(
            COUNT_LOOP,
            "    last: tuple[bytes, ...] = ()\n    for word, n in words.items():\n"
            "        for pair in pairwise(last + word):\n            counts[pair] += n\n        last = word[-1:]\n",
        ),
        hint="The last token of a word and the first of the next are counted as a pair.",
    ),
    Bug(
        "without_overlap", part="count_pairs", killed_by="test_occurrences_in_runs_overlap",
        edit=(
            COUNT_LOOP,
            "    for word, n in words.items():\n        last = None\n        for pair in pairwise(word):\n"
            "            last = None if pair == last else pair\n            counts[pair] += n if last else 0\n",
        ),
        hint="Occurrences overlap: \"aaa\" holds (\"a\", \"a\") twice.",
    ),
    Bug(
        "last_word_only", part="count_pairs", killed_by="test_the_counts_are_those_of_the_definition",
        edit=(
            COUNT_LOOP,
            "    for word, n in words.items():\n        for pair in pairwise(word):\n"
            "            counts[pair] = n * list(pairwise(word)).count(pair)\n",
        ),
        hint="Counts of one pair in several words must be added.",
    ),
]  # fmt: skip

MERGE_TEST = "        if token == right and merged and merged[-1] == left:\n            merged[-1] = left + right  # longer than `left`, so it is not merged again\n"

MERGE_PAIR = [
    Bug(
        "right_to_left", part="merge_pair", killed_by="test_runs_are_merged_from_the_left",
        edit=[
            ("    for token in tokens:\n        if token == right", "    for token in reversed(tokens):\n        if token == left"),
            ("merged[-1] == left:\n", "merged[-1] == right:\n"),
            ("    return merged\n", "    return merged[::-1]\n"),
        ],
        hint="Merges go from left to right: \"aaa\" becomes \"aa\", \"a\".",
    ),
    Bug(
        "overlapping", part="merge_pair", killed_by="test_runs_are_merged_from_the_left",
        edit=(
            "    for token in tokens:\n" + MERGE_TEST + "        else:\n            merged.append(token)\n",
            "    skip = False\n    for first, second in pairwise([*tokens, b\"\"]):\n        if (first, second) == pair:\n"
            "            merged.append(left + right)\n            skip = True\n        elif skip:\n            skip = False\n"
            "        else:\n            merged.append(first)\n",
        ),
        hint="A token that was merged is used a second time.",
    ),
    Bug(
        "misses_the_end", part="merge_pair", killed_by="test_every_occurrence_is_merged",
        edit=("    return merged\n", "    return [*merged[:-1], left, right] if merged and merged[-1] == left + right else merged\n"),
        hint="The last two tokens are never compared.",
    ),
    Bug(
        "first_occurrence_only", part="merge_pair", killed_by="test_every_occurrence_is_merged",
        edit=("merged and merged[-1] == left:\n", "merged and merged[-1] == left and left + right not in merged:\n"),
        hint="Only the first occurrence is merged.",
    ),
    Bug(
        "matches_inside_tokens", part="merge_pair", killed_by="test_a_pair_matches_whole_tokens",
        edit=(
            MERGE_TEST,
            "        if token == right and merged and merged[-1].endswith(left):\n            merged[-1] += right\n",
        ),
        hint="The pair is looked for in the joined bytes, so it matches across the borders of tokens.",
    ),
    Bug(
        "changes_its_argument", part="merge_pair", killed_by="test_the_argument_stays_as_it_is",
        edit=("    return merged\n", "    tokens[:] = merged\n    return merged\n"),
        hint="The list of tokens that was passed in is changed.",
    ),
]  # fmt: skip

STALE = "            if counts[pair] > 0:\n                heapq.heappush(heap, entry(pair))\n            continue\n"
KEY = 'key = "".join(token.translate(complement).decode("latin-1") + "\\u0100" for token in pair)'
LEFT_OLD = "                        change[word[i - 1], left] -= n\n"
LEFT_NEW = (
    "                        change[word[i - 1], new] += n\n                        places[word[i - 1], new].add(w)\n"
)
OLD_NEIGHBOUR = "(right if word[i - 1] == new else word[i - 1])"
PIECES = "in split_on_special(text, special_tokens):\n            if not is_special:\n"
TEXTS = "    for text in texts:\n"

TRAIN_BPE = [
    Bug(
        "left_neighbour_before_its_own_merge", part="train_bpe", killed_by="test_runs_are_counted_right_after_each_merge",
        edit=(
            LEFT_OLD + LEFT_NEW,
            f"                        before = {OLD_NEIGHBOUR}\n                        change[before, left] -= n\n"
            "                        change[before, new] += n\n                        places[before, new].add(w)\n",
        ),
        hint="Of two merges side by side the second updates the pair with the old left neighbour, which is merged itself.",
    ),
    Bug(
        "adjacent_merges_counted_twice", part="train_bpe", killed_by="test_runs_are_counted_right_after_each_merge",
        edit=(
            "                        change[new, word[i + 2]] += n\n                        places[new, word[i + 2]].add(w)\n",
            "                        after = new if word[i + 2 : i + 4] == [left, right] else word[i + 2]\n"
            "                        change[new, after] += n\n                        places[new, after].add(w)\n",
        ),
        hint="Where two merges are adjacent, the pair between them is counted from both sides.",
    ),
    Bug(
        "subtracts_twice", part="train_bpe", killed_by="test_runs_are_counted_right_after_each_merge",
        edit=(LEFT_OLD, f"                        change[{OLD_NEIGHBOUR}, left] -= n\n"),
        hint="The pair between two adjacent merges is subtracted from both sides; its count can fall below zero.",
    ),
    Bug(
        "runs_counted_without_overlap", part="train_bpe", killed_by="test_runs_are_counted_right_after_each_merge",
        edit=(
            "        for pair in pairwise(word):\n            counts[pair] += frequencies[w]\n",
            "        last = None\n        for pair in pairwise(word):\n            last = None if pair == last else pair\n"
            "            counts[pair] += frequencies[w] if last else 0\n",
        ),
        hint="Occurrences of a pair in a run overlap: \"aaa\" holds (\"a\", \"a\") twice.",
    ),
    Bug(
        "left_pair_not_subtracted", part="train_bpe", killed_by="test_every_merge_is_a_most_frequent_pair",
        edit=(LEFT_OLD, ""),
        hint="A merge also takes occurrences away from the pairs on its left.",
    ),
    Bug(
        "stale_entry_dropped", part="train_bpe", killed_by="test_every_merge_is_a_most_frequent_pair",
        edit=(STALE, "            continue\n"),
        hint="A heap entry with an old count is thrown away; it must go back with the count of now.",
    ),
    Bug(
        "stale_entry_believed", part="train_bpe", killed_by="test_every_merge_is_a_most_frequent_pair",
        edit=("if -negative_count != counts[pair]:", "if counts[pair] <= 0:"),
        hint="A pair is merged on a count that has fallen since.",
    ),
    Bug(
        "frequencies_ignored", part="train_bpe", killed_by="test_every_merge_is_a_most_frequent_pair",
        edit=("frequencies = list(pretokens.values())", "frequencies = [1] * len(pretokens)"),
        hint="Every distinct word counts once, however often it occurs.",
    ),
    Bug(
        "ties_to_the_smallest", part="train_bpe", killed_by="test_ties_go_to_the_greatest_pair",
        edit=("return -counts[pair], key, pair", 'return -counts[pair], "", pair'),
        hint="Ties go to the smallest pair; here they go to the greatest.",
    ),
    Bug(
        "ties_to_the_first_seen", part="train_bpe", killed_by="test_ties_go_to_the_greatest_pair",
        edit=(KEY, "key = str(10**9 + list(counts).index(pair))"),
        hint="Ties go to the pair that was seen first.",
    ),
    Bug(
        "ties_by_id", part="train_bpe", killed_by="test_ties_go_to_the_greatest_pair",
        edit=[("    heap = [entry(pair)", "    merges: list[Pair] = []\n    heap = [entry(pair)"), (
            KEY,
            "learned = [a + b for a, b in merges]\n        key = \"\".join(\n"
            "            chr(0xFFFF - (token[0] if len(token) == 1 else 256 + learned.index(token))) for token in pair\n        )",
        )],
        hint="Ties compare ids; here they compare the byte strings themselves.",
    ),
    Bug(
        "ties_by_joined_bytes", part="train_bpe", killed_by="test_ties_go_to_the_greatest_pair",
        edit=(KEY, 'key = b"".join(pair).translate(complement).decode("latin-1") + "\\u0100"'),
        hint="Ties compare the joined bytes; a pair is compared as a tuple, first token first.",
    ),
    Bug(
        "ties_by_printable_characters", part="train_bpe", killed_by="test_ties_compare_bytes_and_not_characters",
        edit=(
            "complement = bytes(range(255, -1, -1))",
            "shown = [*range(33, 127), *range(161, 173), *range(174, 256)]\n"
            "    order = shown + [b for b in range(256) if b not in shown]\n"
            "    complement = bytes(255 - order.index(b) for b in range(256))",
        ),
        hint="Ties compare GPT-2's printable stand-ins for bytes, which have another order than the bytes.",
    ),
    Bug(
        "merges_pairs_that_are_gone", part="train_bpe", killed_by="test_training_ends_when_no_pair_is_left",
        edit=(STALE, "            heapq.heappush(heap, entry(pair))\n            continue\n"),
        hint="When all pairs are used up, pairs with count zero are merged.",
    ),
    Bug(
        "wants_two_occurrences", part="train_bpe", killed_by="test_training_ends_when_no_pair_is_left",
        edit=("        merges.append(pair)\n        left", "        if counts[pair] < 2:\n            break\n        merges.append(pair)\n        left"),
        hint="Training stops at pairs that occur once; it ends when no pair is left.",
    ),
    Bug(
        "special_tokens_not_in_the_size", part="train_bpe", killed_by="test_vocab_size_counts_bytes_merges_and_special_tokens",
        edit=("n_merges = vocab_size - 256 - len(special_tokens)", "n_merges = vocab_size - 256"),
        hint="vocab_size includes the special tokens.",
    ),
    Bug(
        "bytes_not_in_the_size", part="train_bpe", killed_by="test_vocab_size_counts_bytes_merges_and_special_tokens",
        edit=("n_merges = vocab_size - 256 - len(special_tokens)", "n_merges = vocab_size - len(special_tokens)"),
        hint="vocab_size includes the 256 bytes.",
    ),
    Bug(
        "no_error_for_a_small_size", part="train_bpe", killed_by="test_a_size_that_is_too_small_is_an_error",
        edit=("    if n_merges < 0:\n", "    if False:\n"),
        hint="A vocabulary that cannot hold the bytes and the special tokens is a ValueError.",
    ),
    Bug(
        "special_tokens_first", part="train_bpe", killed_by="test_the_vocabulary_is_bytes_then_merges_then_special_tokens",
        edit=(
            "    tokens = [bytes([b]) for b in range(256)] + [a + b for a, b in merges] + [s.encode() for s in special_tokens]\n",
            "    tokens = [bytes([b]) for b in range(256)] + [s.encode() for s in special_tokens] + [a + b for a, b in merges]\n",
        ),
        hint="Special tokens get the last ids, after the merges.",
    ),
    Bug(
        "special_tokens_sorted", part="train_bpe", killed_by="test_the_vocabulary_is_bytes_then_merges_then_special_tokens",
        edit=("[s.encode() for s in special_tokens]\n    return dict", "[s.encode() for s in sorted(special_tokens)]\n    return dict"),
        hint="Special tokens keep the order in which they are given.",
    ),
    Bug(
        "special_text_counted", part="train_bpe", killed_by="test_special_tokens_cut_the_text_and_count_nothing",
        edit=("            if not is_special:\n                counts.update", "            if piece:\n                counts.update"),
        hint="The text of special tokens adds to the counts.",
    ),
    Bug(
        "special_tokens_not_cut_out", part="train_bpe", killed_by="test_special_tokens_cut_the_text_and_count_nothing",
        edit=("        for piece, is_special " + PIECES, "        for piece, is_special in [(text, False)]:\n            if not is_special:\n"),
        hint="Special tokens in the corpus are trained on as if they were text.",
    ),
    Bug(
        "text_glued_over_special_tokens", part="train_bpe", killed_by="test_special_tokens_cut_the_text_and_count_nothing",
        edit=(
            "        for piece, is_special " + PIECES,
            "        pieces = split_on_special(text, special_tokens)\n"
            "        for piece, is_special in [(\"\".join(p for p, special in pieces if not special), False)]:\n"
            "            if not is_special:\n",
        ),
        hint="Special tokens are deleted, and the texts on their two sides grow together.",
    ),
    Bug(
        "last_text_not_counted", part="train_bpe", killed_by="test_no_pretoken_reaches_from_one_text_into_the_next",
        edit=(TEXTS, "    texts = list(texts)\n    for text in texts[:-1] or texts:\n"),
        hint="The words of the last text are not counted.",
    ),
    Bug(
        "texts_joined", part="train_bpe", killed_by="test_no_pretoken_reaches_from_one_text_into_the_next",
        edit=(TEXTS, '    for text in ["".join(texts)]:\n'),
        hint="The texts are joined, so pretokens and merges reach from one into the next.",
    ),
    Bug(
        "reads_its_corpus_twice", part="train_bpe", killed_by="test_a_corpus_can_be_a_stream_that_is_read_once",
        edit=(TEXTS, "    n_texts = sum(1 for text in texts)\n    for text in texts if n_texts else []:\n"),
        hint="The corpus is iterated twice; an iterator is empty the second time.",
    ),
    Bug(
        "one_text_taken_as_many", part="train_bpe", killed_by="test_one_text_is_a_corpus_of_one",
        edit=("texts = [corpus] if isinstance(corpus, str) else corpus", "texts = corpus"),
        hint="Iterating over a string gives characters, each of which is taken for a text.",
    ),
    Bug(
        "reads_of_4096_characters", part="train_bpe", killed_by="test_a_long_text_is_not_cut",
        edit=(
            TEXTS,
            "    for text in (t[i : i + 4096] for t in texts for i in range(0, len(t), 4096)):\n",
        ),
        hint="A text is cut into blocks of fixed size, and a special token across two blocks is missed.",
    ),
    Bug(
        "line_ends_rewritten", part="train_bpe", killed_by="test_line_ends_are_bytes_like_all_others",
        edit=("        for piece, is_special " + PIECES, "        text = text.replace(\"\\r\\n\", \"\\n\")\n        for piece, is_special " + PIECES),
        hint="\\r\\n is turned into \\n, as open() does in text mode.",
    ),
    Bug(
        "characters_not_bytes", part="train_bpe", killed_by="test_ties_compare_bytes_and_not_characters",
        edit=("words = [[bytes([b]) for b in pretoken.encode()] for", "words = [[c.encode() for c in pretoken] for"),
        hint="A word starts as single bytes; here it starts as characters.",
    ),
    Bug(
        "ties_to_the_last_seen", part="train_bpe", killed_by="test_order_and_repetition_change_nothing",
        edit=(KEY, "key = str(10**9 - list(counts).index(pair))"),
        hint="Ties go to the pair that was seen last, so the order of the texts matters.",
    ),
    Bug(
        "keeps_the_best_candidates_only", part="train_bpe", killed_by="test_a_larger_vocabulary_continues_a_smaller_one",
        edit=("heap = [entry(pair) for pair in counts]", "heap = heapq.nsmallest(n_merges, map(entry, counts))"),
        hint="Only as many pairs are kept as merges are wanted; a pair that was rare can become the most frequent.",
    ),
]  # fmt: skip

BPE_LOOP = (
    "            tokens = [single[b] for b in unit.encode()]\n"
    "            # known[i] is the rank of the pair that starts at token i; the last entry stands for the end.\n"
    "            known = [ranks.get(pair, never) for pair in pairwise(tokens)] + [never]\n"
    "            while (rank := min(known)) < never:\n"
    "                i = known.index(rank)\n"
    "                tokens[i : i + 2] = [new] = [merged[rank]]\n"
    "                del known[i]\n"
    "                if i > 0:\n"
    "                    known[i - 1] = ranks.get((tokens[i - 1], new), never)\n"
    "                if i + 1 < len(tokens):\n"
    "                    known[i] = ranks.get((new, tokens[i + 1]), never)\n"
)
NEXT_RANK = "while (rank := min(known)) < never:"
IMPORT = "Pair = tuple[bytes, bytes]  # two neighbouring tokens\n"
EXTEND = "            ids.extend(chain.from_iterable(map(self.encode_unit, units)))\n"

ENCODE = [
    Bug(
        "leftmost_first", part="encode", killed_by="test_merges_are_applied_in_the_order_in_which_they_were_learned",
        edit=(NEXT_RANK, "while (rank := next((r for r in known if r < never), never)) < never:"),
        hint="The first pair in the text that can be merged is merged, whatever its rank.",
    ),
    Bug(
        "latest_first", part="encode", killed_by="test_merges_are_applied_in_the_order_in_which_they_were_learned",
        edit=(NEXT_RANK, "while (rank := max((r for r in known if r < never), default=never)) < never:"),
        hint="The pair that was learned last is merged first.",
    ),
    Bug(
        "longest_match", part="encode", killed_by="test_merges_are_applied_in_the_order_in_which_they_were_learned",
        edit=(
            BPE_LOOP,
            "            data, tokens = unit.encode(), []\n            while data:\n"
            "                size = max(k for k in range(1, len(data) + 1) if data[:k] in self.ids)\n"
            "                tokens.append(data[:size])\n                data = data[size:]\n",
        ),
        hint="The longest token that fits is taken from the left; BPE applies its merges in order.",
    ),
    Bug(
        "one_merge", part="encode", killed_by="test_merges_are_applied_in_the_order_in_which_they_were_learned",
        edit=(NEXT_RANK, "if (rank := min(known)) < never:"),
        hint="Merging stops after the first pair.",
    ),
    Bug(
        "ranks_by_vocabulary", part="encode", killed_by="test_only_pairs_in_the_merges_are_merged",
        edit=[
            (
                BPE_LOOP,
                "            tokens = [bytes([b]) for b in unit.encode()]\n"
                "            while known := [(self.ids[a + b], (a, b)) for a, b in pairwise(tokens) if a + b in self.ids]:\n"
                "                tokens = merge_pair(tokens, min(known)[1])\n",
            )
        ],
        hint="Two tokens are merged because their bytes joined are in the vocabulary; the pair must be in the merges.",
    ),
    Bug(
        "last_of_equal_merges", part="encode", killed_by="test_of_equal_merges_the_first_counts",
        edit=("ranks.setdefault(pair, rank)", "ranks[pair] = rank"),
        hint="A pair that is twice in the merges gets its last rank.",
    ),
    Bug(
        "special_tokens_split_again", part="encode", killed_by="test_a_special_token_is_one_id",
        edit=(
            "            if unit in self.special_tokens:\n                return [self.ids[unit.encode()]]\n",
            "",
        ),
        hint="A special token is encoded like text.",
    ),
    Bug(
        "special_tokens_skipped", part="encode", killed_by="test_a_special_token_is_one_id",
        edit=("            units = [piece] if is_special else pretokenize(piece)\n", "            units = [] if is_special else pretokenize(piece)\n"),
        hint="Special tokens are left out of the ids.",
    ),
    Bug(
        "new_special_ids_collide", part="encode", killed_by="test_an_unknown_special_token_gets_the_next_free_id",
        edit=("max(self.vocab, default=-1) + 1", "256 + len(self.merges)"),
        hint="The next free id is counted from the merges; special tokens that are in the vocabulary already have it.",
    ),
    Bug(
        "known_special_tokens_added_again", part="encode", killed_by="test_an_unknown_special_token_gets_the_next_free_id",
        edit=("            if token not in self.ids:\n", "            if token:\n"),
        hint="A special token that is in the vocabulary keeps its id.",
    ),
    Bug(
        "new_special_tokens_sorted", part="encode", killed_by="test_an_unknown_special_token_gets_the_next_free_id",
        edit=("        for special in self.special_tokens:\n", "        for special in sorted(self.special_tokens):\n"),
        hint="New special tokens get their ids in the order in which they are given.",
    ),
    Bug(
        "one_cache_for_all", part="encode", killed_by="test_what_was_encoded_before_changes_nothing",
        edit=[
            (IMPORT, IMPORT + "SEEN: dict[str, list[int]] = {}\n"),
            (
                "        self.encode_unit = encode_unit\n",
                "        self.encode_unit = lambda unit: SEEN[unit] if unit in SEEN else SEEN.setdefault(unit, encode_unit(unit))\n",
            ),
        ],
        hint="The cache is shared by all tokenizers, whatever their merges and special tokens.",
    ),
    Bug(
        "cached_list_grows", part="encode", killed_by="test_what_was_encoded_before_changes_nothing",
        edit=(
            EXTEND,
            "            for unit in units:\n                if ids:\n                    ids.extend(self.encode_unit(unit))\n"
            "                else:\n                    ids = self.encode_unit(unit)\n",
        ),
        hint="The ids of the first word are the cached list itself, and those of the others are appended to it.",
    ),
    Bug(
        "text_is_stripped", part="encode", killed_by="test_every_text_comes_back",
        edit=(
            "        ids: list[int] = []\n",
            "        ids: list[int] = []\n        text = text.strip()\n",
        ),
        hint="White space at the ends is lost.",
    ),
    Bug(
        "encode_rewrites_line_ends", part="encode", killed_by="test_every_text_comes_back",
        edit=(
            "        ids: list[int] = []\n",
            "        ids: list[int] = []\n        text = text.replace(\"\\r\\n\", \"\\n\")\n",
        ),
        hint="\\r\\n is turned into \\n.",
    ),
    Bug(
        "merges_across_pretokens", part="encode", killed_by="test_no_merge_crosses_the_border_of_a_pretoken",
        edit=("            units = [piece] if is_special else pretokenize(piece)\n", "            units = [piece]\n"),
        hint="The text is not cut into pretokens, so merges reach across their borders.",
    ),
    Bug(
        "stops_at_two_tokens", part="encode", killed_by="test_a_learned_token_is_one_id",
        edit=(
            "                tokens[i : i + 2] = [new] = [merged[rank]]\n",
            "                tokens[i : i + 2] = [new] = [merged[rank]]\n                if len(tokens) == 2:\n                    break\n",
        ),
        hint="Merging stops at two tokens, so a word never becomes one token.",
    ),
]  # fmt: skip

DECODE_LINE = 'return b"".join(self.vocab[i] for i in ids).decode("utf-8", errors="replace")'

DECODE = [
    Bug(
        "token_by_token", part="decode", killed_by="test_bytes_are_joined_before_they_are_decoded",
        edit=(DECODE_LINE, 'return "".join(self.vocab[i].decode("utf-8", errors="replace") for i in ids)'),
        hint="Every token is decoded alone; a character may be spread over several.",
    ),
    Bug(
        "drops_invalid_bytes", part="decode", killed_by="test_what_is_not_utf8_becomes_u_fffd",
        edit=('errors="replace")\n        ### END', 'errors="ignore")\n        ### END'),
        hint="Bytes that are not UTF-8 are dropped; each such place is U+FFFD.",
    ),
    Bug(
        "latin_1", part="decode", killed_by="test_what_is_not_utf8_becomes_u_fffd",
        edit=(
            DECODE_LINE,
            'data = b"".join(self.vocab[i] for i in ids)\n        try:\n            return data.decode("utf-8")\n'
            '        except UnicodeDecodeError:\n            return data.decode("latin-1")',
        ),
        hint="Bytes that are not UTF-8 are read as Latin-1.",
    ),
    Bug(
        "gpt2_characters_left", part="decode", killed_by="test_every_text_is_decoded",
        edit=(DECODE_LINE, DECODE_LINE + '.replace(" ", "\\u0120")'),
        hint="GPT-2's printable stand-in for the space is left in the text.",
    ),
    Bug(
        "skips_special_tokens", part="decode", killed_by="test_every_text_is_decoded",
        edit=("self.vocab[i] for i in ids).decode", 'self.vocab[i] for i in ids if self.vocab[i].decode(errors="replace") not in self.special_tokens).decode'),
        hint="Special tokens are left out of the text.",
    ),
    Bug(
        "unknown_ids_ignored", part="decode", killed_by="test_an_unknown_id_is_a_key_error",
        edit=("self.vocab[i] for i in ids).decode", 'self.vocab.get(i, b"") for i in ids).decode'),
        hint="An id that is not in the vocabulary is passed over in silence; it is a KeyError.",
    ),
    Bug(
        "negative_ids_from_the_end", part="decode", killed_by="test_an_unknown_id_is_a_key_error",
        edit=("self.vocab[i] for i in ids).decode", "self.vocab[i if i >= 0 else len(self.vocab) + i] for i in ids).decode"),
        hint="A negative id is taken from the end of the vocabulary, as a list does it.",
    ),
]  # fmt: skip

ADD_CHUNK = "            text += chunk\n"
FINISH = "            text = text[sent:]\n        yield from self.encode(text)\n"
YIELD_UNITS = "                yield from chain.from_iterable(map(self.encode_unit, units))\n"

ENCODE_ITERABLE = [
    Bug(
        "chunk_by_chunk", part="encode_iterable", killed_by="test_the_cut_into_chunks_changes_nothing",
        edit=(ADD_CHUNK, "            yield from self.encode(chunk)\n            continue\n"),
        hint="Every chunk is encoded alone, so words are cut at its end.",
    ),
    Bug(
        "line_by_line", part="encode_iterable", killed_by="test_white_space_looks_into_the_next_chunk",
        edit=(
            ADD_CHUNK,
            '            head, newline, text = (text + chunk).rpartition("\\n")\n            yield from self.encode(head + newline)\n            continue\n',
        ),
        hint="A line end is no safe place to cut: the pattern looks beyond it at the next character.",
    ),
    Bug(
        "holds_back_one_pretoken", part="encode_iterable", killed_by="test_a_contraction_may_come_in_pieces",
        edit=("pretokenize(piece[: sure - start])[:-2]", "pretokenize(piece[: sure - start])[:-1]"),
        hint="One pretoken is not enough to hold back: ' and v become 've.",
    ),
    Bug(
        "special_tokens_cut", part="encode_iterable", killed_by="test_a_special_token_may_come_in_pieces",
        edit=("margin = max(map(len, self.special_tokens), default=1) - 1", "margin = 0"),
        hint="A special token that is spread over two chunks is not recognised.",
    ),
    Bug(
        "special_tokens_one_short", part="encode_iterable", killed_by="test_a_special_token_may_come_in_pieces",
        edit=("margin = max(map(len, self.special_tokens), default=1) - 1", "margin = max(0, max(map(len, self.special_tokens), default=2) - 2)"),
        hint="One character too few is held back for special tokens.",
    ),
    Bug(
        "shortest_special_token_decides", part="encode_iterable", killed_by="test_a_special_token_may_come_in_pieces",
        edit=("margin = max(map(len, self.special_tokens), default=1) - 1", "margin = min(map(len, self.special_tokens), default=1) - 1"),
        hint="A special token is taken as soon as it is whole, although a longer one may begin with it.",
    ),
    Bug(
        "encodes_the_settled_text_again", part="encode_iterable", killed_by="test_white_space_looks_into_the_next_chunk",
        edit=[
            (YIELD_UNITS, ""),
            ("            text = text[sent:]\n", "            yield from self.encode(text[:sent])\n            text = text[sent:]\n"),
        ],
        hint="The settled beginning is cut off and pretokenized by itself, where \\s+(?!\\S) no longer sees what follows.",
    ),
    Bug(
        "reads_everything_first", part="encode_iterable", killed_by="test_chunks_are_read_when_they_are_needed",
        edit=("        for chunk in chunks:\n", '        for chunk in ["".join(chunks)]:\n'),
        hint="All chunks are read before the first id comes out.",
    ),
    Bug(
        "yields_lists", part="encode_iterable", killed_by="test_ids_come_one_by_one",
        edit=(YIELD_UNITS, "                yield from map(self.encode_unit, units)\n"),
        hint="Lists of ids come out instead of ids.",
    ),
    Bug(
        "loses_the_end", part="encode_iterable", killed_by="test_the_cut_into_chunks_changes_nothing",
        edit=(FINISH, "            text = text[sent:]\n"),
        hint="What was held back is never encoded.",
    ),
]  # fmt: skip

COMPRESSION_RATIO = [
    Bug(
        "characters_per_token", part="compression_ratio", killed_by="test_it_is_bytes_per_id",
        edit=("len(text.encode()) / len(ids)", "len(text) / len(ids)"),
        hint="Characters are counted instead of bytes.",
    ),
    Bug(
        "upside_down", part="compression_ratio", killed_by="test_it_is_bytes_per_id",
        edit=("len(text.encode()) / len(ids)", "len(ids) / len(text.encode())"),
        hint="The ratio is ids per byte; it is bytes per id.",
    ),
    Bug(
        "one_for_no_text", part="compression_ratio", killed_by="test_the_empty_text_has_ratio_zero",
        edit=("if ids else 0.0", "if ids else 1.0"),
        hint="The ratio of the empty text is 0.0.",
    ),
]  # fmt: skip

SAVE_LOAD = [
    Bug(
        "special_tokens_lost", part="save_load", killed_by="test_special_tokens_are_saved",
        edit=('return cls(vocab, merges, state["special_tokens"])', "return cls(vocab, merges)"),
        hint="The loaded tokenizer does not know its special tokens.",
    ),
    Bug(
        "merges_sorted", part="save_load", killed_by="test_the_loaded_tokenizer_encodes_as_before",
        edit=("for a, b in self.merges],\n", "for a, b in sorted(self.merges)],\n"),
        hint="The merges lose their order, which is their rank.",
    ),
    Bug(
        "bytes_as_utf8", part="save_load", killed_by="test_the_loaded_tokenizer_decodes_as_before",
        edit=[
            ("{i: token.hex() for i, token", '{i: token.decode("utf-8", errors="replace") for i, token'),
            ("{int(i): bytes.fromhex(token) for i, token", "{int(i): token.encode() for i, token"),
        ],
        hint="Tokens are saved as text, which half a character is not.",
    ),
    Bug(
        "not_json", part="save_load", killed_by="test_the_file_is_json",
        edit=[
            ("            json.dump(state, file)\n", "            file.write(repr(state))\n"),
            ("            state = json.load(file)\n", "            state = eval(file.read())\n"),
        ],
        hint="The file is no JSON.",
    ),
    Bug(
        "one_file_for_all", part="save_load", killed_by="test_each_path_is_a_file_of_its_own",
        edit=[
            ('with open(path, "w", encoding="utf-8") as file:', 'with open(os.path.join(os.path.dirname(path), "bpe"), "w") as file:'),
            ('with open(path, encoding="utf-8") as file:', 'with open(os.path.join(os.path.dirname(path), "bpe")) as file:'),
        ],
        hint="The path that is given is not the one that is used.",
    ),
]  # fmt: skip

BUGS = [
    *PRETOKENIZE, *SPLIT_ON_SPECIAL, *COUNT_PAIRS, *MERGE_PAIR, *TRAIN_BPE,
    *ENCODE, *DECODE, *ENCODE_ITERABLE, *COMPRESSION_RATIO, *SAVE_LOAD,
]  # fmt: skip
