"""What the tests share: the server process, gates, stable names."""
