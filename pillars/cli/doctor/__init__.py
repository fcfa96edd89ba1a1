"""`app doctor`: what is wrong here, by what evidence, and what to do about it."""
