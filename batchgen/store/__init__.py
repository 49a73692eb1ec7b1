"""What is remembered: the state of a run. `sqlite` is the one kind of store there is."""
