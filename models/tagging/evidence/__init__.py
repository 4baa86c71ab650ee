"""What is evidence for a tag: ridge scores, neighbours, co-occurring tags. Arrays in, arrays out.

In: sums and vectors. Out: numbers for each pair of image and tag. Knows no snapshot.
"""
