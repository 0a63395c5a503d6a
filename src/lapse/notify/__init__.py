"""Ways to tell people: webhooks, mail, the log. Each is a `ports.Notifier`; the outbox gives them what is due."""
