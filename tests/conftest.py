"""Settings of the whole suite."""

from hypothesis import settings

# No example is judged by the clock: it may have to wait for other tests' processes.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
