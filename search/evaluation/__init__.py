"""How an exported model does on labelled images."""
