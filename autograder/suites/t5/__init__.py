"""The hidden suite of `t5`: one file an idea, planted bugs, and valid solutions that no test may reject."""
