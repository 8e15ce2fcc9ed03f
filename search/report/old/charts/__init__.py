"""Charts of a report: tables in, Altair charts out. Import them where they are needed: Altair takes 0.25 s."""
