"""What tests share: small data sets, spaces, searches and helpers, each made in one place."""
