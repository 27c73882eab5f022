"""The hidden suite of `attention`: one file an idea, planted bugs, and valid solutions that no test may reject."""
