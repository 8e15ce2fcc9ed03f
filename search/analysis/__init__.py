"""What a search shows, in numbers; reports, exports and consoles read it."""
