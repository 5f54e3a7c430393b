"""What compare is made of. Python's standard library only."""
