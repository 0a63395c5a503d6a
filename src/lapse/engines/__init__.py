"""Where review SQL runs: implementations of `ports.Engine`. Chosen in `bootstrap`."""
