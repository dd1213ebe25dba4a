"""What a person looks at: a document is said once and shown in a terminal, in a notebook and as a page."""
