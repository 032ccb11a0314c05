"""From similarities to recall, ranks and SumR, in both directions and as several papers count them."""
