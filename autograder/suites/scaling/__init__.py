"""The hidden suite of `scaling`: one file an idea, planted bugs, and valid solutions that no test may reject."""
