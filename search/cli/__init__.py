"""The command line: ``main``, its shared options, and one file for each verb."""
