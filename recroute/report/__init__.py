"""Documents that are shown in a terminal, in a notebook and as an HTML page."""
