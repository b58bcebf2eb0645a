"""Events as log lines. Grade C."""
