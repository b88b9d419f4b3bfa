"""The durable home of rows: tables, writer, queries and migrations."""
