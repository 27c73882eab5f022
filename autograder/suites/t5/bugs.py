"""Planted bugs of `t5`: what students get wrong, as edits of the reference, each with the test that must notice."""
# ruff: noqa: E501 - an edit quotes the reference line by line

from __future__ import annotations

from autograder.judge import Bug

_CUTS = "cuts = keys.topk(n_segments - 1).indices.sort().values + 1"
_KEYS = "keys = torch.rand(rows, n_items - 1, generator=generator, device=device)"
_SEGMENTS = "segments = F.pad(F.pad(cuts, (1, 0)), (0, 1), value=n_items).diff()"
_IMPOSSIBLE = "if not 1 <= n_segments <= n_items:"

SEGMENTATION = [
    Bug(
        "multinomial_counts", part="random_segmentation", killed_by="test_segments_are_positive_and_sum_to_the_items",
        edit=(_SEGMENTS, "segments = F.one_hot(torch.randint(n_segments, (rows, n_items), generator=generator), n_segments).sum(1)"),
        hint="Every item picks a segment at random: that is a multinomial distribution, and it leaves segments empty.",
    ),
    Bug(
        "cut_points_repeat", part="random_segmentation", killed_by="test_segments_are_positive_and_sum_to_the_items",
        edit=(_CUTS, "cuts = torch.randint(1, max(n_items, 2), (rows, n_segments - 1), generator=generator).sort().values"),
        hint="The cut points are drawn with replacement: where two are equal, the segment between them is empty.",
    ),
    Bug(
        "the_last_segment_takes_the_rest", part="random_segmentation", killed_by="test_every_composition_is_equally_likely",
        edit=(
            _SEGMENTS,
            """left, drawn = torch.full((rows,), n_items), []
    for i in range(n_segments - 1, 0, -1):
        drawn.append(((torch.rand(rows, generator=generator) * (left - i)).long() + 1).clamp(max=n_items))
        left = left - drawn[-1]
    segments = torch.stack([*drawn, left], dim=-1)""",
        ),
        hint="Each segment is drawn from what is left and the last one takes the rest, so early segments are too long.",
    ),
    Bug(
        "one_each_and_the_rest_at_random", part="random_segmentation", killed_by="test_every_composition_is_equally_likely",
        edit=(
            _SEGMENTS,
            "segments = 1 + F.one_hot(torch.randint(n_segments, (rows, n_items - n_segments), generator=generator), "
            "n_segments).sum(1)",
        ),
        hint="One item each and every further one to a random segment: even cuts come too often.",
    ),
    Bug(
        "rounded_proportions", part="random_segmentation", killed_by="test_every_composition_is_equally_likely",
        edit=(
            _SEGMENTS,
            """shares = torch.rand(rows, n_segments, generator=generator).cumsum(-1)
    ends = (shares / shares[:, -1:] * (n_items - n_segments)).round().long() + torch.arange(1, n_segments + 1)
    segments = F.pad(ends, (1, 0)).diff()""",
        ),
        hint="Random proportions, scaled and rounded, are not uniform over the ways to cut.",
    ),
    Bug(
        "only_the_first_cut_is_random", part="random_segmentation",
        killed_by="test_every_composition_is_equally_likely",
        edit=(_CUTS, "cuts = (torch.randint(n_items - n_segments + 1, (rows, 1), generator=generator) + torch.arange(n_segments - 1)) + 1"),
        hint="Only the first cut is random and the others follow it, so most segments hold one item.",
    ),
    Bug(
        "ignores_the_generator", part="random_segmentation", killed_by="test_the_generator_decides_and_impossible_cuts_raise",
        edit=(_KEYS, "keys = torch.rand(rows, n_items - 1)"),
        hint="The random numbers come from torch's global generator, not from the one that is given.",
    ),
    Bug(
        "always_the_same_cut", part="random_segmentation", killed_by="test_the_generator_decides_and_impossible_cuts_raise",
        edit=(_KEYS, "keys = torch.rand(rows, n_items - 1, generator=torch.Generator().manual_seed(0))"),
        hint="A generator with a fixed seed inside the function gives the same cut every time.",
    ),
    Bug(
        "impossible_cuts_pass", part="random_segmentation", killed_by="test_the_generator_decides_and_impossible_cuts_raise",
        edit=(_IMPOSSIBLE, "n_segments = max(min(n_segments, n_items), 1)\n    if False:"),
        hint="More segments than items is a ValueError; here the number of segments is changed in silence.",
    ),
]  # fmt: skip

_NOISE = "n_noise = min(max(round(length * noise_density), 1), length - 1)"
_SPANS = "n_spans = max(round(n_noise / mean_span_length), 1)"
_FIT = "return n_noise, min(n_spans, n_noise, length - n_noise)"
_NOTHING = "if length < 2 or noise_density == 0:"
_DEFINITION = "test_counts_are_those_of_the_definition"
_HALVES = "test_halves_go_to_the_even_number"

NOISE_COUNTS = [
    Bug(
        "noise_is_rounded_down", part="noise_counts", killed_by=_DEFINITION,
        edit=(_NOISE, "n_noise = min(max(int(length * noise_density), 1), length - 1)"),
        hint="int() rounds the number of noise tokens down; it must be round().",
    ),
    Bug(
        "spans_are_rounded_down", part="noise_counts", killed_by=_DEFINITION,
        edit=(_SPANS, "n_spans = max(int(n_noise / mean_span_length), 1)"),
        hint="int() rounds the number of spans down; it must be round().",
    ),
    Bug(
        "noise_is_rounded_up", part="noise_counts", killed_by=_DEFINITION,
        edit=(_NOISE, "n_noise = min(max(math.ceil(length * noise_density), 1), length - 1)"),
        hint="The number of noise tokens is rounded up; it must be rounded to the nearest.",
    ),
    Bug(
        "right_only_at_the_defaults", part="noise_counts", killed_by=_DEFINITION,
        edit=(_NOISE, "mean_span_length = 3.0\n    n_noise = min(max(round(length * 0.15), 1), length - 1)"),
        hint="The density 0.15 and the mean span length 3 of T5 are written into the code; the arguments are ignored.",
    ),
    Bug(
        "ignores_the_mean_span_length", part="noise_counts", killed_by=_DEFINITION,
        edit=(_SPANS, "n_spans = max(round(n_noise / 3.0), 1)"),
        hint="The number of spans is n / 3 whatever mean_span_length says.",
    ),
    Bug(
        "spans_from_the_unrounded_product", part="noise_counts", killed_by=_DEFINITION,
        edit=(_SPANS, "n_spans = max(round(length * noise_density / mean_span_length), 1)"),
        hint="The number of spans comes from the whole number of noise tokens, not from length * density.",
    ),
    Bug(
        "spans_from_what_is_kept", part="noise_counts", killed_by=_DEFINITION,
        edit=(_FIT, "return n_noise, min(max(round((length - n_noise) / mean_span_length), 1), n_noise, length - n_noise)"),
        hint="The number of spans is that of noise tokens over the mean span length; here the other tokens are divided.",
    ),
    Bug(
        "halves_go_up", part="noise_counts", killed_by=_HALVES,
        edit=(_NOISE, "n_noise = min(max(math.floor(length * noise_density + 0.5), 1), length - 1)"),
        hint="Halves are rounded up; Python's round() takes them to the even number.",
    ),
    Bug(
        "halves_of_spans_go_up", part="noise_counts", killed_by=_HALVES,
        edit=(_SPANS, "n_spans = max(math.floor(n_noise / mean_span_length + 0.5), 1)"),
        hint="Halves are rounded up where spans are counted; Python's round() takes them to the even number.",
    ),
    Bug(
        "may_have_no_noise", part="noise_counts", killed_by="test_some_noise_and_some_text_always_remain",
        edit=[(_NOISE, "n_noise = min(round(length * noise_density), length - 1)"), (_FIT, "return n_noise, max(min(n_spans, n_noise, length - n_noise), 0)")],
        hint="A short text at a low density gets no noise at all: at least one token must be noise.",
    ),
    Bug(
        "may_be_all_noise", part="noise_counts", killed_by="test_some_noise_and_some_text_always_remain",
        edit=[(_NOISE, "n_noise = min(max(round(length * noise_density), 1), length)"), (_FIT, "return n_noise, max(min(n_spans, n_noise, length - n_noise), 1)")],
        hint="At a high density every token becomes noise: at least one must remain.",
    ),
    Bug(
        "spans_may_outnumber_the_text", part="noise_counts", killed_by="test_spans_fit_between_the_other_tokens",
        edit=(_FIT, "return n_noise, min(n_spans, n_noise)"),
        hint="Each span follows a token that is kept, so there cannot be more spans than such tokens.",
    ),
    Bug(
        "spans_may_outnumber_the_noise", part="noise_counts", killed_by="test_spans_fit_between_the_other_tokens",
        edit=(_FIT, "return n_noise, min(n_spans, length - n_noise)"),
        hint="Each span holds a token, so there cannot be more spans than noise tokens.",
    ),
    Bug(
        "clamped_before_rounding", part="noise_counts", killed_by="test_spans_fit_between_the_other_tokens",
        edit=(_FIT, "return n_noise, max(round(min(n_noise, length - n_noise) / mean_span_length), 1)"),
        hint="min(noise, others) is divided by the mean; the limit belongs on the number of spans, after rounding.",
    ),
    Bug(
        "a_density_of_zero_has_noise", part="noise_counts", killed_by="test_nothing_to_do",
        edit=(_NOTHING, "if length < 2:"),
        hint="A density of exactly 0 means no noise; at least one noise token is for every other density.",
    ),
    Bug(
        "one_token_is_noise", part="noise_counts", killed_by="test_nothing_to_do",
        edit=(_NOTHING, "if length == 1 and noise_density:\n        return 1, 1\n    if length < 2 or noise_density == 0:"),
        hint="A text of one token has no noise: there would be no text left.",
    ),
    Bug(
        "float32_product", part="noise_counts", killed_by=_HALVES,
        edit=(_NOISE, "n_noise = min(max(round(float(torch.tensor(float(length)) * noise_density)), 1), length - 1)"),
        hint="The product is rounded to float32 first, which moves some products over a half; use Python's floats.",
    ),
]  # fmt: skip

_MASK_EMPTY = "if not n_noise:"
_MASK_TURNS = "return turns[..., :length].cumsum(-1) % 2 == 1  # every turn is one from others to noise or back"
_MASK_OTHERS = "others = random_segmentation(length - n_noise, n_spans, generator, batch_size=batch_size)"
_MASK_NOISE = "noise = random_segmentation(n_noise, n_spans, generator, batch_size=batch_size)  # (..., n_spans)"
_MASK_COUNTS = "n_noise, n_spans = noise_counts(length, noise_density, mean_span_length)\n    if"
_PLANNED = "test_noise_tokens_and_runs_are_exactly_as_many_as_planned"
_UNIFORM = "test_every_mask_is_equally_likely"

MASKS = [
    Bug(
        "token_by_token", part="random_spans_noise_mask", killed_by=_PLANNED,
        edit=(_MASK_TURNS, "return torch.rand(turns[..., :length].shape, generator=generator) < noise_density"),
        hint="Each token is noise with probability noise_density by itself; there must be spans, and exact counts.",
    ),
    Bug(
        "right_only_at_the_default_density_and_span_length", part="random_spans_noise_mask", killed_by=_PLANNED,
        edit=(_MASK_COUNTS, "n_noise, n_spans = noise_counts(length)\n    if"),
        hint="The arguments noise_density and mean_span_length are ignored: the mask is right only at T5's defaults.",
    ),
    Bug(
        "ignores_the_mean_span_length_of_the_mask", part="random_spans_noise_mask", killed_by=_PLANNED,
        edit=(_MASK_COUNTS, "n_noise, n_spans = noise_counts(length, noise_density)\n    if"),
        hint="mean_span_length is ignored: the number of spans is right only at the default.",
    ),
    Bug(
        "runs_merge", part="random_spans_noise_mask", killed_by=_PLANNED,
        edit=(_MASK_OTHERS, "others = random_segmentation(length - n_noise + n_spans, n_spans, generator, batch_size=batch_size) - 1"),
        hint="Segments of kept tokens may be empty, so spans of noise merge and there are fewer runs than planned.",
    ),
    Bug(
        "one_span_of_noise", part="random_spans_noise_mask", killed_by=_PLANNED,
        edit=(_MASK_COUNTS, "n_noise, n_spans = noise_counts(length, noise_density, mean_span_length)\n    n_spans = 1\n    if"),
        hint="All noise is in one span; the number of spans must be the one that noise_counts gives.",
    ),
    Bug(
        "starts_with_noise", part="random_spans_noise_mask", killed_by="test_it_starts_with_text_and_ends_with_noise",
        edit=(_MASK_TURNS, "return (turns[..., :length].cumsum(-1) % 2 == 1).flip(-1)"),
        hint="The mask begins with noise and ends with text; it must be the other way round.",
    ),
    Bug(
        "rotated", part="random_spans_noise_mask", killed_by="test_it_starts_with_text_and_ends_with_noise",
        edit=(_MASK_TURNS, "return (turns[..., :length].cumsum(-1) % 2 == 1).roll(1 if n_spans == 1 else 0, -1)"),
        hint="The mask is rotated, so that noise comes first where there is one span.",
    ),
    Bug(
        "noise_and_text_are_cut_alike", part="random_spans_noise_mask", killed_by=_UNIFORM,
        edit=(_MASK_OTHERS, "others = random_segmentation(length - n_noise, n_spans, generator, batch_size=batch_size) if n_noise * 2 != length else noise"),
        hint="Noise and text are cut in the same way; they must be cut independently.",
    ),
    Bug(
        "noise_is_cut_evenly", part="random_spans_noise_mask", killed_by=_UNIFORM,
        edit=(_MASK_NOISE, "places = torch.arange(n_spans + 1) * n_noise // n_spans\n    noise = places.diff() if batch_size is None else places.diff().expand(batch_size, -1)"),
        hint="All spans of noise are of nearly the same length; their lengths must be random.",
    ),
    Bug(
        "text_is_cut_evenly", part="random_spans_noise_mask", killed_by="test_every_mask_is_equally_likely_at_uneven_counts",
        edit=(_MASK_OTHERS, "places = torch.arange(n_spans + 1) * (length - n_noise) // n_spans\n    others = places.diff() if batch_size is None else places.diff().expand(batch_size, -1)"),
        hint="The spans of noise stand at even distances; the distances must be random.",
    ),
    Bug(
        "first_span_is_the_longest", part="random_spans_noise_mask", killed_by="test_every_mask_is_equally_likely_at_uneven_counts",
        edit=(_MASK_NOISE, "noise = random_segmentation(n_noise, n_spans, generator, batch_size=batch_size).sort(descending=True).values"),
        hint="The spans are sorted by length, so the longest always comes first.",
    ),
    Bug(
        "zero_density_gives_a_token", part="random_spans_noise_mask", killed_by="test_no_noise_at_all",
        edit=(_MASK_COUNTS, "n_noise, n_spans = noise_counts(length, noise_density or 0.15, mean_span_length)\n    if"),
        hint="A density of exactly 0 means no noise; `noise_density or ...` takes it for one that is missing.",
    ),
    Bug(
        "no_noise_is_all_noise", part="random_spans_noise_mask", killed_by="test_no_noise_at_all",
        edit=("return torch.zeros(length if batch_size is None else (batch_size, length), dtype=torch.bool, device=device)", "return torch.ones(length if batch_size is None else (batch_size, length), dtype=torch.bool, device=device)"),
        hint="Where there is no noise the mask must be False throughout.",
    ),
    Bug(
        "always_the_same_mask", part="random_spans_noise_mask", killed_by="test_the_generator_decides",
        edit=(_MASK_COUNTS, "generator = torch.Generator().manual_seed(0)\n    n_noise, n_spans = noise_counts(length, noise_density, mean_span_length)\n    if"),
        hint="A generator with a fixed seed inside the function gives the same mask every time.",
    ),
    Bug(
        "ignores_the_generator_of_the_mask", part="random_spans_noise_mask", killed_by="test_the_generator_decides",
        edit=(_MASK_OTHERS, "others = random_segmentation(length - n_noise, n_spans, batch_size=batch_size)"),
        hint="The kept tokens are cut with torch's global generator: the same state does not give the same mask.",
    ),
]  # fmt: skip

_LOOKUP = 'ids.append(tokenizer.id(f"<extra_id_{len(ids)}>"))'
_SENTINELS = "sentinels = torch.tensor(list(sentinel_ids), dtype=tokens.dtype, device=tokens.device)"
_STARTS = "starts = mask & ~F.pad(mask, (1, 0))[..., :-1]"
_INPUTS = "inputs = torch.where(starts, marks, tokens).masked_select(starts | ~mask)"
_CHOSEN = "chosen = torch.stack((starts, mask), dim=-1)"
_TARGETS = "targets = torch.stack((marks, tokens), dim=-1).masked_select(chosen)"
_MARKS = "marks = F.pad(sentinels, (1, 0))[starts.cumsum(-1)]"
_TOO_FEW = "if n_runs + final_sentinel > len(sentinel_ids):"
_FINAL = "targets = F.pad(targets, (0, 1), value=sentinel_ids[n_runs])"
_EOS = "inputs, targets = F.pad(inputs, (0, 1), value=eos_id), F.pad(targets, (0, 1), value=eos_id)"
_EOS_IF = "    if eos_id is not None:\n        inputs, targets"
_ISIN = "if torch.isin(tokens[(tokens >= low) & (tokens <= high)], sentinels).any():"
_EACH = "test_each_run_becomes_its_sentinel"
_ORDER = "test_sentinels_come_in_the_order_in_which_they_are_given"

SPAN_CORRUPT = [
    Bug(
        "sentinels_computed_from_the_size", part="span_corrupt", killed_by="test_sentinels_are_looked_up_in_the_vocabulary",
        edit=(_LOOKUP, 'tokenizer.id(f"<extra_id_{len(ids)}>")\n            ids.append(tokenizer.vocab_size - 1 - len(ids))'),
        hint="V - 1 - i is right for T5's own vocabulary only: ask tokenizer.id('<extra_id_i>').",
    ),
    Bug(
        "sentinels_in_the_order_of_their_ids", part="span_corrupt", killed_by="test_sentinels_are_looked_up_in_the_vocabulary",
        edit=("        except KeyError:\n            return ids", "        except KeyError:\n            return sorted(ids)"),
        hint="Sentinels are ordered by their number, <extra_id_0> first, not by their id.",
    ),
    Bug(
        "counts_up_from_the_first_sentinel", part="span_corrupt", killed_by="test_sentinels_are_looked_up_in_the_vocabulary",
        edit=(_LOOKUP, 'tokenizer.id(f"<extra_id_{len(ids)}>")\n            ids.append(tokenizer.id("<extra_id_0>") + len(ids))'),
        hint="The ids of the sentinels need not follow one another: ask for each.",
    ),
    Bug(
        "one_sentinel_for_all", part="span_corrupt", killed_by=_EACH,
        edit=(_MARKS, "marks = F.pad(sentinels, (1, 0))[starts.cumsum(-1).clamp(max=1)]"),
        hint="Every span gets the first sentinel; each must have its own, or nobody can tell them apart.",
    ),
    Bug(
        "a_sentinel_per_token", part="span_corrupt", killed_by=_EACH,
        edit=(_STARTS, "sentinel_ids = [*sentinel_ids, *range(200, 300)]\n    starts = mask.clone()"),
        hint="Every noise token has a sentinel of its own; neighbouring noise tokens share one.",
    ),
    Bug(
        "tokens_stay_in_the_inputs", part="span_corrupt", killed_by=_EACH,
        edit=[(_INPUTS, "inputs = torch.where(starts, marks, tokens).reshape(-1)"), ("inputs = inputs.reshape(*tokens.shape[:-1], tokens.shape[-1] - n_noise + n_runs)", "inputs = inputs.reshape(tokens.shape)")],
        hint="The sentinel takes the place of the span's first token, and the rest of the span is still in the inputs.",
    ),
    Bug(
        "roll_wraps_around", part="span_corrupt", killed_by="test_runs_may_begin_and_end_anywhere",
        edit=(_STARTS, "starts = mask & ~mask.roll(1, -1)"),
        hint="roll() puts the last entry before the first: a span at the very beginning gets lost where the text ends in noise.",
    ),
    Bug(
        "first_token_never_starts_a_span", part="span_corrupt", killed_by="test_runs_may_begin_and_end_anywhere",
        edit=(_STARTS, "starts = F.pad(mask[..., 1:] & ~mask[..., :-1], (1, 0))"),
        hint="A span at the very beginning of the text has no sentinel.",
    ),
    Bug(
        "targets_mark_the_kept_runs", part="span_corrupt", killed_by="test_runs_may_begin_and_end_anywhere",
        edit=[(_CHOSEN, "kept = ~mask & F.pad(mask, (1, 0), value=True)[..., :-1]\n    chosen = torch.stack((kept, mask), dim=-1)"), (_TARGETS, "turns = F.pad(sentinels, (1, 8), value=7)[kept.cumsum(-1).clamp(max=len(sentinels))]\n    targets = torch.stack((turns, tokens), dim=-1)[chosen]"), ("targets = targets.reshape(*tokens.shape[:-1], n_noise + n_runs)", "targets = targets.reshape(*tokens.shape[:-1], -1)")],
        hint="As in T5's code, runs of kept tokens are marked in the targets; where a mask begins with noise or ends without, the two sides do not match.",
    ),
    Bug(
        "sentinel_after_its_span", part="span_corrupt", killed_by=_EACH,
        edit=[(_CHOSEN, "ends = mask & ~F.pad(mask, (0, 1))[..., 1:]\n    chosen = torch.stack((mask, ends), dim=-1)"), (_TARGETS, "targets = torch.stack((tokens, marks), dim=-1)[chosen]")],
        hint="In the targets the sentinel comes before the tokens of its span, not after them.",
    ),
    Bug(
        "ascending_from_the_first", part="span_corrupt", killed_by=_EACH,
        edit=(_SENTINELS, "sentinels = torch.arange(len(sentinel_ids), dtype=tokens.dtype) + (sentinel_ids[0] if len(sentinel_ids) else 0)"),
        hint="Sentinel i is sentinel_ids[i], not sentinel_ids[0] + i: T5's descend.",
    ),
    Bug(
        "descending_whatever_is_given", part="span_corrupt", killed_by=_ORDER,
        edit=(_SENTINELS, "sentinels = torch.tensor(sorted(sentinel_ids, reverse=True), dtype=tokens.dtype)"),
        hint="The sentinels are used from the largest id down; they must be used in the order of sentinel_ids.",
    ),
    Bug(
        "no_final_sentinel", part="span_corrupt", killed_by="test_a_final_sentinel_closes_the_targets",
        edit=(_FINAL, "pass"),
        hint="final_sentinel=True adds the next sentinel at the end of the targets.",
    ),
    Bug(
        "the_last_sentinel_of_all_closes", part="span_corrupt", killed_by="test_a_final_sentinel_closes_the_targets",
        edit=(_FINAL, "targets = F.pad(targets, (0, 1), value=sentinel_ids[-1])"),
        hint="The final sentinel is the next unused one, not the last of the list.",
    ),
    Bug(
        "final_sentinel_repeats_the_last", part="span_corrupt", killed_by="test_a_final_sentinel_closes_the_targets",
        edit=(_FINAL, "targets = F.pad(targets, (0, 1), value=sentinel_ids[max(n_runs - 1, 0)])"),
        hint="The final sentinel must be a new one; here the last span's comes again.",
    ),
    Bug(
        "final_sentinel_in_the_inputs_too", part="span_corrupt", killed_by="test_a_final_sentinel_closes_the_targets",
        edit=(_FINAL, _FINAL + "\n        inputs = F.pad(inputs, (0, 1), value=sentinel_ids[n_runs])"),
        hint="The final sentinel stands in the targets alone.",
    ),
    Bug(
        "eos_before_the_final_sentinel", part="span_corrupt", killed_by="test_a_final_sentinel_closes_the_targets",
        edit=[("    if final_sentinel:\n        " + _FINAL, "    if eos_id is not None:\n        targets = F.pad(targets, (0, 1), value=eos_id)\n    if final_sentinel:\n        " + _FINAL), (_EOS, "inputs = F.pad(inputs, (0, 1), value=eos_id)")],
        hint="EOS comes after the final sentinel: it is the end of everything.",
    ),
    Bug(
        "no_eos_in_the_targets", part="span_corrupt", killed_by="test_eos_ends_both_sides",
        edit=(_EOS, "inputs = F.pad(inputs, (0, 1), value=eos_id)"),
        hint="The targets end in EOS too: without it the decoder never learns to stop.",
    ),
    Bug(
        "no_eos_in_the_inputs", part="span_corrupt", killed_by="test_eos_ends_both_sides",
        edit=(_EOS, "targets = F.pad(targets, (0, 1), value=eos_id)"),
        hint="The inputs end in EOS too, as T5's do.",
    ),
    Bug(
        "no_second_eos", part="span_corrupt", killed_by="test_eos_ends_both_sides",
        edit=(_EOS, "inputs, targets = (x if x.shape[-1] and bool((x[..., -1] == eos_id).all()) else F.pad(x, (0, 1), value=eos_id) for x in (inputs, targets))"),
        hint="EOS is always added, also where the last token of the text happens to be the same id.",
    ),
    Bug(
        "eos_twice", part="span_corrupt", killed_by="test_eos_ends_both_sides",
        edit=(_EOS, "inputs, targets = F.pad(inputs, (0, 1), value=eos_id), F.pad(targets, (0, 2), value=eos_id)"),
        hint="The targets end in two EOS.",
    ),
    Bug(
        "an_eos_of_zero_is_none", part="span_corrupt", killed_by="test_eos_ends_both_sides",
        edit=(_EOS_IF, "    if eos_id:\n        inputs, targets"),
        hint="`if eos_id` takes the id 0 for None: ask `if eos_id is not None`.",
    ),
    Bug(
        "token_zero_is_lost", part="span_corrupt", killed_by="test_no_token_is_lost",
        edit=[(_INPUTS, "inputs = torch.where(starts, marks, tokens)[(starts | ~mask) & (torch.where(starts, marks, tokens) > 0)]"), ("inputs = inputs.reshape(*tokens.shape[:-1], tokens.shape[-1] - n_noise + n_runs)", "inputs = inputs.reshape(*tokens.shape[:-1], -1)")],
        hint="A filter `> 0` that should drop placeholders drops token 0 too.",
    ),
    Bug(
        "edits_its_tokens", part="span_corrupt", killed_by="test_no_token_is_lost",
        edit=(_TARGETS, _TARGETS + "\n    tokens[starts] = marks[starts]"),
        hint="The sentinels are written into the caller's tensor.",
    ),
    Bug(
        "no_noise_still_has_a_sentinel", part="span_corrupt", killed_by="test_all_noise_and_no_noise",
        edit=[("n_noise + n_runs)\n    if final_sentinel:", "n_noise + n_runs)\n    if not n_runs and len(sentinel_ids) and not final_sentinel:\n        targets = F.pad(targets, (0, 1), value=sentinel_ids[0])\n    if final_sentinel:")],
        hint="A text without noise has no span, so its targets have no sentinel (but a final one, where that is asked for).",
    ),
    Bug(
        "too_few_sentinels_start_again", part="span_corrupt", killed_by="test_what_could_not_be_undone_raises",
        edit=(_TOO_FEW, "sentinel_ids = list(sentinel_ids) * (n_runs + 2) or [99]\n    if False:"),
        hint="With too few sentinels the first is used again; it must be a ValueError.",
    ),
    Bug(
        "the_final_sentinel_is_not_counted", part="span_corrupt", killed_by="test_what_could_not_be_undone_raises",
        edit=[(_TOO_FEW, "if n_runs > len(sentinel_ids):"), (_FINAL, "targets = F.pad(targets, (0, 1), value=sentinel_ids[min(n_runs, len(sentinel_ids) - 1)])")],
        hint="The final sentinel needs one more than there are spans.",
    ),
    Bug(
        "sentinels_in_the_text_pass", part="span_corrupt", killed_by="test_what_could_not_be_undone_raises",
        edit=(_ISIN, "if False:"),
        hint="A text that holds a sentinel cannot be told from one that was corrupted: it must be a ValueError.",
    ),
]  # fmt: skip

_NO_EOS = "if side[-1:].tolist() != [eos_id]:"
_STRIP = "side = side[:-1]"
_IN_ORDER = "if not torch.equal(side[places], sentinels[: len(places)]):"
_FINAL_SPAN = "if len(spans) == len(kept) + 1 and len(spans[-1]) == 1:"
_MATCH = "if len(spans) != len(kept) or len(spans[0]):"
_JOIN = "return torch.cat([kept[0], *(piece[1:] for pair in zip(spans[1:], kept[1:], strict=True) for piece in pair)])"
_BACK = "test_it_gives_the_text_back"
_REFUSED = "test_what_no_text_gives_raises"

RECONSTRUCT = [
    Bug(
        "spans_after_what_follows_them", part="reconstruct", killed_by=_BACK,
        edit=(_JOIN, _JOIN.replace("zip(spans[1:], kept[1:], strict=True)", "zip(kept[1:], spans[1:], strict=True)")),
        hint="A span belongs where its sentinel stands, before the tokens that follow the sentinel.",
    ),
    Bug(
        "the_end_of_the_inputs_is_lost", part="reconstruct", killed_by=_BACK,
        edit=(_JOIN, "pairs = list(zip(spans[1:], kept[1:], strict=True))\n    " + _JOIN.replace("for pair in zip(spans[1:], kept[1:], strict=True) for piece in pair", "for i, pair in enumerate(pairs) for piece in (pair if i + 1 < len(pairs) else pair[:1])")),
        hint="What follows the last sentinel in the inputs belongs to the text too.",
    ),
    Bug(
        "the_beginning_is_lost", part="reconstruct", killed_by=_BACK,
        edit=(_JOIN, _JOIN.replace("[kept[0], *(", "[kept[0][:0], *(")),
        hint="What stands before the first sentinel in the inputs belongs to the text too.",
    ),
    Bug(
        "eos_stays_in_the_text", part="reconstruct", killed_by=_BACK,
        edit=(_JOIN, _JOIN.replace("return ", "text = ") + "\n    return text if eos_id is None else F.pad(text, (0, 1), value=eos_id)"),
        hint="The EOS that ends both sides is no token of the text.",
    ),
    Bug(
        "the_final_sentinel_stays", part="reconstruct", killed_by="test_a_final_sentinel_is_no_token",
        edit=[("spans = spans[:-1]  # the final sentinel", "spans, rest = spans[:-1], spans[-1]"), (_FINAL_SPAN, "rest = inputs[:0]\n    " + _FINAL_SPAN), (_JOIN, _JOIN.replace("for piece in pair)])", "for piece in pair), rest])"))],
        hint="The final sentinel marks the end of the targets; it is no token of the text.",
    ),
    Bug(
        "a_final_sentinel_is_expected", part="reconstruct", killed_by="test_a_final_sentinel_is_no_token",
        edit=(_FINAL_SPAN, "if len(spans) > 1 and len(spans) == len(kept):\n        spans = (*spans[:-1], spans[-1][:-1])\n    " + _FINAL_SPAN),
        hint="Targets may have no final sentinel: then the last token belongs to the last span.",
    ),
    Bug(
        "every_eos_is_taken_off", part="reconstruct", killed_by="test_only_the_last_eos_is_taken_off",
        edit=(_STRIP, "side = side[side != eos_id]"),
        hint="Every token that equals EOS is dropped; only the last one is not of the text.",
    ),
    Bug(
        "a_run_of_eos_is_taken_off", part="reconstruct", killed_by="test_only_the_last_eos_is_taken_off",
        edit=(_STRIP, "while len(side) and int(side[-1]) == eos_id:\n                side = side[:-1]"),
        hint="All EOS at the end are dropped; one is of the corruption, others are of the text.",
    ),
    Bug(
        "token_zero_is_padding", part="reconstruct", killed_by="test_only_the_last_eos_is_taken_off",
        edit=(_JOIN, _JOIN.replace("return ", "text = ") + "\n    return text[text > 0]"),
        hint="Tokens with id 0 are dropped as if they were padding.",
    ),
    Bug(
        "spans_are_sorted_by_their_ids", part="reconstruct", killed_by="test_sentinels_may_be_any_ids",
        edit=(_JOIN, "spans = (spans[0], *sorted(spans[1:], key=lambda span: -int(span[0])))\n    " + _JOIN),
        hint="The spans are put back from the largest sentinel id down; they come in the order of sentinel_ids.",
    ),
    Bug(
        "counts_down_from_the_first_sentinel", part="reconstruct", killed_by="test_sentinels_may_be_any_ids",
        edit=[("torch.tensor(list(sentinel_ids), dtype=inputs.dtype, device=inputs.device)", "sentinel_ids[0] - torch.arange(len(sentinel_ids))"), (_IN_ORDER, "if not len(sentinels):")],
        hint="The ids of the sentinels are computed from the first; they are what sentinel_ids says.",
    ),
    Bug(
        "any_order_passes", part="reconstruct", killed_by=_REFUSED,
        edit=(_IN_ORDER, "if len(places) > len(sentinels):"),
        hint="Spans are put back in the order in which they come, without a look at their sentinels.",
    ),
    Bug(
        "spans_without_a_place_pass", part="reconstruct", killed_by=_REFUSED,
        edit=[(_MATCH, "if len(spans) < len(kept) or len(spans[0]):"), (_JOIN, _JOIN.replace("strict=True", "strict=False"))],
        hint="A span in the targets whose sentinel is not in the inputs must be a ValueError.",
    ),
    Bug(
        "tokens_before_the_first_sentinel_pass", part="reconstruct", killed_by=_REFUSED,
        edit=(_MATCH, "if len(spans) != len(kept):"),
        hint="Targets begin with a sentinel; tokens before it belong to no span and must be a ValueError.",
    ),
    Bug(
        "a_missing_eos_passes", part="reconstruct", killed_by=_REFUSED,
        edit=(_NO_EOS, "if not len(side):"),
        hint="The last token is taken off without a look: it must be EOS, or a ValueError.",
    ),
]  # fmt: skip

_UNEQUAL = 'if len(counts) > 1:\n        raise ValueError("the rows of a batch must have the same number of noise tokens and of runs")'
_ROWS = "pairs = [span_corrupt(a, b, sentinel_ids, eos_id=eos_id, final_sentinel=final_sentinel) for a, b in zip(tokens, mask)]"

BATCHES = [
    Bug(
        "one_row_for_all", part="batches", killed_by="test_rows_are_drawn_one_by_one",
        edit=("return segments[0] if batch_size is None else segments", "return segments[0] if batch_size is None else segments[:1].expand(rows, -1).clone()"),
        hint="One segmentation is drawn and repeated for every row.",
    ),
    Bug(
        "neighbours_are_alike", part="batches", killed_by="test_rows_are_drawn_one_by_one",
        edit=("return segments[0] if batch_size is None else segments", "return segments[0] if batch_size is None else segments[: (rows + 1) // 2].repeat_interleave(2, 0)[:rows]"),
        hint="Rows are not drawn by themselves: each one comes twice.",
    ),
    Bug(
        "the_same_mask_in_every_row", part="batches", killed_by="test_every_row_is_a_mask_with_the_planned_counts",
        edit=(_MASK_TURNS, "masks = turns[..., :length].cumsum(-1) % 2 == 1\n    return masks if batch_size is None else masks[:1].expand(batch_size, -1).clone()"),
        hint="One mask is drawn and repeated for every row.",
    ),
    Bug(
        "turns_are_counted_across_rows", part="batches", killed_by="test_every_row_is_a_mask_with_the_planned_counts",
        edit=(_MASK_TURNS, "return turns[..., :length].flatten().cumsum(-1).reshape(turns[..., :length].shape) % 2 == 1"),
        hint="The runs of the whole batch are counted through: every other row is inverted.",
    ),
    Bug(
        "sentinels_are_counted_across_rows", part="batches", killed_by="test_a_corrupted_batch_is_its_corrupted_rows",
        edit=(_MARKS, "marks = F.pad(sentinels, (1, 0))[starts.flatten().cumsum(-1).reshape(starts.shape) % (len(sentinels) + 1)]"),
        hint="Sentinels are counted through the batch; each row begins with the first.",
    ),
    Bug(
        "rows_that_do_not_fit_are_padded", part="batches", killed_by="test_rows_that_do_not_fit_raise",
        edit=(_UNEQUAL, f"if len(counts) > 1:\n        {_ROWS}\n        return tuple(nn.utils.rnn.pad_sequence(side, batch_first=True) for side in zip(*pairs))"),
        hint="Rows that do not fit are padded in silence; they must be a ValueError.",
    ),
    Bug(
        "rows_that_do_not_fit_are_cut", part="batches", killed_by="test_rows_that_do_not_fit_raise",
        edit=(_UNEQUAL, f"if len(counts) > 1:\n        {_ROWS}\n        return tuple(torch.stack([row[: min(map(len, side))] for row in side]) for side in zip(*pairs))"),
        hint="Rows that do not fit are cut to the shortest in silence; they must be a ValueError.",
    ),
]  # fmt: skip

_LENGTHS = "return tokens_length - n_noise + n_spans + 1, n_noise + n_spans + 1"
_LENGTH_COUNTS = "n_noise, n_spans = noise_counts(tokens_length, noise_density, mean_span_length)\n        return"
_WHILE = "while lengths(tokens_length + 1)[0] <= inputs_length:"
_HALF = "if noise_density == 0.5 and lengths(tokens_length)[1] > inputs_length:"
_FIT_TEST = "test_as_many_tokens_as_fit"

LENGTHS = [
    Bug(
        "no_eos_in_the_plan", part="t5_lengths", killed_by=_FIT_TEST,
        edit=(_LENGTHS, "return tokens_length - n_noise + n_spans, n_noise + n_spans"),
        hint="Both sides end in EOS: each is one longer.",
    ),
    Bug(
        "no_eos_in_the_targets_plan", part="t5_lengths", killed_by=_FIT_TEST,
        edit=(_LENGTHS, "return tokens_length - n_noise + n_spans + 1, n_noise + n_spans"),
        hint="The targets end in EOS too.",
    ),
    Bug(
        "a_final_sentinel_in_the_plan", part="t5_lengths", killed_by=_FIT_TEST,
        edit=(_LENGTHS, "return tokens_length - n_noise + n_spans + 1, n_noise + n_spans + 2"),
        hint="The plan is for targets without a final sentinel.",
    ),
    Bug(
        "one_token_too_few", part="t5_lengths", killed_by=_FIT_TEST,
        edit=(_WHILE, "while lengths(tokens_length + 1)[0] < inputs_length:"),
        hint="Inputs may be exactly inputs_length long.",
    ),
    Bug(
        "never_fewer_tokens_than_inputs", part="t5_lengths", killed_by="test_known_lengths",
        edit=("tokens_length = 1\n", "tokens_length = inputs_length\n"),
        hint="The search starts at inputs_length; with many short spans fewer tokens than that fit.",
    ),
    Bug(
        "plans_at_the_defaults_only", part="t5_lengths", killed_by=_FIT_TEST,
        edit=(_LENGTH_COUNTS, "n_noise, n_spans = noise_counts(tokens_length)\n        return"),
        hint="The plan is right only at T5's default density and span length: the arguments are ignored.",
    ),
    Bug(
        "a_formula_instead_of_counts", part="t5_lengths", killed_by=_FIT_TEST,
        edit=("    if noise_density == 0.5 and", "    tokens_length = max(int((inputs_length - 1) / (1 - noise_density + noise_density / mean_span_length)), 1)\n    if noise_density == 0.5 and"),
        hint="L (1 - d + d / mean) + 1 forgets that counts are rounded; try lengths until they no longer fit.",
    ),
    Bug(
        "half_density_is_nothing_special", part="t5_lengths", killed_by="test_at_half_density_the_targets_fit_too",
        edit=(_HALF, "if False:"),
        hint="At a density of exactly 0.5, one token fewer is taken where the targets would be longer than inputs_length.",
    ),
    Bug(
        "always_one_fewer_at_half_density", part="t5_lengths", killed_by="test_at_half_density_the_targets_fit_too",
        edit=(_HALF, "if noise_density == 0.5 and tokens_length > 1:"),
        hint="At a density of 0.5 a token is taken off only where the targets would be too long.",
    ),
]  # fmt: skip

_SHIFT = "shifted = F.pad(labels[..., :-1], (1, 0), value=start_id)"
_FILL = "return shifted.masked_fill(shifted == -100, pad_id)"
_START = "test_the_start_comes_first_and_the_last_label_goes"

SHIFT_RIGHT = [
    Bug(
        "shifts_left", part="shift_right", killed_by=_START,
        edit=(_SHIFT, "shifted = F.pad(labels[..., 1:], (0, 1), value=start_id)"),
        hint="The labels are shifted to the left; the decoder would read what it must predict.",
    ),
    Bug(
        "does_not_shift", part="shift_right", killed_by=_START,
        edit=(_SHIFT, "shifted = labels.clone()\n    shifted[..., 0] = start_id"),
        hint="The first label is overwritten; all labels must move one place to the right.",
    ),
    Bug(
        "drops_two_labels", part="shift_right", killed_by=_START,
        edit=(_SHIFT, "shifted = F.pad(F.pad(labels[..., :-2], (1, 0), value=start_id), (0, 1), value=pad_id)[..., : labels.shape[-1]]"),
        hint="The last two labels are dropped and padding fills the gap; only the last label goes.",
    ),
    Bug(
        "rolls", part="shift_right", killed_by=_START,
        edit=(_SHIFT, "shifted = labels.roll(1, -1)"),
        hint="The last label comes to the front, where start_id belongs.",
    ),
    Bug(
        "starts_with_padding", part="shift_right", killed_by=_START,
        edit=(_SHIFT, "shifted = F.pad(labels[..., :-1], (1, 0), value=pad_id)"),
        hint="The first token is start_id, which need not be pad_id.",
    ),
    Bug(
        "drops_padding_labels", part="shift_right", killed_by=_START,
        edit=(_FILL, "return shifted.masked_fill((shifted == -100) | (shifted == pad_id), 0)"),
        hint="Labels that equal pad_id are changed; only -100 is.",
    ),
    Bug(
        "keeps_minus_100", part="shift_right", killed_by="test_ignored_labels_become_padding",
        edit=(_FILL, "return shifted"),
        hint="-100 is still there: an embedding has no row -100.",
    ),
    Bug(
        "minus_100_becomes_zero", part="shift_right", killed_by="test_ignored_labels_become_padding",
        edit=(_FILL, "return shifted.masked_fill(shifted == -100, 0)"),
        hint="-100 becomes 0; it must become pad_id, which need not be 0.",
    ),
    Bug(
        "minus_100_becomes_the_start", part="shift_right", killed_by="test_ignored_labels_become_padding",
        edit=(_FILL, "return shifted.masked_fill(shifted == -100, start_id)"),
        hint="-100 becomes start_id; it must become pad_id.",
    ),
    Bug(
        "shifts_across_rows", part="shift_right", killed_by="test_any_leading_dimensions",
        edit=(_SHIFT, "shifted = F.pad(labels.flatten()[:-1], (1, 0), value=start_id).reshape(labels.shape)"),
        hint="The last label of a row moves into the next row; each row begins with start_id.",
    ),
    Bug(
        "edits_the_labels", part="shift_right", killed_by="test_any_leading_dimensions",
        edit=(_SHIFT, "labels.masked_fill_(labels == -100, pad_id)\n    " + _SHIFT),
        hint="-100 is replaced in the caller's labels, so the loss counts padding.",
    ),
]  # fmt: skip

_MASKING = "chosen = torch.rand(tokens.shape, generator=generator, device=tokens.device) < p"
_MASKED = "return tokens.masked_fill(chosen, mask_id)"
_DELETION = "kept = torch.rand(tokens.shape, generator=generator, device=tokens.device) >= p"
_SPARED = "chosen &= ~special_mask"
_SPARED_TOO = "kept |= special_mask"
_MASKS_EACH = "test_masking_decides_token_by_token"
_DROPS_EACH = "test_deletion_decides_token_by_token"
_NEVER = "test_special_tokens_are_never_touched"

TOKEN_NOISE = [
    Bug(
        "keeps_with_probability_p", part="token_noise", killed_by="test_masking_replaces_and_deletion_drops",
        edit=(_DELETION, _DELETION.replace(">=", "<")),
        hint="p is the probability of dropping a token, not of keeping it.",
    ),
    Bug(
        "masks_in_place", part="token_noise", killed_by="test_masking_replaces_and_deletion_drops",
        edit=(_MASKED, "return tokens.masked_fill_(chosen, mask_id)"),
        hint="The caller's tensor is changed.",
    ),
    Bug(
        "masks_an_exact_number", part="token_noise", killed_by=_MASKS_EACH,
        edit=(_MASKING, "keys = torch.rand(tokens.shape, generator=generator)\n    chosen = keys.argsort().argsort() < math.ceil(p * len(tokens))"),
        hint="Exactly ceil(p * n) tokens are masked; each must be masked by itself, with probability p.",
    ),
    Bug(
        "bert_style", part="token_noise", killed_by=_MASKS_EACH,
        edit=(_MASKED, "return tokens.masked_fill(chosen & (torch.rand(tokens.shape, generator=generator) < 0.8), mask_id)"),
        hint="That is BERT's 80/10/10; BART masks every chosen token.",
    ),
    Bug(
        "masks_neighbours_together", part="token_noise", killed_by=_MASKS_EACH,
        edit=(_MASKING, "chosen = (torch.rand((len(tokens) + 1) // 2, generator=generator) < p).repeat_interleave(2)[: len(tokens)]"),
        hint="Tokens are masked in pairs; each must be masked by itself.",
    ),
    Bug(
        "drops_an_exact_number", part="token_noise", killed_by=_DROPS_EACH,
        edit=(_DELETION, "keys = torch.rand(tokens.shape, generator=generator)\n    kept = keys.argsort().argsort() >= math.ceil(p * len(tokens))"),
        hint="Exactly ceil(p * n) tokens are dropped; each must be dropped by itself, with probability p.",
    ),
    Bug(
        "drops_a_block", part="token_noise", killed_by=_DROPS_EACH,
        edit=(_DELETION, "n = int((torch.rand(tokens.shape, generator=generator) < p).sum())\n    kept = torch.arange(len(tokens)) >= n"),
        hint="The first tokens are dropped; each must be dropped by itself.",
    ),
    Bug(
        "masks_special_tokens", part="token_noise", killed_by=_NEVER,
        edit=(_SPARED, "pass"),
        hint="special_mask is ignored when masking.",
    ),
    Bug(
        "drops_special_tokens", part="token_noise", killed_by=_NEVER,
        edit=(_SPARED_TOO, "pass"),
        hint="special_mask is ignored when deleting.",
    ),
    Bug(
        "masks_only_special_tokens", part="token_noise", killed_by=_NEVER,
        edit=(_SPARED, "chosen &= special_mask"),
        hint="special_mask is the wrong way round: True means that noise must not touch the token.",
    ),
]  # fmt: skip

_BUDGET = "budget = math.ceil(ratio * n)"
_DRAWN = "lengths = torch.cat((lengths, torch.poisson(mean, generator=generator).long()))"
_CUT = "lengths = torch.cat((lengths[:-1], budget - lengths[:-1].sum(0, keepdim=True)))"
_SLOTS = "slots = torch.randperm(n_items, generator=generator, device=device)[: len(lengths)]"
_MEAN = "mean = torch.full((budget,), float(poisson_lambda), device=device)"
_SORT_KEYS = "keys = torch.cat((2 * places[first.clamp(max=n - 1)] + (first == n), 2 * special.nonzero()[:, 0]))"
_PUT = "return torch.cat((items, tokens[special]))[keys.argsort(stable=True)]"
_TAKEN = "test_exactly_the_budget_is_taken"
_LAW = "test_every_result_has_the_right_probability"

INFILLING = [
    Bug(
        "rounds_the_budget", part="text_infilling", killed_by=_TAKEN,
        edit=(_BUDGET, "budget = max(round(ratio * n), 1)"),
        hint="The budget is rounded; it is ceil(ratio * n).",
    ),
    Bug(
        "rounds_the_budget_down", part="text_infilling", killed_by=_TAKEN,
        edit=(_BUDGET, "budget = int(ratio * n) or (1 if ratio * n else 0)"),
        hint="The budget is rounded down; it is ceil(ratio * n).",
    ),
    Bug(
        "the_last_span_is_not_cut", part="text_infilling", killed_by=_TAKEN,
        edit=(_CUT, "budget = min(int(lengths.sum()), n)\n    " + _CUT),
        hint="The last span is left whole, so more tokens go than the budget allows.",
    ),
    Bug(
        "the_last_span_is_left_out", part="text_infilling", killed_by=_TAKEN,
        edit=(_CUT, "lengths = lengths[:-1] if len(lengths) > 1 else torch.cat((lengths[:-1], budget - lengths[:-1].sum(0, keepdim=True)))\n    budget = int(lengths.sum())"),
        hint="The span that goes past the budget is left out; it must be cut to what is left of the budget.",
    ),
    Bug(
        "the_budget_counts_spans", part="text_infilling", killed_by=_TAKEN,
        edit=(_CUT, "lengths = torch.poisson(torch.full((budget,), float(poisson_lambda)), generator=generator).long()\n    lengths = (lengths.cumsum(0).clamp(max=n)).diff(prepend=torch.zeros(1, dtype=torch.int64))\n    budget = int(lengths.sum())"),
        hint="ceil(ratio * n) is the number of tokens that go, not the number of spans.",
    ),
    Bug(
        "the_ratio_is_ignored", part="text_infilling", killed_by=_TAKEN,
        edit=(_BUDGET, "budget = math.ceil(0.3 * n) if ratio else 0"),
        hint="The ratio 0.3 is written into the code.",
    ),
    Bug(
        "infills_in_place", part="text_infilling", killed_by=_TAKEN,
        edit=(_PUT, "written = torch.cat((items, tokens[special]))[keys.argsort(stable=True)]\n    tokens[places[:1]] = mask_id\n    return written"),
        hint="The caller's tensor is changed: it is what the decoder must write.",
    ),
    Bug(
        "a_mask_per_token", part="text_infilling", killed_by="test_a_long_span_is_one_mask",
        edit=(_CUT, "lengths = torch.ones(budget, dtype=torch.int64)"),
        hint="Every token of a span leaves a mask, as in BERT; a span leaves ONE.",
    ),
    Bug(
        "the_mean_is_ignored", part="text_infilling", killed_by="test_a_long_span_is_one_mask",
        edit=(_MEAN, "mean = torch.full((budget,), 3.0, device=device)"),
        hint="The mean 3 is written into the code: poisson_lambda is ignored.",
    ),
    Bug(
        "one_length_for_all_spans", part="text_infilling", killed_by=_LAW,
        edit=(_DRAWN, "one = torch.poisson(mean[:1], generator=generator).long().clamp(min=1)\n        lengths = torch.cat((lengths, one.expand(budget)))"),
        hint="One length is drawn and used for all spans; each has its own.",
    ),
    Bug(
        "empty_spans_are_left_out", part="text_infilling", killed_by=_LAW,
        edit=(_CUT, _CUT + "\n    lengths = lengths[lengths > 0]"),
        hint="Spans of length 0 are thrown away; each of them puts a mask into the text.",
    ),
    Bug(
        "empty_spans_take_a_token", part="text_infilling", killed_by=_LAW,
        edit=(_DRAWN, "lengths = torch.cat((lengths, torch.poisson(mean, generator=generator).long().clamp(min=1)))"),
        hint="A span of length 0 deletes nothing; here every span takes at least one token.",
    ),
    Bug(
        "the_last_span_stays_last", part="text_infilling", killed_by="test_the_spans_come_in_every_order",
        edit=(_SLOTS, "slots = torch.randperm(n_items, generator=generator, device=device)[: len(lengths)].sort().values"),
        hint="Spans stand in the text in the order in which they were drawn, so the one that was cut is always the last.",
    ),
    Bug(
        "spans_do_not_touch", part="text_infilling", killed_by=_LAW,
        edit=("return torch.cat((items, tokens[special]))[keys.argsort(stable=True)]", "merged = torch.cat((items, tokens[special]))[keys.argsort(stable=True)]\n    again = (merged == mask_id) & F.pad(merged == mask_id, (1, 0))[:-1]\n    return merged[~again]"),
        hint="Masks that stand side by side are merged; each span has its own mask.",
    ),
    Bug(
        "the_first_token_is_never_taken", part="text_infilling", killed_by=_LAW,
        edit=(_SLOTS, "slots = torch.randperm(n_items - 1, generator=generator, device=device)[: len(lengths)] + 1 if n_items > len(lengths) else torch.randperm(n_items, generator=generator)"),
        hint="No span ever begins the text; every arrangement must be possible.",
    ),
    Bug(
        "special_tokens_count", part="text_infilling", killed_by="test_special_tokens_stay_where_they_belong",
        edit=(_BUDGET, "budget = min(math.ceil(ratio * len(tokens)), n)"),
        hint="Special tokens are counted in the budget; n is the number of the others.",
    ),
    Bug(
        "special_tokens_go_to_the_end", part="text_infilling", killed_by="test_special_tokens_stay_where_they_belong",
        edit=(_PUT, "return torch.cat((items, tokens[special]))"),
        hint="Special tokens are moved to the end; each stays in its place among the others.",
    ),
    Bug(
        "a_mask_after_the_padding", part="text_infilling", killed_by="test_special_tokens_stay_where_they_belong",
        edit=(_SORT_KEYS, "keys = torch.cat((2 * places[first.clamp(max=n - 1)] + (first == n) * 2 * len(tokens), 2 * special.nonzero()[:, 0]))"),
        hint="An empty span at the end puts its mask after EOS and padding.",
    ),
    Bug(
        "special_tokens_are_taken", part="text_infilling", killed_by="test_special_tokens_stay_where_they_belong",
        edit=("special = torch.zeros_like(tokens, dtype=torch.bool) if special_mask is None else special_mask", "special = torch.zeros_like(tokens, dtype=torch.bool)"),
        hint="special_mask is ignored.",
    ),
    Bug(
        "a_ratio_of_zero_takes_one", part="text_infilling", killed_by="test_a_ratio_of_zero_changes_nothing",
        edit=(_BUDGET, "budget = min(max(math.ceil(ratio * n), 1), n)"),
        hint="A ratio of 0 takes nothing and inserts nothing.",
    ),
    Bug(
        "a_ratio_of_zero_puts_a_mask", part="text_infilling", killed_by="test_a_ratio_of_zero_changes_nothing",
        edit=("if not budget:\n        return tokens.clone()", "if not n:\n        return tokens.clone()\n    if not budget:\n        return F.pad(tokens, (1, 0), value=mask_id)"),
        hint="With a budget of 0 there is no span, not even an empty one.",
    ),
]  # fmt: skip

_SENTENCE = "sentence = ends.cumsum(0) - ends"
_RANK = "rank = torch.randperm(len(text), generator=generator, device=tokens.device)"
_PERMUTED = "out[ordinary] = text[rank[sentence].argsort(stable=True)]"
_START_AT = "start = torch.randint(max(len(text), 1), (1,), generator=generator, device=tokens.device)"
_ROLLED = "out[ordinary] = text.roll(-int(start))"
_WHOLE = "test_sentences_stay_whole"

SENTENCE_NOISE = [
    Bug(
        "the_end_goes_to_the_next_sentence", part="sentence_noise", killed_by=_WHOLE,
        edit=(_SENTENCE, "sentence = (ends.cumsum(0)).clamp(max=max(len(text) - 1, 0))"),
        hint="The end of a sentence belongs to the sentence before it, not to the one after it.",
    ),
    Bug(
        "tokens_are_shuffled", part="sentence_noise", killed_by=_WHOLE,
        edit=(_PERMUTED, "out[ordinary] = text[rank]"),
        hint="Tokens are shuffled; sentences must stay whole.",
    ),
    Bug(
        "sentences_are_turned_round", part="sentence_noise", killed_by=_WHOLE,
        edit=(_PERMUTED, "out[ordinary] = text.flip(0)[rank[sentence.flip(0)].argsort(stable=True)]"),
        hint="The tokens within a sentence come in reverse order.",
    ),
    Bug(
        "the_last_sentence_loses_its_words", part="sentence_noise", killed_by=_WHOLE,
        edit=(_PERMUTED, _PERMUTED + "\n    if len(text) and not ends[-1]:\n        out[ordinary] = torch.cat((out[ordinary][: len(text) - 1], text[:1]))"),
        hint="A last sentence without an end is a sentence too; it is not lost.",
    ),
    Bug(
        "permutes_in_place", part="sentence_noise", killed_by=_WHOLE,
        edit=("out = tokens.clone()\n    " + _PERMUTED, "out = tokens\n    " + _PERMUTED),
        hint="The caller's tensor is changed: it is what the decoder must write.",
    ),
    Bug(
        "never_shuffles", part="sentence_noise", killed_by="test_every_order_of_sentences_is_equally_likely",
        edit=(_RANK, "rank = torch.arange(len(text), device=tokens.device)"),
        hint="The sentences stay in their order.",
    ),
    Bug(
        "rotates_sentences", part="sentence_noise", killed_by="test_every_order_of_sentences_is_equally_likely",
        edit=(_RANK, "k = int(sentence.max()) + 1 if len(text) else 1\n    rank = (torch.arange(max(len(text), 1)) + torch.randint(k, (1,), generator=generator)) % k"),
        hint="The sentences are rotated: not every order can come.",
    ),
    Bug(
        "always_moves_the_first_sentence", part="sentence_noise", killed_by="test_every_order_of_sentences_is_equally_likely",
        edit=(_RANK, "rank = torch.randperm(len(text), generator=generator)\n    k = int(sentence.max()) + 1 if len(text) else 0\n    while k > 1 and int(rank[:k].argmin()) == 0:\n        rank = torch.randperm(len(text), generator=generator)"),
        hint="The text never begins with its first sentence: the order as it was must be possible too.",
    ),
    Bug(
        "the_unfinished_sentence_stays_last", part="sentence_noise", killed_by="test_every_order_of_sentences_is_equally_likely",
        edit=(_PERMUTED, "rank = torch.where((torch.arange(len(text)) == (sentence[-1] if len(text) else 0)) & (len(text) > 0 and not bool(ends[-1:].sum())), len(text), rank)\n    " + _PERMUTED),
        hint="A last sentence without an end always stays last; it moves like the others.",
    ),
    Bug(
        "rotates_and_loses_the_beginning", part="sentence_noise",
        killed_by="test_a_rotated_document_is_the_document_from_another_start",
        edit=(_ROLLED, "out[ordinary] = torch.cat((text[int(start) :], text[len(text) - int(start) :]))"),
        hint="What stood before the start comes last; here the end comes twice and the beginning is lost.",
    ),
    Bug(
        "rotation_turns_the_text_round", part="sentence_noise",
        killed_by="test_a_rotated_document_is_the_document_from_another_start",
        edit=(_ROLLED, "out[ordinary] = text.flip(0).roll(-int(start))"),
        hint="The text is reversed as well as rotated.",
    ),
    Bug(
        "never_starts_at_the_first_token", part="sentence_noise", killed_by="test_every_start_is_equally_likely",
        edit=(_START_AT, "start = torch.randint(1, max(len(text), 2), (1,), generator=generator, device=tokens.device)"),
        hint="The first token is never chosen as the start; it must be as likely as any other.",
    ),
    Bug(
        "starts_in_the_first_half", part="sentence_noise", killed_by="test_every_start_is_equally_likely",
        edit=(_START_AT, "start = torch.randint(max(len(text) // 2, 1), (1,), generator=generator, device=tokens.device)"),
        hint="Only tokens of the first half are chosen as the start.",
    ),
    Bug(
        "padding_is_permuted", part="sentence_noise", killed_by="test_special_tokens_stay_in_their_places",
        edit=("ordinary = torch.ones_like(tokens, dtype=torch.bool) if special_mask is None else ~special_mask\n    text = tokens[ordinary]\n    ends", "ordinary = torch.ones_like(tokens, dtype=torch.bool)\n    text = tokens[ordinary]\n    ends"),
        hint="Padding and EOS are permuted with the sentences: special_mask is ignored.",
    ),
    Bug(
        "padding_is_rotated", part="sentence_noise", killed_by="test_special_tokens_stay_in_their_places",
        edit=("ordinary = torch.ones_like(tokens, dtype=torch.bool) if special_mask is None else ~special_mask\n    text = tokens[ordinary]\n    start", "ordinary = torch.ones_like(tokens, dtype=torch.bool)\n    text = tokens[ordinary]\n    start"),
        hint="Padding and EOS are rotated with the text: special_mask is ignored.",
    ),
]  # fmt: skip

_TWO_TEXTS = "test_examples_become_two_texts"
_COLA = 'return f"cola sentence: {example[\'sentence\']}", LABELS["cola"][example["label"]]'
_LABEL = "return LABELS[task].index(text) if text in LABELS[task] else None"
_SCORE = "return source, f\"{round(example['score'] * 5) / 5:.1f}\""
_PLAIN = "return float(text) if plain and float(text) <= 5 else None"
_NO_ANSWER = "test_anything_else_is_no_answer"

TEXT_TO_TEXT = [
    Bug(
        "translates_the_wrong_way", part="text_to_text", killed_by=_TWO_TEXTS,
        edit=("translate {example['from']} to {example['to']}", "translate {example['to']} to {example['from']}"),
        hint="The languages are the wrong way round: translate {from} to {to}.",
    ),
    Bug(
        "no_prefix", part="text_to_text", killed_by=_TWO_TEXTS,
        edit=("return f\"summarize: {example['text']}\"", "return example[\"text\"]"),
        hint="The source has no prefix, so the model cannot know what is asked for.",
    ),
    Bug(
        "labels_are_numbers", part="text_to_text", killed_by=_TWO_TEXTS,
        edit=(_COLA, _COLA.replace('LABELS["cola"][example["label"]]', 'str(example["label"])')),
        hint="The target is the number of the label; it must be its word.",
    ),
    Bug(
        "labels_are_swapped", part="text_to_text", killed_by=_TWO_TEXTS,
        edit=(_COLA, _COLA.replace('[example["label"]]', '[1 - example["label"]]')),
        hint="Label 1 is acceptable, label 0 is unacceptable; here it is the other way round.",
    ),
    Bug(
        "premise_for_hypothesis", part="text_to_text", killed_by=_TWO_TEXTS,
        edit=("mnli hypothesis: {example['hypothesis']} premise: {example['premise']}", "mnli hypothesis: {example['premise']} premise: {example['hypothesis']}"),
        hint="Premise and hypothesis are swapped: the hypothesis comes first.",
    ),
    Bug(
        "scores_are_not_rounded", part="text_to_text", killed_by=_TWO_TEXTS,
        edit=(_SCORE, "return source, f\"{example['score']:.1f}\""),
        hint="A score is rounded to a multiple of 0.2, not to a tenth.",
    ),
    Bug(
        "scores_are_rounded_to_whole_numbers", part="text_to_text", killed_by=_TWO_TEXTS,
        edit=(_SCORE, "return source, f\"{float(round(example['score'])):.1f}\""),
        hint="A score is rounded to a multiple of 0.2, not to a whole number.",
    ),
    Bug(
        "label_zero_is_no_answer", part="text_to_text", killed_by="test_targets_are_read_back",
        edit=(_LABEL, "return (LABELS[task].index(text) if text in LABELS[task] else None) or None"),
        hint="Label 0 is falsy: `or None` turns it into no answer.",
    ),
    Bug(
        "white_space_counts", part="text_to_text", killed_by="test_targets_are_read_back",
        edit=("    text = text.strip()\n", ""),
        hint="White space around a text does not count.",
    ),
    Bug(
        "the_score_stays_a_text", part="text_to_text", killed_by="test_targets_are_read_back",
        edit=(_PLAIN, _PLAIN.replace("return float(text)", "return text")),
        hint="A score is a float, not the text of one.",
    ),
    Bug(
        "guesses_the_first_label", part="text_to_text", killed_by=_NO_ANSWER,
        edit=(_LABEL, "return LABELS[task].index(text) if text in LABELS[task] else 0"),
        hint="A text that is no label becomes label 0; it must be None, not a guess.",
    ),
    Bug(
        "looks_for_the_label_in_the_text", part="text_to_text", killed_by=_NO_ANSWER,
        edit=(_LABEL, "found = [i for i, word in enumerate(LABELS[task]) if word in text.split()]\n        return found[0] if found else None"),
        hint="A label with words around it is no answer: the text must be the word and nothing else.",
    ),
    Bug(
        "case_does_not_matter", part="text_to_text", killed_by=_NO_ANSWER,
        edit=(_LABEL, "return LABELS[task].index(text.lower()) if text.lower() in LABELS[task] else None"),
        hint="A label in capitals is no answer.",
    ),
    Bug(
        "any_number_is_a_score", part="text_to_text", killed_by=_NO_ANSWER,
        edit=(_PLAIN, "try:\n            return float(text)\n        except ValueError:\n            return None"),
        hint="Only digits, a point and one digit, in 0..5, are a score.",
    ),
    Bug(
        "unknown_tasks_pass_through", part="text_to_text", killed_by="test_an_unknown_task_raises",
        edit=("            return source, f\"{round(example['score'] * 5) / 5:.1f}\"\n    raise ValueError(f\"unknown task {task!r}\")", "            return source, f\"{round(example['score'] * 5) / 5:.1f}\"\n    return f\"{task}: {example}\", \"\""),
        hint="A task that is not in the table must be a ValueError.",
    ),
    Bug(
        "an_unknown_task_has_no_answer", part="text_to_text", killed_by="test_an_unknown_task_raises",
        edit=(_PLAIN + "\n    raise ValueError(f\"unknown task {task!r}\")", _PLAIN + "\n    return None"),
        hint="from_text gives None for an unknown task; it must be a ValueError.",
    ),
]  # fmt: skip

_OFFSET = "offset, distance = n * (relative_position > 0), relative_position.abs()"
_PAST = "offset, distance = 0, (-relative_position).clamp(min=0)"
_HALF_BUCKETS = "n = n_buckets // 2\n        offset"
_EXACT = "exact = n // 2"
_GROWN = "grown = (distance.clamp(min=1).double() / exact).log() / math.log(max_distance / exact) * (n - exact)"
_FAR = "far = (exact + grown.floor().long()).clamp(max=n - 1)"
_NEAR = "return offset + torch.where(distance < exact, distance, far)"
_PLACES = "        places - places[:, None], bidirectional=bidirectional, n_buckets=table.shape[0], max_distance=max_distance\n"
_LOOK = "return F.embedding(buckets, table).permute(2, 0, 1)[None]"
_BOTH = "test_both_directions_have_buckets_of_their_own"
_ONE = "test_one_direction_uses_every_bucket_for_the_past"
_KEY_MINUS_QUERY = "test_the_bias_of_a_head_depends_on_key_minus_query"

RELATIVE_POSITIONS = [
    Bug(
        "both_directions_share_buckets", part="relative_positions", killed_by=_BOTH,
        edit=(_OFFSET, "offset, distance = 0, relative_position.abs()"),
        hint="Keys before and after the query are in the same buckets; those after it have n added.",
    ),
    Bug(
        "the_sides_are_swapped", part="relative_positions", killed_by=_BOTH,
        edit=(_OFFSET, "offset, distance = n * (relative_position < 0), relative_position.abs()"),
        hint="The upper half of the buckets is for keys AFTER the query: relative position > 0.",
    ),
    Bug(
        "the_query_itself_is_after", part="relative_positions", killed_by=_BOTH,
        edit=(_OFFSET, "offset, distance = n * (relative_position >= 0), relative_position.abs()"),
        hint="Relative position 0 is in bucket 0.",
    ),
    Bug(
        "distances_are_rounded", part="relative_positions", killed_by=_BOTH,
        edit=(_FAR, "far = (exact + grown.round().long()).clamp(max=n - 1)"),
        hint="The logarithm is rounded to the nearest; it must be rounded down.",
    ),
    Bug(
        "always_32_buckets", part="relative_positions", killed_by=_BOTH,
        edit=(_HALF_BUCKETS, "n = 16\n        offset"),
        hint="n_buckets is ignored: the function is right only at T5's default of 32.",
    ),
    Bug(
        "always_up_to_128", part="relative_positions", killed_by=_BOTH,
        edit=(_GROWN, _GROWN.replace("max_distance / exact", "128 / exact")),
        hint="max_distance is ignored: the function is right only at T5's default of 128.",
    ),
    Bug(
        "far_away_runs_over", part="relative_positions", killed_by=_ONE,
        edit=(_FAR, "far = (exact + grown.floor().long()).clamp(max=n - 1 + (distance > max_distance).long())"),
        hint="Beyond max_distance everything is in the last bucket, n - 1.",
    ),
    Bug(
        "the_future_has_buckets_in_the_decoder", part="relative_positions", killed_by=_ONE,
        edit=(_PAST, "offset, distance = 0, relative_position.abs()"),
        hint="In one direction every key after the query is in bucket 0.",
    ),
    Bug(
        "the_decoder_looks_ahead", part="relative_positions", killed_by=_ONE,
        edit=(_PAST, "offset, distance = 0, relative_position.clamp(min=0)"),
        hint="The sign is wrong: a key before the query has a negative relative position.",
    ),
    Bug(
        "half_of_the_buckets_in_one_direction", part="relative_positions", killed_by="test_defaults_are_those_of_t5",
        edit=("n = n_buckets\n        offset", "n = n_buckets // 2\n        offset"),
        hint="In one direction all buckets are for the past; halving is for two directions.",
    ),
    Bug(
        "one_bucket_too_many_is_exact", part="relative_positions", killed_by="test_defaults_are_those_of_t5",
        edit=(_NEAR, "return offset + torch.where(distance <= exact + 1, distance.clamp(max=n - 1), far)"),
        hint="Distances below n // 2 have a bucket each; from n // 2 on the logarithm decides.",
    ),
    Bug(
        "distances_grow_linearly", part="relative_positions", killed_by="test_defaults_are_those_of_t5",
        edit=(_GROWN, "grown = (distance - exact).double() / (max_distance - exact) * (n - exact)"),
        hint="Far distances grow with their logarithm, not evenly.",
    ),
    Bug(
        "query_minus_key", part="relative_positions", killed_by=_KEY_MINUS_QUERY,
        edit=(_PLACES, _PLACES.replace("places - places[:, None]", "places[:, None] - places")),
        hint="The relative position is key minus query; here it is query minus key.",
    ),
    Bug(
        "the_table_is_taken_for_32_rows", part="relative_positions", killed_by=_KEY_MINUS_QUERY,
        edit=(_PLACES + "    )", _PLACES.replace("n_buckets=table.shape[0]", "n_buckets=min(table.shape[0], 4)") + "    )"),
        hint="The number of buckets is the number of rows of the table.",
    ),
    Bug(
        "the_bias_ignores_the_direction", part="relative_positions", killed_by=_KEY_MINUS_QUERY,
        edit=(_PLACES, _PLACES.replace("bidirectional=bidirectional", "bidirectional=True")),
        hint="bidirectional is ignored: the decoder's bias must use the buckets of one direction.",
    ),
    Bug(
        "the_bias_has_no_gradient", part="relative_positions", killed_by="test_the_table_learns",
        edit=(_LOOK, "return F.embedding(buckets, table.detach()).permute(2, 0, 1)[None] + 0 * table.sum()"),
        hint="The table is detached: it would never learn.",
    ),
    Bug(
        "the_gradient_is_an_average", part="relative_positions", killed_by="test_the_table_learns",
        edit=(_LOOK, "return F.embedding(buckets, table, scale_grad_by_freq=True).permute(2, 0, 1)[None]"),
        hint="An entry that is used often gets the sum of the gradients, not their mean.",
    ),
]  # fmt: skip

_PROJECTED = "for project, y in ((self.q, x), (self.k, context), (self.v, context))"
_HEADS = "project(y).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (B, L, C) -> (B, H, L, D)"
_BIASED = "mask = torch.where(mask, bias, -math.inf)"
_SDPA = "mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)"
_OUT = "return self.out(mixed.transpose(1, 2).flatten(2))"

ATTENTION = [
    Bug(
        "keys_from_the_text_itself", part="Attention", killed_by="test_matches_the_definition",
        edit=(_PROJECTED, "for project, y in ((self.q, x), (self.k, x if x.shape == context.shape else context), (self.v, context))"),
        hint="Keys come from x; they must come from the context.",
    ),
    Bug(
        "values_from_the_text_itself", part="Attention", killed_by="test_matches_the_definition",
        edit=(_PROJECTED, "for project, y in ((self.q, x), (self.k, context), (self.v, x if x.shape == context.shape else context))"),
        hint="Values come from x; they must come from the context.",
    ),
    Bug(
        "the_bias_is_ignored", part="Attention", killed_by="test_matches_the_definition",
        edit=(_BIASED, "pass"),
        hint="The bias is not added to the scores.",
    ),
    Bug(
        "the_bias_is_subtracted", part="Attention", killed_by="test_matches_the_definition",
        edit=(_BIASED, "mask = torch.where(mask, -bias, -math.inf)"),
        hint="The bias is subtracted from the scores; it must be added.",
    ),
    Bug(
        "one_bias_for_all_heads", part="Attention", killed_by="test_matches_the_definition",
        edit=(_BIASED, "mask = torch.where(mask, bias[:, :1], -math.inf)"),
        hint="Every head has a bias of its own.",
    ),
    Bug(
        "heads_are_interleaved", part="Attention", killed_by="test_matches_the_definition",
        edit=(_HEADS, "project(y).unflatten(-1, (-1, self.n_heads)).movedim(-1, 1)"),
        hint="Head h is block h of the channels, not every n_heads-th channel.",
    ),
    Bug(
        "out_is_forgotten", part="Attention", killed_by="test_matches_the_definition",
        edit=(_OUT, "return mixed.transpose(1, 2).flatten(2) + 0 * self.out.weight.sum()"),
        hint="The heads are not mixed by `out`.",
    ),
    Bug(
        "scores_are_scaled", part="Attention", killed_by="test_scores_are_not_scaled",
        edit=(_SDPA, _SDPA.replace(", scale=1.0", "")),
        hint="Scores are divided by sqrt(d_k); T5 does not do that.",
    ),
    Bug(
        "scaled_without_a_bias", part="Attention", killed_by="test_scores_are_not_scaled",
        edit=(_SDPA, _SDPA.replace("scale=1.0", "scale=1.0 if bias is not None else None")),
        hint="Without a bias scores are divided by sqrt(d_k); T5 never does that.",
    ),
    Bug(
        "the_bias_replaces_the_mask", part="Attention", killed_by="test_a_masked_place_has_no_influence",
        edit=(_BIASED, "mask = bias.expand(torch.broadcast_shapes(bias.shape, mask.shape))"),
        hint="With a bias the mask is forgotten.",
    ),
    Bug(
        "masked_with_a_small_number", part="Attention", killed_by="test_a_masked_place_has_no_influence",
        edit=(_BIASED, "mask = bias + torch.where(mask, 0.0, -10.0)"),
        hint="A masked place keeps some weight: use -inf, not a number that a large bias outweighs.",
    ),
    Bug(
        "the_bias_does_not_learn", part="Attention", killed_by="test_gradients_reach_text_context_bias_and_weights",
        edit=(_BIASED, "mask = torch.where(mask, bias.detach() + 0 * bias, -math.inf)"),
        hint="The bias is detached, so its table would never learn.",
    ),
    Bug(
        "the_context_does_not_learn", part="Attention", killed_by="test_gradients_reach_text_context_bias_and_weights",
        edit=(_PROJECTED, "for project, y in ((self.q, x), (self.k, context.detach() + 0 * context), (self.v, context))"),
        hint="The context is detached: the encoder would never learn.",
    ),
]  # fmt: skip

_ENCODER_SELF = "x = x + self.attention(h, h, mask, bias)\n        return x + self.feed_forward(self.feed_forward_norm(x))\n        ### END SOLUTION\n\n\nclass DecoderBlock"
_CROSS = "x = x + self.cross_attention(self.cross_norm(x), memory, memory_mask)"
_ENCODE_BLOCK = "x = block(x, src_mask[:, None, None], bias)"
_ENCODED = "return self.encoder_norm(x)"
_CAUSAL = "causal = torch.ones(t, t, dtype=torch.bool, device=tgt_in.device).tril()[None, None]  # (1, 1, T, T)"
_DECODE_BLOCK = "x = block(x, causal, bias, memory, src_mask[:, None, None])"
_HEAD = "return F.linear(self.decoder_norm(x) * self.config.d_model**-0.5, self.embedding.weight)"
_ENCODER_BIAS = "self.encoder_bias.weight, src.shape[1], bidirectional=True, max_distance=self.config.max_distance"
_DECODER_BIAS = "self.decoder_bias.weight, t, bidirectional=False, max_distance=self.config.max_distance"
_LOGITS = "test_logits_are_those_of_t5"
_LOGITS_PADDED = "test_logits_are_those_of_t5_with_padding"
_NO_INFLUENCE = "test_padding_has_no_influence"

SEQ2SEQ = [
    Bug(
        "logits_are_not_scaled", part="Seq2Seq", killed_by=_LOGITS,
        edit=(_HEAD, "return F.linear(self.decoder_norm(x), self.embedding.weight)"),
        hint="The decoder's output is scaled by d_model^-1/2 before the tied output layer.",
    ),
    Bug(
        "embeddings_are_scaled", part="Seq2Seq", killed_by=_LOGITS,
        edit=("x = self.embedding(src)", "x = self.embedding(src) * self.config.d_model**0.5"),
        hint="Embeddings are multiplied by sqrt(d_model), as in the first transformer; T5 does not do that.",
    ),
    Bug(
        "no_norm_after_the_encoder", part="Seq2Seq", killed_by=_LOGITS,
        edit=(_ENCODED, "return x + 0 * self.encoder_norm.weight"),
        hint="The encoder's output is normalised once more, by encoder_norm.",
    ),
    Bug(
        "no_norm_after_the_decoder", part="Seq2Seq", killed_by=_LOGITS,
        edit=(_HEAD, "return F.linear((x + 0 * self.decoder_norm.weight) * self.config.d_model**-0.5, self.embedding.weight)"),
        hint="The decoder's output is normalised by decoder_norm before the output layer.",
    ),
    Bug(
        "the_encoder_is_post_norm", part="Seq2Seq", killed_by=_LOGITS,
        edit=("h = self.attention_norm(x)\n        " + _ENCODER_SELF, "x = self.attention_norm(x + self.attention(x, x, mask, bias))\n        return self.feed_forward_norm(x + self.feed_forward(x))\n        ### END SOLUTION\n\n\nclass DecoderBlock"),
        hint="The norms come after the sums; T5 normalises what goes into each layer (pre-norm).",
    ),
    Bug(
        "the_feed_forward_replaces", part="Seq2Seq", killed_by=_LOGITS,
        edit=(_ENCODER_SELF, _ENCODER_SELF.replace("return x + self.feed_forward", "return self.feed_forward")),
        hint="The feed-forward network's output is added to what came in, not put in its place.",
    ),
    Bug(
        "the_encoder_looks_one_way", part="Seq2Seq", killed_by=_LOGITS,
        edit=(_ENCODER_BIAS, _ENCODER_BIAS.replace("bidirectional=True", "bidirectional=False")),
        hint="The encoder's relative positions go both ways: bidirectional=True.",
    ),
    Bug(
        "the_decoder_has_buckets_both_ways", part="Seq2Seq", killed_by=_LOGITS,
        edit=(_DECODER_BIAS, _DECODER_BIAS.replace("bidirectional=False", "bidirectional=True")),
        hint="The decoder's relative positions go one way: bidirectional=False.",
    ),
    Bug(
        "the_decoder_uses_the_encoders_table", part="Seq2Seq", killed_by=_LOGITS,
        edit=(_DECODER_BIAS, _DECODER_BIAS.replace("self.decoder_bias.weight", "self.encoder_bias.weight + 0 * self.decoder_bias.weight")),
        hint="The decoder has a table of biases of its own.",
    ),
    Bug(
        "max_distance_of_the_config_is_ignored", part="Seq2Seq", killed_by=_LOGITS,
        edit=(_ENCODER_BIAS, _ENCODER_BIAS.replace(", max_distance=self.config.max_distance", "")),
        hint="max_distance comes from the config, not from the function's default.",
    ),
    Bug(
        "only_the_first_layer_has_positions", part="Seq2Seq", killed_by=_LOGITS_PADDED,
        edit=(_ENCODE_BLOCK, _ENCODE_BLOCK + "\n            bias = torch.zeros_like(bias)"),
        hint="All layers of a stack share the bias; here only the first one gets it.",
    ),
    Bug(
        "the_encoder_is_normalised_in_every_layer", part="Seq2Seq", killed_by=_LOGITS_PADDED,
        edit=(_ENCODE_BLOCK, _ENCODE_BLOCK + "\n            x = self.encoder_norm(x) if block is not self.encoder[-1] else x"),
        hint="encoder_norm comes once, after the last block.",
    ),
    Bug(
        "the_decoder_sees_the_future", part="Seq2Seq", killed_by="test_the_decoder_does_not_see_the_future",
        edit=(_CAUSAL, "causal = torch.ones(t, t, dtype=torch.bool, device=tgt_in.device)[None, None]"),
        hint="The decoder's self-attention has no causal mask: it reads the answers.",
    ),
    Bug(
        "the_decoder_sees_one_ahead", part="Seq2Seq", killed_by="test_the_decoder_does_not_see_the_future",
        edit=(_CAUSAL, _CAUSAL.replace(".tril()", ".tril(1)")),
        hint="The causal mask is off by one: each token sees the next.",
    ),
    Bug(
        "the_encoder_is_causal", part="Seq2Seq", killed_by="test_the_encoder_sees_both_ways",
        edit=(_ENCODE_BLOCK, "x = block(x, src_mask[:, None, None] & torch.ones(src.shape[1], src.shape[1]).tril().bool() | torch.eye(src.shape[1]).bool(), bias)"),
        hint="The encoder has a causal mask; every token of the source may see every other.",
    ),
    Bug(
        "the_decoder_ignores_the_source", part="Seq2Seq", killed_by="test_the_encoder_sees_both_ways",
        edit=(_CROSS, "x = x + self.cross_attention(self.cross_norm(x), memory.detach() * 0, memory_mask)"),
        hint="The decoder does not read the encoder's output.",
    ),
    Bug(
        "cross_attention_to_oneself", part="Seq2Seq", killed_by="test_the_encoder_sees_both_ways",
        edit=(_CROSS, "h = self.cross_norm(x)\n        x = x + self.cross_attention(h, h, mask)"),
        hint="Cross-attention takes keys and values from the decoder; they come from the encoder's output.",
    ),
    Bug(
        "padding_is_read_by_the_decoder", part="Seq2Seq", killed_by=_NO_INFLUENCE,
        edit=(_DECODE_BLOCK, "x = block(x, causal, bias, memory, torch.ones_like(src_mask)[:, None, None])"),
        hint="Cross-attention reads the padding of the source: it needs src_mask.",
    ),
    Bug(
        "padding_is_read_by_the_encoder", part="Seq2Seq", killed_by=_NO_INFLUENCE,
        edit=(_ENCODE_BLOCK, "x = block(x, torch.ones_like(src_mask)[:, None, None], bias)"),
        hint="The encoder's self-attention reads the padding of the source: it needs src_mask.",
    ),
    Bug(
        "the_source_mask_hides_targets", part="Seq2Seq", killed_by=_NO_INFLUENCE,
        edit=(_DECODE_BLOCK, "n = min(t, src_mask.shape[1])\n            real = F.pad(src_mask[:, :n], (0, t - n), value=True)[:, None, None] | torch.eye(t).bool()\n            x = block(x, causal & real, bias, memory, torch.ones_like(src_mask)[:, None, None])"),
        hint="src_mask is applied to the target; it belongs to the source.",
    ),
    Bug(
        "the_memory_does_not_learn", part="Seq2Seq", killed_by="test_gradients_reach_every_weight",
        edit=(_CROSS, "x = x + self.cross_attention(self.cross_norm(x), memory.detach() + 0 * memory, memory_mask)"),
        hint="The encoder's output is detached: the encoder never learns.",
    ),
    Bug(
        "the_output_layer_does_not_learn", part="Seq2Seq", killed_by="test_gradients_reach_every_weight",
        edit=(_HEAD, _HEAD.replace("self.embedding.weight)", "self.embedding.weight.detach())")),
        hint="The tied output layer is detached: the embedding gets only half of its gradient.",
    ),
]  # fmt: skip

_TOTAL = 'total = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-100, reduction="sum")'
_MEAN_LOSS = "return total / (labels != -100).sum().clamp(min=1)"
_WINDOWS = "batch = windows[torch.randint(len(windows), (batch_size,), generator=generator)]"
_TRAIN_MASK = "mask = random_spans_noise_mask(length, noise_density, mean_span_length, generator, batch_size=batch_size)\n        src"
_TRAIN_SPANS = "span_corrupt(batch, mask, sentinel_ids, eos_id=eos_id))"
_READS = (
    "logits = model(src, torch.ones_like(src, dtype=torch.bool), shift_right(labels, start_id=pad_id, pad_id=pad_id))"
)
_INIT = "model = Seq2Seq(config, generator).to(device)"
_LEARNS = "test_the_model_learns_to_fill_spans"
_LOSS_TEST = "test_the_loss_is_the_mean_over_labels_that_count"
_SAME = "test_the_same_generator_gives_the_same_model"

TRAINING = [
    Bug(
        "the_loss_is_a_sum", part="training", killed_by=_LOSS_TEST,
        edit=(_MEAN_LOSS, "return total"),
        hint="The loss is a mean over the labels that count, not a sum.",
    ),
    Bug(
        "the_mean_counts_ignored_labels", part="training", killed_by=_LOSS_TEST,
        edit=(_MEAN_LOSS, "return total / labels.numel()"),
        hint="The sum is divided by all labels; those of -100 do not count.",
    ),
    Bug(
        "a_mean_of_means", part="training", killed_by=_LOSS_TEST,
        edit=(_MEAN_LOSS, "rows = [F.cross_entropy(a, b, ignore_index=-100) for a, b in zip(logits, labels) if bool((b != -100).any())]\n    return torch.stack(rows).mean() if rows else total * 0"),
        hint="Each row's mean counts alike, however few labels it has; the mean is over labels.",
    ),
    Bug(
        "shifts_the_labels_again", part="training", killed_by=_LOSS_TEST,
        edit=(_TOTAL, "labels = F.pad(labels[..., 1:], (0, 1), value=-100) if labels.shape[-1] > 1 else labels\n    " + _TOTAL),
        hint="The labels are shifted a second time: logits at t are for labels[t], because shift_right did the shifting.",
    ),
    Bug(
        "no_label_gives_nan", part="training", killed_by="test_no_label_at_all_costs_nothing",
        edit=(_MEAN_LOSS, "return total / (labels != -100).sum()"),
        hint="With no label at all that is 0 / 0 = NaN; it must be 0.",
    ),
    Bug(
        "no_label_gives_torchs_mean", part="training", killed_by="test_no_label_at_all_costs_nothing",
        edit=(_MEAN_LOSS, "return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-100) + 0 * total"),
        hint="torch's mean over no label is NaN; it must be 0, and so must its gradient.",
    ),
    Bug(
        "weights_from_the_global_generator", part="training", killed_by=_SAME,
        edit=(_INIT, "model = Seq2Seq(config).to(device)"),
        hint="The weights do not come from the generator: the same state gives another model.",
    ),
    Bug(
        "windows_from_the_global_generator", part="training", killed_by=_SAME,
        edit=(_WINDOWS, "batch = windows[torch.randint(len(windows), (batch_size,))]"),
        hint="The windows do not come from the generator: the same state gives another model.",
    ),
    Bug(
        "lengths_are_planned_at_the_defaults", part="training", killed_by=_SAME,
        edit=("length, _ = t5_lengths(inputs_length, noise_density, mean_span_length)", "length, _ = t5_lengths(inputs_length)"),
        hint="The window is planned at T5's default density and span length: the arguments are ignored.",
    ),
    Bug(
        "reads_the_answers", part="training", killed_by=_LEARNS,
        edit=(_READS, _READS.replace("shift_right(labels, start_id=pad_id, pad_id=pad_id)", "labels")),
        hint="The decoder reads the labels themselves, not the shifted ones: it learns to copy what it will not have.",
    ),
    Bug(
        "learns_without_the_source", part="training", killed_by=_LEARNS,
        edit=(_READS, _READS.replace("model(src, ", "model(torch.full_like(src, eos_id), ")),
        hint="The encoder reads something else than the corrupted inputs.",
    ),
    Bug(
        "always_the_first_window", part="training", killed_by=_LEARNS,
        edit=(_WINDOWS, "batch = windows[torch.zeros(batch_size, dtype=torch.int64)]"),
        hint="Every batch is the beginning of the stream; windows begin at uniformly random places.",
    ),
    Bug(
        "climbs", part="training", killed_by=_LEARNS,
        edit=("loss.backward()", "(-loss).backward()"),
        hint="The loss is made larger in every step, not smaller.",
    ),
    Bug(
        "no_step_is_taken", part="training", killed_by=_LEARNS,
        edit=("        optimizer.step()\n", ""),
        hint="The optimizer never takes a step: the weights stay as they were.",
    ),
    Bug(
        "trains_without_eos", part="training", killed_by=_LEARNS,
        edit=(_TRAIN_SPANS, "span_corrupt(batch, mask, sentinel_ids))"),
        hint="Without EOS the decoder never learns where the targets end.",
    ),
    Bug(
        "trains_at_the_default_noise", part="training", killed_by=_LEARNS,
        edit=(_TRAIN_MASK, "mask = random_spans_noise_mask(length, generator=generator, batch_size=batch_size)\n        src"),
        hint="The masks have T5's default density and span length, whatever the arguments say.",
    ),
]  # fmt: skip

_ARGMAX = "token = model.decode(memory, src_mask, written)[:, -1].argmax(-1).masked_fill(done, pad_id)"
_WRITTEN = "written = torch.full((len(src), 1), start_id, dtype=torch.int64, device=src.device)"
_DONE = "done |= token == eos_id"
_ALL = "if done.all():"
_RESULT = "return written[:, 1:]"
_GREEDY = "test_decoding_takes_the_most_probable_token"
_FINISHED = "test_a_finished_row_is_padded_and_the_last_one_ends_it"
_READ_TEST = "test_spans_are_read_whatever_a_model_writes"
_BLANKS = "test_blanks_in_a_text_are_filled"
_SETDEFAULT = "spans.setdefault(token, current)"

FILLING = [
    Bug(
        "the_least_probable_token", part="filling", killed_by=_GREEDY,
        edit=(_ARGMAX, _ARGMAX.replace("argmax", "argmin")),
        hint="argmin takes the least probable token.",
    ),
    Bug(
        "the_first_step_again_and_again", part="filling", killed_by=_GREEDY,
        edit=(_ARGMAX, _ARGMAX.replace("[:, -1]", "[:, 0]")),
        hint="The logits of the first place are used in every step; it is those of the last one.",
    ),
    Bug(
        "reads_only_the_last_token", part="filling", killed_by=_GREEDY,
        edit=(_ARGMAX, _ARGMAX.replace("written)", "written[:, -1:])")),
        hint="The decoder gets only the last token; it needs all that were written.",
    ),
    Bug(
        "starts_with_padding_whatever_is_asked", part="filling", killed_by=_GREEDY,
        edit=(_WRITTEN, _WRITTEN.replace("start_id", "pad_id")),
        hint="The decoder starts with pad_id; it must start with start_id.",
    ),
    Bug(
        "ignores_the_padding_of_the_source", part="filling", killed_by=_GREEDY,
        edit=("memory = model.encode(src, src_mask)", "src_mask = torch.ones_like(src_mask)\n        memory = model.encode(src, src_mask)"),
        hint="src_mask is ignored, so a short row of a batch reads its padding.",
    ),
    Bug(
        "a_finished_row_goes_on", part="filling", killed_by=_FINISHED,
        edit=(_ARGMAX, _ARGMAX.replace(".masked_fill(done, pad_id)", "")),
        hint="After a row's EOS only pad_id follows.",
    ),
    Bug(
        "the_first_row_to_finish_ends_all", part="filling", killed_by=_FINISHED,
        edit=(_ALL, "if done.any():"),
        hint="Decoding stops with the first row that finishes; it must go on for the others.",
    ),
    Bug(
        "eos_is_replaced_by_padding", part="filling", killed_by=_FINISHED,
        edit=(_RESULT, "return written[:, 1:].masked_fill(written[:, 1:] == eos_id, pad_id)"),
        hint="EOS itself belongs to the row; padding begins after it.",
    ),
    Bug(
        "never_stops_early", part="filling", killed_by=_FINISHED,
        edit=(_ALL, "if False:"),
        hint="When all rows are finished decoding stops: the result is as long as its longest row.",
    ),
    Bug(
        "spans_by_number_of_appearance", part="filling", killed_by=_READ_TEST,
        edit=("return [spans.get(sentinel, []) for sentinel in sentinel_ids[:n_spans]]", "return (list(spans.values()) + [[]] * n_spans)[:n_spans]"),
        hint="Spans are counted in the order in which they come; a span belongs to the sentinel before it.",
    ),
    Bug(
        "the_last_time_counts", part="filling", killed_by=_READ_TEST,
        edit=(_SETDEFAULT, "spans[token] = current"),
        hint="A sentinel that comes again counts the first time.",
    ),
    Bug(
        "a_repeated_sentinel_goes_on", part="filling", killed_by=_READ_TEST,
        edit=("current = []\n            " + _SETDEFAULT, "current = spans.setdefault(token, [])"),
        hint="What follows the second appearance of a sentinel is added to its span; it belongs to none.",
    ),
    Bug(
        "eos_is_read_over", part="filling", killed_by=_READ_TEST,
        edit=("if token == eos_id:\n            break", "if token == eos_id:\n            continue"),
        hint="EOS ends the text; what follows it belongs to no span.",
    ),
    Bug(
        "sentinels_beyond_the_blanks_are_words", part="filling", killed_by=_READ_TEST,
        edit=("if token in sentinel_ids:", "if token in sentinel_ids[:n_spans]:"),
        hint="Any sentinel ends a span, also one that the text does not have.",
    ),
    Bug(
        "the_source_has_no_eos", part="filling", killed_by=_BLANKS,
        edit=("torch.tensor([[*ids, tokenizer.eos_id]]", "torch.tensor([[*ids]]"),
        hint="The source ends in EOS, as in training.",
    ),
    Bug(
        "one_string_for_every_sentinel_there_is", part="filling", killed_by=_BLANKS,
        edit=("n_spans = sum(i in sentinels for i in ids)", "n_spans = len(sentinels)"),
        hint="There is one string for each sentinel of the text, not of the vocabulary.",
    ),
    Bug(
        "starts_from_bos", part="filling", killed_by=_BLANKS,
        edit=("start_id=tokenizer.pad_id,", "start_id=tokenizer.bos_id,"),
        hint="T5's decoder starts from pad_id.",
    ),
]  # fmt: skip

BUGS = [
    *SEGMENTATION, *NOISE_COUNTS, *MASKS, *SPAN_CORRUPT, *RECONSTRUCT, *BATCHES, *LENGTHS, *SHIFT_RIGHT, *TOKEN_NOISE,
    *INFILLING, *SENTENCE_NOISE, *TEXT_TO_TEXT, *RELATIVE_POSITIONS, *ATTENTION, *SEQ2SEQ, *TRAINING, *FILLING,
]  # fmt: skip
