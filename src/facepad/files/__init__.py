"""Files on disk: atomic writes, locks, append-only stores, hashes, shards, downloads, settings in TOML, synonyms."""
