"""Planted bugs of `scaling`: small edits of the reference, each with the test that must notice it."""

from __future__ import annotations

from autograder.judge import Bug

_WEIGHTS = "return n_layers * (4 * d_model**2 + 2 * d_model * d_ff)"
_FORWARD = "2 * non_embedding_params(n_layers, d_model, d_ff) + 2 * n_layers * context_length * d_model"
_TRAINING = '1.2e20\n    """\n    ### BEGIN SOLUTION\n    return 6 * N * D'  # budget_for_loss ends in the same line
_CHINCHILLA = "return fit.E + fit.A / N**fit.alpha + fit.B / D**fit.beta"
_KAPLAN = "return ((fit.N_c / N) ** (fit.alpha_N / fit.alpha_D) + fit.D_c / D) ** fit.alpha_D"
_SLOPE = "exponent = (centred @ log_y) / (centred @ centred)"
_LINE = "return (log_y.mean() - exponent * log_x.mean()).exp().item(), exponent.item()"
_TERMS = "terms = torch.stack(torch.broadcast_tensors(a - alpha * log_n, b - beta * log_d, e), dim=-2)"
_SHARES = "by_n, by_d, by_e = (terms - log_loss.unsqueeze(-2)).exp().unbind(-2)"
_JACOBIAN = "return log_loss, torch.stack((by_n, by_d, by_e, -by_n * log_n, -by_d * log_d), dim=-2).mT"
_RESIDUAL = "residual = log_loss - L.log()"
_PULL = "pull = residual.clamp(-delta, delta)  # the derivative"
_OBJECTIVE = "return (pull * (residual - pull / 2)).sum(-1), (pull.unsqueeze(-1) * jacobian).sum(-2)"
_DOUBLES = "N, D, L = N.double(), D.double(), L.double()\n    if inits is None:"
_RANKED = "inits = inits[torch.cat(pieces).argsort()[:64]]"
_MINIMISED = "theta, value = minimise(model, inits.double(), L.log(), delta=delta, steps=200)"
_BEST = "a, b, e, alpha, beta = theta[value.argmin()].unbind()"
_FIT = "return ScalingFit(a.exp().item(), b.exp().item(), e.exp().item(), alpha.item(), beta.item())"
_KAPLAN_MINIMISED = "theta, value = minimise(model, starts[value.argsort()[:32]], target, delta=delta, steps=200)"
_KAPLAN_FIT = "return KaplanFit((p / rho).exp().item(), q.exp().item(), (rho * s).item(), s.item())"
_G = "G = (fit.alpha * fit.A / (fit.beta * fit.B)) ** (1 / both)"
_SPLIT = "return G * (C / 6) ** (fit.beta / both), (C / 6) ** (fit.alpha / both) / G"
_N_OF_LOSS = "N = ((1 + fit.alpha / fit.beta) * fit.A / excess.clamp(min=0)) ** (1 / fit.alpha)"
_D_OF_LOSS = "D = ((1 + fit.beta / fit.alpha) * fit.B / excess.clamp(min=0)) ** (1 / fit.beta)"
_PARABOLA_X = "x, y = N[of_budget].double().log(), L[of_budget].double()"
_VERTEX = "optima.append(torch.where(r > 0, (middle - q / (2 * r)).exp(), math.nan))"
_ROWS = "rows = torch.randint(len(data), (n_boot, len(data)), generator=generator, device=data.device)"
_ENDS = "low, high = (1 - level) / 2, (1 + level) / 2"
_QUANTILES = "return values.quantile(low, dim=0), values.quantile(high, dim=0)"
_RUNS = "rows = torch.randint(len(N), (n_boot, len(N)), generator=generator, device=N.device)"
_COUNTED = "counts.scatter_add_(1, rows, torch.ones_like(counts))"
_BOOTSTRAPPED = "theta, _ = minimise(model, theta, target, weights=counts, delta=delta)"
_MANY = "return ScalingFit(a.exp(), b.exp(), e.exp(), alpha, beta)"
_CURVE = "return R0 + (A - R0) * torch.sigmoid(B * (C / C_mid).log())"
_KEPT = "kept = c_min <= C"
_REFINED = "theta, value = minimise(model, starts[value.argsort()[:32]], target, steps=200)"
_TOP = "    if A > 1:\n        A, log_b, log_mid, r0 = fitted(A_is_one=True)\n"
_EARLY = "early = fraction * C.max() >= C"
_FORECAST_FIT = "fit = fit_sigmoid(C[early], R[early], R0=R0)"
_FORECAST = "return sigmoid_curve(target_C, fit.A, fit.B, fit.C_mid, fit.R0)"

BUGS = [
    # --- training_compute
    Bug(
        "ten_squares",
        part="training_compute",
        killed_by="test_a_layer_has_twelve_squares",
        edit=(_WEIGHTS, _WEIGHTS.replace("4 * d_model**2", "2 * d_model**2")),
        hint="Attention has four matrices d_model x d_model: queries, keys, values and the output.",
    ),
    Bug(
        "no_output_matrix",
        part="training_compute",
        killed_by="test_a_layer_has_twelve_squares",
        edit=(_WEIGHTS, _WEIGHTS.replace("4 * d_model**2", "3 * d_model**2")),
        hint="Attention's output matrix is missing: it has four squares, not three.",
    ),
    Bug(
        "ignores_d_ff",
        part="training_compute",
        killed_by="test_the_mlp_may_have_another_width",
        edit=("d_ff = 4 * d_model if d_ff is None else d_ff", "d_ff = 4 * d_model"),
        hint="`d_ff` is ignored: 12 n_layers d_model^2 holds only where d_ff is 4 d_model.",
    ),
    Bug(
        "one_matrix_in_the_mlp",
        part="training_compute",
        killed_by="test_the_mlp_may_have_another_width",
        edit=[
            ("d_ff = 4 * d_model if d_ff is None else d_ff", "d_ff = 8 * d_model if d_ff is None else d_ff"),
            (_WEIGHTS, _WEIGHTS.replace("2 * d_model * d_ff", "d_model * d_ff")),
        ],
        hint="The MLP has two matrices, one up and one down.",
    ),
    Bug(
        "counts_biases",
        part="training_compute",
        killed_by="test_a_layer_has_twelve_squares",
        edit=(_WEIGHTS, _WEIGHTS.replace("2 * d_model * d_ff", "2 * d_model * d_ff + 5 * d_model + d_ff")),
        hint="Biases do not count here, only matrices.",
    ),
    Bug(
        "one_flop_a_weight",
        part="training_compute",
        killed_by="test_a_token_costs_two_flops_a_weight_and_attention",
        edit=(_FORWARD, _FORWARD.removeprefix("2 * ")),
        hint="A weight costs two FLOPs a token, a multiplication and an addition.",
    ),
    Bug(
        "attention_is_not_causal",
        part="training_compute",
        killed_by="test_a_token_costs_two_flops_a_weight_and_attention",
        edit=(_FORWARD, _FORWARD.replace("+ 2 * n_layers", "+ 4 * n_layers")),
        hint="A token sees half of the context on average: attention costs 2 n_layers context_length d_model, not 4.",
    ),
    Bug(
        "attention_in_one_layer",
        part="training_compute",
        killed_by="test_a_token_costs_two_flops_a_weight_and_attention",
        edit=(_FORWARD, _FORWARD.replace("+ 2 * n_layers *", "+ 2 *")),
        hint="Every layer attends: the second term is proportional to n_layers.",
    ),
    Bug(
        "forward_ignores_d_ff",
        part="training_compute",
        killed_by="test_a_token_costs_two_flops_a_weight_and_attention",
        edit=(_FORWARD, _FORWARD.replace("(n_layers, d_model, d_ff)", "(n_layers, d_model)")),
        hint="`d_ff` is not handed on to non_embedding_params.",
    ),
    Bug(
        "forward_pass_only",
        part="training_compute",
        killed_by="test_training_costs_six_flops_a_weight_and_token",
        edit=(_TRAINING, _TRAINING.replace("6 *", "2 *")),
        hint="2 N D is the forward pass; the backward pass costs twice as much again, so training is 6 N D.",
    ),
    Bug(
        "backward_pass_only",
        part="training_compute",
        killed_by="test_training_costs_six_flops_a_weight_and_token",
        edit=(_TRAINING, _TRAINING.replace("6 *", "4 *")),
        hint="4 N D is the backward pass; with the forward pass, training is 6 N D.",
    ),
    # --- loss_laws
    Bug(
        "forgets_the_irreducible_loss",
        part="loss_laws",
        killed_by="test_three_terms_are_added",
        edit=(_CHINCHILLA, "return fit.A / N**fit.alpha + fit.B / D**fit.beta"),
        hint="E is missing: without it the loss goes to 0.",
    ),
    Bug(
        "exponents_swapped",
        part="loss_laws",
        killed_by="test_three_terms_are_added",
        edit=(_CHINCHILLA, "return fit.E + fit.A / N**fit.beta + fit.B / D**fit.alpha"),
        hint="alpha belongs to N and beta to D; they are swapped.",
    ),
    Bug(
        "coefficients_swapped",
        part="loss_laws",
        killed_by="test_three_terms_are_added",
        edit=(_CHINCHILLA, "return fit.E + fit.B / N**fit.alpha + fit.A / D**fit.beta"),
        hint="A belongs to N and B to D; they are swapped.",
    ),
    Bug(
        "coefficient_inside_the_power",
        part="loss_laws",
        killed_by="test_three_terms_are_added",
        edit=(_CHINCHILLA, "return fit.E + (fit.A / N) ** fit.alpha + (fit.B / D) ** fit.beta"),
        hint="Only N and D are raised to the exponent: A / N^alpha, not (A / N)^alpha.",
    ),
    Bug(
        "grows_with_size",
        part="loss_laws",
        killed_by="test_infinite_models_and_data_leave_their_own_terms",
        edit=(_CHINCHILLA, "return fit.E + fit.A / N.clamp(max=1e12) ** fit.alpha + fit.B / D**fit.beta"),
        hint="The term in N must vanish as N grows without end.",
    ),
    Bug(
        "one_law_at_a_time",
        part="loss_laws",
        killed_by="test_many_laws_at_once",
        edit=(
            _CHINCHILLA,
            "A, B, E, alpha, beta = (float(torch.as_tensor(v).flatten()[0]) for v in vars(fit).values())\n"
            "    return E + A / N**alpha + B / D**beta",
        ),
        hint="Where the fields of the fit are tensors, only their first entries are used.",
    ),
    Bug(
        "computes_laws_in_float32",
        part="loss_laws",
        killed_by="test_three_terms_are_added",
        edit=(
            _CHINCHILLA,
            "return (fit.E + fit.A / N.float() ** fit.alpha + fit.B / D.float() ** fit.beta).to(N.dtype)",
        ),
        hint="Everything is cast to float32, so float64 input loses half of its digits.",
    ),
    Bug(
        "overwrites_the_sizes",
        part="loss_laws",
        killed_by="test_laws_leave_sizes_and_tokens_alone",
        edit=(
            _CHINCHILLA,
            "loss = fit.E + fit.A / N**fit.alpha + fit.B / D**fit.beta\n    N.mul_(1e-6)\n    return loss",
        ),
        hint="N is changed in place: the caller's tensor.",
    ),
    Bug(
        "kaplan_without_the_outer_exponent",
        part="loss_laws",
        killed_by="test_kaplans_terms_share_an_exponent",
        edit=(_KAPLAN, "return (fit.N_c / N) ** fit.alpha_N + (fit.D_c / D) ** fit.alpha_D"),
        hint="Kaplan's terms are added before the exponent alpha_D, not after.",
    ),
    Bug(
        "kaplan_ratio_upside_down",
        part="loss_laws",
        killed_by="test_kaplans_terms_share_an_exponent",
        edit=(_KAPLAN, _KAPLAN.replace("fit.alpha_N / fit.alpha_D", "fit.alpha_D / fit.alpha_N")),
        hint="The exponent of N_c / N is alpha_N / alpha_D; here it is upside down.",
    ),
    Bug(
        "kaplan_with_alpha_n_inside",
        part="loss_laws",
        killed_by="test_kaplans_law_becomes_two_power_laws",
        edit=(_KAPLAN, _KAPLAN.replace("(fit.alpha_N / fit.alpha_D)", "fit.alpha_N")),
        hint="The inner exponent is alpha_N / alpha_D, so that with D without end (N_c / N)^alpha_N is left.",
    ),
    # --- fit_power_law
    Bug(
        "returns_the_log_of_the_coefficient",
        part="fit_power_law",
        killed_by="test_an_exact_law_is_found",
        edit=(_LINE, "return (log_y.mean() - exponent * log_x.mean()).item(), exponent.item()"),
        hint="The intercept is log(coefficient): exp is missing.",
    ),
    Bug(
        "sign_of_the_exponent",
        part="fit_power_law",
        killed_by="test_an_exact_law_is_found",
        edit=(_LINE, "return (log_y.mean() - exponent * log_x.mean()).exp().item(), -exponent.item()"),
        hint="The exponent is that of y = coefficient * x^exponent; a falling law has a negative one.",
    ),
    Bug(
        "mixes_bases",
        part="fit_power_law",
        killed_by="test_an_exact_law_is_found",
        edit=(
            "log_x, log_y = x.double().log(), y.double().log()",
            "log_x, log_y = x.double().log10(), y.double().log10()",
        ),
        hint="Logarithms to base 10 are turned back by exp, whose base is e.",
    ),
    Bug(
        "line_through_the_ends",
        part="fit_power_law",
        killed_by="test_noise_is_averaged_in_logarithms",
        edit=(
            _SLOPE,
            "exponent = (log_y[x.argmax()] - log_y[x.argmin()]) / (log_x.max() - log_x.min())",
        ),
        hint="The slope is that through the first and the last point; every point counts.",
    ),
    Bug(
        "regresses_x_on_y",
        part="fit_power_law",
        killed_by="test_noise_is_averaged_in_logarithms",
        edit=(_SLOPE, "off = log_y - log_y.mean()\n    exponent = (off @ off) / (off @ log_x)"),
        hint="That is the regression of log x on log y, upside down: errors are those of y.",
    ),
    Bug(
        "line_in_linear_space",
        part="fit_power_law",
        killed_by="test_noise_is_averaged_in_logarithms",
        edit=(_SLOPE, "exponent = (y.double() * centred * log_y).sum() / (y.double() * centred * centred).sum()"),
        hint="Points with large y count more; in logarithms every point counts alike.",
    ),
    Bug(
        "through_the_first_point",
        part="fit_power_law",
        killed_by="test_units_move_the_coefficient_alone",
        edit=(_LINE, "return (log_y[0] - exponent * log_x[0]).exp().item(), exponent.item()"),
        hint="The line passes through the means of log x and log y, not through the first point.",
    ),
    Bug(
        "no_exponent_is_zero",
        part="fit_power_law",
        killed_by="test_one_x_makes_no_line",
        edit=(
            'raise ValueError("a line needs at least two different x")',
            "return y.double().log().mean().exp().item(), 0.0",
        ),
        hint="With fewer than two different x there is no exponent: raise ValueError.",
    ),
    # --- chinchilla_log_loss
    Bug(
        "log_loss_overflows",
        part="chinchilla_log_loss",
        killed_by="test_nothing_overflows",
        edit=("log_loss = terms.logsumexp(dim=-2)", "log_loss = terms.exp().sum(dim=-2).log()"),
        hint="exp of a large a, b or e is infinite: use logsumexp, or subtract the largest term first.",
    ),
    Bug(
        "loss_instead_of_its_log",
        part="chinchilla_log_loss",
        killed_by="test_log_loss_is_a_log_sum_of_exponentials",
        edit=(_JACOBIAN, _JACOBIAN.replace("return log_loss,", "return log_loss.exp(),")),
        hint="The predicted loss is returned, not its logarithm.",
    ),
    Bug(
        "exponents_in_the_wrong_order",
        part="chinchilla_log_loss",
        killed_by="test_derivatives_are_those_of_the_log_loss",
        edit=(_JACOBIAN, _JACOBIAN.replace("-by_n * log_n, -by_d * log_d", "-by_d * log_d, -by_n * log_n")),
        hint="The derivatives with respect to alpha and beta are swapped.",
    ),
    Bug(
        "sign_of_the_exponents_derivatives",
        part="chinchilla_log_loss",
        killed_by="test_derivatives_are_those_of_the_log_loss",
        edit=(_JACOBIAN, _JACOBIAN.replace("-by_n * log_n, -by_d * log_d", "by_n * log_n, by_d * log_d")),
        hint="alpha and beta stand behind a minus: their derivatives do, too.",
    ),
    Bug(
        "derivatives_of_the_loss",
        part="chinchilla_log_loss",
        killed_by="test_derivatives_are_those_of_the_log_loss",
        edit=(_SHARES, "by_n, by_d, by_e = terms.exp().unbind(-2)"),
        hint="Those are derivatives of the loss; of its logarithm they are divided by the loss, a softmax.",
    ),
    Bug(
        "logarithms_to_base_10",
        part="chinchilla_log_loss",
        killed_by="test_log_loss_is_a_log_sum_of_exponentials",
        edit=("log_n, log_d = N.log(), D.log()", "log_n, log_d = N.log10(), D.log10()"),
        hint="log N and log D are natural logarithms.",
    ),
    Bug(
        "irreducible_loss_left_out",
        part="chinchilla_log_loss",
        killed_by="test_log_loss_is_a_log_sum_of_exponentials",
        edit=(_TERMS, _TERMS.replace("b - beta * log_d, e)", "b - beta * log_d, e - 1e9)")),
        hint="e is left out of the sum.",
    ),
    Bug(
        "every_parameter_gets_the_first_ones_jacobian",
        part="chinchilla_log_loss",
        killed_by="test_a_batch_is_each_alone",
        edit=(
            _JACOBIAN,
            "jacobian = torch.stack((by_n, by_d, by_e, -by_n * log_n, -by_d * log_d), dim=-1)\n"
            "    if jacobian.dim() > 2:\n"
            "        jacobian = jacobian.flatten(0, -3)[:1].expand(jacobian.shape[:-2].numel(), -1, -1)"
            ".reshape(jacobian.shape)\n"
            "    return log_loss, jacobian",
        ),
        hint="Each member of a batch has its own derivatives; here all get those of the first.",
    ),
    # --- huber_lse_objective
    Bug(
        "mean_instead_of_sum",
        part="huber_lse_objective",
        killed_by="test_the_objective_is_a_sum_of_huber",
        edit=(_OBJECTIVE, "return (pull * (residual - pull / 2)).mean(-1), (pull.unsqueeze(-1) * jacobian).mean(-2)"),
        hint="The objective is a SUM over runs: on a mean, solvers stop too early.",
    ),
    Bug(
        "smooth_l1",
        part="huber_lse_objective",
        killed_by="test_the_objective_is_a_sum_of_huber",
        edit=(
            _OBJECTIVE,
            "return (pull * (residual - pull / 2)).sum(-1) / delta, (pull.unsqueeze(-1) * jacobian).sum(-2) / delta",
        ),
        hint="That is smooth_l1_loss, which is Huber's divided by delta.",
    ),
    Bug(
        "squares_throughout",
        part="huber_lse_objective",
        killed_by="test_parabola_inside_and_line_outside",
        edit=(_PULL, "pull = residual  # the derivative"),
        hint="Beyond delta the cost grows linearly; here it is a square throughout.",
    ),
    Bug(
        "absolute_throughout",
        part="huber_lse_objective",
        killed_by="test_the_objective_is_a_sum_of_huber",
        edit=(
            _OBJECTIVE,
            "return (delta * residual.abs()).sum(-1), (delta * residual.sign().unsqueeze(-1) * jacobian).sum(-2)",
        ),
        hint="Within delta the cost is r^2 / 2; here it is an absolute value throughout.",
    ),
    Bug(
        "a_step_at_delta",
        part="huber_lse_objective",
        killed_by="test_parabola_inside_and_line_outside",
        edit=(
            _OBJECTIVE,
            "inside = residual.abs() <= delta\n"
            "    cost = torch.where(inside, residual**2 / 2, delta * residual.abs())\n"
            "    return cost.sum(-1), (pull.unsqueeze(-1) * jacobian).sum(-2)",
        ),
        hint="The line beyond delta is delta (|r| - delta / 2), which meets the parabola; delta |r| jumps.",
    ),
    Bug(
        "residual_of_the_raw_loss",
        part="huber_lse_objective",
        killed_by="test_the_objective_is_a_sum_of_huber",
        edit=(_RESIDUAL, "residual = log_loss.clamp(max=700).exp() - L"),
        hint="The residual is a difference of logarithms, not of losses.",
    ),
    Bug(
        "delta_is_fixed",
        part="huber_lse_objective",
        killed_by="test_the_objective_is_a_sum_of_huber",
        edit=(_RESIDUAL, _RESIDUAL + "\n    delta = 1e-3"),
        hint="`delta` is ignored.",
    ),
    Bug(
        "gradient_of_squares",
        part="huber_lse_objective",
        killed_by="test_the_gradient_is_that_of_the_objective",
        edit=(_OBJECTIVE, _OBJECTIVE.replace("(pull.unsqueeze(-1) * jacobian)", "(residual.unsqueeze(-1) * jacobian)")),
        hint="The gradient is that of a square also beyond delta, where a residual pulls with delta only.",
    ),
    Bug(
        "gradient_is_averaged",
        part="huber_lse_objective",
        killed_by="test_the_gradient_is_that_of_the_objective",
        edit=(_OBJECTIVE, _OBJECTIVE.replace("* jacobian).sum(-2)", "* jacobian).mean(-2)")),
        hint="The gradient is averaged over runs, while the objective is summed.",
    ),
    Bug(
        "gradient_points_down",
        part="huber_lse_objective",
        killed_by="test_the_gradient_is_that_of_the_objective",
        edit=(_OBJECTIVE, _OBJECTIVE.replace("(pull.unsqueeze(-1)", "(-pull.unsqueeze(-1)")),
        hint="The gradient has the wrong sign: the residual is prediction minus observation.",
    ),
    Bug(
        "starts_far_off_are_cut",
        part="huber_lse_objective",
        killed_by="test_a_far_start_is_finite",
        edit=(_RESIDUAL, "residual = log_loss.clamp(max=20) - L.log()"),
        hint="Predictions are clamped, so that the objective of a far start is wrong.",
    ),
    Bug(
        "an_epsilon_in_the_log",
        part="huber_lse_objective",
        killed_by="test_the_truth_costs_nothing",
        edit=(_RESIDUAL, "residual = log_loss - (L + 1e-6).log()"),
        hint="An epsilon is added to the losses: they are positive, and the truth no longer costs nothing.",
    ),
    # --- fit_chinchilla
    Bug(
        "stops_as_on_a_mean",
        part="fit_chinchilla",
        killed_by="test_the_fit_reaches_the_optimum",
        edit=(
            "        hessian = jacobian.mT @ (jacobian * curvature.unsqueeze(-1))  # (b, p, p)\n",
            "        hessian = jacobian.mT @ (jacobian * curvature.unsqueeze(-1))  # (b, p, p)\n"
            "        if (gradient.abs().amax(-1) / len(target)).min() < 1e-4:\n"
            "            break\n",
        ),
        hint="The search stops where the gradient of the mean is small, far from the optimum (Besiroglu et al. 2024).",
    ),
    Bug(
        "a_few_steps",
        part="fit_chinchilla",
        killed_by="test_the_fit_reaches_the_optimum",
        edit=(_MINIMISED, _MINIMISED.replace("steps=200", "steps=4")),
        hint="The search stops after a few steps, before it has arrived.",
    ),
    Bug(
        "least_squares",
        part="fit_chinchilla",
        killed_by="test_a_wild_run_hardly_matters",
        edit=(_MINIMISED, _MINIMISED.replace("delta=delta, ", "")),
        hint="The sum of squares is minimised, which one wild run can drag anywhere.",
    ),
    Bug(
        "fit_ignores_delta",
        part="fit_chinchilla",
        killed_by="test_the_fit_reaches_the_optimum",
        edit=(_MINIMISED, _MINIMISED.replace("delta=delta", "delta=1e-3")),
        hint="`delta` is ignored.",
    ),
    Bug(
        "one_start",
        part="fit_chinchilla",
        killed_by="test_losses_without_noise_give_the_law_back",
        edit=(_RANKED, "inits = inits[:1]"),
        hint="A single start ends in a poor place: try many, and keep the best.",
    ),
    Bug(
        "the_last_start_instead_of_the_best",
        part="fit_chinchilla",
        killed_by="test_starts_that_are_given_are_used",
        edit=(_BEST, _BEST.replace("theta[value.argmin()]", "theta[-1]")),
        hint="Where the last start ended is returned, not the best of all.",
    ),
    Bug(
        "the_worst_start",
        part="fit_chinchilla",
        killed_by="test_starts_that_are_given_are_used",
        edit=(_BEST, _BEST.replace("argmin", "argmax")),
        hint="The start with the largest objective is returned; the objective is minimised.",
    ),
    Bug(
        "starts_are_ignored",
        part="fit_chinchilla",
        killed_by="test_starts_that_are_given_are_used",
        edit=(_MINIMISED, _MINIMISED.replace("inits.double()", "inits.double()[:1]")),
        hint="Only the first of the starts that were given is tried.",
    ),
    Bug(
        "fit_returns_logarithms",
        part="fit_chinchilla",
        killed_by="test_losses_without_noise_give_the_law_back",
        edit=(_FIT, _FIT.replace(".exp()", "")),
        hint="a, b and e are logarithms: A, B and E are their exponentials.",
    ),
    Bug(
        "fit_swaps_exponents",
        part="fit_chinchilla",
        killed_by="test_losses_without_noise_give_the_law_back",
        edit=(_FIT, _FIT.replace("alpha.item(), beta.item()", "beta.item(), alpha.item()")),
        hint="alpha and beta are swapped in the result.",
    ),
    Bug(
        "one_exponent_for_both",
        part="fit_chinchilla",
        killed_by="test_the_fit_is_no_worse_than_the_truth",
        edit=(_FIT, "alpha = beta = (alpha + beta) / 2\n    " + _FIT),
        hint="alpha and beta are two numbers, and need not be alike.",
    ),
    Bug(
        "expects_parameters_in_ones",
        part="fit_chinchilla",
        killed_by="test_units_and_order_do_not_matter",
        edit=(_DOUBLES, _DOUBLES.replace("N.double(), D", "N.double().clamp(min=1e5), D")),
        hint="Sizes below 100,000 are taken for 100,000, but N may be in other units.",
    ),
    Bug(
        "edits_the_losses",
        part="fit_chinchilla",
        killed_by="test_the_fit_leaves_its_arguments_alone",
        edit=(_MINIMISED, _MINIMISED.replace("L.log()", "L.log_()")),
        hint="The logarithm is taken in place, of the caller's tensor.",
    ),
    # --- fit_kaplan
    Bug(
        "kaplan_exponent_is_the_ratio",
        part="fit_kaplan",
        killed_by="test_kaplans_law_is_given_back",
        edit=(_KAPLAN_FIT, _KAPLAN_FIT.replace("(rho * s)", "rho")),
        hint="rho is alpha_N / alpha_D; alpha_N is rho times s.",
    ),
    Bug(
        "kaplan_size_without_the_ratio",
        part="fit_kaplan",
        killed_by="test_kaplans_law_is_given_back",
        edit=(_KAPLAN_FIT, _KAPLAN_FIT.replace("(p / rho)", "p")),
        hint="p is rho log N_c: divide by rho before exp.",
    ),
    Bug(
        "kaplan_by_least_squares",
        part="fit_kaplan",
        killed_by="test_kaplans_fit_is_the_best",
        edit=(_KAPLAN_MINIMISED, _KAPLAN_MINIMISED.replace("delta=delta, ", "")),
        hint="The sum of squares is minimised, not that of huber.",
    ),
    Bug(
        "kaplan_ignores_delta",
        part="fit_kaplan",
        killed_by="test_kaplans_fit_is_the_best",
        edit=(_KAPLAN_MINIMISED, _KAPLAN_MINIMISED.replace("delta=delta", "delta=1e-3")),
        hint="`delta` is ignored.",
    ),
    Bug(
        "kaplan_in_a_few_steps",
        part="fit_kaplan",
        killed_by="test_kaplans_fit_is_the_best",
        edit=(_KAPLAN_MINIMISED, _KAPLAN_MINIMISED.replace("steps=200", "steps=3")),
        hint="The search stops after a few steps, before it has arrived.",
    ),
    # --- compute_optimal
    Bug(
        "powers_of_the_budget_swapped",
        part="compute_optimal",
        killed_by="test_the_budget_is_spent_and_marginal_gains_are_equal",
        edit=(_SPLIT, "return G * (C / 6) ** (fit.alpha / both), (C / 6) ** (fit.beta / both) / G"),
        hint="N grows with C^(beta / (alpha + beta)), D with C^(alpha / (alpha + beta)); they are swapped.",
    ),
    Bug(
        "forgets_the_six",
        part="compute_optimal",
        killed_by="test_the_budget_is_spent_and_marginal_gains_are_equal",
        edit=(_SPLIT, "return G * C ** (fit.beta / both), C ** (fit.alpha / both) / G"),
        hint="The budget is 6 N D, so it is C / 6 that is split.",
    ),
    Bug(
        "g_without_its_exponent",
        part="compute_optimal",
        killed_by="test_published_laws_say_what_to_train",
        edit=(_G, "G = fit.alpha * fit.A / (fit.beta * fit.B)"),
        hint="G is raised to 1 / (alpha + beta).",
    ),
    Bug(
        "g_upside_down",
        part="compute_optimal",
        killed_by="test_no_other_split_is_better",
        edit=(_G, "G = (fit.beta * fit.B / (fit.alpha * fit.A)) ** (1 / both)"),
        hint="G is upside down: a larger A, the cost of being small, asks for a larger model.",
    ),
    Bug(
        "g_without_exponents_as_factors",
        part="compute_optimal",
        killed_by="test_no_other_split_is_better",
        edit=(_G, "G = (fit.A / fit.B) ** (1 / both)"),
        hint="The terms are made equal, A / N^alpha = B / D^beta; it is their slopes that must be equal.",
    ),
    Bug(
        "half_of_the_logarithm_each",
        part="compute_optimal",
        killed_by="test_the_optimum_grows_as_a_power",
        edit=(_SPLIT, "return G * (C / 6) ** 0.5, (C / 6) ** 0.5 / G"),
        hint="N and D grow alike only where alpha = beta.",
    ),
    Bug(
        "twenty_tokens_a_parameter",
        part="compute_optimal",
        killed_by="test_published_laws_say_what_to_train",
        edit=(_SPLIT, "return (C / 120) ** 0.5, 20 * (C / 120) ** 0.5"),
        hint="20 tokens a parameter is a rule of thumb; the optimum is that of the law that is given.",
    ),
    Bug(
        "allocates_for_one_law",
        part="compute_optimal",
        killed_by="test_many_budgets_under_many_laws",
        edit=(_SPLIT, "G = torch.as_tensor(G).flatten()[0]\n    " + _SPLIT),
        hint="Where the fields of the fit are tensors, G is that of the first law only.",
    ),
    Bug(
        "inverse_with_shares_swapped",
        part="compute_optimal",
        killed_by="test_the_budget_for_the_loss_of_an_optimum_is_its_own",
        edit=[
            (_N_OF_LOSS, _N_OF_LOSS.replace("1 + fit.alpha / fit.beta", "1 + fit.beta / fit.alpha")),
            (_D_OF_LOSS, _D_OF_LOSS.replace("1 + fit.beta / fit.alpha", "1 + fit.alpha / fit.beta")),
        ],
        hint="At the optimum the term in D is alpha / beta times the term in N; here it is the other way round.",
    ),
    Bug(
        "inverse_with_equal_shares",
        part="compute_optimal",
        killed_by="test_the_budget_for_the_loss_of_an_optimum_is_its_own",
        edit=[
            (_N_OF_LOSS, _N_OF_LOSS.replace("(1 + fit.alpha / fit.beta)", "2")),
            (_D_OF_LOSS, _D_OF_LOSS.replace("(1 + fit.beta / fit.alpha)", "2")),
        ],
        hint="The excess is shared equally between both terms only where alpha = beta.",
    ),
    Bug(
        "inverse_ignores_e",
        part="compute_optimal",
        killed_by="test_the_budget_for_the_loss_of_an_optimum_is_its_own",
        edit=("excess = loss - fit.E", "excess = loss + 0 * fit.E"),
        hint="What N and D must reach is the excess over E, not the whole loss.",
    ),
    Bug(
        "not_a_number_below_e",
        part="compute_optimal",
        killed_by="test_nothing_buys_the_irreducible_loss",
        edit=[
            (_N_OF_LOSS, _N_OF_LOSS.replace(".clamp(min=0)", "")),
            (_D_OF_LOSS, _D_OF_LOSS.replace(".clamp(min=0)", "")),
        ],
        hint="A loss below E gives a negative excess, whose power is NaN: no budget reaches it, so infinity.",
    ),
    # --- isoflop_optima
    Bug(
        "parabola_in_n",
        part="isoflop_optima",
        killed_by="test_a_parabola_gives_its_lowest_point",
        edit=[
            (_PARABOLA_X, "x, y = N[of_budget].double() / N.max(), L[of_budget].double()"),
            (_VERTEX, _VERTEX.replace("(middle - q / (2 * r)).exp()", "(middle - q / (2 * r)) * N.max()")),
        ],
        hint="The parabola is one in log N, not in N.",
    ),
    Bug(
        "vertex_at_b_over_a",
        part="isoflop_optima",
        killed_by="test_a_parabola_gives_its_lowest_point",
        edit=(_VERTEX, _VERTEX.replace("q / (2 * r)", "q / r")),
        hint="A parabola p + q x + r x^2 is lowest at -q / (2 r).",
    ),
    Bug(
        "lowest_run",
        part="isoflop_optima",
        killed_by="test_with_noise_it_is_the_parabola_of_least_squares",
        edit=(_VERTEX, _VERTEX.replace("(middle - q / (2 * r)).exp()", "x[y.argmin()].exp()")),
        hint="The size with the lowest loss is returned; the optimum lies between the sizes that were tried.",
    ),
    Bug(
        "highest_point",
        part="isoflop_optima",
        killed_by="test_no_lowest_point_is_not_a_number",
        edit=(_VERTEX, "optima.append((middle - q / (2 * r)).exp())"),
        hint="A parabola that bends downwards has a highest point, not a lowest: NaN.",
    ),
    Bug(
        "few_sizes_make_an_optimum",
        part="isoflop_optima",
        killed_by="test_no_lowest_point_is_not_a_number",
        edit=(
            "            optima.append(torch.full_like(budget, math.nan))\n",
            "            optima.append(x.mean().exp())\n",
        ),
        hint="Through fewer than three sizes goes no single parabola: NaN.",
    ),
    Bug(
        "order_of_appearance",
        part="isoflop_optima",
        killed_by="test_a_parabola_gives_its_lowest_point",
        edit=("budgets = C.double().unique()", "budgets = C.new_tensor(list(dict.fromkeys(C.tolist()))).double()"),
        hint="Budgets come in ascending order, not as they appear in C.",
    ),
    Bug(
        "log_of_the_loss",
        part="isoflop_optima",
        killed_by="test_with_noise_it_is_the_parabola_of_least_squares",
        edit=(_PARABOLA_X, "x, y = N[of_budget].double().log(), L[of_budget].double().log()"),
        hint="The parabola is fitted to L, not to log L.",
    ),
    Bug(
        "three_lowest_runs",
        part="isoflop_optima",
        killed_by="test_with_noise_it_is_the_parabola_of_least_squares",
        edit=(_PARABOLA_X, _PARABOLA_X + "\n        x, y = x[y.argsort()[:3]], y[y.argsort()[:3]].clone()"),
        hint="Only three runs of each budget are used; all of them count.",
    ),
    # --- bootstrap_ci
    Bug(
        "without_replacement",
        part="bootstrap_ci",
        killed_by="test_resamples_repeat_rows",
        edit=(
            _ROWS,
            "rows = torch.stack([torch.randperm(len(data), generator=generator) for _ in range(n_boot)])",
        ),
        hint="Rows are drawn without replacement, so every resample is the data in another order.",
    ),
    Bug(
        "both_ends_at_one_minus_level",
        part="bootstrap_ci",
        killed_by="test_two_rows_have_three_means",
        edit=(_ENDS, "low, high = 1 - level, level"),
        hint="1 - level is the share outside both ends together; half of it is below the lower one.",
    ),
    Bug(
        "one_sided",
        part="bootstrap_ci",
        killed_by="test_the_interval_of_a_mean_is_the_normal_one",
        edit=(_ENDS, "low, high = (1 - level) / 2, 1.0"),
        hint="The upper end is the largest value; it is the quantile (1 + level) / 2.",
    ),
    Bug(
        "level_is_fixed",
        part="bootstrap_ci",
        killed_by="test_two_rows_have_three_means",
        edit=(_ENDS, "low, high = 0.025, 0.975"),
        hint="`level` is ignored.",
    ),
    Bug(
        "normal_interval",
        part="bootstrap_ci",
        killed_by="test_two_rows_have_three_means",
        edit=(
            _QUANTILES,
            "z = math.sqrt(2) * float(torch.erfinv(torch.tensor(level)))\n"
            "    return values.mean(0) - z * values.std(0), values.mean(0) + z * values.std(0)",
        ),
        hint="That is mean -+ z standard deviations; the percentile interval takes quantiles of the values.",
    ),
    Bug(
        "columns_apart",
        part="bootstrap_ci",
        killed_by="test_rows_are_drawn_whole",
        edit=(
            "values = statistic(data[rows])",
            "samples = data[rows]\n"
            "    if data.dim() == 2:\n"
            "        apart = [torch.randint(len(data), rows.shape, generator=generator) for _ in data.mT]\n"
            "        samples = torch.stack([x[r] for x, r in zip(data.mT, apart)], dim=-1)\n"
            "    values = statistic(samples)",
        ),
        hint="Each column is resampled by itself, which tears x from its y: draw whole rows.",
    ),
    Bug(
        "half_a_resample",
        part="bootstrap_ci",
        killed_by="test_the_interval_of_a_mean_is_the_normal_one",
        edit=(_ROWS, _ROWS.replace("(n_boot, len(data))", "(n_boot, (len(data) + 1) // 2)")),
        hint="A resample has as many rows as the data, not half as many.",
    ),
    Bug(
        "ignores_the_generator",
        part="bootstrap_ci",
        killed_by="test_the_same_generator_gives_the_same_interval",
        edit=(_ROWS, _ROWS.replace("generator=generator, ", "")),
        hint="`generator` is ignored, so the same state gives another interval.",
    ),
    Bug(
        "ends_swapped",
        part="bootstrap_ci",
        killed_by="test_two_rows_have_three_means",
        edit=(_QUANTILES, "return values.quantile(high, dim=0), values.quantile(low, dim=0)"),
        hint="The lower end comes first.",
    ),
    # --- bootstrap_chinchilla
    Bug(
        "no_run_is_drawn_twice",
        part="bootstrap_chinchilla",
        killed_by="test_the_same_generator_gives_the_same_fits",
        edit=(_COUNTED, "counts += 1"),
        hint="Every resample is the whole data, so all fits are the same one.",
    ),
    Bug(
        "weights_squared",
        part="bootstrap_chinchilla",
        killed_by="test_predictions_spread_as_much_as_resamples_do",
        edit=(_COUNTED, _COUNTED + "\n    counts.square_()"),
        hint="A run that was drawn three times counts three times, not nine.",
    ),
    Bug(
        "half_the_runs",
        part="bootstrap_chinchilla",
        killed_by="test_predictions_spread_as_much_as_resamples_do",
        edit=(_RUNS, _RUNS.replace("(n_boot, len(N))", "(n_boot, len(N) // 2)")),
        hint="A resample has as many runs as there are, not half as many.",
    ),
    Bug(
        "one_resample_for_all",
        part="bootstrap_chinchilla",
        killed_by="test_the_same_generator_gives_the_same_fits",
        edit=(_COUNTED, _COUNTED + "\n    counts[:] = counts[0]"),
        hint="All fits share one resample.",
    ),
    Bug(
        "two_steps_from_the_fit",
        part="bootstrap_chinchilla",
        killed_by="test_predictions_spread_as_much_as_resamples_do",
        edit=(_BOOTSTRAPPED, _BOOTSTRAPPED.replace("delta=delta)", "delta=delta, steps=1)")),
        hint="The fits stop near their start, before they have followed their resample.",
    ),
    Bug(
        "many_logarithms",
        part="bootstrap_chinchilla",
        killed_by="test_without_noise_every_resample_gives_the_law",
        edit=(_MANY, "return ScalingFit(a, b, e, alpha, beta)"),
        hint="a, b and e are logarithms: A, B and E are their exponentials.",
    ),
    Bug(
        "bootstrap_ignores_the_generator",
        part="bootstrap_chinchilla",
        killed_by="test_the_same_generator_gives_the_same_fits",
        edit=(_RUNS, _RUNS.replace("generator=generator, ", "")),
        hint="`generator` is ignored, so the same state gives other fits.",
    ),
    Bug(
        "tears_runs_apart",
        part="bootstrap_chinchilla",
        killed_by="test_without_noise_every_resample_gives_the_law",
        edit=(_BOOTSTRAPPED, "target = target[torch.randperm(len(N))]\n    " + _BOOTSTRAPPED),
        hint="Losses are drawn apart from their N and D: a run is drawn whole.",
    ),
    # --- sigmoid_curve
    Bug(
        "logistic_in_compute",
        part="sigmoid_curve",
        killed_by="test_the_curve_is_logistic_in_log_compute",
        edit=(_CURVE, "return R0 + (A - R0) * torch.sigmoid(B * (C - C_mid) / C_mid)"),
        hint="The curve is logistic in log C, not in C.",
    ),
    Bug(
        "rises_by_a",
        part="sigmoid_curve",
        killed_by="test_the_curve_is_logistic_in_log_compute",
        edit=(_CURVE, "return R0 + A * torch.sigmoid(B * (C / C_mid).log())"),
        hint="The curve rises from R0 to A, by A - R0; here it ends at A + R0.",
    ),
    Bug(
        "falls_with_compute",
        part="sigmoid_curve",
        killed_by="test_both_ends_are_reached_and_finite",
        edit=(_CURVE, "return R0 + (A - R0) * torch.sigmoid(B * (C_mid / C).log())"),
        hint="C_mid / C is upside down: the curve falls.",
    ),
    Bug(
        "powers_overflow",
        part="sigmoid_curve",
        killed_by="test_both_ends_are_reached_and_finite",
        edit=(_CURVE, "return R0 + (A - R0) * C**B / (C**B + C_mid**B)"),
        hint="C^B overflows and infinity by infinity is NaN: divide first, or use logarithms.",
    ),
    Bug(
        "logs_of_different_bases",
        part="sigmoid_curve",
        killed_by="test_units_of_compute_scale_the_middle",
        edit=(_CURVE, "return R0 + (A - R0) * torch.sigmoid(B * (C / C_mid).log10())"),
        hint="exp undoes the natural logarithm, not that to base 10.",
    ),
    # --- forecast
    Bug(
        "unknown_start_is_zero",
        part="forecast",
        killed_by="test_rewards_without_noise_give_the_curve_back",
        edit=[
            ("[low if R0 is None else R0]", "[0.0 if R0 is None else R0]"),
            (
                "fixed = target.new_tensor([A_is_one, False, False, R0 is not None])",
                "fixed = target.new_tensor([A_is_one, False, False, True])",
            ),
        ],
        hint="Where R0 is not given it is fitted, not taken for 0.",
    ),
    Bug(
        "known_start_is_fitted",
        part="forecast",
        killed_by="test_the_curve_is_that_of_least_squares",
        edit=(
            "fixed = target.new_tensor([A_is_one, False, False, R0 is not None])",
            "fixed = target.new_tensor([A_is_one, False, False, False])",
        ),
        hint="An R0 that is given is kept, not fitted.",
    ),
    Bug(
        "rises_above_one",
        part="forecast",
        killed_by="test_no_pass_rate_is_above_one",
        edit=(_TOP, ""),
        hint="A pass rate cannot exceed 1, so A must not.",
    ),
    Bug(
        "cut_off_at_one",
        part="forecast",
        killed_by="test_no_pass_rate_is_above_one",
        edit=(_TOP, "    A = min(A, 1.0)\n"),
        hint="A is cut off at 1 while B and C_mid stay those of a higher curve: fit them again with A = 1.",
    ),
    Bug(
        "the_first_look",
        part="forecast",
        killed_by="test_rewards_without_noise_give_the_curve_back",
        edit=(_REFINED, _REFINED.replace("steps=200", "steps=2")),
        hint="The best point of a grid is not the best curve: go on from there.",
    ),
    Bug(
        "ignores_c_min",
        part="forecast",
        killed_by="test_runs_before_c_min_do_not_count",
        edit=(_KEPT, "kept = C >= 0"),
        hint="`c_min` is ignored.",
    ),
    Bug(
        "leaves_out_c_min_itself",
        part="forecast",
        killed_by="test_runs_before_c_min_do_not_count",
        edit=[
            (_KEPT, "kept = c_min < C"),
            ("if len(target) < (4 if R0 is None else 3):", "if len(C) < (4 if R0 is None else 3):"),
        ],
        hint="A run at c_min itself counts.",
    ),
    Bug(
        "any_number_of_runs",
        part="forecast",
        killed_by="test_too_few_runs_make_no_curve",
        edit=("if len(target) < (4 if R0 is None else 3):", "if len(target) < 1:"),
        hint="Fewer runs than numbers to fit: raise ValueError.",
    ),
    Bug(
        "counts_runs_before_c_min",
        part="forecast",
        killed_by="test_too_few_runs_make_no_curve",
        edit=("if len(target) < (4 if R0 is None else 3):", "if len(C) < (4 if R0 is None else 3):"),
        hint="Only the runs that are fitted count, those from c_min on.",
    ),
    Bug(
        "looks_at_the_end",
        part="forecast",
        killed_by="test_a_forecast_does_not_look_at_what_it_forecasts",
        edit=(_FORECAST_FIT, "fit = fit_sigmoid(C, R, R0=R0)"),
        hint="All runs are fitted, also those that are to be forecast.",
    ),
    Bug(
        "first_quarter_of_the_runs",
        part="forecast",
        killed_by="test_a_forecast_does_not_look_at_what_it_forecasts",
        edit=(_EARLY, "early = torch.arange(len(C)) < fraction * len(C)"),
        hint="`fraction` is one of the compute, not of the number of runs.",
    ),
    Bug(
        "always_a_quarter",
        part="forecast",
        killed_by="test_a_forecast_does_not_look_at_what_it_forecasts",
        edit=(_EARLY, "early = 0.25 * C.max() >= C"),
        hint="`fraction` is ignored.",
    ),
    Bug(
        "forecasts_a_power_law",
        part="forecast",
        killed_by="test_the_start_of_a_curve_tells_its_end",
        edit=(
            _FORECAST,
            "coefficient, exponent = fit_power_law(C[early], (R[early] - fit.R0).clamp(min=1e-6))\n"
            "    return fit.R0 + coefficient * target_C**exponent",
        ),
        hint="A power law rises for ever; a reward ends at A.",
    ),
    Bug(
        "forecasts_the_ceiling",
        part="forecast",
        killed_by="test_the_start_of_a_curve_tells_its_end",
        edit=(_FORECAST, "return torch.full_like(target_C, fit.A)"),
        hint="The forecast is A, which is reached with endless compute only.",
    ),
    Bug(
        "forecast_drops_the_start",
        part="forecast",
        killed_by="test_a_forecast_keeps_the_start_that_is_known",
        edit=(_FORECAST_FIT, "fit = fit_sigmoid(C[early], R[early])"),
        hint="The R0 that is known is not handed on to the fit.",
    ),
]
