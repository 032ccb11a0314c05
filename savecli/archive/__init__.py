"""Videos, clips and their embeddings in LanceDB: incremental and crash-safe."""
