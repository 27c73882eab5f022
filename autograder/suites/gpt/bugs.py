"""Planted bugs of `gpt`: what students get wrong, as edits of the reference, each with the test that must notice."""

from autograder.judge import Bug

_CHUNKS = "return ids[:length].view(-1, context_length), ids[1 : length + 1].view(-1, context_length)"
_STARTS = "torch.randint(len(data) - context_length, (batch_size, 1), generator=generator, device=where)"
_LOSS = 'total = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="sum")'
_MEAN = "return total / (targets != ignore_index).sum().clamp(min=1)"
_BLOCK_1 = "x = x + self.dropout(self.attention(self.norm_1(x), attention_mask, cache, layer))"
_BLOCK_2 = "return x + self.dropout(self.mlp(self.norm_2(x)))"
_HEADS = "(y.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for y in (q, k, v))"
_MASK = "mask = torch.ones(t, past + t, dtype=torch.bool, device=x.device).tril(past)"
_PADDING = "mask = mask & (attention_mask[:, None, None, :] | itself)"
_SDPA = "y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and t > 1)"
_EMBED = "x = self.dropout(self.token(input_ids) + self.position(position_ids))"
_ARANGE = "position_ids = torch.arange(past, past + t, device=input_ids.device)"
_HEAD = "return F.linear(self.norm(x), self.token.weight)"
_M = "m.lerp_(p.grad, 1 - beta_1)"
_V = "v.mul_(beta_2).addcmul_(p.grad, p.grad, value=1 - beta_2)"
_DENOMINATOR = 'denominator = (v / (1 - beta_2**n)).sqrt_().add_(group["eps"])'
_DECAY = 'p.mul_(1 - lr * group["weight_decay"])'
_UPDATE = "p.addcdiv_(m, denominator, value=-lr / (1 - beta_1**n))"
_COSINE = "return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * fraction)) / 2"
_NORM = "norm = torch.stack([torch.linalg.vector_norm(g) for g in gradients]).norm()"
_SCALE = "scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)"
_SMALLEST = "smallest = logits.topk(min(k, logits.shape[-1])).values[..., -1:]"
_DROP = "drop = probabilities.cumsum(-1) - probabilities >= p"
_UNSORT = "torch.zeros_like(drop).scatter(-1, order, drop)"
_DRAW = "return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(-1)"
_TEMPERED = "logits = apply_temperature(logits.to(torch.promote_types(logits.dtype, torch.float32)), temperature)"
_FILTERS = """    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
"""
_RESET = """        if cache is not None and cache.length == context:
            cache.reset()
"""
_FINISH = "            finished = finished | (token == eos_id)\n        ids"
_STOP = "        if eos_id is not None and finished.all():\n            break"
_PADDED = "ids = torch.tensor([[pad_id] * (longest - len(p)) + list(p) for p in prompts], device=device)"
_REAL = "real = torch.tensor([[False] * (longest - len(p)) + [True] * len(p) for p in prompts], device=device)"
_POSITIONS = '"position_ids": (mask.cumsum(1) - 1).clamp(min=0)[:, new]'
_SCORES = "scores = (totals / length[:, None] ** length_penalty).flatten()"
_RESIDUAL = "residual = (p - q).clamp(min=0)[rows, n_accepted]"
_ACCEPTED = "accepted = u.to(p.device) * q_drafted < p_drafted"
_SPECULATIVE = "speculative_sample"
_NEW_CACHE = "cache = new_cache(model, len(ids), min(ids.shape[1] + max_new_tokens, context)) if use_cache else None"

BUGS = [
    # --- batches
    Bug(
        "last_target_wraps_around",
        part="batches",
        killed_by="test_targets_are_the_inputs_one_token_later",
        edit=(_CHUNKS, "x = ids[:length].view(-1, context_length)\n    return x, x.roll(-1, dims=1)"),
        hint="The last target of each window is its own first token; it must be the first token of the next window.",
    ),
    Bug(
        "targets_are_the_inputs",
        part="batches",
        killed_by="test_targets_are_the_inputs_one_token_later",
        edit=(_CHUNKS, "x = ids[:length].view(-1, context_length)\n    return x, x.clone()"),
        hint="Targets are not shifted: each token is asked to predict itself.",
    ),
    Bug(
        "one_window_too_few",
        part="batches",
        killed_by="test_the_last_window_is_not_lost",
        edit=(
            "length = (len(ids) - 1) // context_length * context_length",
            "length = (len(ids) - 2) // context_length * context_length",
        ),
        hint="A window is lost where N - 1 is a multiple of the context: there are (N - 1) // T of them.",
    ),
    Bug(
        "windows_overlap_by_one",
        part="batches",
        killed_by="test_targets_are_the_inputs_one_token_later",
        edit=(
            _CHUNKS,
            "w = ids.unfold(0, context_length + 1, max(context_length - 1, 1))\n    return w[:, :-1], w[:, 1:]",
        ),
        hint="Windows overlap: window i begins at token i * T.",
    ),
    Bug(
        "windows_skip_a_token",
        part="batches",
        killed_by="test_targets_are_the_inputs_one_token_later",
        edit=(_CHUNKS, "w = ids.unfold(0, context_length + 1, context_length + 1)\n    return w[:, :-1], w[:, 1:]"),
        hint="Windows are T + 1 apart, so one token in T + 1 is never a target: they are T apart.",
    ),
    Bug(
        "last_start_is_never_drawn",
        part="batches",
        killed_by="test_every_start_is_equally_likely",
        edit=(
            _STARTS,
            "torch.randint(max(len(data) - context_length - 1, 1), (batch_size, 1), generator=generator, device=where)",
        ),
        hint="randint excludes its upper end: the last window, which starts at N - T - 1, is never drawn.",
    ),
    Bug(
        "starts_beyond_the_end",
        part="batches",
        killed_by="test_every_start_is_equally_likely",
        edit=(
            _STARTS,
            (
                "torch.randint(len(data) - context_length + 1, (batch_size, 1), generator=generator, "
                "device=where).clamp(max=len(data) - context_length - 1)"
            ),
        ),
        hint="The last start is drawn twice as often as the others.",
    ),
    Bug(
        "one_start_for_all_rows",
        part="batches",
        killed_by="test_every_start_is_equally_likely",
        edit=(
            _STARTS,
            (
                "torch.randint(len(data) - context_length, (1, 1), generator=generator, "
                "device=where).expand(batch_size, 1)"
            ),
        ),
        hint="All rows of a batch are the same window: each has its own start.",
    ),
    Bug(
        "keeps_the_dtype_of_the_data",
        part="batches",
        killed_by="test_batches_are_int64_whatever_the_data",
        edit=[
            (".astype(np.int64))", ".astype(np.int32))"),
            (
                "windows = data[index.to(data.device, non_blocking=True)].long()",
                "windows = data[index.to(data.device, non_blocking=True)]",
            ),
        ],
        hint="What comes back is not int64: an embedding and a loss need that.",
    ),
    Bug(
        "ignores_the_generator",
        part="batches",
        killed_by="test_the_generator_decides_the_batch",
        edit=(_STARTS, "torch.randint(len(data) - context_length, (batch_size, 1), device=where)"),
        hint="The starts do not come from the generator, so nothing can be repeated.",
    ),
    Bug(
        "starts_on_a_grid",
        part="batches",
        killed_by="test_every_start_is_equally_likely",
        edit=(_STARTS, _STARTS + " // context_length * context_length"),
        hint="Only multiples of the context length are drawn: any token may begin a window.",
    ),
    Bug(
        "invents_a_last_target",
        part="batches",
        killed_by="test_targets_are_the_inputs_one_token_later",
        edit=[
            ("length = (len(ids) - 1) // context_length", "length = len(ids) // context_length"),
            (
                "ids[1 : length + 1].view(-1, context_length)",
                "torch.cat((ids[1:], ids[:1]))[:length].view(-1, context_length)",
            ),
        ],
        hint="There are N // T windows, and the last of them has a target that does not exist: there are (N - 1) // T.",
    ),
    Bug(
        "remainder_of_a_random_number",
        part="batches",
        killed_by="test_every_start_is_equally_likely",
        edit=(
            _STARTS,
            _STARTS.replace("len(data) - context_length", "3 * len(data)") + " % (len(data) - context_length)",
        ),
        hint="The remainder of a random number favours small starts: draw below N - T at once.",
    ),
    Bug(
        "windows_of_uint16_wrap",
        part="batches",
        killed_by="test_batches_are_int64_whatever_the_data",
        edit=(
            "data[index.cpu().numpy()].astype(np.int64)",
            "data[index.cpu().numpy()].astype(np.int16).astype(np.int64)",
        ),
        hint="Tokens of 32,768 and more become negative: int16 does not hold what uint16 does.",
    ),
    # --- lm_loss
    Bug(
        "averages_over_everything",
        part="lm_loss",
        killed_by="test_ignored_targets_do_not_count",
        edit=(_MEAN, "return total / targets.numel()"),
        hint="The sum is divided by the number of all targets, ignored ones too.",
    ),
    Bug(
        "shifts_again",
        part="lm_loss",
        killed_by="test_loss_is_the_mean_of_minus_log_p",
        edit=(_LOSS, "if logits.shape[1] > 1:\n        logits, targets = logits[:, :-1], targets[:, 1:]\n    " + _LOSS),
        hint="Logits and targets are shifted here once more: targets[:, t] already belongs to logits[:, t].",
    ),
    Bug(
        "nan_without_targets",
        part="lm_loss",
        killed_by="test_nothing_to_predict_costs_nothing",
        edit=(_MEAN, "return total / (targets != ignore_index).sum()"),
        hint="Where every target is ignored this is 0 / 0.",
    ),
    Bug(
        "in_bits",
        part="lm_loss",
        killed_by="test_loss_is_the_mean_of_minus_log_p",
        edit=(_MEAN, _MEAN + " / math.log(2)"),
        hint="The loss is in bits; it must be in nats.",
    ),
    Bug(
        "mean_of_row_means",
        part="lm_loss",
        killed_by="test_ignored_targets_do_not_count",
        edit=[
            (_LOSS, 'total = F.cross_entropy(logits.mT, targets, ignore_index=ignore_index, reduction="none").sum(1)'),
            (_MEAN, "return (total / (targets != ignore_index).sum(1).clamp(min=1)).mean()"),
        ],
        hint="A mean of each row's mean: a row with few targets weighs as much as a full one.",
    ),
    Bug(
        "softmax_before_the_loss",
        part="lm_loss",
        killed_by="test_loss_is_the_mean_of_minus_log_p",
        edit=(_LOSS, _LOSS.replace("logits.flatten", "logits.softmax(-1).flatten")),
        hint="cross_entropy takes logits; here it gets probabilities.",
    ),
    Bug(
        "log_of_softmax",
        part="lm_loss",
        killed_by="test_large_logits_stay_finite",
        edit=(
            _LOSS,
            (
                "total = F.nll_loss(logits.softmax(-1).log().flatten(0, 1), targets.flatten(), "
                'ignore_index=ignore_index, reduction="sum")'
            ),
        ),
        hint="log(softmax(x)) is -inf where the softmax underflows: log_softmax or cross_entropy do it at once.",
    ),
    Bug(
        "always_ignores_minus_100",
        part="lm_loss",
        killed_by="test_ignored_targets_do_not_count",
        edit=(
            _LOSS,
            "targets = targets.masked_fill(targets == ignore_index, 0) if ignore_index != -100 else targets\n    "
            + _LOSS,
        ),
        hint="`ignore_index` other than -100 is not obeyed.",
    ),
    Bug(
        "sum_instead_of_mean",
        part="lm_loss",
        killed_by="test_loss_is_the_mean_of_minus_log_p",
        edit=(_MEAN, "return total"),
        hint="That is the sum over the targets, not their mean.",
    ),
    Bug(
        "perplexity_in_base_two",
        part="lm_loss",
        killed_by="test_perplexity_is_the_exponential_of_the_mean",
        edit=("return math.exp(total_nll / n_tokens)", "return 2 ** (total_nll / n_tokens)"),
        hint="The sum is in nats, so the base is e, not 2.",
    ),
    Bug(
        "perplexity_of_the_sum",
        part="lm_loss",
        killed_by="test_perplexity_is_the_exponential_of_the_mean",
        edit=("return math.exp(total_nll / n_tokens)", "return math.exp(min(total_nll, 700.0)) / n_tokens"),
        hint="Divide by the number of tokens before the exponential.",
    ),
    Bug(
        "nats_per_byte",
        part="lm_loss",
        killed_by="test_bits_per_byte_are_nats_by_ln_2",
        edit=("return total_nll / (n_bytes * math.log(2))", "return total_nll / n_bytes"),
        hint="These are nats: divide by ln 2.",
    ),
    Bug(
        "multiplies_by_ln_2",
        part="lm_loss",
        killed_by="test_bits_per_byte_are_nats_by_ln_2",
        edit=("return total_nll / (n_bytes * math.log(2))", "return total_nll / n_bytes * math.log(2)"),
        hint="A nat is 1 / ln 2 = 1.44 bits: divide by ln 2, do not multiply.",
    ),
    # --- TransformerBlock
    Bug(
        "exact_gelu",
        part="TransformerBlock",
        killed_by="test_feed_forward_uses_gelu_by_tanh",
        edit=('F.gelu(hidden, approximate="tanh")', "F.gelu(hidden)"),
        hint="That is the exact GELU; GPT-2 uses the approximation by tanh.",
    ),
    Bug(
        "relu",
        part="TransformerBlock",
        killed_by="test_feed_forward_uses_gelu_by_tanh",
        edit=('F.gelu(hidden, approximate="tanh")', "F.relu(hidden)"),
        hint="The activation is a ReLU, not a GELU.",
    ),
    Bug(
        "gate_and_up_swapped",
        part="TransformerBlock",
        killed_by="test_a_gate_makes_it_swiglu",
        edit=("F.silu(self.gate(x)) * hidden", "self.gate(x) * F.silu(hidden)"),
        hint="The gate goes through SiLU, not the other branch.",
    ),
    Bug(
        "sigmoid_gate",
        part="TransformerBlock",
        killed_by="test_a_gate_makes_it_swiglu",
        edit=("F.silu(self.gate(x)) * hidden", "self.gate(x).sigmoid() * hidden"),
        hint="That is a GLU: SwiGLU's gate is x sigmoid(x).",
    ),
    Bug(
        "post_norm",
        part="TransformerBlock",
        killed_by="test_block_adds_two_branches_to_the_stream",
        edit=[
            (_BLOCK_1, "x = self.norm_1(x + self.dropout(self.attention(x, attention_mask, cache, layer)))"),
            (_BLOCK_2, "return self.norm_2(x + self.dropout(self.mlp(x)))"),
        ],
        hint="The norms stand on the residual stream (post-norm); they belong before each branch.",
    ),
    Bug(
        "one_norm_for_both",
        part="TransformerBlock",
        killed_by="test_block_adds_two_branches_to_the_stream",
        edit=(_BLOCK_2, _BLOCK_2.replace("norm_2", "norm_1")),
        hint="The feed-forward branch uses the norm of the attention.",
    ),
    Bug(
        "no_second_residual",
        part="TransformerBlock",
        killed_by="test_block_adds_two_branches_to_the_stream",
        edit=(_BLOCK_2, "return self.dropout(self.mlp(self.norm_2(x)))"),
        hint="The feed-forward network replaces the stream instead of adding to it.",
    ),
    Bug(
        "parallel_branches",
        part="TransformerBlock",
        killed_by="test_block_adds_two_branches_to_the_stream",
        edit=[
            (_BLOCK_1, _BLOCK_1.replace("x = x + ", "added = ")),
            (_BLOCK_2, "return x + added + self.dropout(self.mlp(self.norm_2(x)))"),
        ],
        hint="Both branches read the input: the second one must read what the first has added.",
    ),
    Bug(
        "dropout_on_the_stream",
        part="TransformerBlock",
        killed_by="test_dropout_falls_on_what_a_branch_adds",
        edit=(_BLOCK_2, "return self.dropout(x + self.mlp(self.norm_2(x)))"),
        hint="Dropout falls on the residual stream; it belongs on what the branch adds.",
    ),
    Bug(
        "dropout_in_evaluation",
        part="TransformerBlock",
        killed_by="test_dropout_falls_on_what_a_branch_adds",
        edit=(_BLOCK_2, "return x + F.dropout(self.mlp(self.norm_2(x)), self.dropout.p)"),
        hint="Dropout is active in evaluation mode too.",
    ),
    Bug(
        "heads_mix_tokens",
        part="TransformerBlock",
        killed_by="test_attention_matches_the_definition",
        edit=(_HEADS, "(y.reshape(len(y), self.n_heads, t, -1) for y in (q, k, v))"),
        hint="A reshape to (B, H, T, D) mixes tokens: cut the channels into heads, then move that dimension.",
    ),
    Bug(
        "interleaved_heads",
        part="TransformerBlock",
        killed_by="test_attention_matches_the_definition",
        edit=(_HEADS, "(y.unflatten(-1, (-1, self.n_heads)).permute(0, 3, 1, 2) for y in (q, k, v))"),
        hint="Head h takes every n_heads-th channel; it must take a contiguous block.",
    ),
    Bug(
        "queries_and_keys_swapped",
        part="TransformerBlock",
        killed_by="test_attention_matches_the_definition",
        edit=("q, k, v = self.qkv(x)", "k, q, v = self.qkv(x)"),
        hint="The output of `qkv` is queries, keys, values, in this order.",
    ),
    Bug(
        "scores_are_not_scaled",
        part="TransformerBlock",
        killed_by="test_attention_matches_the_definition",
        edit=(_SDPA, _SDPA.replace("is_causal=", "scale=1.0, is_causal=")),
        hint="Scores are divided by the square root of D.",
    ),
    Bug(
        "heads_are_not_put_back",
        part="TransformerBlock",
        killed_by="test_attention_matches_the_definition",
        edit=("return self.out(y.transpose(1, 2).flatten(2))", "return self.out(y.reshape(x.shape))"),
        hint="The heads must be moved behind the tokens again before they are merged.",
    ),
    Bug(
        "padding_may_attend",
        part="TransformerBlock",
        killed_by="test_padding_is_seen_by_nobody",
        edit=(_PADDING, "mask = mask & (attention_mask[:, None, :, None][:, :, -t:] | itself)"),
        hint="The mask is laid over the queries: it must hide keys.",
    ),
    Bug(
        "padding_mask_inverted",
        part="TransformerBlock",
        killed_by="test_padding_is_seen_by_nobody",
        edit=(_PADDING, "mask = mask & (~attention_mask[:, None, None, :] | itself)"),
        hint="True means real; the real tokens are hidden here.",
    ),
    Bug(
        "mask_forgets_causality",
        part="TransformerBlock",
        killed_by="test_padding_is_seen_by_nobody",
        edit=(_PADDING, "mask = attention_mask[:, None, None, :] | itself"),
        hint="With a padding mask the causal mask is lost.",
    ),
    Bug(
        "padding_of_the_first_row_for_all",
        part="TransformerBlock",
        killed_by="test_padding_is_seen_by_nobody",
        edit=(_PADDING, "mask = mask & (attention_mask[:1, None, None, :] | itself)"),
        hint="Every row uses the first row's padding.",
    ),
    Bug(
        "a_hidden_token_sees_nothing",
        part="TransformerBlock",
        killed_by="test_a_token_always_sees_itself",
        edit=(_PADDING, "mask = mask & attention_mask[:, None, None, :]"),
        hint="A padding token at the start sees nothing at all: it must see itself.",
    ),
    # --- GPT
    Bug(
        "no_last_norm",
        part="GPT",
        killed_by="test_logits_match_the_definition",
        edit=(_HEAD, "return F.linear(x, self.token.weight)"),
        hint="The last norm is missing.",
    ),
    Bug(
        "no_positions",
        part="GPT",
        killed_by="test_logits_match_the_definition",
        edit=(_EMBED, "x = self.dropout(self.token(input_ids) + 0 * self.position(position_ids))"),
        hint="The position embeddings are missing.",
    ),
    Bug(
        "positions_along_the_batch",
        part="GPT",
        killed_by="test_logits_match_the_definition",
        edit=(
            _ARANGE,
            (
                "position_ids = torch.arange(len(input_ids), device=input_ids.device)[:, None].expand(-1, t) % "
                "self.config.context_length"
            ),
        ),
        hint="Positions count rows of the batch instead of tokens.",
    ),
    Bug(
        "scaled_embeddings",
        part="GPT",
        killed_by="test_logits_match_the_definition",
        edit=(
            _EMBED,
            "x = self.dropout(self.token(input_ids) * math.sqrt(self.config.d_model) + self.position(position_ids))",
        ),
        hint="Embeddings are multiplied by sqrt(C), as in the first transformer; GPT does not.",
    ),
    Bug(
        "head_does_not_learn",
        part="GPT",
        killed_by="test_the_head_is_the_token_embedding",
        edit=(_HEAD, "return F.linear(self.norm(x), self.token.weight.detach())"),
        hint="The head is detached: its share of the gradient never reaches the embedding.",
    ),
    Bug(
        "one_block_again_and_again",
        part="GPT",
        killed_by="test_logits_match_the_definition",
        edit=(
            "for layer, block in enumerate(self.blocks):\n",
            "for layer, block in enumerate([self.blocks[0]] * len(self.blocks)):\n",
        ),
        hint="Every layer uses the first block.",
    ),
    Bug(
        "sees_the_next_token",
        part="GPT",
        killed_by="test_a_later_token_never_changes_earlier_logits",
        edit=[
            ("if attention_mask is not None or (past and t > 1):", "if t > 1:"),
            (_MASK, _MASK.replace(".tril(past)", ".tril(past + 1)")),
        ],
        hint="Each token sees the one behind it: the model can copy its answer.",
    ),
    Bug(
        "sees_everything",
        part="GPT",
        killed_by="test_a_later_token_never_changes_earlier_logits",
        edit=(_SDPA, "y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)"),
        hint="Attention is not causal.",
    ),
    Bug(
        "given_positions_are_ignored",
        part="GPT",
        killed_by="test_positions_can_be_given",
        edit=("if position_ids is None:\n", "if True:\n"),
        hint="`position_ids` is not used.",
    ),
    Bug(
        "positions_of_the_first_row",
        part="GPT",
        killed_by="test_positions_can_be_given",
        edit=(
            _EMBED,
            (
                "x = self.dropout(self.token(input_ids) + self.position(position_ids[:1] if position_ids.dim() "
                "> 1 else position_ids))"
            ),
        ),
        hint="Every row gets the positions of the first.",
    ),
    Bug(
        "padding_mask_is_dropped",
        part="GPT",
        killed_by="test_left_padding_changes_nothing",
        edit=("x = block(x, attention_mask, cache, layer)", "x = block(x, None, cache, layer)"),
        hint="`attention_mask` does not reach the blocks.",
    ),
    Bug(
        "long_texts_are_cut",
        part="GPT",
        killed_by="test_a_text_longer_than_the_context_is_refused",
        edit=(
            'raise ValueError(f"{past + t} tokens do not fit in a context of',
            (
                "input_ids, t = input_ids[:, : self.config.context_length - past], self.config.context_length - "
                'past\n            str(f"{past + t} tokens do not fit in a context of'
            ),
        ),
        hint="A text that is too long is cut silently; it must raise ValueError.",
    ),
    # --- AdamW
    Bug(
        "no_bias_correction",
        part="AdamW",
        killed_by="test_matches_torch_over_several_steps",
        edit=[
            (_DENOMINATOR, 'denominator = v.sqrt().add_(group["eps"])'),
            (_UPDATE, "p.addcdiv_(m, denominator, value=-lr)"),
        ],
        hint="Neither moment is corrected for having begun at zero.",
    ),
    Bug(
        "only_the_first_moment_is_corrected",
        part="AdamW",
        killed_by="test_matches_torch_over_several_steps",
        edit=(_DENOMINATOR, 'denominator = v.sqrt().add_(group["eps"])'),
        hint="The second moment is not corrected by 1 - beta_2^n.",
    ),
    Bug(
        "counts_from_zero",
        part="AdamW",
        killed_by="test_the_first_step_moves_by_the_learning_rate",
        edit=('state["exp_avg_sq"], state["step"]\n', 'state["exp_avg_sq"], max(state["step"] - 1, 1)\n'),
        hint="The count of updates lags by one: at the first update n is 1, at the second 2.",
    ),
    Bug(
        "decay_in_the_gradient",
        part="AdamW",
        killed_by="test_decay_does_not_pass_through_the_moments",
        edit=(_DECAY, 'p.grad.add_(p, alpha=group["weight_decay"])'),
        hint="Weight decay is added to the gradient (L2 regularisation); AdamW decays the parameter itself.",
    ),
    Bug(
        "decay_without_learning_rate",
        part="AdamW",
        killed_by="test_decay_does_not_pass_through_the_moments",
        edit=(_DECAY, 'p.mul_(1 - group["weight_decay"])'),
        hint="Decay is lr * weight_decay, not weight_decay.",
    ),
    Bug(
        "decays_without_gradient",
        part="AdamW",
        killed_by="test_a_parameter_without_gradient_is_left_alone",
        edit=(
            "if p.grad is None:\n                    continue",
            (
                'if p.grad is None:\n                    p.mul_(1 - lr * group["weight_decay"])\n'
                "                    continue"
            ),
        ),
        hint="A parameter whose gradient is None decays; it must be left alone.",
    ),
    Bug(
        "no_gradient_counts_as_zero",
        part="AdamW",
        killed_by="test_a_parameter_without_gradient_is_left_alone",
        edit=(
            "if p.grad is None:\n                    continue",
            "if p.grad is None:\n                    p.grad = torch.zeros_like(p)",
        ),
        hint="A missing gradient is taken for a gradient of zeros, so the moments and the parameter move.",
    ),
    Bug(
        "one_count_for_all_parameters",
        part="AdamW",
        killed_by="test_a_parameter_without_gradient_is_left_alone",
        edit=(
            'state["step"] += 1',
            (
                'self.shared = max(getattr(self, "shared", 0), 0) + (p is next(p for g in self.param_groups for '
                'p in g["params"]))\n                state["step"] = max(self.shared, 1)'
            ),
        ),
        hint="All parameters share one count; each counts its own updates.",
    ),
    Bug(
        "eps_inside_the_root",
        part="AdamW",
        killed_by="test_matches_torch_over_several_steps",
        edit=(_DENOMINATOR, 'denominator = (v / (1 - beta_2**n) + group["eps"]).sqrt_()'),
        hint="eps is added outside the square root.",
    ),
    Bug(
        "eps_before_the_correction",
        part="AdamW",
        killed_by="test_matches_torch_over_several_steps",
        edit=(_DENOMINATOR, 'denominator = (v.sqrt() + group["eps"]) / math.sqrt(1 - beta_2**n)'),
        hint="eps is added to sqrt(v); it belongs to sqrt(v^), after the correction.",
    ),
    Bug(
        "betas_swapped",
        part="AdamW",
        killed_by="test_matches_torch_over_several_steps",
        edit=(
            'lr, (beta_1, beta_2) = group["lr"], group["betas"]',
            'lr, (beta_2, beta_1) = group["lr"], group["betas"]',
        ),
        hint="beta_1 and beta_2 are swapped.",
    ),
    Bug(
        "options_of_the_first_group",
        part="AdamW",
        killed_by="test_groups_have_their_own_options",
        edit=(
            'lr, (beta_1, beta_2) = group["lr"], group["betas"]',
            'lr, (beta_1, beta_2) = self.param_groups[0]["lr"], group["betas"]',
        ),
        hint="Every group uses the learning rate of the first.",
    ),
    Bug(
        "options_of_the_beginning",
        part="AdamW",
        killed_by="test_options_are_read_at_each_step",
        edit=(
            'lr, (beta_1, beta_2) = group["lr"], group["betas"]',
            'lr, (beta_1, beta_2) = group.setdefault("first_lr", group["lr"]), group["betas"]',
        ),
        hint="A learning rate that is changed between steps is not obeyed.",
    ),
    Bug(
        "decay_of_the_defaults",
        part="AdamW",
        killed_by="test_groups_have_their_own_options",
        edit=(_DECAY, 'p.mul_(1 - lr * self.defaults["weight_decay"])'),
        hint="A group's own weight decay is ignored.",
    ),
    Bug(
        "moments_outside_the_state",
        part="AdamW",
        killed_by="test_the_state_can_be_saved",
        edit=(
            'm, v, n = state["exp_avg"], state["exp_avg_sq"], state["step"]',
            (
                'self.__dict__.setdefault("moments", {}).setdefault(p, torch.zeros_like(p))\n'
                '                m, v, n = self.__dict__["moments"][p], state["exp_avg_sq"], state["step"]'
            ),
        ),
        hint="A moment is kept outside self.state, so a checkpoint forgets it.",
    ),
    # --- schedule_and_clipping
    Bug(
        "warmup_from_one",
        part="schedule_and_clipping",
        killed_by="test_warm_up_then_half_a_cosine",
        edit=("return max_lr * step / warmup_steps", "return max_lr * (step + 1) / warmup_steps"),
        hint="Warm-up begins at 0: step / warmup_steps.",
    ),
    Bug(
        "cosine_counts_the_warmup",
        part="schedule_and_clipping",
        killed_by="test_warm_up_then_half_a_cosine",
        edit=("fraction = (step - warmup_steps) / (total_steps - warmup_steps)", "fraction = step / total_steps"),
        hint="The cosine begins when warm-up ends, with its whole height.",
    ),
    Bug(
        "cosine_is_too_long",
        part="schedule_and_clipping",
        killed_by="test_warm_up_then_half_a_cosine",
        edit=(
            "fraction = (step - warmup_steps) / (total_steps - warmup_steps)",
            "fraction = (step - warmup_steps) / total_steps",
        ),
        hint="The cosine has total_steps - warmup_steps steps to come down.",
    ),
    Bug(
        "cosine_ends_at_zero",
        part="schedule_and_clipping",
        killed_by="test_warm_up_then_half_a_cosine",
        edit=(_COSINE, "return max_lr * (1 + math.cos(math.pi * fraction)) / 2"),
        hint="The cosine comes down to 0, not to min_lr.",
    ),
    Bug(
        "a_whole_cosine",
        part="schedule_and_clipping",
        killed_by="test_warm_up_then_half_a_cosine",
        edit=(_COSINE, "return min_lr + (max_lr - min_lr) * (1 + math.cos(2 * math.pi * fraction)) / 2"),
        hint="Half a cosine goes from pi * 0 to pi * 1; this one comes back up.",
    ),
    Bug(
        "rises_again_after_the_end",
        part="schedule_and_clipping",
        killed_by="test_the_rate_stays_at_its_minimum",
        edit=(
            "    if step >= total_steps:\n        return min_lr\n",
            "    if warmup_steps == total_steps:\n        return max_lr\n",
        ),
        hint="Behind total_steps the cosine goes on; the rate must stay at min_lr.",
    ),
    Bug(
        "zero_after_the_end",
        part="schedule_and_clipping",
        killed_by="test_the_rate_stays_at_its_minimum",
        edit=(
            "    if step >= total_steps:\n        return min_lr\n",
            "    if step >= total_steps:\n        return min_lr if step == total_steps else 0.0\n",
        ),
        hint="After the last step the rate is min_lr, not 0.",
    ),
    Bug(
        "each_gradient_alone",
        part="schedule_and_clipping",
        killed_by="test_clipping_uses_the_joint_norm",
        edit=(
            "        g.mul_(scale)",
            "        g.mul_((max_norm / (torch.linalg.vector_norm(g) + 1e-6)).clamp(max=1.0))",
        ),
        hint="Each gradient is clipped by its own norm; it is the norm of all together that counts.",
    ),
    Bug(
        "sum_of_the_norms",
        part="schedule_and_clipping",
        killed_by="test_clipping_uses_the_joint_norm",
        edit=(_NORM, "norm = torch.stack([torch.linalg.vector_norm(g) for g in gradients]).sum()"),
        hint="Norms do not add up: their squares do.",
    ),
    Bug(
        "largest_entry",
        part="schedule_and_clipping",
        killed_by="test_clipping_uses_the_joint_norm",
        edit=(_NORM, "norm = torch.stack([g.abs().max() for g in gradients]).max()"),
        hint="That is the largest entry, not the L2 norm.",
    ),
    Bug(
        "small_gradients_grow",
        part="schedule_and_clipping",
        killed_by="test_small_gradients_are_left_alone",
        edit=(_SCALE, "scale = max_norm / (norm + 1e-6)"),
        hint="Gradients below max_norm are scaled up to it.",
    ),
    Bug(
        "clips_by_value",
        part="schedule_and_clipping",
        killed_by="test_clipping_uses_the_joint_norm",
        edit=("        g.mul_(scale)", "        g.clamp_(-max_norm, max_norm)"),
        hint="Entries are cut off one by one, which changes the direction.",
    ),
    Bug(
        "returns_the_norm_after",
        part="schedule_and_clipping",
        killed_by="test_clipping_uses_the_joint_norm",
        edit=("        g.mul_(scale)\n    return norm", "        g.mul_(scale)\n    return norm * scale"),
        hint="The norm before clipping is returned, not the one after.",
    ),
    Bug(
        "stops_at_a_missing_gradient",
        part="schedule_and_clipping",
        killed_by="test_parameters_without_gradient_do_not_count",
        edit=(
            "gradients = [p.grad for p in parameters if p.grad is not None]",
            (
                "gradients = []\n    for p in parameters:\n        if p.grad is None:\n            break\n"
                "        gradients.append(p.grad)"
            ),
        ),
        hint="At the first parameter without a gradient it stops looking.",
    ),
    Bug(
        "reads_the_parameters_twice",
        part="schedule_and_clipping",
        killed_by="test_clipping_uses_the_joint_norm",
        edit=(
            "    for g in gradients:\n        g.mul_(scale)",
            "    for p in parameters:\n        if p.grad is not None:\n            p.grad.mul_(scale)",
        ),
        hint="model.parameters() is an iterator: the second loop over it sees nothing, so nothing is scaled.",
    ),
    # --- train
    Bug(
        "gradients_add_up",
        part="train",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=("        optimizer.zero_grad()\n", ""),
        hint="Gradients of earlier steps are never cleared.",
    ),
    Bug(
        "clips_after_the_step",
        part="train",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=[
            ("        clip_grad_norm(model.parameters(), config.max_norm)\n", ""),
            (
                "        optimizer.step()\n",
                "        optimizer.step()\n        clip_grad_norm(model.parameters(), config.max_norm)\n",
            ),
        ],
        hint="Gradients are clipped when the update has been made already.",
    ),
    Bug(
        "decays_norms_and_biases",
        part="train",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=('"weight_decay": 0.0}', '"weight_decay": config.weight_decay}'),
        hint="Biases and norms decay too; only parameters of two or more dimensions do.",
    ),
    Bug(
        "schedule_starts_at_zero",
        part="train",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=("            step,\n            max_lr", "            step - 1,\n            max_lr"),
        hint="The first step asks the schedule for step 0; steps count from 1.",
    ),
    Bug(
        "constant_learning_rate",
        part="train",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=('group["lr"] = lr', 'group["lr"] = config.learning_rate'),
        hint="The schedule is computed and not used.",
    ),
    Bug(
        "betas_by_default",
        part="train",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=("optimizer = AdamW(groups, betas=config.betas)", "optimizer = AdamW(groups)"),
        hint="config.betas does not reach the optimiser.",
    ),
    Bug(
        "schedule_ends_at_until",
        part="train",
        killed_by="test_training_goes_on_as_if_it_had_never_stopped",
        edit=("total_steps=config.steps,", "total_steps=last,"),
        hint="The schedule runs over config.steps, also where training stops before.",
    ),
    Bug(
        "optimizer_starts_anew",
        part="train",
        killed_by="test_training_goes_on_as_if_it_had_never_stopped",
        edit=('        optimizer.load_state_dict(_copy(checkpoint["optimizer"]))\n', ""),
        hint="The moments of the optimiser are lost when training goes on.",
    ),
    Bug(
        "batches_start_anew",
        part="train",
        killed_by="test_training_goes_on_as_if_it_had_never_stopped",
        edit=('        generator.set_state(checkpoint["generator"])\n', ""),
        hint="The generator is not set back to where it was, so other batches come.",
    ),
    Bug(
        "weights_are_not_loaded",
        part="train",
        killed_by="test_training_goes_on_as_if_it_had_never_stopped",
        edit=('        model.load_state_dict(checkpoint["model"])\n', ""),
        hint="The weights of the checkpoint are not loaded: the model goes on from what it was given.",
    ),
    Bug(
        "step_count_starts_anew",
        part="train",
        killed_by="test_training_goes_on_as_if_it_had_never_stopped",
        edit=(
            '        first = checkpoint["step"]\n',
            '        last = config.steps if until is None else until\n        until = last - checkpoint["step"]\n',
        ),
        hint="Steps are counted from 1 again, so the schedule begins anew.",
    ),
    Bug(
        "checkpoint_keeps_training",
        part="train",
        killed_by="test_a_checkpoint_does_not_move",
        edit=("**_copy(state)", "**state"),
        hint="The checkpoint shares its tensors with the model: it changes when training goes on.",
    ),
    Bug(
        "leaves_training_mode_on",
        part="train",
        killed_by="test_the_model_gets_its_mode_back",
        edit=("    model.train(was_training)\n    state = ", "    state = "),
        hint="The model is left in training mode.",
    ),
    Bug(
        "trains_in_evaluation_mode",
        part="train",
        killed_by="test_the_model_gets_its_mode_back",
        edit=("    model.train()\n", "    model.eval()\n"),
        hint="The model is in evaluation mode while it trains, so dropout does nothing.",
    ),
    Bug(
        "unseeded_batches",
        part="train",
        killed_by="test_the_generator_decides_the_training",
        edit=(
            "config.batch_size, model.config.context_length, generator, weight.device)",
            "config.batch_size, model.config.context_length, None, weight.device)",
        ),
        hint="Batches do not come from the generator.",
    ),
    Bug(
        "checkpoint_is_moved_by_resuming",
        part="train",
        killed_by="test_a_checkpoint_does_not_move",
        edit=(
            'optimizer.load_state_dict(_copy(checkpoint["optimizer"]))',
            'optimizer.load_state_dict(checkpoint["optimizer"])',
        ),
        hint="The optimiser goes on with the checkpoint's own tensors, so training from it changes it.",
    ),
    Bug(
        "trains_the_norms_only",
        part="train",
        killed_by="test_the_model_learns",
        edit=("optimizer = AdamW(groups, betas=config.betas)", "optimizer = AdamW(groups[1:], betas=config.betas)"),
        hint="Only biases and norms are given to the optimiser.",
    ),
    # --- filters
    Bug(
        "multiplies_by_the_temperature",
        part="filters",
        killed_by="test_temperature_divides_the_logits",
        edit=("return logits / temperature", "return logits * temperature"),
        hint="Logits are divided by the temperature, not multiplied.",
    ),
    Bug(
        "temperature_of_probabilities",
        part="filters",
        killed_by="test_temperature_divides_the_logits",
        edit=("return logits / temperature", "return logits.softmax(-1) / temperature"),
        hint="Temperature divides logits, not probabilities.",
    ),
    Bug(
        "zero_is_a_small_temperature",
        part="filters",
        killed_by="test_temperature_zero_is_greedy",
        edit=("    if temperature == 0:\n", "    temperature = max(temperature, 0.05)\n    if temperature == 0:\n"),
        hint="Temperature 0 leaves some probability to the second best token.",
    ),
    Bug(
        "greedy_over_the_batch",
        part="filters",
        killed_by="test_temperature_zero_is_greedy",
        edit=(
            "return torch.full_like(logits, -math.inf).scatter(-1, best, 0.0)",
            "return torch.full_like(logits, -math.inf).scatter(-1, best.flatten()[0].expand_as(best), 0.0)",
        ),
        hint="Every row gets the best token of the first row.",
    ),
    Bug(
        "one_threshold_for_the_batch",
        part="filters",
        killed_by="test_top_k_keeps_the_largest_of_each_row",
        edit=(_SMALLEST, "smallest = logits.topk(min(k, logits.shape[-1])).values[..., -1:].amax()"),
        hint="The batch shares one threshold; each row has its own.",
    ),
    Bug(
        "top_k_keeps_one_more",
        part="filters",
        killed_by="test_top_k_keeps_the_largest_of_each_row",
        edit=(_SMALLEST, "smallest = logits.topk(min(k + 1, logits.shape[-1])).values[..., -1:]"),
        hint="Off by one: k + 1 tokens are kept.",
    ),
    Bug(
        "top_k_drops_the_last",
        part="filters",
        killed_by="test_top_k_keeps_the_largest_of_each_row",
        edit=(
            "logits.masked_fill(logits < smallest, -math.inf)",
            "logits.masked_fill((logits <= smallest) & (logits < logits.amax(-1, keepdim=True)), -math.inf)",
        ),
        hint="The k-th largest token is dropped too.",
    ),
    Bug(
        "top_k_of_the_smallest",
        part="filters",
        killed_by="test_top_k_keeps_the_largest_of_each_row",
        edit=(
            "logits.masked_fill(logits < smallest, -math.inf)",
            "logits.masked_fill(logits > (-logits).topk(min(k, logits.shape[-1])).values[..., -1:].neg(), -math.inf)",
        ),
        hint="The k SMALLEST logits are kept.",
    ),
    Bug(
        "top_k_removes_with_zero",
        part="filters",
        killed_by="test_top_k_keeps_the_largest_of_each_row",
        edit=(
            "return logits.masked_fill(logits < smallest, -math.inf)",
            "return logits.masked_fill(logits < smallest, 0.0)",
        ),
        hint="Dropped logits are set to 0, which leaves them probability; it must be -inf.",
    ),
    Bug(
        "top_k_in_place",
        part="filters",
        killed_by="test_filters_leave_their_input_alone",
        edit=(
            "return logits.masked_fill(logits < smallest, -math.inf)",
            "return logits.masked_fill_(logits < smallest, -math.inf)",
        ),
        hint="The caller's logits are changed.",
    ),
    Bug(
        "a_large_k_keeps_all_but_one",
        part="filters",
        killed_by="test_top_k_at_its_limits",
        edit=(_SMALLEST, "smallest = logits.topk(max(1, min(k, logits.shape[-1] - 1))).values[..., -1:]"),
        hint="k >= V must keep every token.",
    ),
    Bug(
        "crossing_token_is_dropped",
        part="filters",
        killed_by="test_top_p_keeps_the_smallest_set_with_enough_mass",
        edit=(_DROP, "drop = probabilities.cumsum(-1) > p"),
        hint="The token that crosses p is dropped; it belongs to the nucleus.",
    ),
    Bug(
        "one_token_too_many",
        part="filters",
        killed_by="test_top_p_keeps_the_smallest_set_with_enough_mass",
        edit=(
            _DROP,
            (
                "drop = probabilities.cumsum(-1) - probabilities - probabilities.roll(1, -1).index_fill(-1, "
                "torch.tensor([0]), 0.0) >= p"
            ),
        ),
        hint="One token more than needed is kept: the nucleus is the smallest set with mass p.",
    ),
    Bug(
        "not_put_back_in_order",
        part="filters",
        killed_by="test_top_p_keeps_the_smallest_set_with_enough_mass",
        edit=(_UNSORT, "drop"),
        hint="What was decided in sorted order is applied in the order of ids.",
    ),
    Bug(
        "sorted_upwards",
        part="filters",
        killed_by="test_top_p_keeps_the_smallest_set_with_enough_mass",
        edit=("order = logits.argsort(dim=-1, descending=True)", "order = logits.argsort(dim=-1)"),
        hint="The least probable tokens are kept.",
    ),
    Bug(
        "nucleus_of_the_first_row",
        part="filters",
        killed_by="test_top_p_keeps_the_smallest_set_with_enough_mass",
        edit=(
            "drop[..., :min_tokens_to_keep] = False",
            "drop = drop[..., :1, :].expand_as(drop).clone()\n    drop[..., :min_tokens_to_keep] = False",
        ),
        hint="Every row keeps as many tokens as the first.",
    ),
    Bug(
        "top_p_can_be_empty",
        part="filters",
        killed_by="test_top_p_at_its_limits",
        edit=("    drop[..., :min_tokens_to_keep] = False\n", ""),
        hint="Nothing is kept at p = 0, and min_tokens_to_keep is ignored.",
    ),
    Bug(
        "keeps_one_whatever_was_asked",
        part="filters",
        killed_by="test_top_p_at_its_limits",
        edit=("drop[..., :min_tokens_to_keep] = False", "drop[..., :1] = False"),
        hint="min_tokens_to_keep is ignored.",
    ),
    Bug(
        "top_p_returns_probabilities",
        part="filters",
        killed_by="test_top_p_keeps_the_smallest_set_with_enough_mass",
        edit=(
            "return logits.masked_fill(torch.zeros_like(drop)",
            "return logits.log_softmax(-1).masked_fill(torch.zeros_like(drop)",
        ),
        hint="Kept logits must not change.",
    ),
    Bug(
        "temperature_in_place",
        part="filters",
        killed_by="test_filters_leave_their_input_alone",
        edit=("return logits / temperature", "return logits.div_(temperature)"),
        hint="The caller's logits are changed.",
    ),
    Bug(
        "top_p_in_place",
        part="filters",
        killed_by="test_filters_leave_their_input_alone",
        edit=("return logits.masked_fill(torch.zeros_like(drop)", "return logits.masked_fill_(torch.zeros_like(drop)"),
        hint="The caller's logits are changed.",
    ),
    # --- sample_next
    Bug(
        "p_before_k",
        part="sample_next",
        killed_by="test_tokens_come_as_often_as_they_should",
        edit=(
            _FILTERS,
            """    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
""",
        ),
        hint="Top-p comes after top-k: its probabilities are those of what top-k has left.",
    ),
    Bug(
        "temperature_after_the_filters",
        part="sample_next",
        killed_by="test_tokens_come_as_often_as_they_should",
        edit=[
            (_TEMPERED, "logits = logits.to(torch.promote_types(logits.dtype, torch.float32))"),
            (_DRAW, "logits = apply_temperature(logits, temperature)\n    " + _DRAW),
        ],
        hint="Temperature comes first: top-p must see the tempered probabilities.",
    ),
    Bug(
        "top_p_is_forgotten",
        part="sample_next",
        killed_by="test_tokens_come_as_often_as_they_should",
        edit=(
            "        logits = top_p_filter(logits, top_p)\n",
            "        logits = top_p_filter(logits, max(top_p, 1.0))\n",
        ),
        hint="top_p has no effect.",
    ),
    Bug(
        "always_the_best",
        part="sample_next",
        killed_by="test_tokens_come_as_often_as_they_should",
        edit=(_DRAW, "return logits.argmax(-1)"),
        hint="The best token is taken each time; nothing is drawn.",
    ),
    Bug(
        "one_draw_for_all_rows",
        part="sample_next",
        killed_by="test_rows_are_drawn_independently",
        edit=(
            _DRAW,
            (
                "u = torch.rand(1, generator=generator, dtype=torch.float64)\n"
                "    return (logits.double().softmax(-1).cumsum(-1) < u).sum(-1).clamp(max=logits.shape[-1] - 1)"
            ),
        ),
        hint="All rows use the same random number.",
    ),
    Bug(
        "draws_from_the_first_row",
        part="sample_next",
        killed_by="test_each_row_has_its_own_distribution",
        edit=(
            _DRAW,
            "return torch.multinomial(logits[0].softmax(-1), len(logits), replacement=True, generator=generator)",
        ),
        hint="All rows are drawn from the first row's probabilities.",
    ),
    Bug(
        "ignores_the_seed",
        part="sample_next",
        killed_by="test_the_generator_decides_the_tokens",
        edit=(_DRAW, "return torch.multinomial(logits.softmax(-1), 1).squeeze(-1)"),
        hint="The draw does not come from the generator.",
    ),
    Bug(
        "a_floor_under_the_probabilities",
        part="sample_next",
        killed_by="test_tokens_come_as_often_as_they_should",
        edit=(
            _DRAW,
            (
                "chances = logits.softmax(-1)\n    chances = chances.clamp(min=0.125).where(chances > 0, chances)\n"
                "    return torch.multinomial(chances, 1, generator=generator).squeeze(-1)"
            ),
        ),
        hint="Rare tokens come more often than their probability says.",
    ),
    # --- KVCache
    Bug(
        "returns_the_whole_memory",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=(
            "return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]",
            "return self.keys[layer], self.values[layer]",
        ),
        hint="The memory behind the last token comes back too: keys of zeros get weight.",
    ),
    Bug(
        "grows_with_every_layer",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=("        if layer == len(self.keys) - 1:\n            self.length = end", "        self.length = end"),
        hint="The length grows with every layer; it must grow once a forward pass.",
    ),
    Bug(
        "grows_with_the_first_layer",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=("if layer == len(self.keys) - 1:", "if layer == 0:"),
        hint="The length grows with the first layer, so the others write behind it.",
    ),
    Bug(
        "writes_at_the_start",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=("self.values[layer, :, :, self.length : end] = v", "self.values[layer, :, :, : v.shape[2]] = v"),
        hint="Values are written over those of the first tokens.",
    ),
    Bug(
        "drops_what_does_not_fit",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=(
            'raise ValueError(f"{end} tokens do not fit in a cache of {self.keys.shape[3]}")',
            "end = self.keys.shape[3]\n            k, v = k[:, :, : end - self.length], v[:, :, : end - self.length]",
        ),
        hint="Tokens that do not fit are dropped silently; it must raise ValueError.",
    ),
    Bug(
        "truncates_by",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=(
            (
                '            raise ValueError(f"a cache of {self.length} tokens cannot be cut to {length}")\n'
                "        self.length = length"
            ),
            (
                '            raise ValueError(f"a cache of {self.length} tokens cannot be cut to {length}")\n'
                "        self.length -= length"
            ),
        ),
        hint="`length` is how many tokens stay, not how many go.",
    ),
    Bug(
        "truncates_to_more_than_there_is",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=("if not 0 <= length <= self.length:", "if length < 0:"),
        hint="A cache cannot be cut to more tokens than it holds.",
    ),
    Bug(
        "reset_clears_the_memory_only",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=(
            (
                '"""Forget every token, so that another text can begin."""\n        ### BEGIN SOLUTION\n'
                "        self.length = 0"
            ),
            (
                '"""Forget every token, so that another text can begin."""\n        ### BEGIN SOLUTION\n'
                "        self.keys.zero_()\n        self.values.zero_()"
            ),
        ),
        hint="The entries are cleared, but the length stays: zeros in front of the next text get weight.",
    ),
    Bug(
        "positions_restart_at_zero",
        part="KVCache",
        killed_by="test_any_split_gives_the_same_logits",
        edit=(_ARANGE, "position_ids = torch.arange(t, device=input_ids.device)"),
        hint="Positions restart at 0 with every piece; they go on where the cache ends.",
    ),
    Bug(
        "positions_are_one_ahead",
        part="KVCache",
        killed_by="test_any_split_gives_the_same_logits",
        edit=(
            _ARANGE,
            (
                "position_ids = torch.arange(past, past + t, device=input_ids.device)\n"
                "            position_ids = (position_ids + (past > 0)).clamp(max=self.config.context_length - "
                "1)"
            ),
        ),
        hint="With a cache, positions are one too far.",
    ),
    Bug(
        "prompt_is_not_masked",
        part="KVCache",
        killed_by="test_any_split_gives_the_same_logits",
        edit=(
            _SDPA,
            (
                "y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and t > 1 "
                "and cache is None)"
            ),
        ),
        hint="With a cache the prompt is not masked at all: its tokens see later ones.",
    ),
    Bug(
        "pieces_are_not_masked",
        part="KVCache",
        killed_by="test_a_piece_of_several_tokens_is_masked",
        edit=("if attention_mask is not None or (past and t > 1):", "if attention_mask is not None:"),
        hint=(
            "A second piece of several tokens gets a mask that is aligned at the top left: right one token "
            "at a time only."
        ),
    ),
    Bug(
        "pieces_see_their_own_future",
        part="KVCache",
        killed_by="test_a_piece_of_several_tokens_is_masked",
        edit=[
            ("if attention_mask is not None or (past and t > 1):", "if attention_mask is not None:"),
            (_SDPA, _SDPA.replace("t > 1)", "past == 0)")),
        ],
        hint=(
            "Behind a cache nothing is masked, so the tokens of a piece see each other's future: right one "
            "token at a time only."
        ),
    ),
    Bug(
        "pieces_see_the_cache_only",
        part="KVCache",
        killed_by="test_a_piece_of_several_tokens_is_masked",
        edit=(
            _MASK,
            _MASK
            + (
                "\n            if past:\n"
                "                mask = mask & ((torch.arange(past + t, device=x.device) < past) | "
                "mask.triu(past))"
            ),
        ),
        hint="A token of a later piece does not see the tokens of its own piece that stand before it.",
    ),
    Bug(
        "padding_only_for_the_prompt",
        part="KVCache",
        killed_by="test_padding_stays_hidden_behind_a_cache",
        edit=(
            "if attention_mask is not None:\n                itself",
            "if attention_mask is not None and not past:\n                itself",
        ),
        hint="Behind a cache the padding is attended to again.",
    ),
    Bug(
        "context_without_the_cache",
        part="KVCache",
        killed_by="test_cached_tokens_count_towards_the_context",
        edit=("if past + t > self.config.context_length:", "if t > self.config.context_length:"),
        hint="Tokens in the cache count towards the context too.",
    ),
    Bug(
        "positions_jump_by_the_prompt",
        part="KVCache",
        killed_by="test_any_split_gives_the_same_logits",
        edit=(
            _ARANGE,
            (
                "position_ids = torch.arange(2 * past, 2 * past + t, device=input_ids.device)\n"
                "            position_ids = position_ids.clamp(max=self.config.context_length - 1)"
            ),
        ),
        hint="The length of the cache is added twice: positions jump by the length of the prompt.",
    ),
    Bug(
        "one_query_sees_the_first_key",
        part="KVCache",
        killed_by="test_any_split_gives_the_same_logits",
        edit=(_SDPA, _SDPA.replace("is_causal=mask is None and t > 1", "is_causal=mask is None")),
        hint="A single query behind a cache gets a mask that is aligned at the top left: it sees the first key only.",
    ),
    Bug(
        "reset_leaves_one_token",
        part="KVCache",
        killed_by="test_cache_gives_back_what_was_written",
        edit=(
            (
                '"""Forget every token, so that another text can begin."""\n        ### BEGIN SOLUTION\n'
                "        self.length = 0"
            ),
            (
                '"""Forget every token, so that another text can begin."""\n        ### BEGIN SOLUTION\n'
                "        self.length = min(self.length, self.keys.shape[3] // 4)"
            ),
        ),
        hint="After reset some tokens of the text before are still there.",
    ),
    # --- generate
    Bug(
        "reads_the_first_position",
        part="generate",
        killed_by="test_greedy_takes_the_best_token_each_time",
        edit=(
            "token = sample_next(model(window[:, new], **options)[:, -1], **sampling)",
            "token = sample_next(model(window[:, new], **options)[:, 0], **sampling)",
        ),
        hint="The logits of the first position are read; those of the last are for the next token.",
    ),
    Bug(
        "returns_new_tokens_only",
        part="generate",
        killed_by="test_greedy_takes_the_best_token_each_time",
        edit=(
            "    model.train(was_training)\n    return ids",
            "    model.train(was_training)\n    return ids[:, input_ids.shape[1] :] if max_new_tokens else ids",
        ),
        hint="The prompt is missing in front.",
    ),
    Bug(
        "one_token_short",
        part="generate",
        killed_by="test_greedy_takes_the_best_token_each_time",
        edit=(
            "for _ in range(max_new_tokens):\n        options",
            "for _ in range(max_new_tokens - (max_new_tokens > 2)):\n        options",
        ),
        hint="One token less than asked for.",
    ),
    Bug(
        "stops_at_the_context",
        part="generate",
        killed_by="test_a_text_may_grow_past_the_context",
        edit=(
            "        window = ids[:, -context:]\n",
            "        if ids.shape[1] >= context:\n            break\n        window = ids[:, -context:]\n",
        ),
        hint="Generation ends where the context is full; it must go on with the last context_length tokens.",
    ),
    Bug(
        "window_one_short",
        part="generate",
        killed_by="test_a_text_may_grow_past_the_context",
        edit=[
            (
                "        window = ids[:, -context:]\n",
                "        window = ids[:, -context:] if ids.shape[1] <= context else ids[:, -max(context - 1, 1) :]\n",
            ),
            ("if cache is not None and cache.length == context:", "if cache is not None and ids.shape[1] > context:"),
        ],
        hint="Past the context one token too few is kept; keep the last context_length tokens.",
    ),
    Bug(
        "window_of_the_first_tokens",
        part="generate",
        killed_by="test_a_text_may_grow_past_the_context",
        edit=("        window = ids[:, -context:]\n", "        window = ids[:, :context]\n"),
        hint="The model is shown the first tokens of the text for ever; it needs the last ones.",
    ),
    Bug(
        "cache_keeps_old_positions",
        part="generate",
        killed_by="test_a_text_may_grow_past_the_context",
        edit=(
            _RESET,
            """        if cache is not None and cache.length == context:
            cache.keys = cache.keys.roll(-1, dims=3)
            cache.values = cache.values.roll(-1, dims=3)
            cache.truncate(context - 1)
""",
        ),
        hint="When the window moves, the keys in the cache still carry their old positions: fill it again.",
    ),
    Bug(
        "finished_rows_go_on",
        part="generate",
        killed_by="test_a_finished_row_is_padded",
        edit=("            token = token.masked_fill(finished, eos_id if pad_id is None else pad_id)\n", ""),
        hint="A row goes on after its eos_id; pad_id must follow.",
    ),
    Bug(
        "first_eos_stops_all",
        part="generate",
        killed_by="test_a_finished_row_is_padded",
        edit=(_STOP, _STOP.replace("all()", "any()")),
        hint="When one row is finished all of them stop.",
    ),
    Bug(
        "eos_is_dropped",
        part="generate",
        killed_by="test_a_finished_row_is_padded",
        edit=(
            _FINISH,
            (
                "            finished = finished | (token == eos_id)\n"
                "            token = token.masked_fill(finished, eos_id if pad_id is None else pad_id)\n"
                "        ids"
            ),
        ),
        hint="The eos_id that was drawn is replaced by padding; the row keeps it.",
    ),
    Bug(
        "never_ends_early",
        part="generate",
        killed_by="test_it_ends_when_every_row_is_finished",
        edit=(_STOP, "        if eos_id is not None and max_new_tokens < 0:\n            break"),
        hint="It goes on when every row is finished.",
    ),
    Bug(
        "looks_at_the_first_row_only",
        part="generate",
        killed_by="test_a_finished_row_is_padded",
        edit=(_STOP, _STOP.replace("finished.all()", "finished[0]")),
        hint="It stops when the first row is finished.",
    ),
    Bug(
        "eos_in_the_prompt_counts",
        part="generate",
        killed_by="test_a_finished_row_is_padded",
        edit=(
            "finished = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)\n    cache",
            (
                "finished = torch.zeros(len(ids), dtype=torch.bool, device=ids.device) if eos_id is None else "
                "(ids == eos_id).any(1)\n    cache"
            ),
        ),
        hint="An eos_id in the prompt finishes a row; only a drawn one does.",
    ),
    Bug(
        "sampling_is_ignored",
        part="generate",
        killed_by="test_sampling_options_are_obeyed",
        edit=(
            "token = sample_next(model(window[:, new], **options)[:, -1], **sampling)",
            (
                "token = sample_next(model(window[:, new], **options)[:, -1], "
                "temperature=sampling.get('temperature', 1.0), generator=sampling.get('generator'))"
            ),
        ),
        hint="top_k and top_p do not reach sample_next.",
    ),
    Bug(
        "same_token_for_all_rows",
        part="generate",
        killed_by="test_sampling_options_are_obeyed",
        edit=(
            "        ids = torch.cat((ids, token[:, None]), dim=1)\n        if real",
            (
                "        token = token[:1].expand_as(token) if bool((window == window[:1]).all()) and eos_id is "
                "None else token\n        ids = torch.cat((ids, token[:, None]), dim=1)\n        if real"
            ),
        ),
        hint="Rows with the same prompt all get the same draw.",
    ),
    Bug(
        "stays_in_evaluation_mode",
        part="generate",
        killed_by="test_the_mode_of_the_model_is_restored",
        edit=("    model.train(was_training)\n    return ids", "    return ids"),
        hint="The model is left in evaluation mode.",
    ),
    Bug(
        "dropout_while_generating",
        part="generate",
        killed_by="test_the_mode_of_the_model_is_restored",
        edit=("    model.eval()\n    ids, real", "    ids, real"),
        hint="The model is not in evaluation mode, so dropout disturbs it.",
    ),
    Bug(
        "mode_is_always_training",
        part="generate",
        killed_by="test_the_mode_of_the_model_is_restored",
        edit=("    model.train(was_training)\n    return ids", "    model.train()\n    return ids"),
        hint="The model is put into training mode even where it was in evaluation mode.",
    ),
    Bug(
        "cache_of_the_last_call",
        part="generate",
        killed_by="test_greedy_takes_the_best_token_each_time",
        edit=[
            (
                _NEW_CACHE,
                (
                    "cache = model.__dict__.setdefault('kept', new_cache(model, len(ids), context))\n"
                    "    needed = cache.length + ids.shape[1] + max_new_tokens\n"
                    "    if cache.keys.shape[1] != len(ids) or needed > context:\n"
                    "        cache = new_cache(model, len(ids), context)\n"
                    "    cache = cache if use_cache else None\n"
                    "    old = cache.length if cache else 0"
                ),
            ),
            (
                _RESET,
                _RESET + "            old = 0\n",
            ),
            (
                "new = slice(0 if cache is None else cache.length, None)",
                "new = slice(0 if cache is None else cache.length - old, None)",
            ),
        ],
        hint="The cache of the call before is used again, with that text still in it.",
    ),
    # --- generate_batch
    Bug(
        "pads_on_the_right",
        part="generate_batch",
        killed_by="test_each_row_is_what_its_prompt_gives_alone",
        edit=[
            (_PADDED, "ids = torch.tensor([list(p) + [pad_id] * (longest - len(p)) for p in prompts], device=device)"),
            (
                _REAL,
                "real = torch.tensor([[True] * len(p) + [False] * (longest - len(p)) for p in prompts], device=device)",
            ),
        ],
        hint="Prompts are padded on the right, so the last column is padding.",
    ),
    Bug(
        "positions_count_the_padding",
        part="generate_batch",
        killed_by="test_each_row_is_what_its_prompt_gives_alone",
        edit=(_POSITIONS, '"position_ids": torch.arange(mask.shape[1], device=ids.device).expand_as(mask)[:, new]'),
        hint="Positions count the padding; a prompt begins at position 0.",
    ),
    Bug(
        "padding_is_attended",
        part="generate_batch",
        killed_by="test_each_row_is_what_its_prompt_gives_alone",
        edit=('options |= {"attention_mask": mask, ', "options |= {"),
        hint="Padding is attended to.",
    ),
    Bug(
        "mask_by_the_pad_id",
        part="generate_batch",
        killed_by="test_the_pad_id_may_be_a_real_token",
        edit=(_REAL, "real = ids != pad_id"),
        hint="The mask is taken from the ids, so a real token that equals pad_id is hidden.",
    ),
    Bug(
        "positions_begin_at_one",
        part="generate_batch",
        killed_by="test_each_row_is_what_its_prompt_gives_alone",
        edit=(_POSITIONS, '"position_ids": mask.cumsum(1).clamp(max=context - 1)[:, new]'),
        hint="Positions begin at 1: it is cumsum - 1.",
    ),
    Bug(
        "new_tokens_are_padding",
        part="generate_batch",
        killed_by="test_each_row_is_what_its_prompt_gives_alone",
        edit=("real = F.pad(real, (0, 1), value=True)", "real = F.pad(real, (0, 1), value=False)"),
        hint="The mask says that new tokens are not real.",
    ),
    Bug(
        "new_tokens_take_over_the_mask",
        part="generate_batch",
        killed_by="test_each_row_is_what_its_prompt_gives_alone",
        edit=("real = F.pad(real, (0, 1), value=True)", "real = torch.cat((real, real[:, :1]), dim=1)"),
        hint="In rows that begin with padding the new tokens count as padding.",
    ),
    Bug(
        "keeps_what_follows_eos",
        part="generate_batch",
        killed_by="test_rows_end_at_their_own_eos",
        edit=("return [row[: row.index(eos_id) + 1] if eos_id in row else row for row in rows]", "return rows"),
        hint="Padding behind eos_id is returned too.",
    ),
    Bug(
        "loses_eos",
        part="generate_batch",
        killed_by="test_rows_end_at_their_own_eos",
        edit=("row[: row.index(eos_id) + 1]", "row[: row.index(eos_id)]"),
        hint="The eos_id belongs to the row.",
    ),
    Bug(
        "strips_the_pad_id",
        part="generate_batch",
        killed_by="test_the_pad_id_may_be_a_real_token",
        edit=(
            "rows = out[:, longest:].tolist()",
            "rows = [[t for t in row if t != pad_id] for row in out[:, longest:].tolist()]",
        ),
        hint="A drawn token that equals pad_id is removed.",
    ),
    Bug(
        "one_eos_ends_all_prompts",
        part="generate_batch",
        killed_by="test_rows_end_at_their_own_eos",
        edit=(
            "rows = out[:, longest:].tolist()",
            (
                "ends = [row.index(eos_id) + 1 for row in out[:, longest:].tolist() if eos_id in row]\n"
                "    rows = out[:, longest : longest + min(ends, default=max_new_tokens)].tolist()"
            ),
        ),
        hint="The first eos_id of any prompt ends all of them.",
    ),
    # --- beam_search
    Bug(
        "forgets_earlier_scores",
        part="beam_search",
        killed_by="test_a_wide_beam_finds_the_best_of_all",
        edit=("totals = total[:, None] + log_p", "totals = log_p.clone()"),
        hint="Only the last token's probability counts; the score is a sum over all of them.",
    ),
    Bug(
        "sums_logits",
        part="beam_search",
        killed_by="test_a_wide_beam_finds_the_best_of_all",
        edit=("log_p = model(text)[:, -1].double().log_softmax(-1)", "log_p = model(text)[:, -1].double().clone()"),
        hint="Logits are added up; it must be log-probabilities.",
    ),
    Bug(
        "sums_probabilities",
        part="beam_search",
        killed_by="test_a_wide_beam_finds_the_best_of_all",
        edit=("log_p = model(text)[:, -1].double().log_softmax(-1)", "log_p = model(text)[:, -1].double().softmax(-1)"),
        hint="Probabilities are added up; their logarithms are.",
    ),
    Bug(
        "each_beam_keeps_its_best",
        part="beam_search",
        killed_by="test_a_beam_keeps_the_best_of_all_continuations",
        edit=(
            "        best = best[scores[best] > -math.inf]\n",
            (
                "        if len(new) > 1:\n"
                "            best = scores.view(len(new), -1).argmax(1) + torch.arange(len(new)) * "
                "log_p.shape[1]\n            best = best[scores[best].argsort(descending=True)]\n"
                "        best = best[scores[best] > -math.inf]\n"
            ),
        ),
        hint="Each hypothesis keeps its own best continuation; the best of all continuations stay.",
    ),
    Bug(
        "wrong_parent",
        part="beam_search",
        killed_by="test_a_beam_keeps_the_best_of_all_continuations",
        edit=(
            "new = torch.cat((new[row], token[:, None]), dim=1)",
            "new = torch.cat((new[row.sort().values], token[:, None]), dim=1)",
        ),
        hint="Tokens are appended to the wrong hypotheses.",
    ),
    Bug(
        "no_length_penalty",
        part="beam_search",
        killed_by="test_scores_are_divided_by_a_power_of_the_length",
        edit=[
            (_SCORES, "scores = totals.flatten()"),
            ("(total / length.clamp(min=1) ** length_penalty).tolist()", "total.tolist()"),
        ],
        hint="length_penalty has no effect.",
    ),
    Bug(
        "length_counts_the_prompt",
        part="beam_search",
        killed_by="test_scores_are_divided_by_a_power_of_the_length",
        edit=[
            (_SCORES, "scores = (totals / (length[:, None] + input_ids.shape[1]) ** length_penalty).flatten()"),
            (
                "(total / length.clamp(min=1) ** length_penalty).tolist()",
                "(total / (length + input_ids.shape[1]) ** length_penalty).tolist()",
            ),
        ],
        hint="The length is the number of NEW tokens.",
    ),
    Bug(
        "finished_ones_go_on",
        part="beam_search",
        killed_by="test_a_finished_hypothesis_stays_as_it_is",
        edit=(
            "            finished = finished | (token == eos_id)\n        if finished.all():",
            "            finished = finished | False\n        if finished.all():",
        ),
        hint="A hypothesis that ended in eos_id is continued.",
    ),
    Bug(
        "finished_ones_lose_their_place",
        part="beam_search",
        killed_by="test_a_finished_hypothesis_stays_as_it_is",
        edit=("log_p[finished, 0] = 0.0", "log_p[finished, 0] = log_p[~finished].max() if not finished.all() else 0.0"),
        hint="A finished hypothesis goes on paying for tokens that it does not have.",
    ),
    # --- speculative_sample
    Bug(
        "rejected_is_redrawn_from_p",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(_RESIDUAL, "residual = p[rows, n_accepted]"),
        hint="A rejected token is replaced by a draw from p; it must be from max(p - q, 0).",
    ),
    Bug(
        "rejected_is_redrawn_from_the_difference",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(_RESIDUAL, "residual = (p - q).abs()[rows, n_accepted]"),
        hint="|p - q| is not max(p - q, 0).",
    ),
    Bug(
        "residual_is_not_normalised",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(
            "tokens[rows, n_accepted] = torch.multinomial(residual, 1, generator=generator)[:, 0]",
            (
                "v = torch.rand(len(ids), 1, generator=generator, dtype=torch.float64)\n"
                "    tokens[rows, n_accepted] = (residual.double().cumsum(1) < v).sum(1).clamp(max=p.shape[2] - "
                "1)"
            ),
        ),
        hint="max(p - q, 0) does not sum to 1: normalise it before drawing from it.",
    ),
    Bug(
        "accepts_with_q_over_p",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(_ACCEPTED, "accepted = u.to(p.device) * p_drafted < q_drafted"),
        hint="The ratio is the wrong way round: it is p / q.",
    ),
    Bug(
        "accepts_where_p_is_larger",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(_ACCEPTED, "accepted = q_drafted <= p_drafted"),
        hint="Tokens with p < q are never accepted; they are with probability p / q.",
    ),
    Bug(
        "accepts_with_p",
        part=_SPECULATIVE,
        killed_by="test_a_draft_that_is_the_target_is_always_right",
        edit=(_ACCEPTED, "accepted = u.to(p.device) < p_drafted"),
        hint="The probability of acceptance is p / q, not p.",
    ),
    Bug(
        "no_bonus_token",
        part=_SPECULATIVE,
        killed_by="test_a_draft_that_is_the_target_is_always_right",
        edit=("-100), n_accepted + 1", "-100), (n_accepted + 1).clamp(max=n_draft)"),
        hint="When all are accepted one more token is drawn from p.",
    ),
    Bug(
        "p_is_one_position_late",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(
            "p_drafted, q_drafted = (probs[:, :-1].gather(2, drafted[..., None])[..., 0] for probs in (p, q))",
            "p_drafted, q_drafted = (probs.gather(2, drafted[..., None])[..., 0] for probs in (p[:, 1:], q[:, :-1]))",
        ),
        hint="Proposed token i is judged by the distribution of token i + 1.",
    ),
    Bug(
        "goes_on_after_a_rejection",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=("n_accepted = accepted.long().cumprod(1).sum(1)", "n_accepted = accepted.long().sum(1)"),
        hint="Tokens after the first rejection are counted too.",
    ),
    Bug(
        "all_rows_stop_together",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(
            "n_accepted = accepted.long().cumprod(1).sum(1)",
            "n_accepted = accepted.long().cumprod(1).sum(1).amin().expand(len(ids))",
        ),
        hint="Every row accepts as many as the unluckiest one; each goes its own way.",
    ),
    Bug(
        "one_random_number_for_all_rows",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=("accepted = u.to(p.device) * q_drafted", "accepted = u[:1].to(p.device) * q_drafted"),
        hint="All rows share the random numbers of the first.",
    ),
    Bug(
        "draft_ignores_the_temperature",
        part=_SPECULATIVE,
        killed_by="test_temperature_holds_for_both_models",
        edit=(
            "return apply_temperature(logits, temperature).softmax(-1)",
            "return apply_temperature(logits, 1.0 if model is draft else temperature).softmax(-1)",
        ),
        hint="The draft proposes at another temperature than the target judges.",
    ),
    Bug(
        "cache_is_not_rolled_back",
        part=_SPECULATIVE,
        killed_by="test_caches_hold_only_what_was_accepted",
        edit=(
            (
                "        if cache is not None:\n"
                "            cache.truncate(min(cache.length, input_ids.shape[1] + int(n_accepted)))"
            ),
            (
                "        if cache is not None:\n"
                "            cache.truncate(min(cache.length, input_ids.shape[1] + n_draft - 1))"
            ),
        ),
        hint="Rejected tokens stay in the cache.",
    ),
    Bug(
        "only_the_target_is_rolled_back",
        part=_SPECULATIVE,
        killed_by="test_caches_hold_only_what_was_accepted",
        edit=("    for cache in (target_cache, draft_cache):", "    for cache in (target_cache,):"),
        hint="Rejected tokens stay in the draft's cache.",
    ),
    Bug(
        "asks_the_target_for_each_token",
        part=_SPECULATIVE,
        killed_by="test_the_target_is_asked_once",
        edit=(
            "    p = probabilities(target, ids, target_cache, n_draft + 1)",
            (
                "    [target(ids[:, : -n_draft + i]) for i in range(n_draft) if target_cache is None and i]\n"
                "    p = probabilities(target, ids, target_cache, n_draft + 1)"
            ),
        ),
        hint="The target is asked once for all proposals; asking it for each gains nothing.",
    ),
    Bug(
        "lenient_acceptance",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(_ACCEPTED, "accepted = u.to(p.device) * q_drafted * 0.87 < p_drafted"),
        hint="Acceptance is lenient: that is faster, and no longer exact. It is min(1, p / q).",
    ),
    Bug(
        "right_for_the_first_proposal_only",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(_RESIDUAL, _RESIDUAL + ".where(n_accepted[:, None] == 0, p[rows, n_accepted])"),
        hint="Behind the first proposal, what is rejected is redrawn from p instead of max(p - q, 0).",
    ),
    Bug(
        "every_other_row_takes_the_best",
        part=_SPECULATIVE,
        killed_by="test_the_outcome_has_the_right_law",
        edit=(
            "torch.multinomial(residual, 1, generator=generator)[:, 0]",
            "torch.multinomial(residual, 1, generator=generator)[:, 0].where(rows % 2 == 0, residual.argmax(1))",
        ),
        hint="Only some rows draw their replacement; the others take its most probable token.",
    ),
]
