"""The commands of a page at toy size: tiny data in the real folders, small configs, few steps."""
