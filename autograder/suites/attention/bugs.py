"""Planted bugs of `attention`: edits of the reference, each with the test that must notice."""

from __future__ import annotations

from autograder.judge import Bug

_SOFTMAX = "weights = (x - x.amax(dim, keepdim=True)).exp()"
_SDPA = "scaled_dot_product_attention"
_SCALE = "scale = 1 / math.sqrt(d_k) if scale is None else scale"
_SCORES = "scores = q @ k.mT * scale  # (..., q_len, k_len)"
_MASKED = "softmax(scores.masked_fill(some & ~mask, -math.inf), dim=-1)"
_OUT = "return weights.masked_fill(~mask, 0.0) @ v"
_SPLIT = "x.unflatten(-1, (n_heads, -1)).transpose(1, 2)"
_MERGE = "x.transpose(1, 2).flatten(2)"
_LAYER = "CausalSelfAttention"
_LAYER_MASK = "mask = causal_mask(x.shape[1], device=x.device)  # (T, T)"
_PADDING = "mask = mask & key_padding_mask[:, None, None, :]"
_ROPE = "return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2).to(x.dtype)"
_STOP = "stop = min(i + block_size, q_len) + k_len - q_len if causal else k_len"
_COPY_LOSS = "F.cross_entropy(logits[:, length - 1 : -1].flatten(0, 1), tokens[:, length:].flatten())"

BUGS = [
    # --- softmax
    Bug(
        "no_maximum_subtracted",
        part="softmax",
        killed_by="test_extreme_inputs_stay_finite",
        edit=(_SOFTMAX, "weights = x.exp()"),
        hint="exp overflows: subtract the maximum along `dim` first.",
    ),
    Bug(
        "maximum_of_the_whole_tensor",
        part="softmax",
        killed_by="test_each_slice_has_its_own_maximum",
        edit=(_SOFTMAX, "weights = (x - x.max()).exp()"),
        hint="The maximum of the whole tensor is subtracted, so a slice far below it becomes 0 / 0.",
    ),
    Bug(
        "always_the_last_dimension",
        part="softmax",
        killed_by="test_matches_the_definition_along_every_dimension",
        edit=[
            (_SOFTMAX, "weights = (x - x.amax(-1, keepdim=True)).exp()"),
            ("weights.sum(dim, keepdim=True)", "weights.sum(-1, keepdim=True)"),
        ],
        hint="`dim` is ignored: the softmax always runs along the last dimension.",
    ),
    Bug(
        "computes_in_float32",
        part="softmax",
        killed_by="test_computes_in_the_dtype_of_its_input",
        edit=[
            (_SOFTMAX, "weights = (x - x.amax(dim, keepdim=True)).float().exp()"),
            (
                "return weights / weights.sum(dim, keepdim=True)",
                "return (weights / weights.sum(dim, keepdim=True)).to(x.dtype)",
            ),
        ],
        hint="Everything is cast to float32, so float64 input loses half of its digits.",
    ),
    Bug(
        "edits_its_input",
        part="softmax",
        killed_by="test_softmax_leaves_its_input_alone",
        edit=(_SOFTMAX, "x.data.sub_(x.data.amax(dim, keepdim=True))\n    weights = x.exp()"),
        hint="The maximum is subtracted in place, from the caller's tensor.",
    ),
    Bug(
        "cuts_off_small_entries",
        part="softmax",
        killed_by="test_an_entry_of_minus_infinity_gets_weight_zero",
        edit=(_SOFTMAX, "weights = (x - x.amax(dim, keepdim=True)).clamp(min=-20).exp()"),
        hint="Entries are clamped, so that -inf still gets some weight.",
    ),
    Bug(
        "adds_an_epsilon_to_the_sum",
        part="softmax",
        killed_by="test_matches_the_definition_along_every_dimension",
        edit=(
            "return weights / weights.sum(dim, keepdim=True)",
            "return weights / (weights.sum(dim, keepdim=True) + 1e-6)",
        ),
        hint="An epsilon in the denominator: the weights no longer sum to 1. The sum is at least 1, so none is needed.",
    ),
    # --- causal_mask
    Bug(
        "hides_the_token_itself",
        part="causal_mask",
        killed_by="test_square_is_the_lower_triangle_with_its_diagonal",
        edit=(".tril(k_len - q_len)", ".tril(k_len - q_len - 1)"),
        hint="The diagonal is missing: a token may attend to itself.",
    ),
    Bug(
        "shows_the_next_token",
        part="causal_mask",
        killed_by="test_square_is_the_lower_triangle_with_its_diagonal",
        edit=(".tril(k_len - q_len)", ".tril(k_len - q_len + 1)"),
        hint="Off by one: each query also sees the next token.",
    ),
    Bug(
        "true_means_hidden",
        part="causal_mask",
        killed_by="test_square_is_the_lower_triangle_with_its_diagonal",
        edit=(".tril(k_len - q_len)", ".tril(k_len - q_len).logical_not()"),
        hint="The mask is the wrong way round: True must mean may attend.",
    ),
    Bug(
        "upper_triangle",
        part="causal_mask",
        killed_by="test_square_is_the_lower_triangle_with_its_diagonal",
        edit=(".tril(k_len - q_len)", ".triu(k_len - q_len)"),
        hint="That is the upper triangle: queries are rows, keys are columns, and the past is to the left.",
    ),
    Bug(
        "aligned_at_the_top_left",
        part="causal_mask",
        killed_by="test_more_keys_are_aligned_at_the_bottom_right",
        edit=(".tril(k_len - q_len)", ".tril()"),
        hint="The triangle starts at the top left; with more keys than queries it must end at the bottom right.",
    ),
    Bug(
        "numbers_instead_of_bools",
        part="causal_mask",
        killed_by="test_it_is_boolean",
        edit=("dtype=torch.bool, device=device)", "device=device)"),
        hint="The mask holds the numbers 1.0 and 0.0; it must be of dtype bool.",
    ),
    Bug(
        "never_an_empty_row",
        part="causal_mask",
        killed_by="test_fewer_keys_leave_the_first_queries_empty",
        edit=(".tril(k_len - q_len)", ".tril(max(k_len - q_len, 0))"),
        hint="With fewer keys than queries the offset k_len - q_len is negative, and the first rows are empty.",
    ),
    Bug(
        "offset_with_the_wrong_sign",
        part="causal_mask",
        killed_by="test_the_past_grows_by_one_key_a_query",
        edit=(".tril(k_len - q_len)", ".tril(q_len - k_len)"),
        hint="The offset of the diagonal is k_len - q_len; here it has the other sign.",
    ),
    # --- scaled_dot_product_attention
    Bug(
        "scales_by_d_k",
        part=_SDPA,
        killed_by="test_scores_are_divided_by_the_square_root_of_d_k",
        edit=("1 / math.sqrt(d_k)", "1 / d_k"),
        hint="Scores are divided by d_k, not by its square root.",
    ),
    Bug(
        "scales_by_d_v",
        part=_SDPA,
        killed_by="test_scores_are_divided_by_the_square_root_of_d_k",
        edit=("1 / math.sqrt(d_k)", "1 / math.sqrt(v.shape[-1])"),
        hint="Scores are divided by the square root of d_v; it is the length of a query that counts.",
    ),
    Bug(
        "scales_by_d_model",
        part=_SDPA,
        killed_by="test_scores_are_divided_by_the_square_root_of_d_k",
        edit=("1 / math.sqrt(d_k)", "1 / math.sqrt(d_k * (q.shape[-3] if q.dim() == 4 else 1))"),
        hint="With several heads, scores are divided by sqrt(d_model); it must be sqrt(d_k), the size of one head.",
    ),
    Bug(
        "does_not_scale",
        part=_SDPA,
        killed_by="test_scores_are_divided_by_the_square_root_of_d_k",
        edit=("1 / math.sqrt(d_k)", "1.0"),
        hint="Scores are not divided by sqrt(d_k).",
    ),
    Bug(
        "scale_of_zero_is_no_scale",
        part=_SDPA,
        killed_by="test_scale_replaces_the_default",
        edit=(_SCALE, "scale = scale or 1 / math.sqrt(d_k)"),
        hint="`scale or ...` takes 0.0 for None: ask `if scale is None`.",
    ),
    Bug(
        "ignores_scale",
        part=_SDPA,
        killed_by="test_scale_replaces_the_default",
        edit=(_SCALE, "scale = 1 / math.sqrt(d_k)"),
        hint="`scale` is ignored.",
    ),
    Bug(
        "scale_on_top_of_the_default",
        part=_SDPA,
        killed_by="test_scale_replaces_the_default",
        edit=(_SCALE, "scale = 1 / math.sqrt(d_k) * (1.0 if scale is None else scale)"),
        hint="`scale` replaces 1 / sqrt(d_k); it is not multiplied with it.",
    ),
    Bug(
        "softmax_over_queries",
        part=_SDPA,
        killed_by="test_matches_the_definition",
        edit=[
            ("return softmax(scores, dim=-1) @ v", "return softmax(scores, dim=-2) @ v"),
            (_MASKED, _MASKED.replace("dim=-1", "dim=-2")),
        ],
        hint="The softmax runs over queries (dim -2); the weights of one query over all keys must sum to 1 (dim -1).",
    ),
    Bug(
        "masks_after_the_softmax",
        part=_SDPA,
        killed_by="test_true_in_the_mask_means_may_attend",
        edit=(_MASKED, "softmax(scores, dim=-1)"),
        hint="The mask is applied after the softmax, so the remaining weights do not sum to 1.",
    ),
    Bug(
        "masks_with_a_tiny_number",
        part=_SDPA,
        killed_by="test_true_in_the_mask_means_may_attend",
        edit=[
            ("some & ~mask, -math.inf)", "some & ~mask, -1e-9)"),
            (_OUT, "return weights.masked_fill(~some, 0.0) @ v"),
        ],
        hint="Masked scores are set to -1e-9, nearly zero, which hides nothing: use -inf.",
    ),
    Bug(
        "masks_with_zero",
        part=_SDPA,
        killed_by="test_true_in_the_mask_means_may_attend",
        edit=[("some & ~mask, -math.inf)", "some & ~mask, 0.0)"), (_OUT, "return weights.masked_fill(~some, 0.0) @ v")],
        hint="Masked scores are set to 0, and exp(0) is 1: use -inf.",
    ),
    Bug(
        "masks_with_minus_ten_thousand",
        part=_SDPA,
        killed_by="test_large_scores_neither_overflow_nor_unmask",
        edit=[
            ("some & ~mask, -math.inf)", "some & ~mask, -1e4)"),
            (_OUT, "return weights.masked_fill(~some, 0.0) @ v"),
        ],
        hint="Masked scores are set to -1e4; where the others score lower than that, the mask opens. Use -inf.",
    ),
    Bug(
        "multiplies_the_mask_by_infinity",
        part=_SDPA,
        killed_by="test_true_in_the_mask_means_may_attend",
        edit=(_MASKED, "softmax(scores + (some & ~mask) * -math.inf, dim=-1)"),
        hint="0 * -inf is NaN: fill with -inf where the mask is False instead of multiplying.",
    ),
    Bug(
        "adds_a_finite_number",
        part=_SDPA,
        killed_by="test_masked_keys_and_values_have_no_influence",
        edit=[
            (_MASKED, "softmax(scores + (some & ~mask) * -1e9, dim=-1)"),
            (_OUT, "return weights.masked_fill(~some, 0.0) @ v"),
        ],
        hint="-1e9 is added to masked scores, so a score large enough comes through: replace the score by -inf.",
    ),
    Bug(
        "mask_the_wrong_way_round",
        part=_SDPA,
        killed_by="test_true_in_the_mask_means_may_attend",
        edit=(
            "    some = mask.any(dim=-1, keepdim=True)",
            "    mask = ~mask\n    some = mask.any(dim=-1, keepdim=True)",
        ),
        hint="True means may attend; here it means hidden, as in nn.MultiheadAttention.",
    ),
    Bug(
        "no_mask_means_causal",
        part=_SDPA,
        killed_by="test_matches_the_definition",
        edit=(
            "        return softmax(scores, dim=-1) @ v\n",
            "        mask = causal_mask(q.shape[-2], k.shape[-2], device=q.device)\n",
        ),
        hint="Without a mask every query sees every key; a causal mask has to be asked for.",
    ),
    Bug(
        "one_mask_for_the_whole_batch",
        part=_SDPA,
        killed_by="test_masks_are_broadcast",
        edit=(
            "    some = mask.any(dim=-1, keepdim=True)",
            "    mask = mask.reshape(-1, *mask.shape[-2:])[0]\n    some = mask.any(dim=-1, keepdim=True)",
        ),
        hint="Only the mask of the first sequence is used, for the whole batch.",
    ),
    Bug(
        "edits_the_queries",
        part=_SDPA,
        killed_by="test_attention_leaves_its_inputs_alone",
        edit=(_SCORES, "q.data.mul_(scale)\n    scores = q @ k.mT"),
        hint="The queries are scaled in place, in the caller's tensor.",
    ),
    Bug(
        "attention_in_float32",
        part=_SDPA,
        killed_by="test_matches_the_definition",
        edit=(_SCORES, "scores = (q.float() @ k.float().mT * scale).to(q.dtype)"),
        hint="Scores are computed in float32, so float64 input loses half of its digits.",
    ),
    Bug(
        "weights_are_detached",
        part=_SDPA,
        killed_by="test_gradients_stop_at_the_mask",
        edit=(_MASKED, _MASKED + ".detach() + 0 * scores.masked_fill(~mask, 0.0)"),
        hint="No gradient reaches q and k: the weights are detached from the graph.",
    ),
    Bug(
        "half_precision_comes_back_in_float32",
        part=_SDPA,
        killed_by="test_half_precision_stays_half_precision",
        edit=(
            "    d_k = q.shape[-1]\n",
            "    d_k = q.shape[-1]\n    q, k, v = (x.float() if x.element_size() == 2 else x for x in (q, k, v))\n",
        ),
        hint="Half precision comes back as float32: the result has the dtype of q.",
    ),
    # --- fully masked rows
    Bug(
        "nan_where_nothing_is_allowed",
        part="fully_masked_rows",
        killed_by="test_a_query_with_nothing_to_attend_to_gets_zeros",
        edit=[("some & ~mask, -math.inf)", "~mask, -math.inf)"), (_OUT, "return weights @ v")],
        hint="The softmax of a row of -inf is NaN; a query that may attend to nothing gets zeros.",
    ),
    Bug(
        "mean_where_nothing_is_allowed",
        part="fully_masked_rows",
        killed_by="test_a_query_with_nothing_to_attend_to_gets_zeros",
        edit=[("some & ~mask, -math.inf)", "~mask, torch.finfo(scores.dtype).min)"), (_OUT, "return weights @ v")],
        hint="A finite fill makes a fully masked row uniform: it gets the mean of all values instead of zeros.",
    ),
    Bug(
        "empty_rows_see_everything",
        part="fully_masked_rows",
        killed_by="test_a_query_with_nothing_to_attend_to_gets_zeros",
        edit=(_OUT, "return weights @ v"),
        hint="A query whose row of the mask is False throughout attends as if there were no mask.",
    ),
    Bug(
        "one_empty_row_empties_the_sequence",
        part="fully_masked_rows",
        killed_by="test_other_queries_are_as_without_it",
        edit=(_OUT, "return weights.masked_fill(~mask, 0.0) @ v * some.all(dim=-2, keepdim=True)"),
        hint="One query that may attend to nothing sets the outputs of its whole sequence to zero.",
    ),
    Bug(
        "nan_gradient_where_nothing_is_allowed",
        part="fully_masked_rows",
        killed_by="test_gradients_stay_finite",
        edit=[
            (_MASKED, "softmax(scores + torch.zeros_like(scores).masked_fill(~mask, -math.inf), dim=-1)"),
            (_OUT, "return weights.nan_to_num(0.0) @ v"),
        ],
        hint="NaN is replaced after the softmax, which mends the output and leaves NaN in the gradient: never make it.",
    ),
    # --- heads
    Bug(
        "split_without_transposing",
        part="heads",
        killed_by="test_head_h_is_block_h_of_the_channels",
        edit=(_SPLIT, "x.reshape(x.shape[0], n_heads, x.shape[1], -1)"),
        hint="Reshaping (B, T, C) to (B, H, T, D) at once mixes tokens and heads: go by (B, T, H, D) and transpose.",
    ),
    Bug(
        "split_into_every_nth_channel",
        part="heads",
        killed_by="test_head_h_is_block_h_of_the_channels",
        edit=(_SPLIT, "x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2)"),
        hint="A head takes every n-th channel; it must be a block of neighbouring channels.",
    ),
    Bug(
        "merge_without_transposing",
        part="heads",
        killed_by="test_merging_puts_head_h_into_block_h",
        edit=(_MERGE, "x.reshape(x.shape[0], x.shape[2], -1)"),
        hint="Reshaping (B, H, T, D) to (B, T, C) without transposing back mixes tokens and heads.",
    ),
    Bug(
        "merge_into_every_nth_channel",
        part="heads",
        killed_by="test_merging_puts_head_h_into_block_h",
        edit=(_MERGE, "x.permute(0, 2, 3, 1).flatten(2)"),
        hint="The channels of the heads are interleaved; head h must be block h.",
    ),
    Bug(
        "wrong_there_and_back",
        part="heads",
        killed_by="test_splitting_never_mixes_tokens",
        edit=[
            (_SPLIT, "x.reshape(x.shape[0], n_heads, x.shape[1], -1)"),
            (_MERGE, "x.reshape(x.shape[0], x.shape[2], -1)"),
        ],
        hint="Splitting and merging undo each other, but both mix tokens and heads: a transpose is missing in each.",
    ),
    Bug(
        "batch_and_heads_change_places",
        part="heads",
        killed_by="test_head_h_is_block_h_of_the_channels",
        edit=[
            (_SPLIT, "x.unflatten(-1, (n_heads, -1)).permute(2, 0, 1, 3).reshape(x.shape[0], n_heads, x.shape[1], -1)"),
            (_MERGE, "x.reshape(x.shape[1], x.shape[0], *x.shape[2:]).permute(1, 2, 0, 3).flatten(2)"),
        ],
        hint="Heads come before the batch in memory, so that with several sequences their heads are mixed up.",
    ),
    Bug(
        "heads_in_reverse",
        part="heads",
        killed_by="test_merging_undoes_splitting",
        edit=(_SPLIT, "x.unflatten(-1, (n_heads, -1)).transpose(1, 2).flip(1)"),
        hint="The heads come in reverse order.",
    ),
    Bug(
        "merge_in_reverse",
        part="heads",
        killed_by="test_splitting_undoes_merging",
        edit=(_MERGE, "x.flip(1).transpose(1, 2).flatten(2)"),
        hint="The heads are merged in reverse order.",
    ),
    # --- CausalSelfAttention
    Bug(
        "no_causal_mask",
        part=_LAYER,
        killed_by="test_a_later_token_never_changes_an_earlier_output",
        edit=(_LAYER_MASK, "mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)"),
        hint="There is no causal mask: tokens see the future.",
    ),
    Bug(
        "mask_cut_from_the_wrong_end",
        part=_LAYER,
        killed_by="test_a_later_token_never_changes_an_earlier_output",
        edit=(_LAYER_MASK, "mask = causal_mask(x.shape[1] + 1, device=x.device)[1:, :-1]"),
        hint="The mask is cut out of a larger one at the wrong corner: each token sees the next one.",
    ),
    Bug(
        "only_the_first_head_is_masked",
        part=_LAYER,
        killed_by="test_no_gradient_comes_from_the_future",
        edit=(
            _LAYER_MASK,
            "mask = causal_mask(x.shape[1], device=x.device) | (torch.arange(self.n_heads) > 0)[:, None, None]",
        ),
        hint="Only the first head is masked: the mask must reach every head.",
    ),
    Bug(
        "queries_and_keys_swapped",
        part=_LAYER,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=("for project in (self.q, self.k, self.v))", "for project in (self.k, self.q, self.v))"),
        hint="Queries and keys are swapped.",
    ),
    Bug(
        "scales_by_the_whole_width",
        part=_LAYER,
        killed_by="test_every_head_attends_by_itself",
        edit=(
            "scaled_dot_product_attention(q, k, v, mask)))",
            "scaled_dot_product_attention(q, k, v, mask, x.shape[-1] ** -0.5)))",
        ),
        hint="Scores are divided by sqrt(d_model); a head divides by the square root of its own width.",
    ),
    Bug(
        "one_head_whatever_is_asked",
        part=_LAYER,
        killed_by="test_every_head_attends_by_itself",
        edit=("split_heads(project(x), self.n_heads)", "split_heads(project(x), 1)"),
        hint="The channels are never split into heads.",
    ),
    Bug(
        "heads_merged_by_reshaping",
        part=_LAYER,
        killed_by="test_every_head_attends_by_itself",
        edit=(
            "merge_heads(scaled_dot_product_attention(q, k, v, mask))",
            "scaled_dot_product_attention(q, k, v, mask).reshape(x.shape)",
        ),
        hint="The heads are reshaped back without a transpose, which mixes tokens and heads.",
    ),
    Bug(
        "no_output_projection",
        part=_LAYER,
        killed_by="test_matches_torch_with_the_same_weights",
        edit=(
            "return self.out(merge_heads(scaled_dot_product_attention(q, k, v, mask)))",
            "return merge_heads(scaled_dot_product_attention(q, k, v, mask))",
        ),
        hint="`out` is never applied.",
    ),
    Bug(
        "dropout_that_never_stops",
        part=_LAYER,
        killed_by="test_gradients_reach_every_weight",
        edit=(
            "return self.out(merge_heads(scaled_dot_product_attention(q, k, v, mask)))",
            "return F.dropout(self.out(merge_heads(scaled_dot_product_attention(q, k, v, mask))), 0.1)",
        ),
        hint="There is dropout, in evaluation too: the same input must give the same output.",
    ),
    Bug(
        "looks_back_from_the_end",
        part=_LAYER,
        killed_by="test_a_prefix_gives_the_prefix_of_the_output",
        edit=(_LAYER_MASK, "mask = causal_mask(x.shape[1], device=x.device).T"),
        hint="The mask is transposed: tokens see the future and not the past.",
    ),
    Bug(
        "ignores_the_padding",
        part=_LAYER,
        killed_by="test_padding_has_no_influence_on_real_tokens",
        edit=(_PADDING, "pass"),
        hint="`key_padding_mask` is ignored.",
    ),
    Bug(
        "padding_the_wrong_way_round",
        part=_LAYER,
        killed_by="test_matches_torch_with_padding_anywhere",
        edit=(_PADDING, "mask = mask & (~key_padding_mask | (torch.arange(x.shape[1]) == 0))[:, None, None, :]"),
        hint="True means a real token here; in nn.MultiheadAttention it means padding.",
    ),
    Bug(
        "padding_hides_queries",
        part=_LAYER,
        killed_by="test_matches_torch_with_padding_anywhere",
        edit=(_PADDING, "mask = mask & key_padding_mask[:, None, :, None]"),
        hint="The padding mask is laid over queries (rows); it must hide keys (columns).",
    ),
    Bug(
        "padding_instead_of_causality",
        part=_LAYER,
        killed_by="test_matches_torch_with_padding_anywhere",
        edit=(_PADDING, "mask = key_padding_mask[:, None, None, :]"),
        hint="The padding mask replaces the causal mask; both must hold.",
    ),
    Bug(
        "padding_of_the_first_sequence",
        part=_LAYER,
        killed_by="test_sequences_of_a_batch_do_not_meet",
        edit=(_PADDING, "mask = mask & key_padding_mask[:1, None, None, :]"),
        hint="The padding of the first sequence is used for the whole batch.",
    ),
    # --- apply_rope
    Bug(
        "turns_clockwise",
        part="apply_rope",
        killed_by="test_rotates_interleaved_pairs",
        edit=(_ROPE, "return torch.stack((a * cos + b * sin, b * cos - a * sin), dim=-1).flatten(-2).to(x.dtype)"),
        hint="The sign of the sine is swapped: the pairs turn clockwise.",
    ),
    Bug(
        "pairs_of_halves",
        part="apply_rope",
        killed_by="test_rotates_interleaved_pairs",
        edit=[
            ("a, b = x[..., 0::2], x[..., 1::2]", "a, b = x.chunk(2, dim=-1)"),
            (_ROPE, "return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x.dtype)"),
        ],
        hint="Channel i is paired with channel i + d/2; here pairs are neighbours: (x0, x1), (x2, x3), ...",
    ),
    Bug(
        "pairs_are_not_put_back",
        part="apply_rope",
        killed_by="test_keeps_the_length_of_every_pair",
        edit=(_ROPE, "return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x.dtype)"),
        hint="The rotated pairs are concatenated instead of interleaved: channels end up in other places.",
    ),
    Bug(
        "exponent_of_half_the_size",
        part="apply_rope",
        killed_by="test_rotates_interleaved_pairs",
        edit=(
            "(-torch.arange(0, d, 2, device=x.device, dtype=dtype) / d)",
            "(-torch.arange(d // 2, device=x.device, dtype=dtype) / d)",
        ),
        hint="The frequencies are theta^(-i/d); pair i has theta^(-2i/d).",
    ),
    Bug(
        "positions_start_at_one",
        part="apply_rope",
        killed_by="test_positions_default_to_the_order_of_the_tokens",
        edit=("positions = torch.arange(t, device=x.device)", "positions = torch.arange(1, t + 1, device=x.device)"),
        hint="The default positions start at 1; the first token is at 0 and is not turned.",
    ),
    Bug(
        "ignores_positions",
        part="apply_rope",
        killed_by="test_positions_of_a_batch_differ",
        edit=("    if positions is None:\n", "    if True:\n"),
        hint="The positions that are given are ignored.",
    ),
    Bug(
        "positions_of_the_first_sequence",
        part="apply_rope",
        killed_by="test_positions_of_a_batch_differ",
        edit=(
            "angles = positions.unsqueeze(-1) * frequencies",
            "angles = positions.reshape(-1, t)[0].unsqueeze(-1) * frequencies",
        ),
        hint="The positions of the first sequence are used for the whole batch.",
    ),
    Bug(
        "consecutive_positions",
        part="apply_rope",
        killed_by="test_positions_of_a_batch_differ",
        edit=(
            "angles = positions.unsqueeze(-1) * frequencies",
            "angles = (positions[..., :1] + torch.arange(t, device=x.device)).unsqueeze(-1) * frequencies",
        ),
        hint="Only the first position is used and the rest is counted from there; positions may skip and repeat.",
    ),
    Bug(
        "ignores_theta",
        part="apply_rope",
        killed_by="test_theta_sets_the_slowest_turn",
        edit=("frequencies = theta **", "frequencies = 10000.0 **"),
        hint="`theta` is ignored.",
    ),
    Bug(
        "adds_sines_instead_of_turning",
        part="apply_rope",
        killed_by="test_scores_depend_on_the_distance_alone",
        edit=(_ROPE, "return (x + torch.stack((sin, cos), dim=-1).flatten(-2)).to(x.dtype)"),
        hint="Sines and cosines are added, as in Vaswani et al. 2017; here they turn the pairs.",
    ),
    Bug(
        "angles_in_half_precision",
        part="apply_rope",
        killed_by="test_half_precision_keeps_its_positions_apart",
        edit=(
            "dtype = torch.promote_types(x.dtype, torch.float32)\n    frequencies",
            "dtype = x.dtype\n    positions = positions.to(dtype)\n    frequencies",
        ),
        hint="Angles are computed in the dtype of x: bfloat16 rounds position 1001 to 1000. Take float32 at least.",
    ),
    Bug(
        "rotates_in_place",
        part="apply_rope",
        killed_by="test_rope_leaves_its_inputs_alone",
        edit=(
            _ROPE,
            _ROPE.replace("return", "y =") + "\n    x.data.copy_(y.data)\n    return y",
        ),
        hint="The caller's tensor is overwritten.",
    ),
    # --- chunked_attention
    Bug(
        "values_are_not_rescaled",
        part="chunked_attention",
        killed_by="test_every_block_size_gives_the_same_attention",
        edit=("mixed = mixed * rescale + weights", "mixed = mixed + weights"),
        hint="When the maximum grows, the weighted sum of values so far must be rescaled too.",
    ),
    Bug(
        "the_sum_is_not_rescaled",
        part="chunked_attention",
        killed_by="test_every_block_size_gives_the_same_attention",
        edit=("total = total * rescale + weights", "total = total + weights"),
        hint="When the maximum grows, the sum of exponentials so far must be rescaled too.",
    ),
    Bug(
        "the_maximum_starts_at_zero",
        part="chunked_attention",
        killed_by="test_scores_of_ten_thousand_stay_finite",
        edit=(
            "high = torch.full((*q_block.shape[:-1], 1), -math.inf, dtype",
            "high = torch.full((*q_block.shape[:-1], 1), 0.0, dtype",
        ),
        hint="The running maximum starts at 0, so that scores far below 0 all become exp = 0: start at -inf.",
    ),
    Bug(
        "the_maximum_forgets",
        part="chunked_attention",
        killed_by="test_scores_of_ten_thousand_stay_finite",
        edit=(
            "new_high = torch.maximum(high, scores.amax(dim=-1, keepdim=True))",
            "new_high = scores.amax(dim=-1, keepdim=True).clamp(min=-1e30)",
        ),
        hint="The maximum of the last block replaces the running one, so that rescaling can overflow.",
    ),
    Bug(
        "the_last_part_of_a_block_is_lost",
        part="chunked_attention",
        killed_by="test_the_last_block_may_be_shorter",
        edit=("for j in range(0, stop, block_size):", "for j in range(0, max(stop - block_size + 1, 1), block_size):"),
        hint="Keys after the last whole block are dropped.",
    ),
    Bug(
        "skips_the_diagonal_block",
        part="chunked_attention",
        killed_by="test_causal_blocks_are_aligned_at_the_bottom_right",
        edit=(_STOP, "stop = max(i + k_len - q_len, 1) if causal else k_len"),
        hint="The causal loop ends one block early: the block on the diagonal is missing.",
    ),
    Bug(
        "no_mask_inside_the_diagonal_block",
        part="chunked_attention",
        killed_by="test_causal_blocks_are_aligned_at_the_bottom_right",
        edit=("columns[block] > last,", "columns[block] > last[-1],"),
        hint="Whole blocks are skipped, but inside the block on the diagonal tokens see the future.",
    ),
    Bug(
        "blocks_aligned_at_the_top_left",
        part="chunked_attention",
        killed_by="test_causal_blocks_are_aligned_at_the_bottom_right",
        edit=("torch.arange(k_len - q_len, k_len, device=q.device)", "torch.arange(q_len, device=q.device)"),
        hint="With more keys than queries the causal mask is aligned at the top left; it must be at the bottom right.",
    ),
    Bug(
        "blocks_are_not_scaled",
        part="chunked_attention",
        killed_by="test_every_block_size_gives_the_same_attention",
        edit=("k.shape[-2], 1 / math.sqrt(q.shape[-1])", "k.shape[-2], 1.0"),
        hint="Scores are not divided by sqrt(d_k).",
    ),
    Bug(
        "sums_come_back_in_float32",
        part="chunked_attention",
        killed_by="test_blocks_work_in_half_precision",
        edit=("(mixed / total).to(q.dtype)", "mixed / total"),
        hint="Half precision comes back as float32: sum in float32, and return the dtype of q.",
    ),
    Bug(
        "makes_the_whole_matrix",
        part="chunked_attention",
        killed_by="test_a_length_whose_matrix_does_not_fit_into_memory",
        edit=(
            "    outputs = []\n",
            "    mask = causal_mask(q_len, k_len, q.device) if causal else None\n"
            "    return scaled_dot_product_attention(q, k, v, mask)\n",
        ),
        hint="The whole matrix of scores is made: memory grows with the square of the length.",
    ),
    # --- attention_map
    Bug(
        "every_layer_sees_the_embeddings",
        part="attention_map",
        killed_by="test_map_holds_the_weights_that_each_layer_uses",
        edit=("            x = x + layer(h)\n        return torch.stack(maps)", "        return torch.stack(maps)"),
        hint="Every layer is asked about the embeddings; a layer sees what the layers before it have made of them.",
    ),
    Bug(
        "map_without_the_residual",
        part="attention_map",
        killed_by="test_map_holds_the_weights_that_each_layer_uses",
        edit=(
            "            x = x + layer(h)\n        return torch.stack(maps)",
            "            x = layer(h)\n        return torch.stack(maps)",
        ),
        hint="The residual connection is missing between the layers.",
    ),
    Bug(
        "map_without_the_norm",
        part="attention_map",
        killed_by="test_map_holds_the_weights_that_each_layer_uses",
        edit=(
            "q, k = split_heads(layer.q(h), layer.n_heads), split_heads(layer.k(h), layer.n_heads)",
            "q, k = split_heads(layer.q(x), layer.n_heads), split_heads(layer.k(x), layer.n_heads)",
        ),
        hint="Queries and keys come from x; the layer takes them from norm(x).",
    ),
    Bug(
        "the_mean_over_heads",
        part="attention_map",
        killed_by="test_map_holds_the_weights_that_each_layer_uses",
        edit=(
            "        return torch.stack(maps)",
            "        return torch.stack(maps).mean(1, keepdim=True).expand(-1, model.layers[0].n_heads, -1, -1)",
        ),
        hint="The heads are averaged; each has a map of its own.",
    ),
    Bug(
        "map_without_causality",
        part="attention_map",
        killed_by="test_map_is_lower_triangular_and_its_rows_sum_to_one",
        edit=("            mask = causal_mask(t, device=x.device)", "            mask = None"),
        hint="The map has weights above the diagonal: the causal mask is missing.",
    ),
    Bug(
        "keys_as_rows",
        part="attention_map",
        killed_by="test_map_is_lower_triangular_and_its_rows_sum_to_one",
        edit=("        return torch.stack(maps)", "        return torch.stack(maps).mT"),
        hint="The map is transposed: rows are queries, columns are keys.",
    ),
    # --- copy task
    Bug(
        "loss_over_both_halves",
        part="copy_task",
        killed_by="test_loss_is_the_cross_entropy_of_the_second_half",
        edit=(_COPY_LOSS, "F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())"),
        hint="The loss counts the first half too, which is random and cannot be predicted.",
    ),
    Bug(
        "predicts_the_token_that_it_sees",
        part="copy_task",
        killed_by="test_loss_is_the_cross_entropy_of_the_second_half",
        edit=(_COPY_LOSS, "F.cross_entropy(logits[:, length:].flatten(0, 1), tokens[:, length:].flatten())"),
        hint="Logits and targets are not shifted: position t predicts token t + 1.",
    ),
    Bug(
        "forgets_the_first_token_of_the_second_half",
        part="copy_task",
        killed_by="test_loss_is_the_cross_entropy_of_the_second_half",
        edit=(
            _COPY_LOSS,
            "F.cross_entropy(logits[:, length:-1].flatten(0, 1), tokens[:, length + 1 :].flatten())",
        ),
        hint="The first token of the second half is left out; the last position of the first half predicts it.",
    ),
    Bug(
        "sum_instead_of_mean",
        part="copy_task",
        killed_by="test_loss_is_the_cross_entropy_of_the_second_half",
        edit=(
            _COPY_LOSS,
            _COPY_LOSS + " * length",
        ),
        hint="The loss is summed over tokens and averaged over sequences; it must be the mean over tokens.",
    ),
    Bug(
        "never_updates_the_weights",
        part="copy_task",
        killed_by="test_the_model_learns_to_repeat",
        edit=("        optimizer.step()\n", ""),
        hint="The weights never change: optimizer.step() is missing.",
    ),
    Bug(
        "climbs_the_loss",
        part="copy_task",
        killed_by="test_the_model_learns_to_repeat",
        edit=("        loss.backward()\n", "        (-loss).backward()\n"),
        hint="The loss is maximised.",
    ),
    Bug(
        "learns_one_batch_by_heart",
        part="copy_task",
        killed_by="test_the_model_learns_to_repeat",
        edit=(
            "        tokens = repeated_sequences(batch_size, length, vocab_size, generator)\n",
            "        tokens = tokens if losses else repeated_sequences(2, length, vocab_size, generator)\n",
        ),
        hint="The same few sequences are used in every step, and are learnt by heart; draw a fresh batch each time.",
    ),
    Bug(
        "weights_from_the_global_generator",
        part="copy_task",
        killed_by="test_the_same_generator_gives_the_same_model",
        edit=(
            "model = CopyModel(vocab_size, 2 * length, generator=generator)",
            "model = CopyModel(vocab_size, 2 * length)",
        ),
        hint="The initial weights do not come from `generator`.",
    ),
    Bug(
        "batches_from_the_global_generator",
        part="copy_task",
        killed_by="test_the_same_generator_gives_the_same_model",
        edit=(
            "        tokens = repeated_sequences(batch_size, length, vocab_size, generator)\n",
            "        tokens = repeated_sequences(batch_size, length, vocab_size)\n",
        ),
        hint="The batches do not come from `generator`.",
    ),
    Bug(
        "a_fixed_seed",
        part="copy_task",
        killed_by="test_the_same_generator_gives_the_same_model",
        edit=(
            "    model = CopyModel(vocab_size, 2 * length, generator=generator)",
            "    generator = torch.Generator().manual_seed(0)\n"
            "    model = CopyModel(vocab_size, 2 * length, generator=generator)",
        ),
        hint="The generator that is given is replaced by a fixed seed.",
    ),
]
