"""What is measured, as docs/glossary.md defines it; nats an example, summed over the event."""
