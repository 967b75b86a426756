"""Serving over HTTP: functions-framework's own app on gunicorn, with bounds that both leave open."""
