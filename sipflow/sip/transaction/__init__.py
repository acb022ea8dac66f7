"""Transactions: one machine per file, and the layer that matches messages to them (RFC 3261 §17, RFC 6026)."""
