"""The command line: parse and hand over. Nothing heavy is imported before a verb runs."""

from seq2seq.cli.main import main

__all__ = ["main"]
