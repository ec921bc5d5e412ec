"""Run folders: what they hold, who works in them, and what may change when a run goes on."""
