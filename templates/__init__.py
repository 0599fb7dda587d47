"""Projects as a user gets them; each runs on its own, without this package."""
