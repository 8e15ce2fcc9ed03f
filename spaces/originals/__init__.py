"""What the spaces of the original projects need beside themselves."""
