"""Many runs for one answer: how much a server can carry, and which of several is the better one."""
