"""Imagined years of any number of counties: places, people, and disputes whose histories were truly decided."""
