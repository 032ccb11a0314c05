"""Records, errors and protocols that cross rooms; knows nothing of media, models or databases."""
