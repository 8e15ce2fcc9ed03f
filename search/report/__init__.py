"""What people see: tables, the terminal, and the files of a report. Reads the journal, trains nothing."""
