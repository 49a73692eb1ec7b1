"""What became of a POST whose answer was lost: the account's history as evidence."""
