"""What a gateway process is made of: its place on this machine, its figures and traces, and how it is put together."""
