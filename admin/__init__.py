"""The command line: one noun, one file. `cli` is the root; nothing else in mekiki prints."""
