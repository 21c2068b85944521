"""The layouts in which images are handed over; each reader makes a listing of one."""
