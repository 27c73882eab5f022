"""Planted bugs of `rlhf`: edits of the reference, each with the test that must notice."""

from __future__ import annotations

from autograder.judge import Bug

_LAST = "return torch.where(attention_mask, positions, -1).amax(dim=1)"
_READ = "hidden[rows, last_token_index(attention_mask)]"
_BRADLEY_TERRY = "-F.logsigmoid(difference).mean()"
_BETTER = "better = (ranks[:, :, None] < ranks[:, None, :]) & present[:, :, None] & present[:, None, :]"
_PER_PROMPT = "per_prompt = losses.sum(dim=(1, 2)) / n_pairs.clamp(min=1)"
_PROMPTS = "return per_prompt.sum() / (n_pairs > 0).sum().clamp(min=1)"
_RANKING_LOSS = "loss = kwise_ranking_loss(rewards.view(batch_size, -1), ranks[rows])"
_STD = "self.std = rewards.std(correction=min(1, len(rewards) - 1))"
_NORMALIZED = "return centred / (self.std + self.eps) if self.scale else centred"
_ECE = "return gaps.abs().sum().item() / len(probs)"
_WEIGHTS = "weights = torch.softmax(log_weights, dim=0)"
_BEST_KL = "return math.log(n) - (n - 1) / n"
_SUM = "token_logprobs(logits, input_ids).masked_fill(~response_mask[:, 1:], 0.0).sum(dim=1)"
_REWARDS = "chosen, rejected = beta * (pi_chosen - ref_chosen), beta * (pi_rejected - ref_rejected)"
_DPO = "losses = -(1 - label_smoothing) * F.logsigmoid(difference) - label_smoothing * F.logsigmoid(-difference)"
_ESTIMATES = "return -d, d.square() / 2, torch.expm1(d) - d"
_MEAN = "return x.masked_fill(~mask, 0.0).sum(dim) / mask.sum(dim).clamp(min=1)"
_CENTRED = "centred = (x - masked_mean(x, mask)).masked_fill(~mask, 0.0)"
_VARIANCE = "variance = centred.square().sum() / (mask.sum() - 1).clamp(min=1)"
_WHITE = "return centred / (variance.sqrt() + eps)"
_PENALTY = "rewards = (-beta * (logp - ref_logp)).masked_fill(~mask, 0.0)"
_SCORE = "return rewards.scatter_add(1, last_token_index(mask)[:, None], scores[:, None])"
_DELTA = "delta = rewards[:, t] + gamma * value_after - values[:, t]"
_FOLLOWING = "following = torch.where(real, delta + gamma * lam * following, following)"
_RETURNED = "return advantages.masked_fill(~mask, 0.0), (advantages + values).masked_fill(~mask, 0.0)"
_DEVIATION = "(groups.std(dim=1, keepdim=True, correction=min(1, group_size - 1)) + eps)"
_MINIMUM = "torch.minimum(ratio * advantages, clipped * advantages)"
_RATIO = "ratio = (logp - old_logp).masked_fill(~mask, 0.0).exp()"
_PPO = "return -masked_mean(clipped_objective(logp, old_logp, advantages, mask, eps), mask)"
_OBJECTIVE = "objective = clipped_objective(logp, old_logp, advantages[:, None], mask, eps)"
_SEQUENCE = "return -masked_mean(objective, mask, dim=1).mean()"
_CONSTANT = "return -objective.sum() / (len(mask) * (mask.shape[1] if constant is None else constant))"
_K3 = "k3 = kl_estimates(logp.masked_fill(~mask, 0.0), ref_logp.masked_fill(~mask, 0.0))[2]"
_GRPO = "loss = grpo_loss(logp, old_logp, advantages, mask, eps=eps, beta=beta, ref_logp=ref_logp)"
_BEST = "return rewards.argmax(dim=1)"
_LOG_SOFTMAX = "F.log_softmax(logits[:, :-1], dim=-1)"
_MARGIN = "difference = difference - margin"
_HITS = "(wins + ties / 2)"
_GAP = "outcomes.to(probs.dtype) - probs)  # sums"
_ADAM = "torch.optim.Adam(model.parameters(), lr=learning_rate)\n    losses"
_ROWS = "rows = torch.randint(len(ranks), (batch_size,), generator=generator)"
_SHIFTED = "centred = rewards - self.mean"
_DIFFERENCE = "difference = chosen - rejected"

BUGS = [
    # --- last_token_index
    Bug(
        "always_the_last_column",
        part="last_token_index",
        killed_by="test_padding_on_the_right",
        edit=(_LAST, "return positions[-1].expand(len(attention_mask)).clone()"),
        hint="The last column is padding wherever a text is shorter than the longest of its batch.",
    ),
    Bug(
        "the_first_real_token",
        part="last_token_index",
        killed_by="test_padding_on_the_right",
        edit=(_LAST, "return attention_mask.int().argmax(dim=1)"),
        hint="argmax of the mask finds its first True; the last one is asked for.",
    ),
    Bug(
        "counts_the_real_tokens",
        part="last_token_index",
        killed_by="test_padding_on_the_left",
        edit=(_LAST, "return attention_mask.sum(dim=1) - 1"),
        hint="The number of real tokens less one is the last position only where the padding is on the right.",
    ),
    Bug(
        "one_before_the_first_padding",
        part="last_token_index",
        killed_by="test_padding_on_the_right",
        edit=(_LAST, "return (~attention_mask).int().argmax(dim=1) - 1"),
        hint="One before the first padding is -1 in a row that has none, and wrong where padding comes first.",
    ),
    Bug(
        "real_tokens_without_a_gap",
        part="last_token_index",
        killed_by="test_padding_anywhere",
        edit=(_LAST, "return attention_mask.int().argmax(dim=1) + attention_mask.sum(dim=1) - 1"),
        hint="The first real position plus their number less one is wrong where padding stands between real tokens.",
    ),
    # --- RewardModel
    Bug(
        "reads_the_last_column",
        part="RewardModel",
        killed_by="test_the_head_reads_the_last_real_token",
        edit=(_READ, "hidden[rows, -1]"),
        hint="The head reads the last column, which is padding in every shorter text.",
    ),
    Bug(
        "reads_the_first_column",
        part="RewardModel",
        killed_by="test_the_head_reads_the_last_real_token",
        edit=(_READ, "hidden[rows, 0]"),
        hint="The head reads the first token, which in a causal model has seen nothing but itself.",
    ),
    Bug(
        "averages_the_hidden_states",
        part="RewardModel",
        killed_by="test_the_head_reads_the_last_real_token",
        edit=(
            _READ,
            "hidden.masked_fill(~attention_mask[..., None], 0.0).sum(1) / attention_mask.sum(1, keepdim=True)",
        ),
        hint="The hidden states are averaged; the last real token's alone is asked for.",
    ),
    Bug(
        "backbone_without_the_mask",
        part="RewardModel",
        killed_by="test_more_padding_changes_nothing",
        edit=("self.backbone(input_ids, attention_mask)  # (B, T, C)", "self.backbone(input_ids)"),
        hint="The backbone is not told which tokens are real, so padding on the left changes the score.",
    ),
    Bug(
        "looks_for_padding_among_the_ids",
        part="RewardModel",
        killed_by="test_a_real_token_with_the_id_of_the_padding_counts",
        edit=(_READ, "hidden[rows, (input_ids == 0).int().argmax(dim=1) - 1]"),
        hint="The end is sought where the ids first equal 0; real tokens can have that id. The mask knows.",
    ),
    Bug(
        "counts_ids_that_are_not_padding",
        part="RewardModel",
        killed_by="test_a_real_token_with_the_id_of_the_padding_counts",
        edit=(_READ, "hidden[rows, (input_ids != 0).sum(dim=1) - 1]"),
        hint="Real tokens are counted by their ids; the end of a text can have the id of the padding. The mask knows.",
    ),
    Bug(
        "one_end_for_the_whole_batch",
        part="RewardModel",
        killed_by="test_texts_of_a_batch_do_not_meet",
        edit=(_READ, "hidden[rows, last_token_index(attention_mask).max()]"),
        hint="The end of the longest text is used for all of them.",
    ),
    Bug(
        "the_backbone_does_not_learn",
        part="RewardModel",
        killed_by="test_gradients_reach_head_and_backbone",
        edit=(_READ, "hidden.detach()[rows, last_token_index(attention_mask)]"),
        hint="The hidden states are detached, so the backbone never learns.",
    ),
    Bug(
        "squashes_the_score",
        part="RewardModel",
        killed_by="test_the_head_reads_the_last_real_token",
        edit=(
            "return self.head(hidden[rows, last_token_index(attention_mask)]).squeeze(-1)",
            "return self.head(hidden[rows, last_token_index(attention_mask)]).squeeze(-1).sigmoid()",
        ),
        hint="The score goes through a sigmoid; the loss does that, with the difference of two scores.",
    ),
    # --- bradley_terry_loss
    Bug(
        "logarithm_of_a_sigmoid",
        part="bradley_terry_loss",
        killed_by="test_scores_far_apart_keep_loss_and_gradient",
        edit=(_BRADLEY_TERRY, "-torch.sigmoid(difference).log().mean()"),
        hint="sigmoid underflows to 0, and its logarithm is -inf: use F.logsigmoid.",
    ),
    Bug(
        "difference_the_wrong_way_round",
        part="bradley_terry_loss",
        killed_by="test_loss_is_minus_the_mean_log_probability_of_the_choice",
        edit=(_BRADLEY_TERRY, "-F.logsigmoid(-difference).mean()"),
        hint="The rejected score is to be below the chosen one; the sign of the difference is turned.",
    ),
    Bug(
        "sums_over_pairs",
        part="bradley_terry_loss",
        killed_by="test_loss_is_minus_the_mean_log_probability_of_the_choice",
        edit=(_BRADLEY_TERRY, "-F.logsigmoid(difference).sum()"),
        hint="The losses of the pairs are summed; their mean is asked for.",
    ),
    Bug(
        "no_logarithm",
        part="bradley_terry_loss",
        killed_by="test_loss_is_minus_the_mean_log_probability_of_the_choice",
        edit=(_BRADLEY_TERRY, "-torch.sigmoid(difference).mean()"),
        hint="The probability itself is maximised; the loss is its negative logarithm.",
    ),
    Bug(
        "no_sigmoid",
        part="bradley_terry_loss",
        killed_by="test_loss_is_minus_the_mean_log_probability_of_the_choice",
        edit=(_BRADLEY_TERRY, "-difference.mean()"),
        hint="Without the sigmoid the loss has no bottom: scores drift apart for ever.",
    ),
    Bug(
        "a_hinge",
        part="bradley_terry_loss",
        killed_by="test_loss_is_minus_the_mean_log_probability_of_the_choice",
        edit=(_BRADLEY_TERRY, "F.relu(1 - difference).mean()"),
        hint="That is a hinge loss; the Bradley-Terry model has -ln sigmoid.",
    ),
    Bug(
        "adds_the_margin",
        part="bradley_terry_loss",
        killed_by="test_a_margin_is_subtracted_from_the_difference",
        edit=(_MARGIN, "difference = difference + margin"),
        hint="The margin is added to the difference, which makes the task easier; it is to be subtracted.",
    ),
    Bug(
        "ignores_the_margin",
        part="bradley_terry_loss",
        killed_by="test_a_margin_is_subtracted_from_the_difference",
        edit=(_MARGIN, "pass"),
        hint="The margin is ignored.",
    ),
    Bug(
        "clamps_the_difference",
        part="bradley_terry_loss",
        killed_by="test_scores_far_apart_keep_loss_and_gradient",
        edit=(_BRADLEY_TERRY, "-F.logsigmoid(difference.clamp(-30, 30)).mean()"),
        hint="The difference is clamped, so pairs that are badly wrong have no gradient.",
    ),
    # --- kwise_ranking_loss
    Bug(
        "all_pairs_in_one_pool",
        part="kwise_ranking_loss",
        killed_by="test_pairs_are_averaged_within_each_prompt_first",
        edit=(_PROMPTS, "return losses.sum() / n_pairs.sum().clamp(min=1)"),
        hint="All pairs go into one mean, so prompts with many completions outweigh others: average each prompt first.",
    ),
    Bug(
        "counts_both_directions",
        part="kwise_ranking_loss",
        killed_by="test_two_completions_are_a_pair",
        edit=(_BETTER, "better = (ranks[:, :, None] != ranks[:, None, :]) & present[:, :, None] & present[:, None, :]"),
        hint="Each pair is counted in both directions, so half of the loss asks for the opposite.",
    ),
    Bug(
        "divides_by_k_squared",
        part="kwise_ranking_loss",
        killed_by="test_two_completions_are_a_pair",
        edit=(_PER_PROMPT, "per_prompt = losses.sum(dim=(1, 2)) / ranks.shape[1] ** 2"),
        hint="The sum is divided by K squared; there are K (K - 1) / 2 pairs.",
    ),
    Bug(
        "divides_by_the_pairs_of_a_full_ranking",
        part="kwise_ranking_loss",
        killed_by="test_absent_completions_have_no_influence",
        edit=(_PER_PROMPT, "per_prompt = losses.sum(dim=(1, 2)) / math.comb(ranks.shape[1], 2)"),
        hint="The sum is divided by the number of pairs of K completions, also where some are absent or tie.",
    ),
    Bug(
        "ties_as_wins",
        part="kwise_ranking_loss",
        killed_by="test_equal_ranks_make_no_pair",
        edit=(
            _BETTER,
            (
                "better = (ranks[:, :, None] <= ranks[:, None, :]) & present[:, :, None] & present[:, None, :]\n"
                "    better = better & ~torch.eye(ranks.shape[1], dtype=torch.bool, device=ranks.device)"
            ),
        ),
        hint="Completions of equal rank are made a pair, in both directions; they say nothing about each other.",
    ),
    Bug(
        "absent_is_best",
        part="kwise_ranking_loss",
        killed_by="test_absent_completions_have_no_influence",
        edit=(_BETTER, "better = ranks[:, :, None] < ranks[:, None, :]"),
        hint="Rank -1 is taken for better than 0; it means that the completion is absent.",
    ),
    Bug(
        "absent_is_worst",
        part="kwise_ranking_loss",
        killed_by="test_absent_completions_have_no_influence",
        edit=(
            "present = ranks >= 0",
            "ranks = torch.where(ranks < 0, ranks.shape[1], ranks)\n    present = ranks >= 0",
        ),
        hint="Absent completions are taken for the worst; they are in no pair.",
    ),
    Bug(
        "counts_prompts_without_a_pair",
        part="kwise_ranking_loss",
        killed_by="test_prompts_without_a_pair_are_left_out",
        edit=(_PROMPTS, "return per_prompt.sum() / len(ranks)"),
        hint="Prompts without a pair are counted in the mean over prompts.",
    ),
    Bug(
        "nan_without_a_pair",
        part="kwise_ranking_loss",
        killed_by="test_prompts_without_a_pair_are_left_out",
        edit=[(_PER_PROMPT, "per_prompt = losses.sum(dim=(1, 2)) / n_pairs"), (_PROMPTS, "return per_prompt.mean()")],
        hint="A prompt without a pair is 0 / 0.",
    ),
    Bug(
        "best_rank_is_the_largest",
        part="kwise_ranking_loss",
        killed_by="test_two_completions_are_a_pair",
        edit=(_BETTER, "better = (ranks[:, :, None] > ranks[:, None, :]) & present[:, :, None] & present[:, None, :]"),
        hint="Rank 0 is the best, not the worst.",
    ),
    Bug(
        "neighbours_in_the_ranking_only",
        part="kwise_ranking_loss",
        killed_by="test_pairs_are_averaged_within_each_prompt_first",
        edit=(
            _BETTER,
            "better = (ranks[:, :, None] + 1 == ranks[:, None, :]) & present[:, :, None] & present[:, None, :]",
        ),
        hint="Only neighbours in the ranking are compared; all C(K, 2) pairs count.",
    ),
    Bug(
        "plackett_luce",
        part="kwise_ranking_loss",
        killed_by="test_pairs_are_averaged_within_each_prompt_first",
        edit=(
            _PER_PROMPT,
            (
                "chosen_from = better | torch.eye(ranks.shape[1], dtype=torch.bool, device=ranks.device)\n"
                "    totals = rewards[:, None, :].masked_fill(~chosen_from, -math.inf).logsumexp(-1)\n"
                "    per_prompt = (totals - rewards).masked_fill(~present, 0.0).sum(1)"
            ),
        ),
        hint="That is the Plackett-Luce likelihood of the whole ranking; it equals the mean over pairs for K = 2 only.",
    ),
    Bug(
        "sums_over_the_pairs",
        part="kwise_ranking_loss",
        killed_by="test_pairs_are_averaged_within_each_prompt_first",
        edit=(_PROMPTS, "return (per_prompt * n_pairs).sum() / (n_pairs > 0).sum().clamp(min=1)"),
        hint="The pairs of a prompt are summed; their mean is asked for.",
    ),
    # --- train_reward_model
    Bug(
        "gradients_pile_up",
        part="train_reward_model",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=(
            "loss = kwise_ranking_loss(rewards.view(batch_size, -1), ranks[rows])\n        optimizer.zero_grad()\n",
            "loss = kwise_ranking_loss(rewards.view(batch_size, -1), ranks[rows])\n",
        ),
        hint="Gradients are never set to zero, so every step repeats all that came before.",
    ),
    Bug(
        "plain_gradient_descent",
        part="train_reward_model",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=(
            "optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)\n    losses",
            "optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)\n    losses",
        ),
        hint="The optimiser is to be torch.optim.Adam.",
    ),
    Bug(
        "only_the_head_learns",
        part="train_reward_model",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=(_ADAM, "torch.optim.Adam(model.head.parameters(), lr=learning_rate)\n    losses"),
        hint="Only the head is given to the optimiser; the backbone is to learn too.",
    ),
    Bug(
        "ignores_the_learning_rate",
        part="train_reward_model",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=(_ADAM, "torch.optim.Adam(model.parameters(), lr=1e-2)\n    losses"),
        hint="`learning_rate` is ignored.",
    ),
    Bug(
        "learns_the_opposite",
        part="train_reward_model",
        killed_by="test_the_known_reward_is_recovered_up_to_a_shift",
        edit=(_RANKING_LOSS, "loss = kwise_ranking_loss(-rewards.view(batch_size, -1), ranks[rows])"),
        hint="The model learns to score the worst completion highest.",
    ),
    Bug(
        "ranks_of_other_prompts",
        part="train_reward_model",
        killed_by="test_rankings_that_are_turned_round_do_not_mislead",
        edit=(
            _RANKING_LOSS,
            "loss = kwise_ranking_loss(rewards.view(batch_size, -1), ranks[:1].expand(batch_size, -1))",
        ),
        hint="The ranks belong to another prompt than the completions.",
    ),
    Bug(
        "completions_and_prompts_mixed_up",
        part="train_reward_model",
        killed_by="test_the_known_reward_is_recovered_up_to_a_shift",
        edit=(_RANKING_LOSS, "loss = kwise_ranking_loss(rewards.view(-1, batch_size).T, ranks[rows])"),
        hint="The scores are folded back as (K, batch) instead of (batch, K): ranks meet the scores of other prompts.",
    ),
    Bug(
        "two_completions_of_each_prompt",
        part="train_reward_model",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=(_RANKING_LOSS, "loss = kwise_ranking_loss(rewards.view(batch_size, -1)[:, :2], ranks[rows][:, :2])"),
        hint="Only the first two completions of each prompt are used.",
    ),
    Bug(
        "padding_is_read",
        part="train_reward_model",
        killed_by="test_each_step_is_what_its_parts_say",
        edit=(
            "attention_mask[rows].flatten(0, 1))  # (batch_size * K,)",
            "torch.ones_like(attention_mask[rows].flatten(0, 1)))",
        ),
        hint="The model is told that padding is real.",
    ),
    Bug(
        "other_chance_than_the_generator",
        part="train_reward_model",
        killed_by="test_the_same_generator_gives_the_same_weights",
        edit=(_ROWS, "rows = torch.randint(len(ranks), (batch_size,))"),
        hint="Prompts are drawn from torch's global generator instead of `generator`.",
    ),
    Bug(
        "always_the_first_prompts",
        part="train_reward_model",
        killed_by="test_the_same_generator_gives_the_same_weights",
        edit=(_ROWS, "rows = (torch.arange(batch_size) % len(ranks))"),
        hint="Every step uses the first prompts; they are to be drawn at random.",
    ),
    # --- RewardNormalizer
    Bug(
        "divides_by_n",
        part="RewardNormalizer",
        killed_by="test_scaling_divides_by_the_unbiased_deviation_plus_eps",
        edit=(_STD, "self.std = rewards.std(correction=0)"),
        hint="The variance is divided by n; torch.std, and this course, divide by n - 1.",
    ),
    Bug(
        "divides_by_the_variance",
        part="RewardNormalizer",
        killed_by="test_scaling_divides_by_the_unbiased_deviation_plus_eps",
        edit=(_NORMALIZED, "return centred / (self.std**2 + self.eps) if self.scale else centred"),
        hint="Rewards are divided by the variance; the deviation is its root.",
    ),
    Bug(
        "eps_as_a_floor",
        part="RewardNormalizer",
        killed_by="test_scaling_divides_by_the_unbiased_deviation_plus_eps",
        edit=(_NORMALIZED, "return centred / self.std.clamp(min=self.eps) if self.scale else centred"),
        hint="eps is a floor under the deviation here; it is to be added.",
    ),
    Bug(
        "statistics_of_the_batch_at_hand",
        part="RewardNormalizer",
        killed_by="test_what_was_fitted_stays_until_the_next_fit",
        edit=(_SHIFTED, "centred = rewards - rewards.mean()"),
        hint="The mean of the batch at hand is subtracted, so good batches look like bad ones.",
    ),
    Bug(
        "clips",
        part="RewardNormalizer",
        killed_by="test_by_default_the_mean_is_subtracted",
        edit=(_SHIFTED, "centred = (rewards - self.mean).clamp(-3, 3)"),
        hint="Rewards are clipped: what is far from the mean cannot be told apart any more.",
    ),
    Bug(
        "remembers_earlier_fits",
        part="RewardNormalizer",
        killed_by="test_what_was_fitted_stays_until_the_next_fit",
        edit=(
            "self.mean = rewards.mean()",
            "self.mean = rewards.mean() if self.mean is None else (self.mean + rewards.mean()) / 2",
        ),
        hint="A second fit is averaged with the first; it is to replace it.",
    ),
    Bug(
        "nan_for_a_single_reward",
        part="RewardNormalizer",
        killed_by="test_constant_rewards_become_zeros",
        edit=(_STD, "self.std = rewards.std()"),
        hint="The deviation of a single reward is 0 / 0; it is to be 0.",
    ),
    # --- calibration
    Bug(
        "a_tie_is_a_hit",
        part="calibration",
        killed_by="test_accuracy_counts_a_tie_as_one_half",
        edit=(_HITS, "(wins + ties)"),
        hint="A tie counts as right: a model that scores everything 0 would be perfect.",
    ),
    Bug(
        "a_tie_is_a_miss",
        part="calibration",
        killed_by="test_accuracy_counts_a_tie_as_one_half",
        edit=(_HITS, "wins"),
        hint="A tie counts as wrong; it is half of a hit.",
    ),
    Bug(
        "bins_weigh_the_same",
        part="calibration",
        killed_by="test_bins_are_weighted_by_what_they_hold",
        edit=(
            _ECE,
            (
                "counts = torch.bincount(bins, minlength=n_bins)\n"
                "    return (gaps.abs() / counts.clamp(min=1))[counts > 0].mean().item()"
            ),
        ),
        hint="Every bin weighs the same; a bin is to weigh as much as the predictions in it.",
    ),
    Bug(
        "over_and_under_cancel",
        part="calibration",
        killed_by="test_bins_are_weighted_by_what_they_hold",
        edit=(_ECE, "return gaps.sum().abs().item() / len(probs)"),
        hint="Bins that promise too much and bins that promise too little cancel: take the absolute value of each.",
    ),
    Bug(
        "every_prediction_by_itself",
        part="calibration",
        killed_by="test_bins_are_weighted_by_what_they_hold",
        edit=(_ECE, "return (outcomes.to(probs.dtype) - probs).abs().mean().item()"),
        hint="The gap is taken of each prediction by itself; within a bin they are averaged first.",
    ),
    Bug(
        "confidence_in_the_likelier_outcome",
        part="calibration",
        killed_by="test_bins_are_weighted_by_what_they_hold",
        edit=(
            (
                "gaps = probs.new_zeros(n_bins).index_add(0, bins, outcomes.to(probs.dtype) - probs)  # sums over "
                "each bin"
            ),
            (
                "hits = ((probs > 0.5) == outcomes.bool()).to(probs.dtype)\n"
                "    gaps = probs.new_zeros(n_bins).index_add(0, bins, hits - torch.maximum(probs, 1 - probs))"
            ),
        ),
        hint=(
            "That compares accuracy with confidence in the likelier outcome; here a probability is compared with how "
            "often it came true."
        ),
    ),
    Bug(
        "ignores_n_bins",
        part="calibration",
        killed_by="test_bins_are_weighted_by_what_they_hold",
        edit=("bins = (probs * n_bins).ceil()", "bins = (probs * 10).ceil()"),
        hint="There are always ten bins; `n_bins` is ignored.",
    ),
    Bug(
        "drops_certainties",
        part="calibration",
        killed_by="test_zero_and_one_are_in_the_first_and_the_last_bin",
        edit=(_GAP, "(outcomes.to(probs.dtype) - probs) * (probs < 1))  # sums"),
        hint="Predictions of exactly 1 are in no bin and get lost.",
    ),
    Bug(
        "drops_impossibilities",
        part="calibration",
        killed_by="test_zero_and_one_are_in_the_first_and_the_last_bin",
        edit=(_GAP, "(outcomes.to(probs.dtype) - probs) * (probs > 0))  # sums"),
        hint="Predictions of exactly 0 are in no bin and get lost: 0 belongs to the first.",
    ),
    Bug(
        "fifteen_bins",
        part="calibration",
        killed_by="test_ten_bins_unless_told_otherwise",
        edit=("n_bins: int = 10", "n_bins: int = 15"),
        hint="There are to be ten bins where nothing else is said.",
    ),
    # --- best_of_n
    Bug(
        "chooses_the_worst",
        part="best_of_n",
        killed_by="test_the_first_of_the_best_is_chosen",
        edit=(_BEST, "return rewards.argmin(dim=1)"),
        hint="That is the worst of n.",
    ),
    Bug(
        "the_last_of_the_best",
        part="best_of_n",
        killed_by="test_the_first_of_the_best_is_chosen",
        edit=(_BEST, "return rewards.shape[1] - 1 - rewards.flip(1).argmax(dim=1)"),
        hint="Of those that tie the first is to be chosen.",
    ),
    Bug(
        "only_the_logarithm",
        part="best_of_n",
        killed_by="test_divergence_of_the_best_of_n",
        edit=(_BEST_KL, "return math.log(n)"),
        hint="The divergence is ln n - (n - 1) / n; the second term is missing.",
    ),
    Bug(
        "plus_instead_of_minus",
        part="best_of_n",
        killed_by="test_divergence_of_the_best_of_n",
        edit=(_BEST_KL, "return math.log(n) + (n - 1) / n"),
        hint="The second term is subtracted: ln n - (n - 1) / n.",
    ),
    Bug(
        "in_bits",
        part="best_of_n",
        killed_by="test_divergence_of_the_best_of_n",
        edit=(_BEST_KL, "return math.log2(n) - (n - 1) / n"),
        hint="The logarithm is to base 2; nats are asked for.",
    ),
    Bug(
        "draws_with_replacement",
        part="best_of_n",
        killed_by="test_expectation_is_the_mean_over_all_subsets",
        edit=[
            ("i = torch.arange(n, m + 1,", "i = torch.arange(1, m + 1,"),
            (_WEIGHTS, "weights = (i / m) ** n - ((i - 1) / m) ** n"),
            ("rewards.sort().values[n - 1 :]", "rewards.sort().values"),
        ],
        hint="That is the mean over draws with replacement, which is biased downwards: take subsets.",
    ),
    Bug(
        "the_first_n",
        part="best_of_n",
        killed_by="test_expectation_is_the_mean_over_all_subsets",
        edit=("return (weights * rewards.sort().values[n - 1 :]).sum().to(rewards.dtype)", "return rewards[:n].max()"),
        hint="Only the first n rewards are used; the mean is to run over all subsets.",
    ),
    Bug(
        "the_worst_of_each_subset",
        part="best_of_n",
        killed_by="test_expectation_is_the_mean_over_all_subsets",
        edit=("rewards.sort().values", "rewards.sort(descending=True).values"),
        hint="The rewards are sorted the wrong way round: that is the mean of the smallest in each subset.",
    ),
    Bug(
        "binomials_of_i",
        part="best_of_n",
        killed_by="test_expectation_is_the_mean_over_all_subsets",
        edit=("torch.lgamma(i) - torch.lgamma(i - n + 1)", "torch.lgamma(i + 1) - torch.lgamma(i - n + 1)"),
        hint="Number i is the largest of C(i - 1, n - 1) subsets, not of C(i, n).",
    ),
    Bug(
        "binomials_that_overflow",
        part="best_of_n",
        killed_by="test_thousands_of_rewards_do_not_overflow",
        edit=(_WEIGHTS, "weights = log_weights.exp() / log_weights.exp().sum()"),
        hint="The binomials overflow; keep their logarithms, and take differences before exp.",
    ),
    Bug(
        "logarithms_in_float32",
        part="best_of_n",
        killed_by="test_thousands_of_rewards_do_not_overflow",
        edit=("i = torch.arange(n, m + 1, dtype=torch.float64,", "i = torch.arange(n, m + 1, dtype=torch.float32,"),
        hint="ln C(4000, 300) has no digits after the point left in float32: compute in float64.",
    ),
    # --- sequence_logprobs
    Bug(
        "logits_of_the_same_position",
        part="sequence_logprobs",
        killed_by="test_logits_are_for_the_token_after",
        edit=(_LOG_SOFTMAX, "F.log_softmax(logits[:, 1:], dim=-1)"),
        hint="Logits at a position are for the token after it; here they are taken for the token that stands there.",
    ),
    Bug(
        "first_token_of_the_response_lost",
        part="sequence_logprobs",
        killed_by="test_the_tokens_of_the_response_are_summed",
        edit=(
            _SUM,
            (
                "token_logprobs(logits, input_ids).masked_fill(~(response_mask[:, 1:] & response_mask[:, :-1]), "
                "0.0).sum(dim=1)"
            ),
        ),
        hint="The first token of the response is lost: the last token of the prompt predicts it.",
    ),
    Bug(
        "mask_of_the_wrong_columns",
        part="sequence_logprobs",
        killed_by="test_the_tokens_of_the_response_are_summed",
        edit=(_SUM, "token_logprobs(logits, input_ids).masked_fill(~response_mask[:, :-1], 0.0).sum(dim=1)"),
        hint="Column t of the log-probabilities is about token t + 1, so its mask is response_mask[:, 1:].",
    ),
    Bug(
        "sums_the_prompt",
        part="sequence_logprobs",
        killed_by="test_the_tokens_of_the_response_are_summed",
        edit=(_SUM, "token_logprobs(logits, input_ids).masked_fill(response_mask[:, 1:], 0.0).sum(dim=1)"),
        hint="The mask is the wrong way round: the prompt is summed.",
    ),
    Bug(
        "mean_instead_of_sum",
        part="sequence_logprobs",
        killed_by="test_the_tokens_of_the_response_are_summed",
        edit=(
            _SUM,
            (
                "token_logprobs(logits, input_ids).masked_fill(~response_mask[:, 1:], 0.0).sum(dim=1) / "
                "response_mask[:, 1:].sum(dim=1).clamp(min=1)"
            ),
        ),
        hint="The mean over tokens is no log-probability of the response: take the sum.",
    ),
    Bug(
        "padding_is_summed_too",
        part="sequence_logprobs",
        killed_by="test_the_tokens_of_the_response_are_summed",
        edit=(
            _SUM,
            "token_logprobs(logits, input_ids).masked_fill(~(response_mask.cumsum(1) > 0)[:, 1:], 0.0).sum(dim=1)",
        ),
        hint="All that follows the beginning of the response is summed, padding too.",
    ),
    Bug(
        "logarithm_of_a_softmax",
        part="sequence_logprobs",
        killed_by="test_large_logits_and_empty_responses",
        edit=(_LOG_SOFTMAX, "logits[:, :-1].softmax(dim=-1).log()"),
        hint="softmax underflows to 0, and its logarithm is -inf: use log_softmax.",
    ),
    Bug(
        "probabilities_are_not_normalised",
        part="sequence_logprobs",
        killed_by="test_probabilities_of_all_responses_sum_to_one",
        edit=(_LOG_SOFTMAX, "(logits[:, :-1] - logits[:, :-1].amax(-1, keepdim=True))"),
        hint="Logits less their maximum are no log-probabilities: subtract the log of the sum of exponentials.",
    ),
    # --- dpo_loss
    Bug(
        "adds_the_reference",
        part="dpo_loss",
        killed_by="test_losses_and_implied_rewards",
        edit=(_REWARDS, "chosen, rejected = beta * (pi_chosen + ref_chosen), beta * (pi_rejected + ref_rejected)"),
        hint="The reference's log-probabilities are added; the log-ratio subtracts them.",
    ),
    Bug(
        "forgets_the_reference",
        part="dpo_loss",
        killed_by="test_losses_and_implied_rewards",
        edit=(_REWARDS, "chosen, rejected = beta * pi_chosen, beta * pi_rejected"),
        hint="The reference is left out, so nothing holds the policy near it.",
    ),
    Bug(
        "beta_outside_the_sigmoid",
        part="dpo_loss",
        killed_by="test_losses_and_implied_rewards",
        edit=[
            (_DIFFERENCE, "difference = (chosen - rejected) / beta"),
            (
                _DPO,
                (
                    "losses = -beta * (1 - label_smoothing) * F.logsigmoid(difference) - beta * label_smoothing * "
                    "F.logsigmoid(-difference)"
                ),
            ),
        ],
        hint="beta multiplies the loss; it belongs inside the sigmoid.",
    ),
    Bug(
        "rewards_without_beta",
        part="dpo_loss",
        killed_by="test_losses_and_implied_rewards",
        edit=(
            "return losses, chosen.detach(), rejected.detach()",
            "return losses, (chosen / beta).detach(), (rejected / beta).detach()",
        ),
        hint="The implied reward is beta times the log-ratio.",
    ),
    Bug(
        "rejected_is_better",
        part="dpo_loss",
        killed_by="test_losses_and_implied_rewards",
        edit=(_DIFFERENCE, "difference = rejected - chosen"),
        hint="The policy learns to prefer the rejected text.",
    ),
    Bug(
        "smoothing_without_effect",
        part="dpo_loss",
        killed_by="test_smoothing_expects_flipped_labels",
        edit=(
            _DPO,
            ("losses = -(1 - label_smoothing) * F.logsigmoid(difference) - label_smoothing * F.logsigmoid(difference)"),
        ),
        hint="Both terms of the smoothed loss have the same sign; the second is about the opposite label.",
    ),
    Bug(
        "smoothing_over_two_labels",
        part="dpo_loss",
        killed_by="test_smoothing_expects_flipped_labels",
        edit=(
            _DPO,
            (
                "losses = -(1 - label_smoothing / 2) * F.logsigmoid(difference) - label_smoothing / 2 * "
                "F.logsigmoid(-difference)"
            ),
        ),
        hint="`label_smoothing` is the probability that the label is flipped, not twice that.",
    ),
    Bug(
        "the_rejected_text_is_constant",
        part="dpo_loss",
        killed_by="test_the_gradient_is_that_of_the_losses",
        edit=(
            _REWARDS,
            "chosen, rejected = beta * (pi_chosen - ref_chosen), beta * (pi_rejected.detach() - ref_rejected)",
        ),
        hint="The policy's rejected log-probability is detached, so it is never pushed down.",
    ),
    Bug(
        "logarithm_of_a_sigmoid_again",
        part="dpo_loss",
        killed_by="test_texts_of_any_length_stay_finite",
        edit=(
            _DPO,
            (
                "losses = -(1 - label_smoothing) * difference.sigmoid().log() - label_smoothing * "
                "(-difference).sigmoid().log()"
            ),
        ),
        hint="sigmoid underflows to 0, and its logarithm is -inf: use F.logsigmoid.",
    ),
    Bug(
        "another_beta",
        part="dpo_loss",
        killed_by="test_texts_of_any_length_stay_finite",
        edit=("beta: float = 0.1,", "beta: float = 0.5,"),
        hint="beta is 0.1 where nothing else is said.",
    ),
    # --- kl_estimates
    Bug(
        "log_ratio_the_wrong_way_round",
        part="kl_estimates",
        killed_by="test_three_estimates_of_each_token",
        edit=("    d = ref_logp - logp\n", "    d = logp - ref_logp\n"),
        hint="d is ref_logp - logp; turned round, k1 has the wrong sign and k3 another mean.",
    ),
    Bug(
        "k3_of_the_other_divergence",
        part="kl_estimates",
        killed_by="test_k1_and_k3_have_the_divergence_as_their_mean",
        edit=(_ESTIMATES, "return -d, d.square() / 2, torch.expm1(-d) + d"),
        hint="k3 is e^d - d - 1 with d = ref_logp - logp; with the other sign its mean is not the divergence.",
    ),
    Bug(
        "k2_without_its_half",
        part="kl_estimates",
        killed_by="test_three_estimates_of_each_token",
        edit=(_ESTIMATES, "return -d, d.square(), torch.expm1(d) - d"),
        hint="k2 is d^2 / 2.",
    ),
    Bug(
        "k1_without_its_sign",
        part="kl_estimates",
        killed_by="test_three_estimates_of_each_token",
        edit=(_ESTIMATES, "return d.abs(), d.square() / 2, torch.expm1(d) - d"),
        hint="k1 may be negative; its absolute value has another mean.",
    ),
    Bug(
        "k3_loses_its_digits",
        part="kl_estimates",
        killed_by="test_k3_keeps_its_digits_near_zero",
        edit=(_ESTIMATES, "return -d, d.square() / 2, d.exp() - d - 1"),
        hint="e^d - d - 1 cancels where d is tiny: use torch.expm1.",
    ),
    Bug(
        "k3_with_the_gradient_of_k1",
        part="kl_estimates",
        killed_by="test_gradients_of_the_estimates",
        edit=(_ESTIMATES, "return -d, d.square() / 2, torch.expm1(d).detach() - d"),
        hint="Part of k3 is detached, so its gradient is that of k1.",
    ),
    # --- masked_statistics
    Bug(
        "divides_by_the_length",
        part="masked_statistics",
        killed_by="test_the_mean_of_what_counts",
        edit=(_MEAN, "return x.masked_fill(~mask, 0.0).mean(dim)"),
        hint="The sum is divided by the padded length; divide by the number of True.",
    ),
    Bug(
        "mean_of_everything",
        part="masked_statistics",
        killed_by="test_the_mean_of_what_counts",
        edit=(_MEAN, "return x.mean(dim)"),
        hint="The mask is ignored.",
    ),
    Bug(
        "nan_of_nothing",
        part="masked_statistics",
        killed_by="test_the_mean_of_nothing_is_zero",
        edit=(_MEAN, "return x.masked_fill(~mask, 0.0).sum(dim) / mask.sum(dim)"),
        hint="The mean of nothing is 0 / 0; it is to be 0.",
    ),
    Bug(
        "one_more_than_there_is",
        part="masked_statistics",
        killed_by="test_the_mean_of_what_counts",
        edit=(_MEAN, "return x.masked_fill(~mask, 0.0).sum(dim) / (mask.sum(dim) + 1e-3)"),
        hint="An epsilon is added to the count, so every mean is a little too small: clamp the count at 1.",
    ),
    Bug(
        "whitens_each_row",
        part="masked_statistics",
        killed_by="test_whitening_uses_the_real_entries_of_all_rows",
        edit=(_CENTRED, "centred = (x - masked_mean(x, mask, 1)[:, None]).masked_fill(~mask, 0.0)"),
        hint="Each row gets its own mean; it is to be that of all rows together.",
    ),
    Bug(
        "whitens_with_padding",
        part="masked_statistics",
        killed_by="test_whitening_uses_the_real_entries_of_all_rows",
        edit=(_CENTRED, "centred = (x - x.mean()).masked_fill(~mask, 0.0)"),
        hint="The mean is taken over the padding too.",
    ),
    Bug(
        "whitens_with_n",
        part="masked_statistics",
        killed_by="test_whitening_uses_the_real_entries_of_all_rows",
        edit=(_VARIANCE, "variance = centred.square().sum() / mask.sum().clamp(min=1)"),
        hint="The variance is divided by n; it is to be divided by n - 1.",
    ),
    Bug(
        "eps_under_the_root",
        part="masked_statistics",
        killed_by="test_whitening_uses_the_real_entries_of_all_rows",
        edit=(_WHITE, "return centred / (variance + eps).sqrt()"),
        hint="eps is added to the variance; it is to be added to the deviation.",
    ),
    Bug(
        "padding_is_not_zero",
        part="masked_statistics",
        killed_by="test_whitening_uses_the_real_entries_of_all_rows",
        edit=(_WHITE, "return (x - masked_mean(x, mask)) / (variance.sqrt() + eps)"),
        hint="Where the mask is False the result is to be 0.",
    ),
    Bug(
        "nan_for_a_single_entry",
        part="masked_statistics",
        killed_by="test_whitening_what_does_not_vary_gives_zeros",
        edit=(_VARIANCE, "variance = centred.square().sum() / (mask.sum() - 1)"),
        hint="The variance of a single entry is 0 / 0; the result is to be 0.",
    ),
    # --- token_rewards
    Bug(
        "pays_in_the_last_column",
        part="token_rewards",
        killed_by="test_tokens_pay_for_leaving_the_reference",
        edit=(_SCORE, "return torch.cat((rewards[:, :-1], rewards[:, -1:] + scores[:, None]), dim=1)"),
        hint="The score is paid in the last column, which is padding in every shorter response.",
    ),
    Bug(
        "pays_at_every_token",
        part="token_rewards",
        killed_by="test_tokens_pay_for_leaving_the_reference",
        edit=(_SCORE, "return rewards + scores[:, None] * mask"),
        hint="The score is paid at every token; it is paid once, at the last one.",
    ),
    Bug(
        "rewards_leaving_the_reference",
        part="token_rewards",
        killed_by="test_tokens_pay_for_leaving_the_reference",
        edit=(_PENALTY, "rewards = (beta * (logp - ref_logp)).masked_fill(~mask, 0.0)"),
        hint="The sign of the penalty is turned: the policy is paid for leaving the reference.",
    ),
    Bug(
        "padding_pays_too",
        part="token_rewards",
        killed_by="test_the_whole_response_is_paid_once",
        edit=(_PENALTY, "rewards = -beta * (logp - ref_logp)"),
        hint="The penalty is charged on padding too.",
    ),
    Bug(
        "the_score_replaces_the_penalty",
        part="token_rewards",
        killed_by="test_tokens_pay_for_leaving_the_reference",
        edit=(_SCORE, "return rewards.scatter(1, last_token_index(mask)[:, None], scores[:, None])"),
        hint="At the last token the score replaces the penalty; it is to be added.",
    ),
    # --- gae
    Bug(
        "padding_leaks_into_advantages",
        part="gae",
        killed_by="test_padding_is_passed_over",
        edit=(_FOLLOWING, "following = delta + gamma * lam * following"),
        hint="Rewards and values of padding run into the advantages of the tokens before it.",
    ),
    Bug(
        "values_of_padding_follow",
        part="gae",
        killed_by="test_padding_is_passed_over",
        edit=("value_after = torch.where(real, values[:, t], value_after)", "value_after = values[:, t]"),
        hint="The value after the last real token is that of the padding; it is 0.",
    ),
    Bug(
        "ends_with_its_own_value",
        part="gae",
        killed_by="test_advantages_are_the_sum_of_discounted_surprises",
        edit=(
            "following = value_after = torch.zeros_like(rewards[:, 0])",
            "following, value_after = torch.zeros_like(rewards[:, 0]), values[:, -1]",
        ),
        hint="After the last token the value is 0, not its own once more.",
    ),
    Bug(
        "forgets_lambda",
        part="gae",
        killed_by="test_advantages_are_the_sum_of_discounted_surprises",
        edit=(_FOLLOWING, "following = torch.where(real, delta + gamma * following, following)"),
        hint="lam is missing: surprises fade by gamma * lam a step.",
    ),
    Bug(
        "forgets_gamma",
        part="gae",
        killed_by="test_advantages_are_the_sum_of_discounted_surprises",
        edit=(_FOLLOWING, "following = torch.where(real, delta + lam * following, following)"),
        hint="gamma is missing: surprises fade by gamma * lam a step.",
    ),
    Bug(
        "lambda_discounts_values",
        part="gae",
        killed_by="test_advantages_are_the_sum_of_discounted_surprises",
        edit=(_DELTA, "delta = rewards[:, t] + lam * value_after - values[:, t]"),
        hint="The value after is discounted by gamma, not by lam.",
    ),
    Bug(
        "returns_without_values",
        part="gae",
        killed_by="test_lambda_chooses_between_returns_and_surprises",
        edit=(_RETURNED, "return advantages.masked_fill(~mask, 0.0), (advantages + rewards).masked_fill(~mask, 0.0)"),
        hint="Returns are advantages plus values.",
    ),
    Bug(
        "returns_in_the_padding",
        part="gae",
        killed_by="test_rows_of_different_length_end_where_they_end",
        edit=(
            _RETURNED,
            "advantages = advantages.masked_fill(~mask, 0.0)\n        return advantages, advantages + values",
        ),
        hint="Where the mask is False returns are to be 0.",
    ),
    Bug(
        "whitens_advantages",
        part="gae",
        killed_by="test_advantages_are_not_whitened",
        edit=(_RETURNED, "return whiten(advantages, mask), (advantages + values).masked_fill(~mask, 0.0)"),
        hint="Advantages are whitened; that is a step of its own.",
    ),
    Bug(
        "no_surprise_at_the_value",
        part="gae",
        killed_by="test_advantages_are_the_sum_of_discounted_surprises",
        edit=(_DELTA, "delta = rewards[:, t] + gamma * value_after"),
        hint="The surprise is what came less what was expected: subtract the value.",
    ),
    # --- group_advantages
    Bug(
        "deviation_of_the_batch",
        part="group_advantages",
        killed_by="test_rewards_are_compared_within_their_group",
        edit=(_DEVIATION, "(rewards.std() + eps)"),
        hint="The deviation is that of the whole batch; each group has its own.",
    ),
    Bug(
        "mean_of_the_batch",
        part="group_advantages",
        killed_by="test_rewards_are_compared_within_their_group",
        edit=("advantages = groups - groups.mean(dim=1, keepdim=True)", "advantages = groups - groups.mean()"),
        hint="The mean is that of the whole batch; each group has its own.",
    ),
    Bug(
        "divides_by_g",
        part="group_advantages",
        killed_by="test_rewards_are_compared_within_their_group",
        edit=(_DEVIATION, "(groups.std(dim=1, keepdim=True, correction=0) + eps)"),
        hint="The variance is divided by G; it is to be divided by G - 1.",
    ),
    Bug(
        "groups_are_interleaved",
        part="group_advantages",
        killed_by="test_rewards_are_compared_within_their_group",
        edit=[
            ("groups = rewards.reshape(-1, group_size)", "groups = rewards.reshape(group_size, -1).T"),
            ("return advantages.flatten()", "return advantages.T.flatten()"),
        ],
        hint="A group is taken to be every P-th reward; its rewards are neighbours.",
    ),
    Bug(
        "floor_instead_of_eps",
        part="group_advantages",
        killed_by="test_rewards_are_compared_within_their_group",
        edit=(_DEVIATION, "groups.std(dim=1, keepdim=True, correction=min(1, group_size - 1)).clamp(min=eps)"),
        hint="eps is a floor under the deviation here; it is to be added.",
    ),
    Bug(
        "nan_where_all_agree",
        part="group_advantages",
        killed_by="test_a_group_that_agrees_has_no_advantage",
        edit=(_DEVIATION, "groups.std(dim=1, keepdim=True, correction=min(1, group_size - 1))"),
        hint="A group whose rewards are all the same is 0 / 0: add eps.",
    ),
    Bug(
        "nan_for_a_group_of_one",
        part="group_advantages",
        killed_by="test_a_group_that_agrees_has_no_advantage",
        edit=(_DEVIATION, "(groups.std(dim=1, keepdim=True) + eps)"),
        hint="The deviation of a single reward is 0 / 0; its advantage is to be 0.",
    ),
    Bug(
        "always_normalises",
        part="group_advantages",
        killed_by="test_without_the_deviation_only_the_mean_is_taken_off",
        edit=("    if normalize_std:\n", "    if True:\n"),
        hint="`normalize_std` is ignored.",
    ),
    Bug(
        "large_eps",
        part="group_advantages",
        killed_by="test_a_shift_or_a_scale_of_rewards_does_not_matter",
        edit=(_DEVIATION, "(groups.std(dim=1, keepdim=True, correction=min(1, group_size - 1)) + max(eps, 1e-4))"),
        hint="eps is never below 1e-4, so that rewards in small units get small advantages.",
    ),
    # --- ppo_clip_loss
    Bug(
        "maximum_instead_of_minimum",
        part="ppo_clip_loss",
        killed_by="test_what_the_advantage_favours_is_clipped",
        edit=(_MINIMUM, "torch.maximum(ratio * advantages, clipped * advantages)"),
        hint="The larger of the two is taken: clipping then stops nothing that it should stop.",
    ),
    Bug(
        "clips_without_a_minimum",
        part="ppo_clip_loss",
        killed_by="test_the_gradient_stops_only_where_clipping_bites",
        edit=(_MINIMUM, "(clipped * advantages)"),
        hint=(
            "The ratio is clipped on both sides whatever the advantage: a step in the wrong direction can never be "
            "taken back."
        ),
    ),
    Bug(
        "minimum_before_the_advantage",
        part="ppo_clip_loss",
        killed_by="test_what_the_advantage_favours_is_clipped",
        edit=(_MINIMUM, "(torch.minimum(ratio, clipped) * advantages)"),
        hint="The minimum is taken of the ratios, which is wrong where the advantage is negative: multiply first.",
    ),
    Bug(
        "clips_the_logarithm",
        part="ppo_clip_loss",
        killed_by="test_what_the_advantage_favours_is_clipped",
        edit=("clipped = ratio.clamp(1 - eps, 1 + eps)", "clipped = ratio.log().clamp(-eps, eps).exp()"),
        hint="The logarithm of the ratio is clipped to +-eps; the ratio itself is clipped to 1 +- eps.",
    ),
    Bug(
        "does_not_clip",
        part="ppo_clip_loss",
        killed_by="test_what_the_advantage_favours_is_clipped",
        edit=(_MINIMUM, "(ratio * advantages)"),
        hint="Nothing is clipped.",
    ),
    Bug(
        "ratio_upside_down",
        part="ppo_clip_loss",
        killed_by="test_what_the_advantage_favours_is_clipped",
        edit=(_RATIO, "ratio = (old_logp - logp).masked_fill(~mask, 0.0).exp()"),
        hint="The ratio is the new probability over the old one.",
    ),
    Bug(
        "first_order_ratio",
        part="ppo_clip_loss",
        killed_by="test_what_the_advantage_favours_is_clipped",
        edit=(_RATIO, "ratio = 1 + (logp - old_logp).masked_fill(~mask, 0.0)"),
        hint="1 + log-ratio is the ratio only near 1: take exp.",
    ),
    Bug(
        "exp_before_the_mask",
        part="ppo_clip_loss",
        killed_by="test_padding_changes_neither_loss_nor_gradient",
        edit=(_RATIO, "ratio = (logp - old_logp).exp()"),
        hint="exp overflows in the padding, and the gradient there is 0 times infinity: mask before exp.",
    ),
    Bug(
        "mean_over_padding",
        part="ppo_clip_loss",
        killed_by="test_the_loss_is_a_mean_over_all_real_tokens",
        edit=(_PPO, "return -clipped_objective(logp, old_logp, advantages, mask, eps).mean()"),
        hint="The sum is divided by all tokens, padding too.",
    ),
    Bug(
        "mean_of_means",
        part="ppo_clip_loss",
        killed_by="test_the_loss_is_a_mean_over_all_real_tokens",
        edit=(
            _PPO,
            "return -masked_mean(clipped_objective(logp, old_logp, advantages, mask, eps), mask, dim=1).mean()",
        ),
        hint="Each sequence is averaged first; here all real tokens of the batch weigh the same.",
    ),
    Bug(
        "goes_uphill_in_the_loss",
        part="ppo_clip_loss",
        killed_by="test_before_the_first_update_it_is_the_policy_gradient",
        edit=(_PPO, "return masked_mean(clipped_objective(logp, old_logp, advantages, mask, eps), mask)"),
        hint="A loss is minimised: it is minus the objective.",
    ),
    # --- grpo_loss
    Bug(
        "mean_over_the_padded_length",
        part="grpo_loss",
        killed_by="test_sequences_weigh_the_same_by_default",
        edit=(_SEQUENCE, "return -objective.mean()"),
        hint="Sequences are divided by the padded length, so a short one counts less.",
    ),
    Bug(
        "all_tokens_in_one_mean",
        part="grpo_loss",
        killed_by="test_sequences_weigh_the_same_by_default",
        edit=(_SEQUENCE, "return -masked_mean(objective, mask)\n"),
        hint='With "sequence" each sequence is averaged first; here long ones outweigh short ones.',
    ),
    Bug(
        "sums_over_sequences",
        part="grpo_loss",
        killed_by="test_sequences_weigh_the_same_by_default",
        edit=(_SEQUENCE, "return -masked_mean(objective, mask, dim=1).sum()"),
        hint="The sequences are summed; their mean is asked for.",
    ),
    Bug(
        "tokens_by_sequence",
        part="grpo_loss",
        killed_by="test_tokens_weigh_the_same_if_asked",
        edit=("return -masked_mean(objective, mask)\n", "return -masked_mean(objective, mask, dim=1).mean()\n"),
        hint='With "token" all real tokens weigh the same, whichever sequence they belong to.',
    ),
    Bug(
        "constant_without_the_batch",
        part="grpo_loss",
        killed_by="test_a_constant_divides_if_asked",
        edit=(_CONSTANT, "return -objective.sum() / (mask.shape[1] if constant is None else constant)"),
        hint="The sum is divided by B times the constant; B is missing.",
    ),
    Bug(
        "longest_response_as_constant",
        part="grpo_loss",
        killed_by="test_a_constant_divides_if_asked",
        edit=(
            _CONSTANT,
            (
                "return -objective.sum() / (len(mask) * (mask.sum(1).max().clamp(min=1) if constant is None else "
                "constant))"
            ),
        ),
        hint="Where no constant is given it is T, not the length of the longest response.",
    ),
    Bug(
        "pays_for_divergence",
        part="grpo_loss",
        killed_by="test_the_divergence_from_the_reference_is_charged",
        edit=("objective = objective - beta * k3", "objective = objective + beta * k3"),
        hint="The divergence is to be a cost: it is subtracted from the objective.",
    ),
    Bug(
        "charges_k1",
        part="grpo_loss",
        killed_by="test_the_divergence_from_the_reference_is_charged",
        edit=(_K3, "k3 = kl_estimates(logp.masked_fill(~mask, 0.0), ref_logp.masked_fill(~mask, 0.0))[0]"),
        hint="k1 is charged; k3 is asked for.",
    ),
    Bug(
        "charges_k2",
        part="grpo_loss",
        killed_by="test_the_divergence_from_the_reference_is_charged",
        edit=(_K3, "k3 = kl_estimates(logp.masked_fill(~mask, 0.0), ref_logp.masked_fill(~mask, 0.0))[1]"),
        hint="k2 is charged; k3 is asked for.",
    ),
    Bug(
        "divergence_of_the_reference",
        part="grpo_loss",
        killed_by="test_the_divergence_from_the_reference_is_charged",
        edit=(_K3, "k3 = kl_estimates(ref_logp.masked_fill(~mask, 0.0), logp.masked_fill(~mask, 0.0))[2]"),
        hint="Policy and reference have changed places in the divergence.",
    ),
    Bug(
        "divergence_in_the_padding",
        part="grpo_loss",
        killed_by="test_padding_changes_nothing_in_any_aggregate",
        edit=(_K3, "k3 = kl_estimates(logp, ref_logp)[2].masked_fill(~mask, 0.0)"),
        hint="exp overflows in the padding, and the gradient there is 0 times infinity: mask before it.",
    ),
    Bug(
        "advantages_along_the_wrong_axis",
        part="grpo_loss",
        killed_by="test_all_tokens_of_a_text_share_its_advantage",
        edit=(
            _OBJECTIVE,
            (
                "objective = clipped_objective(\n"
                "        logp, old_logp, advantages[torch.arange(mask.shape[1]) % len(advantages)][None], mask, "
                "eps\n"
                "    )"
            ),
        ),
        hint="Advantages are laid along tokens; each belongs to a whole sequence.",
    ),
    Bug(
        "default_eps",
        part="grpo_loss",
        killed_by="test_all_tokens_of_a_text_share_its_advantage",
        edit=(_OBJECTIVE, "objective = clipped_objective(logp, old_logp, advantages[:, None], mask)"),
        hint="`eps` is ignored.",
    ),
    Bug(
        "drops_empty_sequences",
        part="grpo_loss",
        killed_by="test_a_sequence_without_tokens_counts_as_zero",
        edit=(_SEQUENCE, "return -masked_mean(masked_mean(objective, mask, dim=1), mask.any(dim=1))"),
        hint="Sequences without tokens are left out of the mean; they count as 0.",
    ),
    # --- train_policy
    Bug(
        "away_from_the_reward",
        part="train_policy",
        killed_by="test_the_policy_earns_more",
        edit=(_GRPO, "loss = -grpo_loss(logp, old_logp, advantages, mask, eps=eps, beta=beta, ref_logp=ref_logp)"),
        hint="The loss is maximised: the policy learns what earns least.",
    ),
    Bug(
        "padding_is_rewarded",
        part="train_policy",
        killed_by="test_the_policy_earns_more",
        edit=("attention_mask[:, : prompts.shape[1]] = True", "attention_mask[:] = True"),
        hint="The reward function is told that padding is real.",
    ),
    Bug(
        "rewards_of_other_groups",
        part="train_policy",
        killed_by="test_the_policy_earns_more",
        edit=(
            "advantages = group_advantages(rewards, group_size)",
            "advantages = group_advantages(rewards, group_size).roll(1)",
        ),
        hint="Advantages belong to other responses than they are given to.",
    ),
    Bug(
        "the_first_token_never_learns",
        part="train_policy",
        killed_by="test_the_first_token_of_a_response_learns",
        edit=("mask = response_mask[:, 1:]", "mask = response_mask[:, :-1]"),
        hint="Column t of the log-probabilities is about token t + 1: the mask is response_mask[:, 1:].",
    ),
    Bug(
        "a_reference_that_moves",
        part="train_policy",
        killed_by="test_beta_keeps_the_policy_near_its_start",
        edit=("reference = copy.deepcopy(policy)", "reference = policy"),
        hint="The reference is the policy itself and moves with it: make a copy before training.",
    ),
    Bug(
        "beta_has_no_effect",
        part="train_policy",
        killed_by="test_beta_keeps_the_policy_near_its_start",
        edit=(_GRPO, "loss = grpo_loss(logp, old_logp, advantages, mask, eps=eps)"),
        hint="`beta` is ignored.",
    ),
    Bug(
        "old_is_always_new",
        part="train_policy",
        killed_by="test_clipping_holds_many_updates_back",
        edit=(_GRPO, "loss = grpo_loss(logp, logp.detach(), advantages, mask, eps=eps, beta=beta, ref_logp=ref_logp)"),
        hint=(
            "The old log-probabilities are taken anew at each update, so the ratio is always 1 and nothing is ever "
            "clipped."
        ),
    ),
    Bug(
        "one_update_only",
        part="train_policy",
        killed_by="test_clipping_holds_many_updates_back",
        edit=("for _ in range(updates):", "for _ in range(1):"),
        hint="`updates` is ignored.",
    ),
    Bug(
        "chance_from_elsewhere",
        part="train_policy",
        killed_by="test_every_step_is_told_and_can_be_had_again",
        edit=("eos_id=eos_id, pad_id=pad_id, generator=generator\n", "eos_id=eos_id, pad_id=pad_id\n"),
        hint="Responses are drawn from torch's global generator instead of `generator`.",
    ),
    Bug(
        "steps_from_zero",
        part="train_policy",
        killed_by="test_every_step_is_told_and_can_be_had_again",
        edit=("for step in range(1, steps + 1):", "for step in range(steps):"),
        hint="The first step is number 1.",
    ),
]
