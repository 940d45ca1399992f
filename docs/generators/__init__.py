"""What `make docs` makes of the stored records before, and while, MkDocs builds the pages."""
