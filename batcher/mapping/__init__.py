"""Row to request body: templates, types, shapes, schema check, cell addresses."""
