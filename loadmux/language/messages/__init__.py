"""What is sent and what is expected: payloads, replies, and where a message ends."""
