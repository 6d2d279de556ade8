"""What the screens share: safe text, the session, charts, and how an output looks."""
