"""A soak: load by locust in a process of its own, everything that it made judged at the end."""
