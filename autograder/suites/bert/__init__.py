"""The hidden suite of `bert`: one file an idea, planted bugs, and valid solutions that no test may reject."""
