"""Display, log, notifications: real terminals and real processes."""
