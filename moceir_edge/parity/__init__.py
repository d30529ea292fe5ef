"""Reference against candidate, on real pictures: rows of numbers, and the gates that judge them."""
