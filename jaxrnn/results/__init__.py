"""What came out: rows, their summary, tables and pictures."""
