"""The exhibits of a report, a file each: its numbers, its chart, its table, its words. ``contents`` orders them."""
