"""Rows laid beside what was published: statistics, views, and the document they make."""
