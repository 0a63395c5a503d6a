"""Where tickets live: an export, or a system that answers over HTTP. Behind `ports.TicketSource`."""
