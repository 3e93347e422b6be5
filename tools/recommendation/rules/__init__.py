"""The rules, one kind of saving each."""
