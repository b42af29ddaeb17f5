-- Where the run that a webhook tells of stood in a trace, as JSON; NULL if in none. The run may be gone when it is told.
ALTER TABLE webhook_delivery ADD COLUMN trace TEXT;
