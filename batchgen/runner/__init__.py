"""The only place with tasks: plan, effect, event, record, and again."""
