"""Running many experiments: what is to be run, on which devices or workers, and watched."""
