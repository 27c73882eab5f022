"""The hidden suite of `posttraining`: one file an idea, planted bugs, and valid solutions that no test may reject."""
