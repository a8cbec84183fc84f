"""The service as it was before the race fixes. Kept to show what the suite finds in it."""
