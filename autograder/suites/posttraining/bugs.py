"""Planted bugs of `posttraining`: edits of the reference, each with the test that must notice."""
# ruff: noqa: E501 - an edit quotes the reference line by line

from __future__ import annotations

from autograder.judge import Bug

_TURNS = 'turns = roles[1:] if roles[:1] == ["system"] else roles'
_ORDER = 'if turns != [("user", "assistant")[i % 2] for i in range(len(turns))]:'
_TEXT = '"".join(CONTROL[message["role"]] + message["content"] + END for message in messages)'
_BODY = 'body = [*tokenizer.encode_ordinary(message["content"]), tokenizer.id(END)]'
_LEARN = 'mask += [False] + [message["role"] == "assistant"] * len(body)'
_ROWS = "[[*start, *tokenizer.encode_ordinary(text), eos_id] for start, text in zip(starts, responses)]"
_MASK = "response_mask = (places >= first) & (places < after)"
_NLL = 'F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum")'
_MEAN = "return total / (labels != IGNORE).sum().clamp(min=1)"
_PART = "part = sft_loss(model(*inputs), labels) * (count / max(sum(counts), 1))"
_DECREASING = "sorted(filter(len, sequences), key=len, reverse=True)"
_FIRST_FIT = "next((i for i, left in enumerate(room) if left >= len(sequence)), len(rows))"
_WALLS = "return (queries == keys) & (queries != 0) & causal"
_SAME = "same = (segment_ids[:, 1:] == segment_ids[:, :-1]) & (segment_ids[:, 1:] != 0)"
_EXAMPLES = "blocks += [template.format(question=q, answer=a) for q, a in examples if q != query]"
_QUERY = 'blocks.append(template.partition("{answer}")[0].format(question=query).rstrip())'
_CALL = r'r"\[([A-Za-z][A-Za-z0-9]*)\(([^][\r\n]*)\)\]"'
_FOUND = "return [Call(match.span(), match[1], match[2]) for match in found if balanced(match[2])]"
_GUARD = r'if len(expression) > MAX_EXPRESSION or not re.fullmatch(r"[0-9.+\-*/() ]+", source):'
_VALUE = 'result = value(ast.parse(source, mode="eval").body)'
_SIGNED = """return f"{'-' if hundredths < 0 else ''}{whole}.{part:02}\""""
_KEEP = "return torch.minimum(loss_without, loss_empty) - loss_with >= tau"
_NUMBER = r'r"(?:(?<![^\W_])(?<!\))-)?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?"'
_LAST = 'return numbers[-1].replace(",", "") if numbers else None'
_MEANING = r'meaning = Fraction(answer) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", answer) else answer'
_MOST = "return spellings[max(votes, key=votes.__getitem__)] if votes else None"
_IDF = "idf = math.log1p((len(documents) - n + 0.5) / (n + 0.5))"
_GAIN = "scores += torch.where(f > 0, idf * f * (k1 + 1) / (f + norm), 0.0)"
_NORM = "norm = k1 * (1 - b + b * lengths / lengths.mean().clamp(min=1e-9))"
_RANKED = "return [i for i in order if scores[i] > 0][:k]"
_SOURCES = "sources = [j for j in sorted(found) if holds_answer(documents[j], answer)]"
_BETTER = "if sources and confidence >= threshold and confidence > best_confidence:"
_CITED = "best, best_confidence = f\"{answer} {''.join(f'[{j + 1}]' for j in sources)}\", confidence"


def _bugs(part: str, *rows: tuple[str, str, str | list[tuple[str, str]], str, str]) -> list[Bug]:
    """Rows of (name, test, old text or list of edits, new text, hint)."""
    return [
        Bug(name, part, f"test_{test}", edit if isinstance(edit, list) else (edit, new), hint)
        for name, test, edit, new, hint in rows
    ]


BUGS = [
    *_bugs(
        "render_chat",
        (
            "roles_in_any_order", "roles_out_of_order_raise", _ORDER, 'if not set(turns) <= {"user", "assistant"}:',
            "Only the names of the roles are checked; user and assistant take turns, and the user begins.",
        ),
        (
            "system_anywhere", "roles_out_of_order_raise", _TURNS, 'turns = [role for role in roles if role != "system"]',
            "A system message is accepted anywhere; it may only come first.",
        ),
        (
            "any_role_in_a_turn", "roles_out_of_order_raise", _ORDER,
            'if any(a == b for a, b in zip(turns, turns[1:])) or turns[:1] == ["assistant"]:',
            "Unknown roles pass: it is only checked that two neighbours differ.",
        ),
        (
            "answers_anybody", "the_generation_prompt_lets_the_assistant_begin",
            'if add_generation_prompt and roles[-1:] != ["user"]:', "if add_generation_prompt and not roles:",
            "A generation prompt is added after an assistant's message, too; only a user's can be answered.",
        ),
        (
            "strips_contents", "a_message_is_its_control_token_its_content_and_the_end", _TEXT,
            _TEXT.replace('message["content"]', 'message["content"].strip()'),
            "Contents are stripped; they stand in the text as they are.",
        ),
        (
            "no_end_after_a_user", "a_message_is_its_control_token_its_content_and_the_end", _TEXT,
            '"".join(CONTROL[m["role"]] + m["content"] + END * (m["role"] != "user") for m in messages)',
            "The end token after a user's message is missing; every message ends in one.",
        ),
        (
            "control_tokens_pass", "a_control_token_in_a_content_raises", 'if control in message["content"]:',
            'if control == message["content"]:',
            "A content that holds a control token goes through, and whoever wrote it can forge a turn.",
        ),
        (
            "checks_only_the_user", "a_control_token_in_a_content_raises", 'if control in message["content"]:',
            'if message["role"] == "user" and control in message["content"]:',
            "Only the user's contents are checked; a tool's output or a document ends up in the others.",
        ),
        (
            "checks_only_the_end_token", "a_control_token_in_a_content_raises", "for control in (*CONTROL.values(), END):",
            "for control in (END,):",
            "Only \"<|end|>\" is looked for in contents; the other three control tokens forge turns, too.",
        ),
        (
            "lines_between_messages", "a_message_is_its_control_token_its_content_and_the_end", _TEXT,
            '"\\n".join' + _TEXT.removeprefix('"".join'),
            "There is a line end between messages; nothing stands there.",
        ),
    ),
    *_bugs(
        "render_chat_ids",
        (
            "typed_control_tokens_work", "typed_control_tokens_are_text", _BODY,
            _BODY.replace("encode_ordinary", "encode"),
            "`encode` finds control tokens in what people type, so a turn can be forged: use `encode_ordinary`.",
        ),
        (
            "typed_control_tokens_work_for_others", "typed_control_tokens_are_text", _BODY,
            'encode = tokenizer.encode_ordinary if message["role"] == "user" else tokenizer.encode\n        '
            + _BODY.replace("tokenizer.encode_ordinary(", "encode("),
            "Only the user's content is encoded as plain text; a system message and an answer hold typed tokens, too.",
        ),
        (
            "typed_control_tokens_are_deleted", "typed_control_tokens_are_text", _BODY,
            'content = message["content"]\n        for control in (*CONTROL.values(), END):\n'
            '            content = content.replace(control, "")\n        '
            + _BODY.replace('message["content"]', "content"),
            "Typed control tokens are deleted, and \"<|e<|end|>nd|>\" becomes one by it; nothing of a content may be lost.",
        ),
        (
            "learns_the_header", "the_mask_is_what_the_assistant_writes", _LEARN,
            'mask += [message["role"] == "assistant"] * (len(body) + 1)',
            "The mask covers the assistant's control token, which the program writes and not the model.",
        ),
        (
            "never_learns_to_stop", "the_mask_is_what_the_assistant_writes", _LEARN,
            'mask += [False] + [message["role"] == "assistant"] * (len(body) - 1) + [False]',
            "The end token after an answer is not learned, so the model never stops.",
        ),
        (
            "learns_every_end", "the_mask_is_what_the_assistant_writes", _LEARN,
            'mask += [False] + [message["role"] == "assistant"] * (len(body) - 1) + [True]',
            "The end tokens of others are learned, too; only those after an answer are.",
        ),
        (
            "learns_the_last_answer_only", "the_mask_is_what_the_assistant_writes", _LEARN,
            'mask += [False] + [message["role"] == "assistant" and message is messages[-1]] * len(body)',
            "Only the last answer is learned; all of them are.",
        ),
        (
            "learns_the_user", "the_mask_is_what_the_assistant_writes", _LEARN,
            'mask += [False] + [message["role"] != "system"] * len(body)',
            "What the user says is learned, too.",
        ),
        (
            "learns_the_generation_prompt", "contents_stand_between_control_tokens", "mask.append(False)",
            "mask.append(True)",
            "The mask is True for the generation prompt, which the program writes.",
        ),
        (
            "strips_what_it_encodes", "contents_stand_between_control_tokens", _BODY,
            _BODY.replace('message["content"]', 'message["content"].strip()'),
            "Contents are stripped; they are encoded as they are.",
        ),
        (
            "ids_of_roles_in_any_order", "ids_of_roles_out_of_order_raise",
            "check_roles(messages, add_generation_prompt)\n    ids: list[int] = []", "ids: list[int] = []",
            "The order of the roles is not checked.",
        ),
        (
            "text_between_is_lost", "a_conversation_only_grows", "ids += [tokenizer.id(CONTROL[message[\"role\"]]), *body]",
            "ids += [tokenizer.id(CONTROL[message[\"role\"]]), *(body if message is not messages[-2:][0] else body[:-1])]\n"
            "        body = body if message is not messages[-2:][0] else body[:-1]",
            "The end token before the last message is missing.",
        ),
    ),
    *_bugs(
        "tokenize_prompt_response",
        (
            "tokenizes_jointly", "no_token_reaches_from_the_prompt_into_the_response", _ROWS,
            "[[*tokenizer.encode_ordinary(start + text), eos_id] for start, text in zip(prompts, responses)]",
            "Prompt and response are encoded as one text, so a token can reach over the border.",
        ),
        (
            "no_eos_to_learn", "labels_are_the_response_and_its_eos", _MASK,
            "response_mask = (places >= first) & (places < after - 1)",
            "EOS is masked, so the model never learns to stop.",
        ),
        (
            "learns_the_prompt", "labels_are_the_response_and_its_eos", _MASK, "response_mask = places < after",
            "The prompt's tokens are labels, too.",
        ),
        (
            "first_token_lost", "labels_are_the_response_and_its_eos", _MASK,
            "response_mask = (places > first) & (places < after)",
            "The first token of the response is masked: the last token of the prompt predicts it.",
        ),
        (
            "last_prompt_token_learned", "labels_are_the_response_and_its_eos", _MASK,
            "response_mask = (places >= first - 1) & (places < after)",
            "The mask is off by one: the last token of the prompt is a label.",
        ),
        (
            "shifts_twice", "labels_are_the_response_and_its_eos",
            "labels = padded[:, 1:].masked_fill(~response_mask, IGNORE)",
            "labels = padded.roll(-2, 1)[:, :-1].masked_fill(~response_mask, IGNORE)",
            "Labels are shifted twice: labels[b, t] is the token that follows input_ids[b, t].",
        ),
        (
            "not_shifted", "labels_are_the_response_and_its_eos",
            "labels = padded[:, 1:].masked_fill(~response_mask, IGNORE)",
            "labels = padded[:, :-1].masked_fill(~response_mask, IGNORE)",
            "Labels are not shifted: a token would predict itself.",
        ),
        (
            "padding_by_value", "padding_is_known_by_its_position", _MASK,
            "response_mask = (places >= first) & (padded[:, 1:] != pad_id)",
            "Padding is looked for by its id; where it is that of EOS, the real EOS is masked, too.",
        ),
        (
            "labels_masked_by_value", "padding_is_known_by_its_position",
            "labels = padded[:, 1:].masked_fill(~response_mask, IGNORE)",
            "labels = padded[:, 1:].masked_fill(~response_mask | (padded[:, 1:] == pad_id), IGNORE)",
            "Labels with the id of padding are masked, real ones too.",
        ),
        (
            "one_pad_counts", "padding_is_known_by_its_position", _MASK,
            "response_mask = (places >= first) & ((places < after) | (padded[:, 1:] == eos_id))",
            "Padding with the id of EOS is learned as if it were EOS.",
        ),
        (
            "padded_in_front", "rows_are_prompt_response_and_eos", "row + [pad_id] * (length - len(row))",
            "[pad_id] * (length - len(row)) + row",
            "Rows are padded in front; padding comes behind.",
        ),
        (
            "texts_hold_control_tokens", "a_control_token_in_a_text_is_text", _ROWS,
            _ROWS.replace("encode_ordinary", "encode"),
            "`encode` finds control tokens in a response; use `encode_ordinary`.",
        ),
        (
            "prompts_hold_control_tokens", "a_control_token_in_a_text_is_text",
            "starts = [tokenizer.encode_ordinary(prompt) for prompt in prompts]",
            "starts = [tokenizer.encode(prompt) for prompt in prompts]",
            "`encode` finds control tokens in a prompt; use `encode_ordinary`.",
        ),
        (
            "empty_prompts_pass", "a_prompt_without_a_token_raises", "if not all(starts):", "if not any(starts):",
            "An empty prompt goes through, and nothing predicts the first token of its response.",
        ),
        (
            "missing_responses_pass", "a_prompt_without_a_token_raises", "if len(prompts) != len(responses):",
            "if not responses:",
            "Prompts without a response are dropped without a word.",
        ),
    ),
    *_bugs(
        "sft_loss",
        (
            "divides_by_all_positions", "it_is_the_mean_over_labels_that_count", _MEAN, "return total / labels.numel()",
            "The sum is divided by all positions, those of -100 too.",
        ),
        (
            "mean_of_rows", "every_token_weighs_the_same", _MEAN,
            "rows = F.cross_entropy(logits.mT, labels, ignore_index=IGNORE, reduction=\"none\").sum(1)\n"
            "    kept = (labels != IGNORE).sum(1)\n"
            "    return total * 0 + (rows / kept.clamp(min=1)).sum() / (kept > 0).sum().clamp(min=1)",
            "Each row's mean is taken first, so tokens of short responses weigh more.",
        ),
        (
            "nan_without_labels", "no_label_at_all_gives_zero", _MEAN, "return total / (labels != IGNORE).sum()",
            "With no label the loss is 0 / 0.",
        ),
        (
            "shifts_again", "it_is_the_mean_over_labels_that_count", _NLL,
            'F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE, reduction="sum")',
            "Labels are shifted here again; logits at t are for labels[t].",
        ),
        ("sum", "it_is_the_mean_over_labels_that_count", _MEAN, "return total", "The sum is returned, not the mean."),
        (
            "bits", "it_is_the_mean_over_labels_that_count", _MEAN, _MEAN + " / math.log(2)",
            "The loss is in bits; it is in nats.",
        ),
        (
            "ignored_labels_are_token_0", "the_gradient_is_that_of_the_mean", _NLL,
            'F.cross_entropy(logits.flatten(0, 1), labels.flatten().clamp(min=0), reduction="sum")',
            "-100 is taken for token 0 and counts in the sum.",
        ),
        (
            "token_0_is_ignored", "it_is_the_mean_over_labels_that_count", _NLL,
            "F.cross_entropy(logits.flatten(0, 1), labels.masked_fill(labels == 0, IGNORE).flatten(), "
            'ignore_index=IGNORE, reduction="sum")',
            "Token 0 is taken for padding; only -100 does not count.",
        ),
        (
            "loss_in_float32", "it_is_the_mean_over_labels_that_count",
            [(_NLL, _NLL.replace("logits.flatten(0, 1)", "logits.flatten(0, 1).float()")), (_MEAN, _MEAN + ".to(logits)")],
            "", "Everything is cast to float32, so float64 input loses half of its digits.",
        ),
    ),
    *_bugs(
        "accumulated_sft_loss",
        (
            "mean_of_means", "the_loss_is_that_of_everything_at_once", _PART,
            "part = sft_loss(model(*inputs), labels) / len(microbatches)",
            "The means of the microbatches are averaged, whatever number of labels each has.",
        ),
        (
            "sum_of_means", "the_gradient_is_that_of_everything_at_once", _PART,
            "part = sft_loss(model(*inputs), labels)",
            "The losses of the microbatches are added up: with n of them the loss is n times too large.",
        ),
        (
            "counts_padding", "the_loss_is_that_of_everything_at_once",
            "counts = [int((labels != IGNORE).sum()) for *_, labels in microbatches]",
            "counts = [labels.numel() for *_, labels in microbatches]",
            "Microbatches are weighted by their size, padding included, and not by their labels.",
        ),
        (
            "weighs_only_the_loss", "the_gradient_is_that_of_everything_at_once", _PART + "\n        part.backward()",
            "part = sft_loss(model(*inputs), labels)\n        (part / len(microbatches)).backward()\n"
            "        part = part * (count / max(sum(counts), 1))",
            "The loss that is returned is right, but the gradients are those of a mean of means.",
        ),
        (
            "forgets_old_gradients", "gradients_are_added_to_what_is_there", "    parts = []\n",
            "    parts = []\n    model.zero_grad()\n",
            "The gradients are set to zero first; they are added to what is there.",
        ),
        (
            "last_gradient_only", "the_gradient_is_that_of_everything_at_once", "        part.backward()\n",
            "        model.zero_grad()\n        part.backward()\n",
            "Only the gradients of the last microbatch are left.",
        ),
        (
            "one_backward_at_the_end", "one_graph_at_a_time",
            [
                ("        part.backward()\n        parts.append(part.detach())\n", "        parts.append(part)\n"),
                ("return torch.stack(parts).sum()\n", "loss = torch.stack(parts).sum()\n    loss.backward()\n    return loss.detach()\n"),
            ],
            "", "All microbatches go forward before one backward: all graphs are in memory at once, and nothing is saved.",
        ),
        (
            "first_input_only", "all_inputs_reach_the_model", _PART, _PART.replace("model(*inputs)", "model(inputs[0])"),
            "Only the first tensor of a microbatch reaches the model; all but the last one are its inputs.",
        ),
        (
            "one_twice_as_heavy", "the_gradient_is_that_of_everything_at_once", _PART,
            _PART.replace("count / max(sum(counts), 1)", "count / max(sum(counts) - counts[0] * (len(counts) > 1), 1)"),
            "The labels of the first microbatch are missing in the total.",
        ),
    ),
    *_bugs(
        "pack_sequences",
        (
            "first_fit_as_they_come", "the_longest_goes_first_into_the_first_row_with_room", _DECREASING,
            "filter(len, sequences)",
            "Sequences are placed in the order in which they come; the longest goes first.",
        ),
        (
            "next_fit", "the_longest_goes_first_into_the_first_row_with_room", _FIRST_FIT,
            "len(rows) - 1 if room and room[-1] >= len(sequence) else len(rows)",
            "Only the last row is looked at; a sequence goes into the first one with room.",
        ),
        (
            "best_fit", "the_longest_goes_first_into_the_first_row_with_room", _FIRST_FIT,
            "min((i for i, left in enumerate(room) if left >= len(sequence)), key=lambda i: room[i], default=len(rows))",
            "A sequence goes where least room is left; it goes into the first row that has room.",
        ),
        (
            "shortest_first", "the_longest_goes_first_into_the_first_row_with_room", _DECREASING,
            "sorted(filter(len, sequences), key=len)",
            "The shortest sequence goes first; it must be the longest.",
        ),
        (
            "never_quite_full", "the_longest_goes_first_into_the_first_row_with_room", "if left >= len(sequence))",
            "if left > len(sequence))",
            "A sequence that fills a row to its end is taken for one that does not fit.",
        ),
        (
            "equals_reversed", "equal_lengths_keep_their_order", _DECREASING, "sorted(filter(len, sequences), key=len)[::-1]",
            "Of equally long sequences the later one is placed first.",
        ),
        (
            "positions_go_on", "positions_and_segments_start_anew", "position_ids[row, place] = torch.arange(len(sequence))",
            "position_ids[row, place] = torch.arange(start, place.stop)",
            "Positions go on through the row; each sequence starts at 0.",
        ),
        (
            "segments_go_on", "positions_and_segments_start_anew", "segment_ids[row, place] = number",
            "segment_ids[row, place] = int(segment_ids.max()) + 1",
            "Segments are numbered through all rows; each row starts at 1.",
        ),
        (
            "cuts_what_is_too_long", "too_long_a_sequence_raises",
            'raise ValueError(f"a sequence of {len(sequence)} tokens does not fit into {max_len}")',
            "sequence = sequence[:max_len]",
            "A sequence that is too long is cut without a word.",
        ),
        (
            "pads_with_zero", "empty_sequences_and_empty_room", "ids = torch.full((len(rows), max_len), pad_id)",
            "ids = torch.full((len(rows), max_len), 0)",
            "Room that is left has id 0; it has `pad_id`.",
        ),
        (
            "a_row_for_nothing", "empty_sequences_and_empty_room", _DECREASING, "sorted(sequences, key=len, reverse=True)",
            "Empty sequences are placed, and open a row where there is none.",
        ),
        (
            "last_row_dropped", "no_token_is_lost_and_none_comes_twice", "    for row, packed in enumerate(rows):\n",
            "    if len(rows) > 1 and room[-1]:\n        rows.pop()\n        ids = ids[:-1]\n"
            "        position_ids, segment_ids = position_ids[:-1], segment_ids[:-1]\n"
            "    for row, packed in enumerate(rows):\n",
            "The last row is dropped where it is not full, as in pre-training; its sequences are lost.",
        ),
    ),
    *_bugs(
        "block_causal_mask",
        (
            "reads_the_text_before", "a_packed_text_is_computed_as_if_it_were_alone", _WALLS,
            "return (queries >= keys) & (keys != 0) & (queries != 0) & causal",
            "A text sees those packed before it. Positions that start anew do not keep them apart.",
        ),
        (
            "only_causal", "only_earlier_tokens_of_the_same_segment", _WALLS, "return causal.expand(*queries.shape[:2], t)",
            "The mask is causal and nothing else: segments are ignored.",
        ),
        (
            "sees_the_future", "only_earlier_tokens_of_the_same_segment", _WALLS,
            "return (queries == keys) & (queries != 0)",
            "Tokens of a segment see later ones; the mask must be causal, too.",
        ),
        (
            "hides_the_token_itself", "only_earlier_tokens_of_the_same_segment", ".tril()\n    queries, keys",
            ".tril(-1)\n    queries, keys",
            "The diagonal is missing: a token may attend to itself.",
        ),
        (
            "padding_is_a_text", "padding_neither_sees_nor_is_seen", _WALLS, "return (queries == keys) & causal",
            "Padding attends to padding; segment 0 sees nothing.",
        ),
        (
            "padding_sees_itself", "padding_neither_sees_nor_is_seen", _WALLS,
            _WALLS + " | torch.eye(t, dtype=torch.bool, device=segment_ids.device)",
            "Padding sees itself; its rows are False throughout.",
        ),
        (
            "label_over_the_border", "labels_stay_inside_their_segment", _SAME, "same = segment_ids[:, 1:] != 0",
            "The last token of a text has the first of the next one as its label.",
        ),
        (
            "padding_has_labels", "labels_stay_inside_their_segment", _SAME,
            "same = segment_ids[:, 1:] == segment_ids[:, :-1]",
            "Padding has labels.",
        ),
        (
            "labels_not_shifted", "labels_stay_inside_their_segment", "ids[:, 1:].masked_fill(~same, IGNORE)",
            "ids[:, :-1].masked_fill(~same, IGNORE)",
            "A token is its own label; it must be the one after it.",
        ),
        (
            "last_column_is_token_0", "labels_stay_inside_their_segment", "(0, 1), value=IGNORE)", "(0, 1), value=0)",
            "The last position of a row has label 0; nothing follows it, so it is -100.",
        ),
    ),
    *_bugs(
        "prompts",
        (
            "gives_the_answer_away", "no_example_gives_the_answer_away", _EXAMPLES,
            _EXAMPLES.removesuffix(" if q != query]") + "]",
            "An example that asks the query itself stays in the prompt and gives the answer away.",
        ),
        (
            "ends_in_a_space", "examples_in_their_order_and_the_query_last", _QUERY, _QUERY.replace(".rstrip()", ""),
            "The prompt ends in white space; models learn \" 4\" after \"A:\".",
        ),
        (
            "examples_reversed", "examples_in_their_order_and_the_query_last", _EXAMPLES,
            _EXAMPLES.replace("in examples", "in reversed(examples)"),
            "The examples are in reverse; they keep their order.",
        ),
        (
            "one_line_end", "examples_in_their_order_and_the_query_last", 'return "\\n\\n".join(blocks)',
            'return "\\n".join(blocks)',
            "One line end separates blocks; there is an empty line between two.",
        ),
        (
            "instruction_without_an_instruction", "examples_in_their_order_and_the_query_last",
            "blocks = [instruction] if instruction else []", "blocks = [instruction]",
            "An empty instruction leaves an empty line at the beginning.",
        ),
        (
            "replaces_twice", "braces_in_a_text_are_text", _EXAMPLES,
            _EXAMPLES.replace(
                "template.format(question=q, answer=a)", 'template.replace("{question}", q).replace("{answer}", a)'
            ),
            "\"{answer}\" in a question is replaced, too: put the texts in at once.",
        ),
        (
            "keeps_what_follows_the_answer", "examples_in_their_order_and_the_query_last", _QUERY,
            'blocks.append(template.format(question=query, answer="").rstrip())',
            "What the template has after the answer ends up in the query's block, which ends where the answer would stand.",
        ),
        (
            "answers_before_it_thinks", "reasoning_comes_before_the_answer", 'f"{reasoning} The answer is {answer}."',
            'f"The answer is {answer}. {reasoning}"',
            "The answer stands before the reasoning, so that the model does not think before it answers.",
        ),
        (
            "always_step_by_step", "reasoning_comes_before_the_answer", "return prompt if solved else f\"{prompt} Let's",
            "return f\"{prompt} Let's",
            "\"Let's think step by step.\" is for prompts without examples.",
        ),
        (
            "counts_examples_that_fell_out", "without_examples_it_says_let_us_think", "return prompt if solved else",
            "return prompt if examples else",
            "Where all examples asked the query none is left, and the prompt still waits for an example to follow.",
        ),
    ),
    *_bugs(
        "parse_calls",
        (
            "greedy", "spans_cut_the_calls_out", _CALL, r'r"\[([A-Za-z][A-Za-z0-9]*)\((.*)\)\]"',
            "The argument is matched greedily: from the first call to the end of the last one.",
        ),
        (
            "no_parentheses_inside", "parentheses_are_balanced", _CALL, r'r"\[([A-Za-z][A-Za-z0-9]*)\(([^][()\r\n]*)\)\]"',
            "An argument with parentheses is not found.",
        ),
        (
            "anything_between", "parentheses_are_balanced", _FOUND, _FOUND.replace(" if balanced(match[2])", ""),
            "Parentheses are not checked: \"[Calculator((1)]\" is no call.",
        ),
        (
            "counts_parentheses_only", "parentheses_are_balanced", "if depth < 0:", "if depth < -len(argument):",
            "As many are closed as opened, but \"1)(2\" closes one that is not open.",
        ),
        (
            "calls_again", "everything_else_is_text", _CALL,
            r'r"\[([A-Za-z][A-Za-z0-9]*)\(([^][\r\n]*?)\)(?: -> [^][\r\n]*)?\]"',
            "A call that has its result already is found again.",
        ),
        (
            "spans_without_brackets", "spans_cut_the_calls_out", "Call(match.span(), ",
            "Call((match.start() + 1, match.end() - 1), ",
            "The span leaves out the brackets; text[start:end] is the whole call.",
        ),
        (
            "any_name", "everything_else_is_text", _CALL, r'r"\[(\w+)\(([^][\r\n]*)\)\]"',
            "A name may be anything of \\w; it is an ASCII letter, then ASCII letters and digits.",
        ),
        (
            "spaces_pass", "everything_else_is_text", _CALL, r'r"\[([A-Za-z][A-Za-z0-9]*) ?\(([^][\r\n]*)\) ?\]"',
            "A space before `(` or `]` goes through.",
        ),
        (
            "no_empty_argument", "calls_are_found_from_left_to_right", _CALL,
            r'r"\[([A-Za-z][A-Za-z0-9]*)\(([^][\r\n]+)\)\]"',
            "A call with an empty argument is a call.",
        ),
        (
            "first_call_only", "spans_cut_the_calls_out", _FOUND, _FOUND + "[:1]", "Only the first call is returned.",
        ),
        (
            "lines_do_not_matter", "everything_else_is_text", _CALL, r'r"\[([A-Za-z][A-Za-z0-9]*)\(([^][]*)\)\]"',
            "An argument reaches over a line end.",
        ),
    ),
    *_bugs(
        "calculator",
        (
            "evaluates", "other_operations_are_errors", _VALUE, "result = Fraction(eval(source))",
            "The text is passed to eval, which also computes powers, for minutes if it must.",
        ),
        (
            "allows_powers", "other_operations_are_errors", "        ast.Div: lambda a, b: a / b,\n",
            "        ast.Div: lambda a, b: a / b,\n        ast.Pow: lambda a, b: Fraction(a**b) if abs(b) < 9 else 1 / Fraction(0),\n",
            "Powers are computed; they are errors.",
        ),
        (
            "allows_floor_division", "other_operations_are_errors", "        ast.Div: lambda a, b: a / b,\n",
            "        ast.Div: lambda a, b: a / b,\n        ast.FloorDiv: lambda a, b: Fraction(a // b),\n",
            "`//` is computed; it is an error.",
        ),
        (
            "floats", "values_are_exact", "return Fraction(source[node.col_offset : node.end_col_offset])",
            "return Fraction(float(source[node.col_offset : node.end_col_offset]))",
            "Numbers go through float, so 0.1 + 0.2 - 0.3 is not 0.",
        ),
        (
            "whole_floats", "values_are_exact", _VALUE,
            'result = Fraction(float(value(ast.parse(source, mode="eval").body)))',
            "The result goes through float, and large numbers lose their last digits.",
        ),
        (
            "floor_division", "it_calculates", "ast.Div: lambda a, b: a / b,", "ast.Div: lambda a, b: Fraction(a // b),",
            "The quotient is rounded down; `/` is exact.",
        ),
        (
            "right_to_left", "it_calculates", "return operations[type(op)](value(left), value(right))",
            "a, b = value(left), value(right)\n"
            "                if isinstance(op, ast.Sub) and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Sub):\n"
            "                    return value(left.left) - (value(left.right) - b)\n"
            "                return operations[type(op)](a, b)",
            "5-3-1 is taken for 5-(3-1); operations go from left to right.",
        ),
        (
            "drops_zeros", "other_values_have_two_decimals", _SIGNED,
            """return f"{'-' if hundredths < 0 else ''}{whole}.{part:02}".rstrip("0").rstrip(".")""",
            "Zeros at the end are dropped; a value that is not whole has both of its decimals.",
        ),
        (
            "half_up", "other_values_have_two_decimals", "hundredths = round(result * 100)",
            "hundredths = math.floor(result * 100 + Fraction(1, 2))",
            "Halves are rounded up; they go to the even digit: 1/8 is 0.12.",
        ),
        (
            "cuts_decimals_off", "other_values_have_two_decimals", "hundredths = round(result * 100)",
            "hundredths = int(result * 100)",
            "Decimals are cut off, not rounded.",
        ),
        (
            "minus_zero", "other_values_have_two_decimals", "if hundredths < 0 else ''", "if result < 0 else ''",
            "-1/1000 is written \"-0.00\"; there is no minus before zero.",
        ),
        (
            "rounds_first", "other_values_have_two_decimals", "if result.denominator == 1:",
            "result = round(result, 2)\n    if result.denominator == 1:",
            "2.999 is written \"3\"; it is no whole number, so it is \"3.00\".",
        ),
        (
            "negatives_wrapped", "other_values_have_two_decimals", "divmod(abs(hundredths), 100)",
            "divmod(hundredths, 100)",
            "Below 0 the remainder counts up from the next lower number: -1/3 becomes \"--1.67\".",
        ),
        (
            "division_by_zero_is_zero", "division_by_zero_is_an_error", "ast.Div: lambda a, b: a / b,",
            "ast.Div: lambda a, b: a / b if b else Fraction(0),",
            "Division by 0 gives 0; it is an error.",
        ),
        (
            "signs_are_dropped", "it_calculates", "ast.USub: lambda a: -a,", "ast.USub: lambda a: -abs(a),",
            "Two minus signs make one; --3 is 3.",
        ),
        (
            "accepts_exponents", "anything_else_is_an_error", _GUARD, _GUARD.replace("[0-9.+", "[0-9eE_.+"),
            "Exponents and underscores go through; a number is digits and a point.",
        ),
        (
            "removes_commas", "anything_else_is_an_error", 'source = expression.strip(" ")',
            'source = expression.replace(",", "").strip(" ")',
            "Commas are removed first; they are errors.",
        ),
        (
            "strips_all_white_space", "anything_else_is_an_error", 'source = expression.strip(" ")',
            "source = expression.strip()",
            "Line ends around the expression are dropped; only spaces may stand there.",
        ),
        (
            "reads_everything", "no_input_keeps_it_busy", "len(expression) > MAX_EXPRESSION or not", "not",
            "Expressions of any length are read; more than 200 characters are an error.",
        ),
        (
            "reads_one_too_few", "no_input_keeps_it_busy", "len(expression) > MAX_EXPRESSION", "len(expression) >= MAX_EXPRESSION",
            "An expression of exactly 200 characters is an error; it may have 200.",
        ),
    ),
    *_bugs(
        "execute_calls",
        (
            "spans_go_stale", "each_result_is_written_before_the_bracket", "for call in reversed(parse_calls(text)):",
            "for call in parse_calls(text):",
            "After the first result was written all later places have moved.",
        ),
        (
            "first_call_executed", "each_result_is_written_before_the_bracket",
            "for call in reversed(parse_calls(text)):", "for call in parse_calls(text)[:1]:",
            "Only the first call is executed.",
        ),
        (
            "errors_stay_calls", "results_are_those_of_the_calculator", 'if call.tool == "Calculator":',
            'if call.tool == "Calculator" and calculator(call.argument) != "error":',
            "A call whose result is \"error\" stays as it is; the error is its result.",
        ),
        (
            "any_tool", "everything_else_stays_as_it_is", 'if call.tool == "Calculator":', "if call.tool:",
            "Calls of other tools are executed as if they were the Calculator's.",
        ),
        (
            "any_case", "everything_else_stays_as_it_is", 'if call.tool == "Calculator":',
            'if call.tool.lower() == "calculator":',
            "Names are exact: `calculator` is another tool.",
        ),
        (
            "the_beginning_of_a_name", "everything_else_stays_as_it_is", 'if call.tool == "Calculator":',
            'if call.tool.startswith("Calculator"):',
            "A name that only begins with Calculator is another tool.",
        ),
    ),
    *_bugs(
        "toolformer",
        (
            "beats_one_of_them", "a_call_must_beat_both_no_call_and_no_result", _KEEP, _KEEP.replace("minimum", "maximum"),
            "It is enough to beat one of the two losses; the call must beat both.",
        ),
        (
            "forgets_the_empty_call", "a_call_must_beat_both_no_call_and_no_result", _KEEP,
            "return loss_without - loss_with >= tau",
            "The call without its result is not compared: a call that helps as a hint is kept.",
        ),
        (
            "forgets_no_call", "a_call_must_beat_both_no_call_and_no_result", _KEEP, "return loss_empty - loss_with >= tau",
            "The loss without a call is not compared.",
        ),
        (
            "wrong_sign", "a_call_must_beat_both_no_call_and_no_result", _KEEP,
            "return loss_with - torch.minimum(loss_without, loss_empty) >= tau",
            "Calls are kept that make the loss higher.",
        ),
        (
            "more_than_the_threshold", "exactly_the_threshold_is_enough", _KEEP, _KEEP.replace(">=", ">"),
            "A gain of exactly tau is enough.",
        ),
        (
            "weights_sum_to_one", "weights_fall_to_zero_in_five_steps", "return (1 - t / 5).clamp(min=0) / 3",
            "w = (1 - t / 5).clamp(min=0)\n    return w / w.sum()",
            "The weights are divided by the sum of those that are there; the sum runs over all t and is 3.",
        ),
        (
            "weights_not_divided", "weights_fall_to_zero_in_five_steps", "return (1 - t / 5).clamp(min=0) / 3",
            "return (1 - t / 5).clamp(min=0)",
            "The weights are not divided by 3.",
        ),
        (
            "weights_below_zero", "weights_fall_to_zero_in_five_steps", "return (1 - t / 5).clamp(min=0) / 3",
            "return (1 - t / 5) / 3",
            "From t = 6 on the weights are negative; they are max(0, ...).",
        ),
        (
            "starts_one_too_late", "the_loss_is_of_the_tokens_that_follow", "after = token_losses[..., position:]",
            "after = token_losses[..., position + 1 :]",
            "The token at `position` itself is the first that counts.",
        ),
        (
            "counts_the_past", "the_loss_is_of_the_tokens_that_follow", "after = token_losses[..., position:]",
            "after = token_losses[..., : position + 1].flip(-1)",
            "The tokens before the call are counted; the loss is of those after it.",
        ),
    ),
    *_bugs(
        "extract_answer",
        (
            "first_number", "it_is_the_last_number", _LAST, _LAST.replace("[-1]", "[0]"),
            "The first number is returned; it is the last.",
        ),
        ("keeps_commas", "commas_belong_between_groups_of_three", _LAST, _LAST.replace('.replace(",", "")', ""), "Commas stay in the answer."),
        (
            "commas_anywhere", "commas_belong_between_groups_of_three", _NUMBER,
            r'r"(?:(?<![^\W_])(?<!\))-)?[0-9][0-9,]*(?:\.[0-9]+)?"',
            "Commas are taken anywhere in a number; they stand between groups of three digits.",
        ),
        (
            "commas_end_numbers", "commas_belong_between_groups_of_three", _NUMBER,
            r'r"(?:(?<![^\W_])(?<!\))-)?[0-9]+(?:\.[0-9]+)?"',
            "A number ends at a comma, so \"1,234\" gives \"234\".",
        ),
        (
            "any_signs", "the_sentence_keeps_its_full_stops_and_commas", _NUMBER,
            r'r"(?:(?<![^\W_])(?<!\))-)?[0-9][0-9.,]*"',
            "Full stops and commas after a number are taken for a part of it.",
        ),
        (
            "a_comma_is_a_number", "the_sentence_keeps_its_full_stops_and_commas", _NUMBER, r'r"-?[0-9.,]+"',
            "A comma or a full stop alone is taken for a number: \"72, in total, so\" gives \"\".",
        ),
        (
            "always_a_sign", "a_minus_may_be_a_sign_or_a_subtraction", _NUMBER, _NUMBER.replace(r"(?:(?<![^\W_])(?<!\))-)?", "-?"),
            "The minus of a subtraction is taken for a sign: \"5-3\" gives \"-3\".",
        ),
        (
            "never_a_sign", "a_minus_may_be_a_sign_or_a_subtraction", _NUMBER, _NUMBER.replace(r"(?:(?<![^\W_])(?<!\))-)?", ""),
            "The sign is lost.",
        ),
        (
            "parentheses_forgotten", "a_minus_may_be_a_sign_or_a_subtraction", _NUMBER, _NUMBER.replace(r"(?<!\))", ""),
            "After a closing parenthesis a minus is a subtraction: \"(2)-1\" gives \"1\".",
        ),
        (
            "whole_numbers_only", "it_is_the_last_number", _NUMBER, _NUMBER.replace(r'(?:\.[0-9]+)?"', '"'),
            "The decimals are lost, or taken for a number of their own.",
        ),
        (
            "rewrites_the_number", "it_is_the_last_number", _LAST,
            'return str(float(numbers[-1].replace(",", ""))).removesuffix(".0") if numbers else None',
            "The number is written anew; it comes back as it stands in the text, but for commas.",
        ),
    ),
    *_bugs(
        "self_consistency",
        (
            "none_votes", "the_majority_wins",
            [("if answer is not None:", "if True:"), ('r"-?[0-9]+(\\.[0-9]+)?", answer)', 'r"-?[0-9]+(\\.[0-9]+)?", answer or "")')],
            "", "Samples without an answer vote, and can win.",
        ),
        (
            "numbers_as_texts", "equal_numbers_are_one_answer", _MEANING, "meaning = answer",
            "Answers are compared as texts: \"3\" and \"3.0\" are one answer.",
        ),
        (
            "numbers_as_floats", "equal_numbers_are_one_answer", "meaning = Fraction(answer) if", "meaning = float(answer) if",
            "Large numbers are compared as floats, so different ones are taken for equal.",
        ),
        (
            "case_does_not_matter", "equal_numbers_are_one_answer", 'answer) else answer\n', 'answer) else answer.strip().lower()\n',
            "Texts are compared without regard to case or space; they agree only if they are the same.",
        ),
        (
            "latest_spelling", "equal_numbers_are_one_answer", "spellings.setdefault(meaning, answer)",
            "spellings[meaning] = answer",
            "The spelling that came last is returned; it is the first.",
        ),
        (
            "rewrites_the_answer", "equal_numbers_are_one_answer", _MOST, "return str(max(votes, key=votes.__getitem__)) if votes else None",
            "The number is written anew; the first spelling is returned.",
        ),
        (
            "last_of_a_tie", "a_tie_goes_to_the_answer_that_was_seen_first", "max(votes, key=votes.__getitem__)",
            "max(reversed(votes), key=votes.__getitem__)",
            "Of answers with equally many votes the one seen last wins; it is the first.",
        ),
        (
            "smallest_of_a_tie", "a_tie_goes_to_the_answer_that_was_seen_first", "max(votes, key=votes.__getitem__)",
            "min(votes, key=lambda meaning: (-votes[meaning], str(meaning)))",
            "Of answers with equally many votes the smallest wins; it is the one seen first.",
        ),
    ),
    *_bugs(
        "bm25",
        (
            "terms_of_a_set", "scores_are_those_of_the_formula", "for term in terms(query):", "for term in set(terms(query)):",
            "A term that is twice in the query counts once; it counts twice.",
        ),
        (
            "no_saturation", "k1_saturates_and_b_normalises", _GAIN, "scores += idf * f",
            "The score grows with every occurrence; k1 makes it level off.",
        ),
        (
            "total_instead_of_mean", "scores_are_those_of_the_formula", _NORM, _NORM.replace("lengths.mean()", "lengths.sum()"),
            "Lengths are divided by the sum of all lengths, not by their mean.",
        ),
        (
            "b_is_ignored", "k1_saturates_and_b_normalises", _NORM,
            "norm = k1 * (0.25 + 0.75 * lengths / lengths.mean().clamp(min=1e-9))",
            "`b` is ignored.",
        ),
        (
            "b_the_wrong_way_round", "k1_saturates_and_b_normalises", _NORM,
            "norm = k1 * (b + (1 - b) * lengths / lengths.mean().clamp(min=1e-9))",
            "b = 0 normalises fully and b = 1 not at all; it is the other way round.",
        ),
        (
            "no_k1_plus_one", "scores_are_those_of_the_formula", _GAIN, _GAIN.replace(" * (k1 + 1)", ""),
            "The factor k1 + 1 is missing.",
        ),
        (
            "counts_occurrences_for_documents", "scores_are_those_of_the_formula", "n = int((f > 0).sum())", "n = min(int(f.sum()), len(f))",
            "n(q) is the number of documents that hold the term, not of its occurrences.",
        ),
        (
            "idf_below_zero", "rare_terms_weigh_more_and_never_less_than_nothing", _IDF,
            "idf = math.log((len(documents) - n + 0.5) / (n + 0.5))",
            "Without the 1 inside the logarithm a common term counts against a document.",
        ),
        (
            "every_term_alike", "rare_terms_weigh_more_and_never_less_than_nothing", _IDF, "idf = 1.0",
            "All terms weigh the same; rare ones weigh more.",
        ),
        (
            "zero_divided_by_zero", "nothing_in_common_scores_zero", _GAIN, "scores += idf * f * (k1 + 1) / (f + norm)",
            "An empty document at b = 1 is 0 / 0; its score is 0.",
        ),
        (
            "worst_first", "the_best_documents_come_first", "key=lambda i: -scores[i])", "key=lambda i: scores[i])",
            "The worst documents come first.",
        ),
        (
            "fills_up_with_zeros", "ties_keep_their_order_and_zeros_stay_out", _RANKED, "return order[:k]",
            "Documents that have nothing to do with the query are returned, too.",
        ),
        (
            "ties_reversed", "ties_keep_their_order_and_zeros_stay_out",
            "order = sorted(range(len(documents)), key=lambda i: -scores[i])",
            "order = sorted(range(len(documents)), key=lambda i: scores[i])[::-1]",
            "Of documents with the same score the later one comes first.",
        ),
    ),
    *_bugs(
        "citations",
        (
            "cites_everything", "every_citation_holds_the_answer", _CITED, _CITED.replace("for j in sources", "for j in sorted(found)"),
            "All retrieved documents are cited, those that do not hold the answer, too.",
        ),
        (
            "cites_where_it_read", "every_citation_holds_the_answer", _CITED, _CITED.replace("for j in sources", "for j in [i]"),
            "Only the document that was read is cited; all that hold the answer are.",
        ),
        (
            "cites_what_was_not_retrieved", "every_citation_holds_the_answer", _SOURCES, _SOURCES.replace("sorted(found)", "range(len(documents))"),
            "Documents that were not retrieved are cited.",
        ),
        (
            "counts_from_zero", "every_citation_holds_the_answer", _CITED, _CITED.replace("{j + 1}", "{j}"),
            "Documents are counted from 0; the first one is [1].",
        ),
        (
            "cites_in_the_order_of_scores", "every_citation_holds_the_answer", _SOURCES, _SOURCES.replace("sorted(found)", "found"),
            "Citations are in the order of the scores; they ascend.",
        ),
        (
            "believes_the_reader", "the_most_confident_supported_answer_wins", _BETTER, _BETTER.replace("sources and ", ""),
            "An answer that no document holds is returned, without a citation.",
        ),
        (
            "gives_up_at_once", "the_most_confident_supported_answer_wins", "    return best\n",
            "    read = [reader(question, documents[i]) for i in found]\n"
            "    top = max(read, key=lambda pair: pair[1], default=(\"\", 0.0))[0]\n"
            "    return best if any(holds_answer(documents[j], top) for j in found) else None\n",
            "Where the most confident answer is made up the next one is not tried.",
        ),
        (
            "first_answer_wins", "the_most_confident_supported_answer_wins", _BETTER,
            _BETTER.replace("confidence > best_confidence", "best is None"),
            "The answer from the best document wins; it is the most confident one.",
        ),
        (
            "last_of_equals", "the_most_confident_supported_answer_wins", _BETTER,
            _BETTER.replace("confidence > best_confidence", "confidence >= best_confidence"),
            "Of equally confident answers the one from the worse document wins.",
        ),
        (
            "guesses", "below_the_threshold_it_abstains", _BETTER, _BETTER.replace("confidence >= threshold and ", ""),
            "The threshold is ignored: it guesses where it should abstain.",
        ),
        (
            "more_than_the_threshold_needed", "below_the_threshold_it_abstains", _BETTER,
            _BETTER.replace(">= threshold", "> threshold"),
            "A confidence of exactly the threshold is enough.",
        ),
        (
            "parts_of_words", "an_answer_is_held_word_by_word", "    return bool(wanted) and any(words[i : i + len(wanted)] == wanted for i in starts)",
            '    return bool(wanted) and " ".join(wanted) in " ".join(words)',
            "A part of a word counts: \"181\" is not in \"1815\".",
        ),
        (
            "words_in_any_order", "an_answer_is_held_word_by_word", "    return bool(wanted) and any(words[i : i + len(wanted)] == wanted for i in starts)",
            "    return bool(wanted) and set(wanted) <= set(words)",
            "Words that stand apart or in another order count; they must stand side by side.",
        ),
        (
            "empty_answers_are_everywhere", "an_answer_is_held_word_by_word", "    return bool(wanted) and any(words[i",
            "    return any(words[i",
            "An answer without a word is held by every document.",
        ),
        (
            "reads_everything_there_is", "only_retrieved_documents_are_read_and_the_best_first", "    for i in found:\n        answer, confidence",
            "    for i in [*found, *(i for i in range(len(documents)) if i not in found)]:\n        answer, confidence",
            "Documents that were not retrieved are read, too.",
        ),
    ),
]  # fmt: skip
