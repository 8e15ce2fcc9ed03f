"""Charts of a report: tables in, Altair charts out. Importing one of these modules loads Altair (a quarter of a second)."""
