"""The hidden suite of `gpt`: one file an idea, planted bugs, and valid solutions that no test may reject."""
