"""Files on disk: whole writes, hashes, shards, downloads, settings in TOML, and the words that files use for labels."""
