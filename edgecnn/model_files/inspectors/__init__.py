"""What exported files of any origin are made of, one reader a file kind.

Each reader has `read(path) -> (Inspection, contract)`: what the file says of itself, and the bytes of the contract
in it, None where there is none. What the contract lacks, and the file's size and hash, are the stage's to add.
"""
