"""The report of a search: a page, Markdown, CSV and JSON; ``contents`` says what is in it. Trains nothing."""
