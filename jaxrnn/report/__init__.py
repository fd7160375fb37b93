"""Rows compared with published results: statistics, views, and the document of all views."""
