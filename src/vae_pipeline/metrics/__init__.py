"""Metrics, as docs/glossary.md defines them; nats an example, summed over the event."""
