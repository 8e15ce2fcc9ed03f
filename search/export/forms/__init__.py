"""Forms of an exported model for other runtimes than Keras: one row of ``table.FORMS`` each."""
