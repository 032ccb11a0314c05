"""A typed query to ranked videos, moments and snippets."""
