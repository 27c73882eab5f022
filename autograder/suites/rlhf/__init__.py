"""The hidden suite of `rlhf`: one file an idea, planted bugs, and valid solutions that no test may reject."""
