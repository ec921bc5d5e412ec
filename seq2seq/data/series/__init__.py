"""Series of numbers in time: read, checked, given a calendar, cut into windows."""
