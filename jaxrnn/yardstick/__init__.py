"""The horizon: how far back a cell remembers on a task, by one protocol for all cells."""
