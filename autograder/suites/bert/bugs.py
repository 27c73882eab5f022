"""Planted bugs of `bert`: what students get wrong, as edits of the reference, each with the test that must notice."""

from autograder.judge import Bug

_EMBEDDINGS = "BertEmbeddings"
_SUM = "return self.word(input_ids) + self.position(position_ids) + self.segment(segment_ids)"
_NORM = "return self.dropout(self.norm(self.embed_sum(input_ids, segment_ids, position_ids)))"
_SEGMENTS = "segment_ids = torch.zeros_like(input_ids)"
_POSITIONS = "position_ids = torch.arange(t, device=input_ids.device)[None]  # (1, T)"
_CUT = "rows = [list(sequence[:max_len]) for sequence in sequences]"
_FILL = "input_ids = torch.tensor([row + [pad_id] * (t - len(row)) for row in rows], dtype=torch.int64)"
_REAL = "return input_ids, torch.arange(t) < lengths[:, None]"
_MASK = "mask_tokens"
_U = "u = torch.rand(shape, generator=generator, device=device)"
_SPECIAL = "u = u.masked_fill(special_mask, 1.0)"
_OTHER = "other = torch.randint(vocab_size, shape, generator=generator, device=device)"
_RANDOM = "inputs = other.where(u < mlm_prob * (mask_frac + random_frac), input_ids)"
_MASKED = "inputs = inputs.masked_fill(u < mlm_prob * mask_frac, mask_id)"
_LABELS = "return inputs, input_ids.masked_fill(u >= mlm_prob, IGNORE)"
_PAIRS = "sentence_pairs"
_ROOM = "if max_tokens < 2:"
_KEEP_A = "keep_a = max(max_tokens - len(b), (max_tokens + 1) // 2)"
_KEEP_B = "keep_b = max(max_tokens - len(a), max_tokens // 2)"
_TRUNCATED = "return list(a[:keep_a]), list(b[:keep_b])"
_CUT_PAIR = "a, b = truncate_pair(a, b, max_len - 3)"
_PAIR = "return [cls_id, *a, sep_id, *b, sep_id], [0] * (len(a) + 2) + [1] * (len(b) + 1)"
_NSP = "sample_nsp_pairs"
_PAIRWISE = "for a, following in itertools.pairwise(document):"
_HALF = "if rng.random() < 0.5:"
_NEXT = "examples.append(NSPExample(list(a), list(following), 0))"
_DRAW = "j = rng.randrange(len(documents) - 1)"
_OTHER_DOCUMENT = "other = documents[j + (j >= i)]  # skips document i"
_NOT_NEXT = "examples.append(NSPExample(list(a), list(rng.choice(other)), 1))"
_LOSS_TOTAL = 'total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum")'
_LOSS_MEAN = "return total / (labels != IGNORE).sum().clamp(min=1)"
_ATTENTION = "BertSelfAttention"
_HEADS = "project(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)"
_KEYS = "mask = None if attention_mask is None else attention_mask[:, None, None, :]"
_SDPA = "mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)"
_MERGE = "return self.out(mixed.transpose(1, 2).flatten(2))"
_LAYER_ATTENTION = "h = self.attention_norm(x + self.dropout(self.attention(x, attention_mask)))"
_LAYER_FF = "return self.ff_norm(h + self.dropout(self.ff_out(F.gelu(self.ff_in(h)))))"
_MODEL = "BertForPreTraining"
_DECODE = "mlm_logits = F.linear(h, self.embeddings.word.weight, self.mlm_bias)"
_HEAD = "h = self.mlm_norm(F.gelu(self.mlm_dense(x)))"
_HEADS_OUT = "return mlm_logits, self.nsp(self.pooler(x[:, 0]).tanh())"
_LEARNS = "test_the_model_learns_to_fill_in_words"
_ORDER = "test_the_model_learns_which_sentence_is_next"
_BLANK = "probabilities = mlm_logits[0, ids.index(mask_id)].softmax(dim=-1)"

BUGS = [
    # --- BertEmbeddings
    Bug(
        "no_segments",
        part=_EMBEDDINGS,
        killed_by="test_the_sum_is_word_plus_position_plus_segment",
        edit=(_SUM, "return self.word(input_ids) + self.position(position_ids)"),
        hint="The segment embedding is missing from the sum.",
    ),
    Bug(
        "scales_words_by_sqrt_c",
        part=_EMBEDDINGS,
        killed_by="test_the_sum_is_word_plus_position_plus_segment",
        edit=(_SUM, _SUM.replace("self.word(input_ids)", "self.word(input_ids) * self.word.embedding_dim**0.5")),
        hint="Word embeddings are multiplied by sqrt(d_model), a habit of the Transformer and of T5; BERT does not.",
    ),
    Bug(
        "concatenates",
        part=_EMBEDDINGS,
        killed_by="test_the_sum_is_word_plus_position_plus_segment",
        edit=(
            _SUM,
            "parts = self.word(input_ids), self.segment(segment_ids), "
            "self.position(position_ids).expand(len(input_ids), -1, -1)"
            "\n        return torch.cat(parts, dim=-1)[..., :: 3]",
        ),
        hint="The embeddings are concatenated and cut to size; they are added.",
    ),
    Bug(
        "averages_the_three",
        part=_EMBEDDINGS,
        killed_by="test_the_sum_is_word_plus_position_plus_segment",
        edit=(_SUM, _SUM.replace("return ", "return (") + ") / 3"),
        hint="The three embeddings are averaged; they are added.",
    ),
    Bug(
        "ignores_position_ids",
        part=_EMBEDDINGS,
        killed_by="test_the_sum_is_word_plus_position_plus_segment",
        edit=("        if position_ids is None:\n", "        if True:\n"),
        hint="The position ids that are given are ignored.",
    ),
    Bug(
        "segments_default_to_one",
        part=_EMBEDDINGS,
        killed_by="test_positions_count_tokens_and_segments_start_at_zero",
        edit=(_SEGMENTS, "segment_ids = torch.ones_like(input_ids)"),
        hint="Without segment ids every token is of segment 0; here it is of segment 1.",
    ),
    Bug(
        "positions_count_rows",
        part=_EMBEDDINGS,
        killed_by="test_positions_count_tokens_and_segments_start_at_zero",
        edit=(_POSITIONS, "position_ids = torch.arange(len(input_ids), device=input_ids.device)[:, None] % max_len"),
        hint="Positions count the rows of the batch; they must count the tokens along each row.",
    ),
    Bug(
        "positions_start_at_one",
        part=_EMBEDDINGS,
        killed_by="test_positions_count_tokens_and_segments_start_at_zero",
        edit=(_POSITIONS, "position_ids = torch.arange(1, t + 1, device=input_ids.device)[None] % max_len"),
        hint="The first token is at position 1; it must be at position 0.",
    ),
    Bug(
        "norms_each_table",
        part=_EMBEDDINGS,
        killed_by="test_forward_is_the_norm_of_the_sum",
        edit=(
            _NORM,
            "t = input_ids.shape[1]\n"
            "        segments = torch.zeros_like(input_ids) if segment_ids is None else segment_ids\n"
            "        words = self.norm(self.word(input_ids)) + self.norm(self.segment(segments))\n"
            "        return self.dropout(words + self.norm(self.position.weight[:t]))",
        ),
        hint="Each embedding is normalised by itself; the norm comes after the sum.",
    ),
    Bug(
        "no_norm",
        part=_EMBEDDINGS,
        killed_by="test_forward_is_the_norm_of_the_sum",
        edit=(_NORM, "return self.dropout(self.embed_sum(input_ids, segment_ids, position_ids))"),
        hint="The LayerNorm after the sum is missing.",
    ),
    Bug(
        "eps_of_torch",
        part=_EMBEDDINGS,
        killed_by="test_forward_is_the_norm_of_the_sum",
        edit=("self.norm = nn.LayerNorm(d_model, eps=eps)", "self.norm = nn.LayerNorm(d_model)"),
        hint="The norm has torch's own eps of 1e-5; it must be the one that is given.",
    ),
    Bug(
        "padding_is_trained",
        part=_EMBEDDINGS,
        killed_by="test_gradients_reach_every_table_but_not_the_padding",
        edit=(_SUM, _SUM.replace("self.word(input_ids)", "self.word.weight[input_ids]")),
        hint="The table is indexed by hand, so the embedding of the padding gets a gradient: call the nn.Embedding.",
    ),
    Bug(
        "padding_is_token_zero",
        part=_EMBEDDINGS,
        killed_by="test_gradients_reach_every_table_but_not_the_padding",
        edit=(
            "nn.Embedding(vocab_size, d_model, padding_idx=pad_id)",
            "nn.Embedding(vocab_size, d_model, padding_idx=0)",
        ),
        hint="Token 0 is taken for the padding, whatever `pad_id` is.",
    ),
    Bug(
        "positions_are_not_trained",
        part=_EMBEDDINGS,
        killed_by="test_gradients_reach_every_table_but_not_the_padding",
        edit=(
            _SUM,
            _SUM.replace(
                "self.position(position_ids)", "self.position(position_ids).detach() + 0 * self.position(position_ids)"
            ),
        ),
        hint="The position embeddings get no gradient; in BERT they are learned.",
    ),
    Bug(
        "cuts_what_is_too_long",
        part=_EMBEDDINGS,
        killed_by="test_too_long_a_sequence_raises",
        edit=(
            '            raise ValueError(f"{t} tokens, but there are embeddings for only {max_len} positions")',
            "            input_ids, t = input_ids[:, :max_len], max_len",
        ),
        hint="A sequence that is too long is silently cut; it must raise ValueError.",
    ),
    Bug(
        "one_token_too_few",
        part=_EMBEDDINGS,
        killed_by="test_too_long_a_sequence_raises",
        edit=("if t > max_len:", "if t > max_len + 1:"),
        hint="The check of the length is off by one.",
    ),
    Bug(
        "dropout_before_the_norm",
        part=_EMBEDDINGS,
        killed_by="test_dropout_comes_last_and_only_in_training",
        edit=(_NORM, "return self.norm(self.dropout(self.embed_sum(input_ids, segment_ids, position_ids)))"),
        hint="Dropout comes before the norm; it must come after it.",
    ),
    Bug(
        "drops_in_evaluation_too",
        part=_EMBEDDINGS,
        killed_by="test_dropout_comes_last_and_only_in_training",
        edit=(
            _NORM,
            "return F.dropout(self.norm(self.embed_sum(input_ids, segment_ids, position_ids)), self.dropout.p)",
        ),
        hint="F.dropout does not know the mode of the module: dropout acts in evaluation too.",
    ),
    # --- pad_batch
    Bug(
        "pads_on_the_left",
        part="pad_batch",
        killed_by="test_rows_are_filled_up_on_the_right",
        edit=[
            (_FILL, "input_ids = torch.tensor([[pad_id] * (t - len(row)) + row for row in rows], dtype=torch.int64)"),
            (_REAL, "return input_ids, torch.arange(t) >= t - lengths[:, None]"),
        ],
        hint="Rows are filled up on the left; BERT's positions need padding on the right.",
    ),
    Bug(
        "true_means_padding",
        part="pad_batch",
        killed_by="test_rows_are_filled_up_on_the_right",
        edit=(_REAL, "return input_ids, torch.arange(t) >= lengths[:, None]"),
        hint="The mask is the wrong way round: True must mean real.",
    ),
    Bug(
        "pads_with_zero",
        part="pad_batch",
        killed_by="test_rows_are_filled_up_on_the_right",
        edit=(_FILL, _FILL.replace("[pad_id]", "[0]")),
        hint="Rows are filled up with 0 instead of `pad_id`.",
    ),
    Bug(
        "mask_of_integers",
        part="pad_batch",
        killed_by="test_rows_are_filled_up_on_the_right",
        edit=(_REAL, "return input_ids, (torch.arange(t) < lengths[:, None]).long()"),
        hint="The mask holds the numbers 1 and 0; it must be of dtype bool.",
    ),
    Bug(
        "mask_compares_ids",
        part="pad_batch",
        killed_by="test_a_real_token_may_have_the_id_of_the_padding",
        edit=(_REAL, "return input_ids, input_ids != pad_id"),
        hint="The mask is `input_ids != pad_id`, which takes a real token with that id for padding: use the lengths.",
    ),
    Bug(
        "cuts_the_beginning",
        part="pad_batch",
        killed_by="test_too_long_a_sequence_keeps_its_beginning",
        edit=(_CUT, "rows = [list(sequence[-(max_len or len(sequence)) :]) for sequence in sequences]"),
        hint="A sequence that is too long loses its beginning; it must lose its end.",
    ),
    Bug(
        "does_not_cut",
        part="pad_batch",
        killed_by="test_too_long_a_sequence_keeps_its_beginning",
        edit=(_CUT, "rows = [list(sequence) for sequence in sequences]"),
        hint="`max_len` is ignored.",
    ),
    Bug(
        "loses_one_token_too_many",
        part="pad_batch",
        killed_by="test_too_long_a_sequence_keeps_its_beginning",
        edit=(
            "t = max(map(len, rows))\n",
            "t = min(max(map(len, sequences)), max_len or max(map(len, sequences)))\n"
            "    if max_len and len(rows[-1]) == max_len < len(sequences[-1]):\n"
            "        rows[-1] = rows[-1][: max_len - 1]\n",
        ),
        hint="The last sequence that is cut loses one token too many.",
    ),
    Bug(
        "always_max_len_wide",
        part="pad_batch",
        killed_by="test_rows_are_no_longer_than_they_must_be",
        edit=("t = max(map(len, rows))\n", "t = max_len or max(map(len, rows))\n"),
        hint="Rows are filled up to `max_len`; they must end where the longest one ends.",
    ),
    # --- mask_tokens
    Bug(
        "labels_hold_the_changed_tokens",
        part=_MASK,
        killed_by="test_labels_hold_the_original_of_what_was_selected",
        edit=(_LABELS, "return inputs, inputs.masked_fill(u >= mlm_prob, IGNORE)"),
        hint="Labels hold the tokens after masking; they must hold the original ones.",
    ),
    Bug(
        "labels_where_nothing_was_selected",
        part=_MASK,
        killed_by="test_probabilities_of_zero_and_one",
        edit=(_LABELS, "return inputs, input_ids.masked_fill(u < mlm_prob, IGNORE)"),
        hint="-100 stands where tokens were selected; it must stand where they were not.",
    ),
    Bug(
        "labels_everywhere",
        part=_MASK,
        killed_by="test_probabilities_of_zero_and_one",
        edit=(_LABELS, "return inputs, input_ids.masked_fill(special_mask, IGNORE)"),
        hint="Every token has a label, so the loss counts all of them; only selected ones count.",
    ),
    Bug(
        "labels_where_something_changed",
        part=_MASK,
        killed_by="test_all_masks_or_none",
        edit=(_LABELS, "return inputs, input_ids.masked_fill(inputs == input_ids, IGNORE)"),
        hint="A selected token that stays as it is has no label; it counts in the loss all the same.",
    ),
    Bug(
        "edits_its_input",
        part=_MASK,
        killed_by="test_the_input_is_left_alone",
        edit=[
            (
                _RANDOM,
                "inputs = other.where(u < mlm_prob * (mask_frac + random_frac), input_ids)\n"
                "    labels = input_ids.clone()",
            ),
            (_LABELS, "return input_ids.copy_(inputs), labels.masked_fill(u >= mlm_prob, IGNORE)"),
        ],
        hint="The caller's tensor is overwritten.",
    ),
    Bug(
        "masks_special_tokens",
        part=_MASK,
        killed_by="test_special_tokens_are_never_selected",
        edit=(_SPECIAL, "u = u + 0.0"),
        hint="`special_mask` is ignored: [CLS], [SEP] and padding are masked too.",
    ),
    Bug(
        "masks_only_special_tokens",
        part=_MASK,
        killed_by="test_special_tokens_are_never_selected",
        edit=(_SPECIAL, "u = u.masked_fill(~special_mask, 1.0)"),
        hint="`special_mask` is taken the wrong way round: True = never touched.",
    ),
    Bug(
        "labels_for_special_tokens",
        part=_MASK,
        killed_by="test_special_tokens_are_never_selected",
        edit=[
            (
                _SPECIAL,
                "labels = input_ids.masked_fill(u >= mlm_prob, IGNORE)\n    u = u.masked_fill(special_mask, 1.0)",
            ),
            (_LABELS, "return inputs, labels"),
        ],
        hint="Special tokens stay as they are, but some get a label and count in the loss.",
    ),
    Bug(
        "never_token_zero",
        part=_MASK,
        killed_by="test_probabilities_of_zero_and_one",
        edit=(_SPECIAL, "u = u.masked_fill(special_mask | (input_ids == 0), 1.0)"),
        hint="Token 0 is taken for padding and never selected; `special_mask` alone says what is special.",
    ),
    Bug(
        "fifteen_percent_whatever_is_asked",
        part=_MASK,
        killed_by="test_probabilities_of_zero_and_one",
        edit=(_SPECIAL, _SPECIAL + "\n    mlm_prob = 0.15"),
        hint="`mlm_prob` is ignored.",
    ),
    Bug(
        "eighty_percent_whatever_is_asked",
        part=_MASK,
        killed_by="test_all_masks_or_none",
        edit=(_SPECIAL, _SPECIAL + "\n    mask_frac, random_frac = 0.8, 0.1"),
        hint="`mask_frac` and `random_frac` are ignored.",
    ),
    Bug(
        "two_percent_random",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(_RANDOM, "inputs = other.where(u < mlm_prob * (mask_frac + random_frac * (1 - mask_frac)), input_ids)"),
        hint="A tenth of what [MASK] leaves becomes random, 2 % of the selected; it must be a tenth of all selected.",
    ),
    Bug(
        "selects_a_little_too_much",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(_SPECIAL, _SPECIAL + "\n    mlm_prob = mlm_prob + 0.04 * mlm_prob * (1 - mlm_prob)"),
        hint="15.5 % of the tokens are selected where 15 % are asked for.",
    ),
    Bug(
        "a_little_too_much_mask",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(_SPECIAL, _SPECIAL + "\n    mask_frac = mask_frac + 0.0888 * mask_frac * (1 - mask_frac)"),
        hint="81.4 % of the selected tokens become [MASK] where 80 % are asked for.",
    ),
    Bug(
        "a_little_too_much_random",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(_RANDOM, "inputs = other.where(u < mlm_prob * (mask_frac + 1.111 * random_frac), input_ids)"),
        hint="11.1 % of the selected tokens become random where 10 % are asked for.",
    ),
    Bug(
        "half_of_the_rest_is_random",
        part=_MASK,
        killed_by="test_other_shares_than_eighty_ten_ten",
        edit=(_RANDOM, "inputs = other.where(u < mlm_prob * (mask_frac + 0.5 * (1 - mask_frac)), input_ids)"),
        hint="Half of what [MASK] leaves becomes random, whatever `random_frac` is.",
    ),
    Bug(
        "never_keeps_a_token",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(_RANDOM, "inputs = other.where(u < mlm_prob, input_ids)"),
        hint="No selected token stays as it is: the last tenth becomes random too.",
    ),
    Bug(
        "random_overwrites_mask",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(
            _MASKED,
            _MASKED + "\n    again = torch.rand(shape, generator=generator, device=device) < random_frac"
            "\n    inputs = other.where(again & (u < mlm_prob), inputs)",
        ),
        hint="Random tokens are drawn among all selected ones and overwrite some [MASK].",
    ),
    Bug(
        "half_of_all_become_random",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(
            _MASKED,
            _MASKED + "\n    again = torch.rand(shape, generator=generator, device=device) < 0.5"
            "\n    inputs = other.where(again & (u < mlm_prob), inputs)",
        ),
        hint="Half of all selected tokens become random; it is half of those that do not become [MASK].",
    ),
    Bug(
        "every_random_one_is_mask",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(_MASKED, "inputs = inputs.masked_fill(u < mlm_prob * (mask_frac + random_frac), mask_id)"),
        hint="Tokens that should become random become [MASK].",
    ),
    Bug(
        "mask_and_random_swapped",
        part=_MASK,
        killed_by="test_all_masks_or_none",
        edit=(_MASKED, "inputs = inputs.masked_fill(u < mlm_prob * random_frac, mask_id)"),
        hint="`mask_frac` and `random_frac` are swapped.",
    ),
    Bug(
        "share_of_all_tokens",
        part=_MASK,
        killed_by="test_eighty_ten_ten",
        edit=(
            _SPECIAL,
            "mlm_prob = min(mlm_prob * special_mask.numel() / max(int((~special_mask).sum()), 1), 1.0)\n    "
            + _SPECIAL,
        ),
        hint="15 % of all tokens are selected, the special ones counted; it is 15 % of those that may be selected.",
    ),
    Bug(
        "share_of_the_vocabulary",
        part=_MASK,
        killed_by="test_random_tokens_are_uniform_over_the_vocabulary",
        edit=(_OTHER, "other = torch.randint(vocab_size - 1, shape, generator=generator, device=device)"),
        hint="The last token of the vocabulary is never drawn: the upper end of torch.randint is exclusive already.",
    ),
    Bug(
        "random_is_never_token_zero",
        part=_MASK,
        killed_by="test_random_tokens_are_uniform_over_the_vocabulary",
        edit=(_OTHER, "other = torch.randint(1, vocab_size, shape, generator=generator, device=device)"),
        hint="Token 0 is never drawn; a random token is any of the vocabulary.",
    ),
    Bug(
        "random_is_never_the_original",
        part=_MASK,
        killed_by="test_random_tokens_are_uniform_over_the_vocabulary",
        edit=(
            _OTHER,
            "other = (input_ids + torch.randint(1, vocab_size, shape, generator=generator, device=device)) % "
            "vocab_size",
        ),
        hint="The original token is never drawn; a random token may turn out to be the original.",
    ),
    Bug(
        "one_random_token_for_all",
        part=_MASK,
        killed_by="test_random_tokens_are_uniform_over_the_vocabulary",
        edit=(_OTHER, "other = torch.randint(vocab_size, (), generator=generator, device=device).expand(shape)"),
        hint="One random token is drawn and used everywhere; each place draws its own.",
    ),
    Bug(
        "same_places_in_every_row",
        part=_MASK,
        killed_by="test_tokens_are_selected_independently",
        edit=(_U, "u = torch.rand(shape[1:], generator=generator, device=device).expand(shape)"),
        hint="The same places are selected in every row of the batch.",
    ),
    Bug(
        "same_places_in_every_column",
        part=_MASK,
        killed_by="test_tokens_are_selected_independently",
        edit=(_U, "u = torch.rand((shape[0], 1), generator=generator, device=device).expand(shape)"),
        hint="A row is selected as a whole or not at all; each token is selected by itself.",
    ),
    Bug(
        "a_fixed_number_a_row",
        part=_MASK,
        killed_by="test_tokens_are_selected_independently",
        edit=(
            _SPECIAL,
            "rank = u.masked_fill(special_mask, 2.0).argsort(dim=1).argsort(dim=1)\n"
            "    room = torch.rand((shape[0], 1), generator=generator, device=device)\n"
            "    u = ((rank + room) / (~special_mask).sum(dim=1, "
            "keepdim=True).clamp(min=1)).masked_fill(special_mask, 1.0)",
        ),
        hint="Each row has the same share of selected tokens, as in Google's code; here each token is drawn by itself.",
    ),
    Bug(
        "ignores_the_generator",
        part=_MASK,
        killed_by="test_the_generator_decides_everything",
        edit=(_U, "u = torch.rand(shape, device=device)"),
        hint="The selection does not come from `generator`.",
    ),
    Bug(
        "random_tokens_ignore_the_generator",
        part=_MASK,
        killed_by="test_the_generator_decides_everything",
        edit=(_OTHER, "other = torch.randint(vocab_size, shape, device=device)"),
        hint="The random tokens do not come from `generator`.",
    ),
    Bug(
        "a_fixed_seed",
        part=_MASK,
        killed_by="test_the_generator_decides_everything",
        edit=(_U, "generator = torch.Generator(device).manual_seed(0)\n    " + _U),
        hint="The generator that is given is replaced by a fixed seed: every batch is masked alike.",
    ),
    # --- sentence pairs
    Bug(
        "trims_a_where_equal",
        part=_PAIRS,
        killed_by="test_the_longer_sentence_loses_its_last_token_until_both_fit",
        edit=[
            (_KEEP_A, "keep_a = max(max_tokens - len(b), max_tokens // 2)"),
            (_KEEP_B, "keep_b = max(max_tokens - len(a), (max_tokens + 1) // 2)"),
        ],
        hint="Where both are equally long, `a` loses a token; it must be `b`.",
    ),
    Bug(
        "trims_b_first",
        part=_PAIRS,
        killed_by="test_the_longer_sentence_loses_its_last_token_until_both_fit",
        edit=[
            (_KEEP_A, "keep_a = min(len(a), max_tokens - 1)"),
            (_KEEP_B, "keep_b = max_tokens - keep_a"),
        ],
        hint="`b` is cut first, whichever is longer.",
    ),
    Bug(
        "trims_a_first",
        part=_PAIRS,
        killed_by="test_the_longer_sentence_loses_its_last_token_until_both_fit",
        edit=[
            (_KEEP_A, "keep_b = min(len(b), max_tokens - 1)"),
            (_KEEP_B, "keep_a = max_tokens - keep_b"),
        ],
        hint="`a` is cut first, whichever is longer.",
    ),
    Bug(
        "trims_the_beginning",
        part=_PAIRS,
        killed_by="test_the_longer_sentence_loses_its_last_token_until_both_fit",
        edit=(_TRUNCATED, "return list(a[-keep_a:]), list(b[-keep_b:])"),
        hint="Sentences lose their beginnings; they must lose their ends.",
    ),
    Bug(
        "half_of_the_room_for_each",
        part=_PAIRS,
        killed_by="test_the_longer_sentence_loses_its_last_token_until_both_fit",
        edit=[(_KEEP_A, "keep_a = (max_tokens + 1) // 2"), (_KEEP_B, "keep_b = max_tokens // 2")],
        hint="Each sentence gets half of the room, even where the other one leaves some.",
    ),
    Bug(
        "one_token_less_than_there_is_room_for",
        part=_PAIRS,
        killed_by="test_what_fits_is_not_cut",
        edit=(
            "\n    keep_a = max(max_tokens",
            "\n    max_tokens = max(max_tokens - 1, 2)\n    keep_a = max(max_tokens",
        ),
        hint="Sentences that fit exactly lose a token: at most `max_tokens`, not fewer.",
    ),
    Bug(
        "trims_in_place",
        part=_PAIRS,
        killed_by="test_what_fits_is_not_cut",
        edit=(_TRUNCATED, "del a[keep_a:], b[keep_b:]\n    return list(a), list(b)"),
        hint="The caller's lists are cut; return new ones.",
    ),
    Bug(
        "empties_a_sentence",
        part=_PAIRS,
        killed_by="test_no_room_for_one_token_each_raises",
        edit=[
            (_ROOM, "if max_tokens < 0:"),
            (_TRUNCATED, "return list(a[: max(keep_a, 0)]), list(b[: max(keep_b, 0)])"),
        ],
        hint="A sentence is cut to nothing; each keeps at least one token, and where it cannot, ValueError is raised.",
    ),
    Bug(
        "no_sep_at_the_end",
        part=_PAIRS,
        killed_by="test_a_pair_is_cls_a_sep_b_sep",
        edit=(_PAIR, "return [cls_id, *a, sep_id, *b], [0] * (len(a) + 2) + [1] * len(b)"),
        hint="The [SEP] at the end is missing.",
    ),
    Bug(
        "cls_before_both",
        part=_PAIRS,
        killed_by="test_a_pair_is_cls_a_sep_b_sep",
        edit=(_PAIR, _PAIR.replace("sep_id, *b, sep_id", "cls_id, *b, sep_id")),
        hint="[CLS] stands between the sentences; it must be [SEP].",
    ),
    Bug(
        "last_sep_in_segment_zero",
        part=_PAIRS,
        killed_by="test_segment_one_begins_after_the_first_sep",
        edit=(_PAIR, _PAIR.replace("[1] * (len(b) + 1)", "[1] * len(b) + [0]")),
        hint="The last [SEP] is in segment 0; it belongs to segment 1.",
    ),
    Bug(
        "first_sep_in_segment_one",
        part=_PAIRS,
        killed_by="test_segment_one_begins_after_the_first_sep",
        edit=(_PAIR, "return [cls_id, *a, sep_id, *b, sep_id], [0] * (len(a) + 1) + [1] * (len(b) + 2)"),
        hint="The first [SEP] is in segment 1; it belongs to segment 0.",
    ),
    Bug(
        "segments_count_from_one",
        part=_PAIRS,
        killed_by="test_segment_one_begins_after_the_first_sep",
        edit=(_PAIR, "return [cls_id, *a, sep_id, *b, sep_id], [1] * (len(a) + 2) + [2] * (len(b) + 1)"),
        hint="Segments are 1 and 2; they must be 0 and 1.",
    ),
    Bug(
        "forgets_the_specials_in_max_len",
        part=_PAIRS,
        killed_by="test_max_len_counts_the_special_tokens",
        edit=(_CUT_PAIR, "a, b = truncate_pair(a, b, max_len)"),
        hint="The three special tokens are not counted in `max_len`.",
    ),
    Bug(
        "counts_two_specials",
        part=_PAIRS,
        killed_by="test_max_len_counts_the_special_tokens",
        edit=(_CUT_PAIR, "a, b = truncate_pair(a, b, max_len - 2)"),
        hint="There are three special tokens, not two.",
    ),
    Bug(
        "cuts_off_the_last_sep",
        part=_PAIRS,
        killed_by="test_max_len_counts_the_special_tokens",
        edit=(
            _CUT_PAIR + "\n    " + _PAIR,
            "ids = [cls_id, *a, sep_id, *b, sep_id][:max_len]\n"
            "    return ids, ([0] * (len(a) + 2) + [1] * (len(b) + 1))[:max_len]",
        ),
        hint="The finished pair is cut at its end, which loses the last [SEP], and `b` first.",
    ),
    # --- sample_nsp_pairs
    Bug(
        "label_one_is_next",
        part=_NSP,
        killed_by="test_label_zero_is_the_next_sentence",
        edit=[(_NEXT, _NEXT.replace(", 0))", ", 1))")), (_NOT_NEXT, _NOT_NEXT.replace(", 1))", ", 0))"))],
        hint="The labels are swapped: 0 = IsNext, 1 = NotNext.",
    ),
    Bug(
        "labels_are_bools",
        part=_NSP,
        killed_by="test_label_zero_is_the_next_sentence",
        edit=[(_NEXT, _NEXT.replace(", 0))", ", False))")), (_NOT_NEXT, _NOT_NEXT.replace(", 1))", ", True))"))],
        hint="Labels are the ints 0 and 1, not bools.",
    ),
    Bug(
        "b_is_a",
        part=_NSP,
        killed_by="test_label_zero_is_the_next_sentence",
        edit=(_NEXT, "examples.append(NSPExample(list(a), list(a), 0))"),
        hint="`b` is `a` itself; it must be the sentence after it.",
    ),
    Bug(
        "next_but_one",
        part=_NSP,
        killed_by="test_label_zero_is_the_next_sentence",
        edit=(_NEXT, "examples.append(NSPExample(list(a), list(document[-1]), 0))"),
        hint="`b` is the last sentence of the document; it must be the one right after `a`.",
    ),
    Bug(
        "crosses_documents",
        part=_NSP,
        killed_by="test_one_example_for_each_sentence_with_a_next_one",
        edit=(_PAIRWISE, "for a, following in zip(document, [*document[1:], documents[(i + 1) % len(documents)][0]]):"),
        hint="The first sentence of the next document is taken for the one after a document's last.",
    ),
    Bug(
        "the_last_sentence_again",
        part=_NSP,
        killed_by="test_one_example_for_each_sentence_with_a_next_one",
        edit=(_PAIRWISE, "for a, following in zip(document, [*document[1:], document[-1]]):"),
        hint="The last sentence of a document has no next one, so it is no `a`.",
    ),
    Bug(
        "every_second_sentence",
        part=_NSP,
        killed_by="test_one_example_for_each_sentence_with_a_next_one",
        edit=(_PAIRWISE, "for a, following in list(itertools.pairwise(document))[::2]:"),
        hint="Every second sentence is skipped: each that has a next one gives an example.",
    ),
    Bug(
        "random_from_the_same_document",
        part=_NSP,
        killed_by="test_label_one_is_a_sentence_of_another_document",
        edit=(_OTHER_DOCUMENT, "other = document"),
        hint="The random sentence is from the same document; it must be from another one.",
    ),
    Bug(
        "random_from_any_document",
        part=_NSP,
        killed_by="test_label_one_is_a_sentence_of_another_document",
        edit=[(_DRAW, "j = rng.randrange(len(documents))"), (_OTHER_DOCUMENT, "other = documents[j]")],
        hint="The random sentence may be from the same document; exclude that document.",
    ),
    Bug(
        "never_skips_its_own_document",
        part=_NSP,
        killed_by="test_label_one_is_a_sentence_of_another_document",
        edit=(_OTHER_DOCUMENT, "other = documents[j]"),
        hint="The index of the other document does not skip the own one, and never reaches the last.",
    ),
    Bug(
        "only_part_of_the_sentence",
        part=_NSP,
        killed_by="test_label_one_is_a_sentence_of_another_document",
        edit=(_NOT_NEXT, _NOT_NEXT.replace("list(rng.choice(other))", "list(rng.choice(other))[: len(following)]")),
        hint="The random sentence is cut to the length of the next one.",
    ),
    Bug(
        "always_next",
        part=_NSP,
        killed_by="test_half_of_the_pairs_are_random",
        edit=(_HALF, "if rng.random() < 1.5:"),
        hint="No pair is ever random.",
    ),
    Bug(
        "a_third_is_random",
        part=_NSP,
        killed_by="test_half_of_the_pairs_are_random",
        edit=(_HALF, "if rng.random() < 2 / 3:"),
        hint="A third of the pairs is random; it must be half of them.",
    ),
    Bug(
        "two_in_five_are_random",
        part=_NSP,
        killed_by="test_half_of_the_pairs_are_random",
        edit=(_HALF, "if rng.random() < 0.61:"),
        hint="39 % of the pairs are random; it must be half of them.",
    ),
    Bug(
        "in_turns",
        part=_NSP,
        killed_by="test_half_of_the_pairs_are_random",
        edit=(_HALF, "if len(examples) % 2 == int(examples[0].is_random if examples else rng.random() < 0.5):"),
        hint="Next and random pairs take turns; each is drawn by itself.",
    ),
    Bug(
        "a_sentence_of_all_others",
        part=_NSP,
        killed_by="test_first_a_document_is_drawn_then_a_sentence",
        edit=(_OTHER_DOCUMENT, "other = [s for k, d in enumerate(documents) if k != i for s in d][j * 0 :]"),
        hint="A sentence is drawn among those of all other documents, which favours long ones: draw a document first.",
    ),
    Bug(
        "always_the_first_sentence",
        part=_NSP,
        killed_by="test_first_a_document_is_drawn_then_a_sentence",
        edit=(_NOT_NEXT, _NOT_NEXT.replace("rng.choice(other)", "other[0]")),
        hint="The random sentence is always the first of its document.",
    ),
    Bug(
        "always_the_document_after",
        part=_NSP,
        killed_by="test_first_a_document_is_drawn_then_a_sentence",
        edit=(_OTHER_DOCUMENT, "other = documents[(i + 1) % len(documents)]"),
        hint="The random sentence is always from the next document; each other document is equally likely.",
    ),
    Bug(
        "one_document_is_enough",
        part=_NSP,
        killed_by="test_one_document_alone_raises",
        edit=[("if len(documents) < 2:", "if not documents:"), (_HALF, "if len(documents) < 2 or rng.random() < 0.5:")],
        hint="With one document every pair is a next one; it must raise ValueError.",
    ),
    Bug(
        "ignores_rng",
        part=_NSP,
        killed_by="test_the_same_state_gives_the_same_pairs",
        edit=(_HALF, "if random.random() < 0.5:"),
        hint="The labels do not come from `rng`, but from the global generator.",
    ),
    Bug(
        "a_fixed_seed_for_pairs",
        part=_NSP,
        killed_by="test_the_same_state_gives_the_same_pairs",
        edit=(
            "    examples = []\n    for i, document",
            "    examples = []\n    rng = random.Random(0)\n    for i, document",
        ),
        hint="The generator that is given is replaced by a fixed seed.",
    ),
    # --- collate_pairs
    Bug(
        "one_segment_for_both",
        part="collate_pairs",
        killed_by="test_each_row_is_a_padded_pair",
        edit=(
            "pad_batch([segments for _, segments in pairs], 0)",
            "pad_batch([[0] * len(segments) for _, segments in pairs], 0)",
        ),
        hint="The segments of the pairs are lost: every token is of segment 0.",
    ),
    Bug(
        "padding_in_segment_one",
        part="collate_pairs",
        killed_by="test_each_row_is_a_padded_pair",
        edit=("pad_batch([segments for _, segments in pairs], 0)", "pad_batch([segments for _, segments in pairs], 1)"),
        hint="Padding is in segment 1; it belongs to segment 0.",
    ),
    Bug(
        "b_before_a",
        part="collate_pairs",
        killed_by="test_each_row_is_a_padded_pair",
        edit=("max_len=max_len) for a, b, _ in examples]", "max_len=max_len) for b, a, _ in examples]"),
        hint="The two sentences are swapped.",
    ),
    Bug(
        "padding_is_not_special",
        part="collate_pairs",
        killed_by="test_special_mask_is_true_at_cls_sep_and_padding",
        edit=("special_mask = ~attention_mask | (input_ids == cls_id)", "special_mask = (input_ids == cls_id)"),
        hint="`special_mask` is False at the padding, so padding is masked and predicted.",
    ),
    Bug(
        "only_the_last_sep_is_special",
        part="collate_pairs",
        killed_by="test_special_mask_is_true_at_cls_sep_and_padding",
        edit=("| (input_ids == sep_id)", "| ((input_ids == sep_id) & (segment_ids == 1))"),
        hint="The [SEP] between the sentences is not special here; it must be.",
    ),
    Bug(
        "pad_ids_are_special",
        part="collate_pairs",
        killed_by="test_special_mask_is_true_at_cls_sep_and_padding",
        edit=("special_mask = ~attention_mask |", "special_mask = (input_ids == pad_id) |"),
        hint="A real token whose id is `pad_id` counts as special: use the attention mask.",
    ),
    Bug(
        "real_means_not_pad_id",
        part="collate_pairs",
        killed_by="test_attention_mask_is_true_at_real_tokens",
        edit=(
            "special_mask = ~attention_mask",
            "attention_mask = input_ids != pad_id\n    special_mask = ~attention_mask",
        ),
        hint="The mask is `input_ids != pad_id`: a real token with that id is lost.",
    ),
    Bug(
        "attention_mask_hides_specials",
        part="collate_pairs",
        killed_by="test_attention_mask_is_true_at_real_tokens",
        edit=(
            "PairBatch(input_ids, segment_ids, attention_mask, special_mask",
            "PairBatch(input_ids, segment_ids, ~special_mask, special_mask",
        ),
        hint="[CLS] and [SEP] are hidden from attention; they are real tokens.",
    ),
    # --- mlm_loss
    Bug(
        "mean_over_all_positions",
        part="mlm_loss",
        killed_by="test_mean_cross_entropy_over_the_positions_that_count",
        edit=(_LOSS_MEAN, "return total / labels.numel()"),
        hint="The sum is divided by the number of all positions, not of those that count.",
    ),
    Bug(
        "shifts_the_labels",
        part="mlm_loss",
        killed_by="test_mean_cross_entropy_over_the_positions_that_count",
        edit=(
            "    total = F.cross_entropy(",
            "    labels = torch.cat((labels[:, 1:], labels[:, -1:]), dim=1)\n    total = F.cross_entropy(",
        ),
        hint="Labels are shifted, as for a causal model; BERT predicts the token at its own place.",
    ),
    Bug(
        "in_bits",
        part="mlm_loss",
        killed_by="test_mean_cross_entropy_over_the_positions_that_count",
        edit=(_LOSS_MEAN, _LOSS_MEAN + " / 0.6931471805599453"),
        hint="The loss is in bits; it must be in nats.",
    ),
    Bug(
        "sum_instead_of_mean",
        part="mlm_loss",
        killed_by="test_mean_cross_entropy_over_the_positions_that_count",
        edit=(_LOSS_MEAN, "return total"),
        hint="The loss is a sum; it must be the mean over the positions that count.",
    ),
    Bug(
        "token_zero_is_ignored",
        part="mlm_loss",
        killed_by="test_mean_cross_entropy_over_the_positions_that_count",
        edit=(
            _LOSS_TOTAL + "\n    " + _LOSS_MEAN,
            "labels = labels.masked_fill(labels == 0, IGNORE)\n    " + _LOSS_TOTAL + "\n    " + _LOSS_MEAN,
        ),
        hint="Labels of 0 are ignored as if they were padding; only -100 does not count.",
    ),
    Bug(
        "log_of_the_softmax",
        part="mlm_loss",
        killed_by="test_large_logits_do_not_overflow",
        edit=(
            _LOSS_TOTAL,
            "chosen = labels != IGNORE\n"
            "    p = logits.softmax(dim=-1).gather(-1, labels.masked_fill(~chosen, 0)[..., None])[..., 0]\n"
            "    total = -p[chosen].log().sum()",
        ),
        hint="The logarithm of a softmax that has underflowed to 0 is -inf; take log_softmax or F.cross_entropy.",
    ),
    Bug(
        "mean_of_the_means_of_rows",
        part="mlm_loss",
        killed_by="test_every_position_has_the_same_weight",
        edit=(
            _LOSS_TOTAL + "\n    " + _LOSS_MEAN,
            'each = F.cross_entropy(logits.mT, labels, ignore_index=IGNORE, reduction="none").sum(dim=1)\n'
            "    counts = (labels != IGNORE).sum(dim=1)\n"
            "    return (each / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)",
        ),
        hint="The mean is taken in each row and then over rows; every position must have the same weight.",
    ),
    Bug(
        "looks_at_other_positions",
        part="mlm_loss",
        killed_by="test_other_positions_have_no_influence",
        edit=(
            "logits.flatten(0, 1), labels.flatten(), ignore",
            "(logits - logits.mean(dim=1, keepdim=True)).flatten(0, 1), labels.flatten(), ignore",
        ),
        hint="Logits of positions that do not count change the loss.",
    ),
    Bug(
        "nan_where_nothing_counts",
        part="mlm_loss",
        killed_by="test_nothing_selected_is_a_loss_of_zero",
        edit=(_LOSS_MEAN, "return total / (labels != IGNORE).sum()"),
        hint="Where nothing counts, 0 / 0 is NaN; the loss is 0.",
    ),
    Bug(
        "nan_gradient_where_nothing_counts",
        part="mlm_loss",
        killed_by="test_nothing_selected_is_a_loss_of_zero",
        edit=(
            _LOSS_MEAN,
            "return (total / (labels != IGNORE).sum()).nan_to_num(0.0) + 0.0 * (logits.sum() / (labels != "
            "IGNORE).any())",
        ),
        hint="NaN is replaced after it was made, which leaves NaN in the loss or its gradient: never make it.",
    ),
    Bug(
        "loss_is_detached",
        part="mlm_loss",
        killed_by="test_the_gradient_is_softmax_minus_one_hot",
        edit=(_LOSS_MEAN, _LOSS_MEAN.replace("total /", "(total.detach() + 0 * logits.sum()) /")),
        hint="The loss is detached from the graph: its gradient is 0.",
    ),
    Bug(
        "loss_in_float32",
        part="mlm_loss",
        killed_by="test_the_loss_has_the_dtype_of_the_logits",
        edit=(
            "logits.flatten(0, 1), labels.flatten(), ignore",
            "logits.float().flatten(0, 1), labels.flatten(), ignore",
        ),
        hint="The loss is always float32; it must have the dtype of the logits.",
    ),
    # --- BertSelfAttention
    Bug(
        "causal_mask_left_on",
        part=_ATTENTION,
        killed_by="test_matches_torch_without_padding",
        edit=[
            (_KEYS, "t = x.shape[1]\n        mask = torch.ones(t, t, dtype=torch.bool, device=x.device).tril()"),
            (
                "        dropout = self.dropout if self.training",
                "        mask = mask if attention_mask is None else mask & attention_mask[:, None, None, :]\n"
                "        dropout = self.dropout if self.training",
            ),
        ],
        hint="A causal mask is left on: no token sees a later one. BERT reads in both directions.",
    ),
    Bug(
        "causal_where_nothing_is_padded",
        part=_ATTENTION,
        killed_by="test_every_token_sees_both_directions",
        edit=(
            _SDPA,
            "mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask "
            "is None)",
        ),
        hint="Without a mask attention is causal; BERT reads in both directions.",
    ),
    Bug(
        "no_scale",
        part=_ATTENTION,
        killed_by="test_matches_torch_without_padding",
        edit=(_SDPA, _SDPA.replace("dropout_p=dropout", "dropout_p=dropout, scale=1.0")),
        hint="Scores are not divided by sqrt(C / H).",
    ),
    Bug(
        "scales_by_d_model",
        part=_ATTENTION,
        killed_by="test_matches_torch_without_padding",
        edit=(_SDPA, _SDPA.replace("dropout_p=dropout", "dropout_p=dropout, scale=x.shape[-1] ** -0.5")),
        hint="Scores are divided by sqrt(d_model); it must be the square root of the size of one head.",
    ),
    Bug(
        "heads_without_transposing",
        part=_ATTENTION,
        killed_by="test_matches_torch_without_padding",
        edit=(_HEADS, "project(x).reshape(x.shape[0], self.n_heads, x.shape[1], -1)"),
        hint="Reshaping (B, T, C) to (B, H, T, D) at once mixes tokens and heads.",
    ),
    Bug(
        "merges_without_transposing",
        part=_ATTENTION,
        killed_by="test_matches_torch_without_padding",
        edit=(_MERGE, "return self.out(mixed.reshape(x.shape))"),
        hint="The heads are merged without transposing back, which mixes tokens and heads.",
    ),
    Bug(
        "no_output_projection",
        part=_ATTENTION,
        killed_by="test_matches_torch_without_padding",
        edit=(_MERGE, "return mixed.transpose(1, 2).flatten(2)"),
        hint="The projection by `out` is missing.",
    ),
    Bug(
        "padding_over_queries",
        part=_ATTENTION,
        killed_by="test_matches_torch_with_padding_anywhere",
        edit=(
            _KEYS,
            "mask = None if attention_mask is None else attention_mask[:, None, :, None].expand(-1, -1, -1, "
            "x.shape[1])",
        ),
        hint="The mask is laid over queries (rows); it must hide keys (columns).",
    ),
    Bug(
        "true_means_hidden",
        part=_ATTENTION,
        killed_by="test_matches_torch_with_padding_anywhere",
        edit=(_KEYS, "mask = None if attention_mask is None else ~attention_mask[:, None, None, :]"),
        hint="The mask is taken the wrong way round: True = real, may be attended to.",
    ),
    Bug(
        "adds_the_mask",
        part=_ATTENTION,
        killed_by="test_matches_torch_with_padding_anywhere",
        edit=(_KEYS, "mask = None if attention_mask is None else attention_mask[:, None, None, :].to(x.dtype)"),
        hint="1 and 0 are added to the scores, which hides nothing: give a boolean mask, or add -inf.",
    ),
    Bug(
        "hides_both_ways",
        part=_ATTENTION,
        killed_by="test_matches_torch_with_padding_anywhere",
        edit=(
            _MERGE,
            "merged = self.out(mixed.transpose(1, 2).flatten(2))\n"
            "        return merged if attention_mask is None else merged * attention_mask[..., None]",
        ),
        hint="The outputs at padding are set to 0; a query that is padding attends to real tokens like any other.",
    ),
    Bug(
        "ignores_the_mask",
        part=_ATTENTION,
        killed_by="test_padding_has_no_influence_on_real_tokens",
        edit=(_KEYS, "mask = None"),
        hint="The mask is ignored: real tokens attend to padding.",
    ),
    Bug(
        "mask_of_the_first_row",
        part=_ATTENTION,
        killed_by="test_padding_has_no_influence_on_real_tokens",
        edit=(_KEYS, "mask = None if attention_mask is None else attention_mask[:1, None, None, :]"),
        hint="The padding of the first sequence is used for the whole batch.",
    ),
    Bug(
        "drops_weights_in_evaluation_too",
        part=_ATTENTION,
        killed_by="test_dropout_acts_in_training_alone",
        edit=("dropout = self.dropout if self.training else 0.0", "dropout = self.dropout"),
        hint="Attention weights are dropped in evaluation too: F.scaled_dot_product_attention does not know the mode.",
    ),
    Bug(
        "never_drops_weights",
        part=_ATTENTION,
        killed_by="test_dropout_acts_in_training_alone",
        edit=("dropout = self.dropout if self.training else 0.0", "dropout = 0.0"),
        hint="The attention weights do not pass through the dropout in training.",
    ),
    # --- BertLayer
    Bug(
        "pre_norm",
        part="BertLayer",
        killed_by="test_matches_torch_with_the_norms_after_the_sums",
        edit=[
            (_LAYER_ATTENTION, "h = x + self.dropout(self.attention(self.attention_norm(x), attention_mask))"),
            (_LAYER_FF, "return h + self.dropout(self.ff_out(F.gelu(self.ff_in(self.ff_norm(h)))))"),
        ],
        hint="The norms stand before attention and network (pre-norm, as in GPT-2); in BERT they follow the sums.",
    ),
    Bug(
        "gelu_by_tanh",
        part="BertLayer",
        killed_by="test_matches_torch_with_the_norms_after_the_sums",
        edit=(_LAYER_FF, _LAYER_FF.replace("self.ff_in(h))", 'self.ff_in(h), approximate="tanh")')),
        hint="GELU is approximated by tanh, which is off by up to 5e-4; BERT's is exact.",
    ),
    Bug(
        "relu",
        part="BertLayer",
        killed_by="test_matches_torch_with_the_norms_after_the_sums",
        edit=(_LAYER_FF, _LAYER_FF.replace("gelu", "relu")),
        hint="The activation is ReLU; BERT's is GELU.",
    ),
    Bug(
        "one_norm_for_both",
        part="BertLayer",
        killed_by="test_matches_torch_with_the_norms_after_the_sums",
        edit=(_LAYER_FF, _LAYER_FF.replace("self.ff_norm", "self.attention_norm")),
        hint="`attention_norm` is used twice; the second norm is `ff_norm`.",
    ),
    Bug(
        "residual_from_the_input",
        part="BertLayer",
        killed_by="test_matches_torch_with_the_norms_after_the_sums",
        edit=(_LAYER_FF, _LAYER_FF.replace("h + self.dropout", "x + self.dropout")),
        hint="The second residual starts from the layer's input; it starts from the output of the first norm.",
    ),
    Bug(
        "no_second_residual",
        part="BertLayer",
        killed_by="test_dropout_acts_on_both_branches_and_not_on_the_residual",
        edit=(_LAYER_FF, _LAYER_FF.replace("h + self.dropout", "self.dropout")),
        hint="The residual around the feed-forward network is missing.",
    ),
    Bug(
        "drops_the_residual_too",
        part="BertLayer",
        killed_by="test_dropout_acts_on_both_branches_and_not_on_the_residual",
        edit=(_LAYER_ATTENTION, "h = self.attention_norm(self.dropout(x + self.attention(x, attention_mask)))"),
        hint="Dropout is applied to the sum, so the residual is dropped too.",
    ),
    Bug(
        "no_dropout_in_the_network",
        part="BertLayer",
        killed_by="test_dropout_acts_on_both_branches_and_not_on_the_residual",
        edit=(_LAYER_FF, "return self.ff_norm(h + self.ff_out(F.gelu(self.ff_in(h))))"),
        hint="The dropout after the feed-forward network is missing.",
    ),
    Bug(
        "forgets_the_mask",
        part="BertLayer",
        killed_by="test_the_mask_reaches_the_attention",
        edit=(_LAYER_ATTENTION, "h = self.attention_norm(x + self.dropout(self.attention(x)))"),
        hint="The mask is not handed on to the attention.",
    ),
    Bug(
        "second_branch_without_gradient",
        part="BertLayer",
        killed_by="test_gradients_reach_every_weight",
        edit=(
            _LAYER_FF,
            _LAYER_FF.replace(
                "self.ff_out(F.gelu(self.ff_in(h)))",
                "(lambda y: y.detach() + 0 * y)(self.ff_out(F.gelu(self.ff_in(h))))",
            ),
        ),
        hint="The feed-forward network gets no gradient.",
    ),
    # --- BertForPreTraining
    Bug(
        "only_the_first_layer",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=("        for layer in self.layers:\n", "        for layer in self.layers[:1]:\n"),
        hint="Only the first layer is applied.",
    ),
    Bug(
        "every_layer_sees_the_embeddings",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=(
            "        for layer in self.layers:\n            x = layer(x, attention_mask)\n        return x",
            "        y = x\n        for layer in self.layers:\n            y = layer(x, attention_mask)\n"
            "        return y",
        ),
        hint="Every layer is applied to the embeddings; each takes the output of the one before.",
    ),
    Bug(
        "model_forgets_the_mask",
        part=_MODEL,
        killed_by="test_more_padding_changes_nothing",
        edit=("x = layer(x, attention_mask)", "x = layer(x)"),
        hint="The layers do not get the mask: padding is attended to.",
    ),
    Bug(
        "model_forgets_the_segments",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=("x = self.embeddings(input_ids, segment_ids)", "x = self.embeddings(input_ids)"),
        hint="The segment ids are not handed to the embeddings.",
    ),
    Bug(
        "mask_from_the_ids",
        part=_MODEL,
        killed_by="test_segments_default_to_zero_and_tokens_to_real",
        edit=(
            "x = self.embeddings(input_ids, segment_ids)",
            "x = self.embeddings(input_ids, segment_ids)\n        if attention_mask is None:\n"
            "            attention_mask = input_ids != self.config.pad_id\n            attention_mask[:, 0] = True",
        ),
        hint="Without a mask, tokens with the id of the padding are hidden; without a mask every token is real.",
    ),
    Bug(
        "segments_guessed",
        part=_MODEL,
        killed_by="test_segments_default_to_zero_and_tokens_to_real",
        edit=(
            "x = self.embeddings(input_ids, segment_ids)",
            "x = self.embeddings(input_ids, torch.ones_like(input_ids) if segment_ids is None else segment_ids)",
        ),
        hint="Without segment ids every token is of segment 0.",
    ),
    Bug(
        "word_head_without_its_transform",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=(_HEAD, "h = x + 0 * self.mlm_norm(F.gelu(self.mlm_dense(x)))"),
        hint="The word head decodes the encoder's output directly; mlm_dense, GELU and mlm_norm come before.",
    ),
    Bug(
        "word_head_with_tanh_gelu",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=(_HEAD, _HEAD.replace("self.mlm_dense(x))", 'self.mlm_dense(x), approximate="tanh")')),
        hint="GELU is approximated by tanh in the word head; BERT's is exact.",
    ),
    Bug(
        "no_bias_in_the_decoder",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=(_DECODE, "mlm_logits = F.linear(h, self.embeddings.word.weight)"),
        hint="`mlm_bias` is not added.",
    ),
    Bug(
        "untied_decoder",
        part=_MODEL,
        killed_by="test_the_decoder_is_the_word_embedding",
        edit=[
            (
                "                nn.init.zeros_(parameter)\n",
                "                nn.init.zeros_(parameter)\n"
                "        self.decoder = [self.embeddings.word.weight.detach().clone()]\n",
            ),
            (_DECODE, "mlm_logits = F.linear(h, self.decoder[0].to(h), self.mlm_bias)"),
        ],
        hint="The decoder has a matrix of its own; it must be the word embedding itself.",
    ),
    Bug(
        "tied_without_gradient",
        part=_MODEL,
        killed_by="test_the_decoder_is_the_word_embedding",
        edit=(_DECODE, "mlm_logits = F.linear(h, self.embeddings.word.weight.detach(), self.mlm_bias)"),
        hint="The word embedding gets no gradient from the decoder: it is used as a copy.",
    ),
    Bug(
        "pools_the_last_token",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=(_HEADS_OUT, "return mlm_logits, self.nsp(self.pooler(x[:, -1]).tanh())"),
        hint="The sentence head reads the last token; it must read [CLS], the first.",
    ),
    Bug(
        "pools_the_mean",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=(_HEADS_OUT, "return mlm_logits, self.nsp(self.pooler(x.mean(dim=1)).tanh())"),
        hint="The sentence head reads the mean over tokens; it must read [CLS], the first.",
    ),
    Bug(
        "no_tanh_in_the_pooler",
        part=_MODEL,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=(_HEADS_OUT, "return mlm_logits, self.nsp(self.pooler(x[:, 0]))"),
        hint="The tanh after the pooler is missing.",
    ),
    Bug(
        "model_is_causal",
        part=_MODEL,
        killed_by="test_the_first_token_depends_on_the_last_and_the_last_on_the_first",
        edit=(_SDPA, "mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)"),
        hint="Attention is causal: the first token never sees the last.",
    ),
    Bug(
        "logits_in_float32",
        part=_MODEL,
        killed_by="test_it_computes_in_the_dtype_of_its_weights",
        edit=(
            _HEADS_OUT,
            "return mlm_logits.to(torch.promote_types(x.dtype, torch.float32)), self.nsp(self.pooler(x[:, 0]).tanh())",
        ),
        hint="Logits come back in float32 from a model in bfloat16.",
    ),
    # --- train_mlm
    Bug(
        "never_updates_the_weights",
        part="train_mlm",
        killed_by=_LEARNS,
        edit=("        optimizer.step()\n", ""),
        hint="The weights never change: optimizer.step() is missing.",
    ),
    Bug(
        "climbs_the_loss",
        part="train_mlm",
        killed_by=_LEARNS,
        edit=("        loss.backward()\n", "        (-loss).backward()\n"),
        hint="The loss is maximised.",
    ),
    Bug(
        "shows_the_answers",
        part="train_mlm",
        killed_by=_LEARNS,
        edit=("= model(inputs.to(device), batch", "= model(batch.input_ids.to(device), batch"),
        hint="The model is given the unmasked tokens, so it learns to copy: give it `inputs`.",
    ),
    Bug(
        "the_same_batch_again",
        part="train_mlm",
        killed_by=_LEARNS,
        edit=(
            "    for step, batch in enumerate(itertools.islice(batches(), steps), start=1):",
            "    for step, batch in enumerate(itertools.repeat(next(batches()), steps), start=1):\n"
            "        generator = torch.Generator().manual_seed(0)",
        ),
        hint="One batch with one mask is learnt by heart; each step takes a new one.",
    ),
    Bug(
        "masks_special_tokens_in_training",
        part="train_mlm",
        killed_by=_LEARNS,
        edit=("special_mask=batch.special_mask,", "special_mask=~batch.special_mask,"),
        hint="`special_mask` is the wrong way round: only [CLS], [SEP] and padding are masked.",
    ),
    Bug(
        "learning_rate_stays_at_zero",
        part="train_mlm",
        killed_by=_LEARNS,
        edit=("(step + 1) / warm_up, (steps - step) / max(steps - warm_up, 1)", "step // warm_up, 0.02"),
        hint="The learning rate hardly leaves 0: check the schedule.",
    ),
    Bug(
        "forgets_the_sentence_loss",
        part="train_mlm",
        killed_by=_ORDER,
        edit=(" + F.cross_entropy(nsp_logits, batch.nsp_labels.to(device))", " + 0 * nsp_logits.sum()"),
        hint="The loss of the sentence labels is missing.",
    ),
    Bug(
        "sentence_labels_swapped",
        part="train_mlm",
        killed_by=_ORDER,
        edit=(
            "F.cross_entropy(nsp_logits, batch.nsp_labels.to(device))",
            "F.cross_entropy(nsp_logits, 1 - batch.nsp_labels.to(device))",
        ),
        hint="The sentence labels are swapped: 1 = random.",
    ),
    Bug(
        "sentence_labels_of_another_batch",
        part="train_mlm",
        killed_by=_ORDER,
        edit=(
            "F.cross_entropy(nsp_logits, batch.nsp_labels.to(device))",
            "F.cross_entropy(nsp_logits, batch.nsp_labels.to(device).roll(1))",
        ),
        hint="Sentence labels and rows do not belong together.",
    ),
    Bug(
        "weights_from_the_global_generator",
        part="train_mlm",
        killed_by="test_the_same_generator_gives_the_same_model",
        edit=(
            "model = BertForPreTraining(config, generator).to(device)",
            "model = BertForPreTraining(config).to(device)",
        ),
        hint="The initial weights do not come from `generator`.",
    ),
    Bug(
        "masks_from_the_global_generator",
        part="train_mlm",
        killed_by="test_the_same_generator_gives_the_same_model",
        edit=("special_mask=batch.special_mask,\n            generator=generator,", "special_mask=batch.special_mask,"),
        hint="The masks do not come from `generator`.",
    ),
    Bug(
        "pairs_from_the_global_generator",
        part="train_mlm",
        killed_by="test_the_same_generator_gives_the_same_model",
        edit=(
            "rng = random.Random(int(torch.randint(2**62, (), generator=generator)))",
            "rng = random.Random(int(torch.randint(2**62, ())))",
        ),
        hint="The pairs and their order do not come from `generator`.",
    ),
    Bug(
        "tells_nobody",
        part="train_mlm",
        killed_by="test_every_step_is_told",
        edit=("        if on_step is not None:\n", "        if on_step is not None and step == steps:\n"),
        hint="`on_step` is called once, at the end; it is called after each step.",
    ),
    Bug(
        "steps_count_from_zero",
        part="train_mlm",
        killed_by="test_every_step_is_told",
        edit=("on_step(step, model)", "on_step(step - 1, model)"),
        hint="Steps are counted from 0; the first is 1.",
    ),
    # --- fill_mask
    Bug(
        "worst_first",
        part="fill_mask",
        killed_by="test_the_best_words_with_their_probabilities",
        edit=(
            "best = probabilities.topk(min(k, len(probabilities)))",
            "best = probabilities.topk(min(k, len(probabilities)), largest=False)",
        ),
        hint="The least probable words are returned.",
    ),
    Bug(
        "probabilities_over_the_best_alone",
        part="fill_mask",
        killed_by="test_the_best_words_with_their_probabilities",
        edit=("zip(best.values.tolist(), best", "zip((best.values / best.values.sum()).tolist(), best"),
        hint="Probabilities are normalised over the k best; they are over the whole vocabulary.",
    ),
    Bug(
        "logits_for_probabilities",
        part="fill_mask",
        killed_by="test_the_best_words_with_their_probabilities",
        edit=(_BLANK, "probabilities = mlm_logits[0, ids.index(mask_id)]"),
        hint="Logits are returned; they must go through a softmax.",
    ),
    Bug(
        "one_place_too_early",
        part="fill_mask",
        killed_by="test_the_best_words_with_their_probabilities",
        edit=(_BLANK, _BLANK.replace("ids.index(mask_id)", "ids.index(mask_id) - 1")),
        hint="The logits before the blank are used, as for a causal model; BERT answers at the blank itself.",
    ),
    Bug(
        "no_cls",
        part="fill_mask",
        killed_by="test_the_model_sees_the_text_between_cls_and_sep",
        edit=('ids = [tokenizer.id("[CLS]"), *tokenizer', "ids = [*tokenizer"),
        hint="[CLS] is missing before the text.",
    ),
    Bug(
        "no_sep",
        part="fill_mask",
        killed_by="test_the_model_sees_the_text_between_cls_and_sep",
        edit=('encode(text), tokenizer.id("[SEP]")]', "encode(text)]"),
        hint="[SEP] is missing after the text.",
    ),
    Bug(
        "asks_in_training_mode",
        part="fill_mask",
        killed_by="test_the_model_is_asked_in_evaluation_mode",
        edit=("    model.eval()\n", ""),
        hint="The model is not put into evaluation mode: dropout changes its answers.",
    ),
    Bug(
        "leaves_evaluation_mode_on",
        part="fill_mask",
        killed_by="test_the_model_is_asked_in_evaluation_mode",
        edit=("        model.train(training)\n", "        pass\n"),
        hint="The model stays in evaluation mode; it must be in its own mode afterwards.",
    ),
    Bug(
        "ends_in_training_mode",
        part="fill_mask",
        killed_by="test_the_model_is_asked_in_evaluation_mode",
        edit=("        model.train(training)\n", "        model.train()\n"),
        hint="The model is put into training mode afterwards, whatever it was before.",
    ),
    Bug(
        "fills_the_first_of_several",
        part="fill_mask",
        killed_by="test_no_blank_or_several_raise",
        edit=("if ids.count(mask_id) != 1:", "if ids.count(mask_id) < 1:"),
        hint="A text with several blanks must raise ValueError.",
    ),
]
