"""What a scenario file means, as frozen values; nothing here knows how it is written."""
