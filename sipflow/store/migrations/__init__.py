"""How the tables came to be what they are, step by step; Alembic takes them from here.

A new step is a module in `versions/`, its name at the end of `REVISIONS`; a test says when the steps and
`store/tables.py` differ, and prints what the new step must do.
"""

# Oldest first; known here so that a database that is up to date needs no Alembic to say so.
REVISIONS = ("0001", "0002", "0003", "0004")
