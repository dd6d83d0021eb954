"""Results for readers: Markdown, LaTeX, figures and one interactive page."""
