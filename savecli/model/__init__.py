"""Model inputs to embeddings, and the weights that do it."""
