"""Other systems that lapse asks and tells: the language of `integrations.yaml`, what is made of it, and its check."""
