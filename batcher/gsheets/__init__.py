"""Google Sheets: read by their link, and written into where the person has given batcher a service account."""
