"""A market fitted to an auction log."""
