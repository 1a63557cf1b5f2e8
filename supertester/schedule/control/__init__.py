"""What of the process an explored program would see differently in every run, put under the schedule's control."""
