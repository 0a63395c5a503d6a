"""Who is on call: a file of shifts, an iCalendar feed, or a web service. Behind `ports.Rotas`."""
