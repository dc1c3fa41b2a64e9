//! Which records of a trail are wanted, judged line by line.
