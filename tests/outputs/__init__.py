"""Downloads and deliveries, over real sockets, onto real disks."""
